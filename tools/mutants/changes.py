"""What is changed in a Python source, one thing at a time: the mutants of a module.

Annotations, docstrings, imports and the words of exceptions are left as they are.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

_COMPARED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_CALLED = {"min": "max", "max": "min", "any": "all", "all": "any"}
_METHODS = {
    "partition": "rpartition",
    "rpartition": "partition",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "strip": "lstrip",
    "startswith": "endswith",
    "endswith": "startswith",
    "removeprefix": "removesuffix",
    "removesuffix": "removeprefix",
    "lower": "upper",
    "setdefault": "get",
}
# Fields that say nothing of what is done.
_PASSED_OVER = {"annotation", "returns", "type_params", "decorator_list", "ctx"}


class Edit(NamedTuple):
    """One change of a tree: another node in a field of one."""

    parent: ast.AST
    field: str
    index: int | None
    new: Any

    @property
    def old(self) -> Any:
        held = getattr(self.parent, self.field)
        return held if self.index is None else held[self.index]

    def put(self, node: Any) -> None:
        """Put a node in the place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


class Mutant(NamedTuple):
    """A change, where it is, and what it is called in the list of survivors."""

    name: str
    function: str  # the outermost function's qualified name; "" where a module is loaded
    lines: tuple[int, int]  # of the statement
    edit: Edit


class Module:
    """A source and its mutants."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_bytes())
        seen: Counter[str] = Counter()
        self.mutants: list[Mutant] = []
        for name, function, lines, edit in _mutants(self.tree):
            seen[name] += 1
            numbered = name if seen[name] == 1 else f"{name} ({seen[name]})"
            self.mutants.append(Mutant(numbered, function, lines, edit))

    def code(self, mutant: Mutant) -> CodeType:
        """The module's code with the change; SyntaxError where it is no Python."""
        edit, old = mutant.edit, mutant.edit.old
        edit.put(edit.new)
        try:
            ast.fix_missing_locations(self.tree)
            return compile(self.tree, str(self.path), "exec", dont_inherit=True)
        finally:
            edit.put(old)


def _mutants(tree: ast.Module) -> Iterator[tuple[str, str, tuple[int, int], Edit]]:
    def visit(
        node: ast.AST, place: tuple[str, ...], function: str, statement: ast.stmt | None
    ) -> Iterator[tuple[str, str, tuple[int, int], Edit]]:
        if _says_nothing(node):
            return
        here, where = place, function
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            here = (*place, node.name)
            if not function and not isinstance(node, ast.ClassDef):
                where = ".".join(here)
        for field, index, child in _children(node):
            inside = where if field == "body" else function
            at = child if isinstance(child, ast.stmt) else statement
            for edit in _edits(node, field, index, child):
                assert at is not None
                told = f"{'.'.join(here) or 'module'}: {_change(edit)} in: {_words(at)}"
                yield told, inside, (at.lineno, _end(at)), edit
            yield from visit(child, here, inside, at)

    yield from visit(tree, (), "", None)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if field in _PASSED_OVER or (isinstance(node, ast.AnnAssign) and field == "target"):
            continue
        if isinstance(value, ast.AST):
            yield field, None, value
        elif isinstance(value, list):
            for index, one in enumerate(value):
                if isinstance(one, ast.AST):
                    yield field, index, one


def _says_nothing(node: ast.AST) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.JoinedStr() | ast.Global() | ast.Nonlocal():
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__" | "__slots__" | "TYPE_CHECKING")]):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Call(func=ast.Name(id=name)) if name.endswith(("Error", "cast", "TypeVar")):
            return True
    return False


def _end(statement: ast.stmt) -> int:
    """The last line of a statement, or of what comes before the block of one that has one."""
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        return max(statement.lineno, body[0].lineno - 1)
    return statement.end_lineno or statement.lineno


def _words(statement: ast.stmt) -> str:
    """A statement in a line, or what its block depends on."""
    return ast.unparse(statement).strip().splitlines()[0][:100]


def _change(edit: Edit) -> str:
    old, new = (_text(node) for node in (edit.old, edit.new))
    return f"{old} -> {new}"


def _text(node: Any) -> str:
    if isinstance(node, ast.cmpop | ast.operator | ast.boolop):
        return type(node).__name__
    if isinstance(node, list):
        return f"({', '.join(map(_text, node))})"
    if isinstance(node, ast.AST):
        return " ".join(ast.unparse(node).split())[:80]
    return "nothing" if node is None else str(node)


def _edits(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> Iterator[Edit]:
    """The changes of one node, which stands in a field of another."""

    def instead(new: ast.AST) -> Edit:
        return Edit(parent, field, index, ast.copy_location(new, node))

    match node:
        case ast.cmpop():
            yield Edit(parent, field, index, _COMPARED[type(node)]())
        case ast.operator() if type(node) in _COMPUTED:
            yield Edit(parent, field, index, _COMPUTED[type(node)]())
        case ast.BoolOp(op, values):
            other = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield Edit(node, "op", None, other)
            for at in range(len(values)):
                left = values[:at] + values[at + 1 :]
                yield instead(left[0] if len(left) == 1 else ast.BoolOp(op, left))
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield instead(operand)
        case ast.Constant(value):
            for other_value in _other_constants(value):
                yield instead(ast.Constant(other_value))
        case ast.Call():
            yield from _other_calls(node)
        case ast.Slice(lower, upper):
            if lower is not None and upper is not None:
                yield Edit(node, "lower", None, None)
                yield Edit(node, "upper", None, None)
        case ast.Return(value) if value is not None and not _is_none(value):
            yield instead(ast.Return(ast.copy_location(ast.Constant(None), node)))
        case ast.Raise() | ast.AugAssign() | ast.Delete() | ast.Expr(ast.Call() | ast.Await()):
            yield instead(ast.Pass())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield instead(ast.Pass())
        case ast.Break():
            yield instead(ast.Pass())
        case ast.Continue():
            yield instead(ast.Break())
        case ast.ExceptHandler(body=[first, *_]) if not isinstance(first, ast.Raise):
            raised = ast.copy_location(ast.Raise(), first)
            yield Edit(node, "body", None, [raised])
    if field in ("test", "ifs") and not _is_compared(node) and not _is_not(node):
        yield instead(ast.UnaryOp(ast.Not(), node))  # type: ignore[arg-type]


def _other_constants(value: object) -> list[object]:
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, value - 1] if value > 1 else [value + 1]
        case str() if " " not in value.strip():  # no words for people
            return [value + "x"]
        case bytes():
            return [value + b"x"]
    return []


def _other_calls(call: ast.Call) -> Iterator[Edit]:
    match call.func:
        case ast.Name(id=name) if name in _CALLED:
            changed = ast.copy_location(ast.Name(_CALLED[name], ast.Load()), call.func)
            yield Edit(call, "func", None, changed)
        case ast.Attribute(value, attr) if attr in _METHODS:
            changed_method = ast.Attribute(value, _METHODS[attr], ast.Load())
            yield Edit(call, "func", None, ast.copy_location(changed_method, call.func))
    starred = any(isinstance(one, ast.Starred) for one in call.args[:2])
    if len(call.args) > 1 and not starred and ast.unparse(call.func) not in _CALLED:
        yield Edit(call, "args", None, [call.args[1], call.args[0], *call.args[2:]])
    for at in range(len(call.keywords)):
        yield Edit(call, "keywords", None, call.keywords[:at] + call.keywords[at + 1 :])


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_not(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_compared(node: ast.AST) -> bool:
    """Whether a comparison is negated by another operator already."""
    return isinstance(node, ast.Compare) and isinstance(
        node.ops[0], ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
    )
