"""Places of a Python file where one token can be changed, and what stands there afterwards."""

from __future__ import annotations

import ast
import bisect
import hashlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.In: ("in", ("not in",)),
}
CALCULATED = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
PAIRS = (
    ("min", "max"),
    ("amin", "amax"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("floor", "ceil"),
    ("any", "all"),
    ("zeros", "ones"),
    ("height", "width"),
)
OPPOSITE = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
TOLD = {"debug", "info", "warning", "error", "exception", "warn"}
"""Functions that only tell; what they are given is not changed."""
KEPT = {"strict", "indent", "stacklevel", "encoding"}
"""Arguments that show, if at all, where something else is already broken."""
SAME_SWAPPED = {"isinstance", "issubclass", "getattr", "hasattr", "min", "max", "gcd", "minimum", "maximum", "cast"}


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    path: str
    """From the root of the repository."""
    function: str
    """Qualified name of the function it is in; empty in a module or class body."""
    line: int
    start: int
    """Bytes from the beginning of the file."""
    end: int
    kind: str
    old: str
    new: str
    text: str
    """The line, stripped."""
    changed: str
    """The line after the change."""
    copy: int = 0
    """How many changes with the same words come before it in the file."""

    @property
    def key(self) -> str:
        """The same as long as the line and its function stay the same."""
        return f"{self.path}::{self.function}::{self.text}::{self.changed}::{self.copy}"

    @property
    def room(self) -> str:
        return self.path.split("/")[1]

    def order(self, seed: int) -> str:
        """Mutants in this order are drawn at random; changes elsewhere leave their order alone."""
        return hashlib.sha256(f"{seed} {self.key}".encode()).hexdigest()

    def applied(self, source: bytes) -> bytes:
        """The source (bytes of the whole file) with the change."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def parses(self, source: bytes) -> bool:
        """Whether the changed source is Python."""
        try:
            ast.parse(self.applied(source))
        except SyntaxError:
            return False
        return True


class _Finder:
    """Walks through a syntax tree and gathers changes."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self.lines = source.splitlines(keepends=True)
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line))
        self.tokens = list(self._tokens())
        self.found: list[Mutant] = []
        self.counts: dict[tuple[str, str, str], int] = {}

    def _tokens(self) -> Iterator[tuple[int, int, str]]:
        """(begin, end, text) in bytes of every token."""
        for token in tokenize.tokenize(io.BytesIO(self.source).readline):
            if token.type in (tokenize.NAME, tokenize.OP, tokenize.NUMBER):
                line, column = token.start
                begin = self.starts[line - 1] + len(self.lines[line - 1].decode()[:column].encode())
                yield begin, begin + len(token.string.encode()), token.string

    def begin(self, node: ast.expr) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        return self.starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)

    def code(self, node: ast.expr) -> str:
        return self.source[self.begin(node) : self.end(node)].decode()

    def token(self, text: str, begin: int, end: int) -> tuple[int, int]:
        first = bisect.bisect_left(self.tokens, (begin,))
        return next((a, b) for a, b, word in self.tokens[first : first + 99] if b <= end and word == text)

    def add(self, function: str, kind: str, span: tuple[int, int], new: str) -> None:
        start, end = span
        line = bisect.bisect_right(self.starts, start)
        whole = self.lines[line - 1].decode().rstrip("\r\n")
        at, stop = (len(self.source[self.starts[line - 1] : place].decode()) for place in (start, end))
        changed = (whole[:at] + new + whole[stop:]).strip()
        key = (function, whole.strip(), changed)
        copy = self.counts[key] = self.counts.get(key, -1) + 1
        old = self.source[start:end].decode()
        self.found.append(Mutant(self.path, function, line, start, end, kind, old, new, whole.strip(), changed, copy))

    def walk(self, node: ast.AST, function: str, scope: str) -> None:
        """All below `node`, without names of types, texts and what is told."""
        if isinstance(node, (ast.Raise, ast.Assert, ast.JoinedStr)) or _only_tells(node) or _only_types(node):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            name = scope + node.name
            inside = isinstance(node, ast.FunctionDef)
            below = [*node.args.defaults, *node.args.kw_defaults] if isinstance(node, ast.FunctionDef) else []
            for child in [*below, *node.body]:
                if child is not None:
                    self.walk(child, name if inside else function, name + (".<locals>." if inside else "."))
            return
        self.change(node, function)
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg in KEPT):
                    self.walk(child, function, scope)

    def change(self, node: ast.AST, function: str) -> None:
        """Changes of this node alone."""
        if isinstance(node, ast.Compare):
            self._compare(node, function)
        elif isinstance(node, ast.BinOp) and type(node.op) in CALCULATED and not _text_or_type(node):
            old, new = CALCULATED[type(node.op)]
            self.add(function, "arithmetic", self.token(old, self.end(node.left), self.begin(node.right)), new)
        elif isinstance(node, ast.AugAssign) and type(node.op) in CALCULATED:
            old, new = CALCULATED[type(node.op)]
            span = self.token(old + "=", self.end(node.target), self.begin(node.value))
            self.add(function, "arithmetic", span, new + "=")
        elif isinstance(node, ast.BoolOp):
            old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                self.add(function, "boolean", self.token(old, self.end(left), self.begin(right)), new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            self.add(function, "dropped", (self.begin(node), self.begin(node.operand)), "")
        elif isinstance(node, ast.Constant):
            self._constant(node, function)
        elif isinstance(node, ast.Slice):
            for bound in (node.lower, node.upper):
                if isinstance(bound, (ast.Name, ast.Attribute, ast.Call)):
                    self.add(function, "slice", (self.end(bound), self.end(bound)), " + 1")
        elif isinstance(node, ast.Call):
            self._call(node, function)

    def _compare(self, node: ast.Compare, function: str) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if type(operator) in COMPARED:
                old, new = COMPARED[type(operator)]
                span = self.token(old, self.end(left), self.begin(right))
                for word in new:
                    self.add(function, "comparison", span, word)
            left = right

    def _constant(self, node: ast.Constant, function: str) -> None:
        span = (self.begin(node), self.end(node))
        if isinstance(node.value, bool):
            self.add(function, "constant", span, str(not node.value))
        elif isinstance(node.value, int):
            for new in (node.value + 1, node.value - 1):
                self.add(function, "constant", span, str(new))
        elif isinstance(node.value, float):
            self.add(function, "constant", span, repr(node.value * 2 or 1.0))

    def _call(self, node: ast.Call, function: str) -> None:
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        if name in OPPOSITE:
            self.add(function, "opposite", (self.end(called) - len(name), self.end(called)), OPPOSITE[name])
        plain = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
        if len(node.args) == 2 and all(isinstance(one, plain) for one in node.args) and name not in SAME_SWAPPED:
            first, second = map(self.code, node.args)
            if first != second:
                self.add(function, "swapped", (self.begin(node.args[0]), self.end(node.args[1])), f"{second}, {first}")


def _only_tells(node: ast.AST) -> bool:
    """A docstring, or a message to a log."""
    if not isinstance(node, ast.Expr):
        return False
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return isinstance(node.value, ast.Constant) or (isinstance(called, ast.Attribute) and called.attr in TOLD)


def _only_types(node: ast.AST) -> bool:
    """A block for type checkers or for the command line of a module, or an import."""
    if isinstance(node, ast.If):
        names = {one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)}
        return bool(names & {"TYPE_CHECKING", "__name__"})
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _text_or_type(node: ast.BinOp) -> bool:
    """Texts that are joined or filled in, or a union of types."""
    for side in (node.left, node.right):
        if isinstance(side, ast.JoinedStr) or (
            isinstance(side, ast.Constant) and (side.value is None or isinstance(side.value, str))
        ):
            return True
    return False


def changes(path: str, source: bytes) -> list[Mutant]:
    """All changes of one file, in the order of its syntax tree.

    Args:
        path: of the file, from the root of the repository.
        source: its bytes.

    Raises:
        SyntaxError: the file is no Python.
    """
    finder = _Finder(path, source)
    finder.walk(ast.parse(source), "", "")
    return finder.found
