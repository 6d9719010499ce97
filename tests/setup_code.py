"""What the code of a test's setup does to the interpreter that it runs in."""

from __future__ import annotations

import ast
import builtins
from importlib.util import find_spec

_PACKAGES = ("netsession", "netsession.cli")
# What is there before it, and what Python has; nothing by which anything could be changed.
_GIVEN = {"SimulatedServer": True, "connect": True, "simulated_server": False}
_BUILTINS = {"bool", "dict", "enumerate", "float", "int", "iter", "len", "list", "max", "min"}
_BUILTINS |= {"next", "print", "property", "range", "repr", "set", "sorted", "str", "sum", "super"}
_BUILTINS |= {"tuple", "zip"}
_BUILTINS |= {name for name, value in vars(builtins).items() if hasattr(value, "with_traceback")}
# Of other modules: where something may be written, and what is called when the command has ended.
_OF_OTHERS = {"sys.stderr", "sys.stdout", "atexit.register"}
_REFUSED = (ast.Global, ast.Nonlocal, ast.Delete, ast.NamedExpr, ast.Match)


def is_undone(setup: str) -> bool:
    """Whether it changes only its own objects, and attributes of netsession's modules and classes.

    Those are put back (``kept_command``). It judges by what is written there: whatever it does not
    know, however harmless, is refused.
    """
    tree = ast.parse(setup)
    names = _Names()
    names.visit(tree)
    return names.all_known and all(names.allow(node) for node in ast.walk(tree))


class _Names(ast.NodeVisitor):
    """What the names stand for."""

    def __init__(self) -> None:
        self.all_known = True
        self.netsessions = dict(_GIVEN)  # whether its attributes are put back
        self.own: set[str] = set()
        self.made: set[str] = set()  # of its own: objects that are nobody else's
        self.aliases: set[str] = set()  # of its own: what may be anybody's
        self.roots: set[ast.AST] = set()  # of attributes
        self.plain: set[ast.AST] = set()  # what is called, or gets a name

    def visit_Import(self, node: ast.Import) -> None:
        for each in node.names:
            if each.name == "netsession":
                self.netsessions[each.asname or each.name] = True
            elif each.name != "atexit" or each.asname:
                self.all_known = False

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        package = node.module or ""
        self.all_known &= package.partition(".")[0] == "netsession"
        for each in node.names if self.all_known else ():
            back = _is_class(each.name) or _is_module(package, each.name)
            self.netsessions[each.asname or each.name] = back

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.own.add(node.name)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.own.add(node.name)
        self.made.add(node.name)
        self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> None:
        self.own.add(node.arg)
        if node.arg == "self":
            self.made.add(node.arg)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.own.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        """``x = made()`` is an object of its own, ``x = module.y`` may be anything."""
        names = {each.id for each in node.targets if isinstance(each, ast.Name)}
        if isinstance(node.value, ast.Call):
            self.made |= names
        elif not isinstance(node.value, (ast.Constant, ast.List, ast.Dict)):
            self.aliases |= names
        if all(isinstance(each, ast.Name) for each in node.targets):
            self.plain.add(node.value)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.plain.add(node.func)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.roots.add(node.value)
        self.generic_visit(node)

    def allow(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            known = self.own | self.netsessions.keys() | _BUILTINS
            return node.id in known or node in self.roots
        if isinstance(node, ast.Attribute):
            return self._allow_attribute(node)
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            return isinstance(node.value, ast.Name) and node.value.id in self.own - self.aliases
        return not isinstance(node, _REFUSED)

    def _allow_attribute(self, node: ast.Attribute) -> bool:
        root, *path = _chain(node)
        stores = not isinstance(node.ctx, ast.Load)
        if path[-1].startswith("__") and (stores or path[-1] not in ("__init__", "__name__")):
            return False
        if root in self.netsessions:
            # of a module or of its class: what else hangs there may belong to all
            within = len(path) == 1 or (len(path) == 2 and _is_class(path[0]))
            if not within or stores:
                return within and self.netsessions[root]
            return node in self.plain or _is_class(root) or _is_class(path[0])
        if root in self.own:
            return root in self.made - self.aliases if stores else root not in self.aliases
        return ".".join([root, *path]) in _OF_OTHERS or (root == "" and not stores)


def _is_class(name: str) -> bool:
    return name.lstrip("_")[:1].isupper()


def _is_module(package: str, name: str) -> bool:
    return package in _PACKAGES and find_spec(f"{package}.{name}") is not None


def _chain(node: ast.Attribute) -> list[str]:
    """``a.b.c`` as its names; the first is empty where it begins with something else."""
    names: list[str] = []
    part: ast.expr = node
    while isinstance(part, ast.Attribute):
        names.insert(0, part.attr)
        part = part.value
    return [part.id if isinstance(part, ast.Name) else "", *names]
