"""What the syntax trees of avseg say: who imports whom, where circles are, which names stand where."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1] / "avseg"
ROOMS_OF_RECORDS = ("models", "datasets")
"""Packages with a room for each family or data set."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(ROOT.rglob("*.py")))


@cache
def modules() -> frozenset[str]:
    return frozenset(map(module_of, files()))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path, *, inside: bool) -> tuple[str, ...]:
    """Modules of avseg that a file imports: those at its top, or with `inside` also those inside functions.

    Imports for type checkers alone are none; where a name is taken from a package, the module that it is counts.
    """
    found = []
    for node in _statements(tree_of(path), inside):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "avseg":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "avseg"]
        for name in names:
            while name not in modules() and "." in name:
                name = name.rpartition(".")[0]
            found.append(name)
    return tuple(found)


def _statements(node: ast.AST, inside: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if not inside and isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        yield child
        yield from _statements(child, inside)


def circles(*, inside: bool) -> list[list[str]]:
    """Groups of modules each of which imports all others, directly or through others (Tarjan's components)."""
    graph = {module_of(p): set(imports(p, inside=inside)) - {module_of(p)} for p in files()}
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return sorted(found)


def named(path: Path, names: set[str]) -> Iterator[tuple[int, str]]:
    """Where a file has one of `names` as a whole string (docstrings apart), an attribute, or a part of an import."""
    tree = tree_of(path)
    told = {id(e.value) for e in ast.walk(tree) if isinstance(e, ast.Expr) and isinstance(e.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in told and node.value in names:
            yield node.lineno, str(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in names:
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            parts = f"{node.module}.{node.names[0].name}".split(".")
            if len(parts) > 2 and parts[1] in ROOMS_OF_RECORDS and parts[2] in names:
                yield node.lineno, parts[2]
