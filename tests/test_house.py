"""The rules of the house, read off the syntax tree: sizes, torch-free doors (imports: test_architecture)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from house_graph import imports

ROOT = Path(__file__).parents[1] / "avseg"
FILES = sorted(ROOT.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 400, 50, 10

FREE = {"cli", "commands", "demo", "doctor", "__main__", "__init__", "web"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_no_family_imports_another() -> None:
    families = [p.name for p in (ROOT / "models").iterdir() if (p / "__init__.py").exists()]
    assert len(families) > 1
    for family in families:
        for path in (ROOT / "models" / family).rglob("*.py"):
            others = {n for n in imports(path, inside=True) for f in families if f != family and f"models.{f}." in n}
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
