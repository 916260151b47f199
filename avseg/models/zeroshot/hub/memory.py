"""The memory of video sessions of `transformers`, which never free it and so grow with every frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

_POINTER = frozenset({"object_pointer"})
_MAPS = frozenset({"maskmem_features", "maskmem_pos_enc"})


def trim(session: Any, now: int, config: Any) -> None:
    """Free what no frame after `now` reads, so that masks stay the same to the bit.

    A frame reads the maps of the `num_maskmem` - 1 frames before it, the pointers of the
    `max_object_pointers_in_encoder` - 1 frames before it, and of frames with a prompt the maps of the last
    `max_cond_frame_num` (-1: of all) and the pointers of all. Of those pointers only the last
    `max_object_pointers_in_encoder` stay, which matters to objects with more prompts than that.

    Tensors that are part of larger ones, with those of other objects, are copied.

    Args:
        session: one that gets frames one by one, each with its number.
        now: number of the frame that it got last.
        config: of the tracker, with the three limits.
    """
    session.processed_frames.clear()
    maps, pointers = now + 2 - config.num_maskmem, now + 2 - config.max_object_pointers_in_encoder
    for index, outputs in session.output_dict_per_obj.items():
        for inputs in (session.point_inputs_per_obj, session.mask_inputs_per_obj, session.frames_tracked_per_obj):
            inputs[index].clear()
        tracked, prompted = outputs["non_cond_frame_outputs"], outputs["cond_frame_outputs"]
        for frame in [frame for frame in tracked if frame < pointers]:
            del tracked[frame]
        for frame in sorted(prompted)[: -config.max_object_pointers_in_encoder]:
            del prompted[frame]
        whole = {frame for frame in [*tracked, *prompted] if frame >= maps}
        whole.update(sorted(prompted)[-config.max_cond_frame_num :] if config.max_cond_frame_num > 0 else prompted)
        for frame, output in [*tracked.items(), *prompted.items()]:
            for name in output.keys() - (_POINTER | _MAPS if frame in whole else _POINTER):
                del output[name]
        for output in [*tracked.values(), *prompted.values()]:
            output.update({name: tensor.clone() for name, tensor in output.items() if _is_part(tensor)})


def _is_part(tensor: Tensor) -> bool:
    """Whether a tensor keeps more memory alive than its own, such as that of removed objects."""
    return tensor.untyped_storage().nbytes() > tensor.nbytes


def held_bytes(held: Iterable[Any]) -> int:
    """Bytes of all tensors in these objects, memory that several share counted once."""
    storages = {tensor.untyped_storage() for one in held for tensor in _tensors(one)}
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
        return
    if isinstance(value, dict):
        inside: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple | set):
        inside = value
    else:
        inside = vars(value).values() if hasattr(value, "__dict__") else ()
    for one in inside:
        yield from _tensors(one)
