"""One continuous clock for the packets of a file, across joined recordings and repeated or broken timestamps."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

Item = TypeVar("Item")

JUMP = 10.0
"""Seconds; a longer step forward is a cut, only in formats whose clock may restart."""
BACK = 0.5
"""s; a longer step back is a cut in every format: packets of a stream come in the order of decoding."""
SOON = 0.5
"""s; a longer step forward is believed when the packets after it confirm it."""
WITNESSES = 16
"""Packets that confirm a step forward; a broken stamp of MPEG-TS is borne by all packets of its block."""


class Clock:
    """Shifts the timestamps of a file's packets so that time is continuous across cuts, equally for all its streams.

    A stretch between two cuts keeps its stamps but for one shift. A stream that jumps takes the shift of a stretch that
    another stream has entered before, where that fits; else a new stretch begins where the longest stream has ended.
    A few packets ahead of their time, after which time goes on as before, are laid behind the packet before them.
    """

    def __init__(self, may_restart: bool) -> None:
        """`may_restart`: whether the clock of the format may restart in mid-file (MPEG-TS and its kin)."""
        self.cuts = 0
        """How many stretches have begun after the first."""
        self.rest = 0.0
        """s on the file's own clock, the last end of a packet of the streams that are not used."""
        self._may_restart = may_restart
        self._shifts = [0.0]
        """s, by stretch."""
        self._lines: dict[int, _Line] = {}

    @classmethod
    def of(cls, container: Any) -> Clock:
        """For an opened file."""
        from av.format import Flags

        return cls(bool(container.format.flags & Flags.ts_discont.value))

    def repaired(self, packets: Iterable[Any], used: Collection[int]) -> Iterator[Any]:
        """The packets of the streams `used` (their numbers), stamps on one clock, in order within each stream."""
        for packet in packets:
            if packet.stream.index not in used:
                self.rest = max(self.rest, _end(packet))
                continue
            line = self._lines.setdefault(packet.stream.index, _Line())
            yield from self._let_go(line, packet)
            if packet.size and (line.waiting or self._leap(line, packet) > SOON):
                line.waiting.append(packet)
            else:
                yield self._laid(line, packet)
        for line in self._lines.values():
            yield from self._let_go(line, None)

    def end(self) -> float:
        """s, the last end of a packet of any stream."""
        return max([self.rest, *(line.shown for line in self._lines.values())])

    def decoding(self, stream: int) -> float:
        """s, how long the packets of a stream last together, in the order of decoding."""
        line = self._lines[stream]
        return 0.0 if line.reached is None or line.first is None else line.reached - line.first

    def _let_go(self, line: _Line, following: Any | None) -> Iterator[Any]:
        """Release the waiting packets once the next one shows whether their timestamps are right."""
        if not line.waiting:
            return
        if following is None or not following.size or len(line.waiting) >= WITNESSES:
            trusted = True
        elif following.dts is None or (leap := self._leap(line, following)) > SOON + len(line.waiting) * line.length:
            return
        else:
            trusted = leap < -BACK
        waiting, line.waiting = line.waiting, []
        for packet in waiting:
            yield self._laid(line, packet) if trusted else self._laid_behind(line, packet)

    def _leap(self, line: _Line, packet: Any) -> float:
        """Return the step in s from the current end of the stream to the packet; 0 if unknown."""
        if line.reached is None or packet.dts is None:
            return 0.0
        return float(packet.dts * packet.time_base) + self._shifts[line.stretch] - line.reached

    def _laid(self, line: _Line, packet: Any) -> Any:
        """Place the packet in the stretch that it fits, or in a new one."""
        if packet.size and not -BACK <= self._leap(line, packet) <= SOON:
            line.stretch = self._stretch_of(line, packet)
        return line.counted(_moved(packet, self._shifts[line.stretch]), self._may_restart)

    def _laid_behind(self, line: _Line, packet: Any) -> Any:
        """Place the packet directly after the previous one, ignoring its timestamp."""
        return line.counted(_moved(packet, self._shifts[line.stretch] - self._leap(line, packet)), self._may_restart)

    def _stretch_of(self, line: _Line, packet: Any) -> int:
        """The number of the stretch in which the packet comes closest behind what was reached."""
        leaps = [self._leap(line, packet) + shift - self._shifts[line.stretch] for shift in self._shifts]
        near = min(range(len(leaps)), key=lambda number: (abs(leaps[number]), number != line.stretch))
        if leaps[near] >= -BACK and (leaps[near] <= JUMP or not self._may_restart):
            return near
        stamp = packet.dts if packet.pts is None else packet.pts
        end = max(other.shown for other in self._lines.values() if other.reached is not None)
        self._shifts.append(end - float(stamp * packet.time_base))
        self.cuts += 1
        return len(self._shifts) - 1


@dataclass
class _Line:
    """The position of one stream on the common clock."""

    stretch: int = 0
    first: float | None = None
    """s, when the first packet is decoded."""
    reached: float | None = None
    """s, the end of the last packet in the order of decoding."""
    shown: float = 0.0
    """s, the last end of a packet in the order of showing."""
    length: float = 0.0
    """s, of the last packet."""
    waiting: list[Any] = field(default_factory=list)
    """Packets ahead of their time."""
    _last: float | None = None

    def counted(self, packet: Any, may_restart: bool) -> Any:
        """The packet, which is the last one now."""
        if not packet.size or packet.dts is None:
            return packet
        base = packet.time_base
        if may_restart and packet.pts is not None and not -BACK <= (packet.pts - packet.dts) * base <= JUMP:
            packet.pts = packet.dts  # no picture waits for ten seconds between decoding and showing
        stamp = float(packet.dts * base)
        step = 0.0 if self._last is None else min(max(stamp - self._last, 0.0), SOON)
        self.first = stamp if self.first is None else self.first
        self.length, self._last = float((packet.duration or 0) * base) or step, stamp
        self.reached = stamp + self.length
        shown = stamp if packet.pts is None else float(packet.pts * base)
        self.shown = max(self.shown, shown + self.length)
        return packet


def believed(items: Iterable[tuple[Item, float | None]]) -> Iterator[tuple[Item, float | None]]:
    """(item, its stamp in s); None in place of a stamp far ahead of the one before, after which time goes back."""
    last: float | None = None
    ahead: tuple[Item, float] | None = None
    for item, stamp in items:
        if ahead is not None:
            wrong = stamp is not None and stamp < ahead[1]
            yield ahead[0], None if wrong else ahead[1]
            last, ahead = last if wrong else ahead[1], None
        if stamp is not None and last is not None and stamp - last > JUMP:
            ahead = item, stamp
            continue
        yield item, stamp
        last = last if stamp is None else stamp
    if ahead is not None:
        yield ahead


def _moved(packet: Any, seconds: float) -> Any:
    """The packet with its stamps moved."""
    shift = round(seconds / packet.time_base) if packet.time_base else 0
    if packet.dts is not None:
        packet.dts += shift
    if packet.pts is not None:
        packet.pts += shift
    return packet


def _end(packet: Any) -> float:
    """s on the file's own clock; 0 where the packet bears no stamp."""
    return 0.0 if packet.pts is None else float((packet.pts + (packet.duration or 0)) * packet.time_base)
