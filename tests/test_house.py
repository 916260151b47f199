"""The rules of the house, read off the syntax tree: who imports whom, sizes, torch-free doors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "avseg"
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 400, 50, 10

# What each room may import of ours, besides itself. A dotted name allows that module alone.
MAY_IMPORT = {
    "targets": set(),
    "types": {"targets"},
    "config": set(),
    "registry": {"config"},
    "lazy": set(),
    "version": set(),
    "device": set(),
    "progress": set(),
    "io": {"types", "nn.audio", "version"},
    "nn": {"types", "config"},
    "losses": {"types", "config", "nn.boxes"},
    "metrics": {"types", "config", "io.rle", "registry"},
    "data": {"types", "config", "io", "datasets", "nn.audio", "nn.sizing", "metrics"},
    "datasets": {
        "types",
        "config",
        "registry",
        "io",
        "data",
        "synth",
        "prepare",
        "render",
        "device",
        "progress",
        "nn",
        "models.convert",
    },
    "render": {"types", "config", "io"},
    "prepare": {"types", "config", "io", "data", "datasets.tables", "nn", "progress"},
    "synth": {"types", "config", "io", "nn", "device", "prepare.jobs"},
    "models": {
        "types",
        "config",
        "registry",
        "nn",
        "losses",
        "io.files",
        "io.pickles",
        "io.rle",
        "version",
        *(f"datasets.{room}.classes" for room in ("aviseg", "avss", "single", "vpo")),
    },
    "engine": {
        "types",
        "config",
        "metrics",
        "data",
        "datasets",
        "models",
        "io",
        "version",
        "render",
        "recipes",
        "device",
        "progress",
    },
    "inference": {"types", "config", "io", "render", "data", "models", "version", "nn", "device", "progress"},
    "weights": {"config", "registry", "types", "models", "nn.empty"},
    "inspect": {
        "types",
        "config",
        "io",
        "data",
        "datasets",
        "nn",
        "render",
        "inference",
        "models",
        "commands",
        "device",
    },
    "recipes": {"config", "registry", "data", "datasets", "models", "engine", "losses"},
}
FREE = {"cli", "commands", "demo", "doctor", "__main__", "__init__", "web"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Dotted names below avseg that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("avseg"):
            base = node.module.removeprefix("avseg").lstrip(".")
            found |= {base} if base else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("avseg.") for alias in node.names if alias.name.startswith("avseg.")}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_the_right_way(path: Path) -> None:
    room = room_of(path)
    if room in FREE:
        return
    if "inspect" in path.parts:  # a family's own commands, which nothing imports
        room = "inspect"
    allowed = MAY_IMPORT[room] | {room, "lazy"}
    wrong = {name for name in imports_of(path) if not any(name == a or name.startswith(a + ".") for a in allowed)}
    assert not wrong, f"{room} may not import {sorted(wrong)}"


def test_no_family_imports_another() -> None:
    families = [p.name for p in (ROOT / "models").iterdir() if (p / "__init__.py").exists()]
    for family in families:
        for path in (ROOT / "models" / family).rglob("*.py"):
            others = {n for n in imports_of(path) for f in families if f != family and n.startswith(f"models.{f}")}
            assert not others


def length_of(function: ast.FunctionDef) -> int:
    """Lines of code and signature; the docstring is free."""
    first = function.body[0]
    documented = ast.get_docstring(function) is not None
    last = function.end_lineno or function.lineno
    return last - function.lineno - ((first.end_lineno or 0) - first.lineno + 1 if documented else 0)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert length_of(node) <= LONGEST_FUNCTION, node.name
            count = len(node.args.args) + len(node.args.kwonlyargs)
            assert count <= MOST_PARAMETERS, f"{node.name} has {count} parameters"


def test_nothing_prints_outside_the_command_line() -> None:
    for path in FILES:
        if room_of(path) in FREE or path.parts[-2:] == ("inspect", "command.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"), (
                path
            )


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_help_needs_no_torch() -> None:
    code = (
        "import sys, contextlib, io\nfrom avseg.cli import run\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): run(['--help'])\n"
        "print('torch' in sys.modules)"
    )
    assert run_python(code).strip() == "False"


def test_recipes_need_no_torch() -> None:
    code = "import sys\nfrom avseg.recipes import describe\nassert describe()\nprint('torch' in sys.modules)"
    assert run_python(code).strip() == "False"


def test_core_imports_without_media_libraries() -> None:
    blocked = ("av", "tyro", "pycocotools", "gradio", "rich", "wandb", "tensorboard")
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import avseg, avseg.models, avseg.engine, avseg.nn, avseg.losses, avseg.metrics, avseg.data\n"
        "from avseg.models.tpavi.model import TPAVI\nfrom avseg.engine import evaluate, train\n"
        "from avseg.data.loader import make_loader\nprint('fine')"
    )
    assert run_python(code).strip() == "fine"


def test_public_face_is_small_and_true() -> None:
    import avseg

    names = [name for name in avseg.__all__ if not name.startswith("__")]
    assert len(names) <= 20
    assert all(getattr(avseg, name) is not None for name in names)
