"""`avseg completion`: scripts for shell completion.

The scripts are short: at every Tab the shell asks `avseg __complete WORD...`, which answers from the same table of
commands that the help pages come from. No torch is imported for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from avseg.commands.options import Option, read_words
from avseg.commands.parse import Command
from avseg.models.opening import opening_names

ASK = "__complete"
FILES = ":files"
"""The answer that tells the shell to complete names of files and folders itself."""

_BASH = f"""\
_avseg() {{
    local IFS=$'\\n' current="${{COMP_WORDS[COMP_CWORD]}}" answer
    COMPREPLY=()
    [ "$current" = "=" ] && current=""
    for answer in $("${{COMP_WORDS[0]}}" {ASK} "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null); do
        if [ "$answer" = "{FILES}" ]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "$current"))
        else
            COMPREPLY+=("$answer")
        fi
    done
}}
complete -F _avseg avseg
"""

_ZSH = f"""\
#compdef avseg
_avseg() {{
    local -a answers
    answers=("${{(@f)$("${{(Q)words[1]}}" {ASK} "${{(Q@)words[2,CURRENT]}}" 2>/dev/null)}}")
    if (( ${{answers[(Ie){FILES}]}} )); then
        answers=(${{answers:#{FILES}}})
        _files
    fi
    answers=(${{answers:#}})
    (( ${{#answers}} )) && compadd -a answers
}}
if [ "${{funcstack[1]}}" = "_avseg" ]; then
    _avseg "$@"
else
    compdef _avseg avseg
fi
"""

_FISH = f"""\
function __avseg_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for answer in ($program {ASK} $words "$current" 2>/dev/null)
        if test "$answer" = "{FILES}"
            __fish_complete_path "$current"
        else
            echo $answer
        end
    end
end
complete -c avseg -f -a "(__avseg_complete)"
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(shell: Positional[Literal["bash", "zsh", "fish"]]) -> int:
    """Print a script that completes commands, recipes, data sets and options with the Tab key.

    In ~/.bashrc: eval "$(avseg completion bash)"

    In ~/.zshrc, after compinit: eval "$(avseg completion zsh)"

    In ~/.config/fish/config.fish: avseg completion fish | source

    Args:
        shell: Your shell.
    """
    print(SCRIPTS[shell], end="")
    return 0


def _datasets() -> Iterable[str]:
    from avseg.data import DATASETS

    return DATASETS


def _protocols() -> Iterable[str]:
    from avseg.metrics import known_protocols

    return known_protocols()


def _suites() -> Iterable[str]:
    from avseg.metrics import SUITES

    return SUITES


def _trackers() -> Iterable[str]:
    from avseg.engine.training.trackers import TRACKERS

    return TRACKERS


ANSWERS: dict[str, Callable[[], Iterable[str]]] = {
    "--data.name": _datasets,
    "--val.name": _datasets,
    "--protocol": _protocols,
    "--train.protocol": _protocols,
    "--suites": _suites,
    "--data.suite": _suites,
    "--val.suite": _suites,
    "--train.trackers": _trackers,
    "--device": lambda: ("auto", "cpu", "cuda", "mps"),
    "--model": lambda: ("demo", *opening_names(), FILES),
    "--init.model": lambda: ("demo", FILES),
    "model": lambda: ("demo", *opening_names(), FILES),
    "videos": lambda: (FILES,),
}
"""Completions of options and positionals whose type does not list their values."""


def answers(words: Sequence[str], command: Command) -> list[str]:
    """Return the completions of the last of `words`, the words after a command's name; the last word may be empty.

    Args:
        words: as typed; `=` may be a separate word, because bash splits `--out=DIR`.
        command: the command.
    """
    *before, current = [word for word in words[:-1] if word != "="] + ["" if words[-1] == "=" else words[-1]]
    options = command.options
    given = read_words(before, options)
    latest = given[-1] if given else None
    found: list[str] = []
    name, equals, value = current.partition("=")
    if equals and (behind := read_words([f"{name}="], options)[0].option):
        return [f"{name}={word}" for word in fitting(values_of(behind), value) if word != FILES]
    if current.startswith("-"):
        return fitting(
            [name for o in options if not o.positional for name in o.names] + ["--help", "--help-all"], current
        )
    if latest is not None and latest.open and latest.option:
        found += values_of(latest.option)
        if latest.option.arity is not None or latest.option.positional:
            return fitting(found, current)
    taken = [item.option for item in given]
    waiting = [option for option in options if option.positional and option not in taken]
    return fitting(found + (values_of(waiting[0]) if waiting else []), current)


def values_of(option: Option) -> list[str]:
    """Return the known values of an option; `FILES` for names of files."""
    for name in option.names:
        if name in ANSWERS:
            return list(ANSWERS[name]())
    return list(option.choices) or ([FILES] if option.kind is Path else [])


def fitting(known: Iterable[str], current: str) -> list[str]:
    """Return the answers that begin with the typed text, and `FILES`."""
    return [word for word in known if word.startswith(current) or word == FILES]
