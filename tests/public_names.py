"""Every public name with what it takes, a line each: what people may rely on.

    python tests/public_names.py > tests/data/public_names.txt

The same on every Python and system: parameters without annotations and values of defaults, members
that are our own.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import netsession

_NOT_PUBLIC = "netsession.srvsvc"  # how the wire is spoken: for Server


@cache
def modules() -> list[str]:
    """Those with a list of what is public, none of them beginning with an underscore."""
    found = [netsession.__name__]
    found += [module.name for module in pkgutil.iter_modules(netsession.__path__, "netsession.")]
    return [
        name
        for name in found
        if "._" not in name
        and not name.startswith(_NOT_PUBLIC)
        and hasattr(importlib.import_module(name), "__all__")
    ]


def _all(module: str) -> list[str]:
    return list(importlib.import_module(module).__all__)


def lines() -> Iterator[str]:
    for name in sorted(modules()):
        for public in sorted(_all(name)):
            value = getattr(importlib.import_module(name), public)
            yield from _told(f"{name}.{public}", value)


def _told(name: str, value: Any) -> Iterator[str]:
    home = getattr(value, "__module__", None)
    if inspect.isclass(value) and home != name.rpartition(".")[0] and _elsewhere(name, value):
        yield f"{name} is {home}.{value.__qualname__}"
    elif inspect.isclass(value):
        yield f"{name}: class{_bases(value)}{_made_with(value)}"
        for member in sorted(_members(value)):
            yield f"{name}.{member}{_member(value, member)}"
    elif union := get_args(value):
        yield f"{name} is {' | '.join(sorted(each.__name__ for each in union))}"
    elif callable(value):
        yield f"{name}{_parameters(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _elsewhere(name: str, value: type) -> bool:
    """Told already, under the name of the module that it is from."""
    return value.__module__ in modules() and not name.startswith(f"{value.__module__}.")


def _bases(value: type) -> str:
    shown = [base.__name__ for base in value.__bases__ if base is not object]
    return f" of {', '.join(shown)}" if shown else ""


def _made_with(value: type) -> str:
    if issubclass(value, enum.Enum) or not _ours(value, "__init__") | _ours(value, "__new__"):
        return ""
    return f" made with {_parameters(value)}"


def _ours(value: type, member: str) -> bool:
    return any(member in vars(base) for base in value.__mro__ if _is_ours(base))


def _is_ours(value: type) -> bool:
    return value.__module__.startswith("netsession")


def _members(value: type) -> set[str]:
    """Its own; those of bases that are not public themselves count as its own."""
    bases = [base for base in value.__mro__ if base is value or not _is_public(base)]
    found: set[str] = set()
    for base in filter(_is_ours, bases):
        found |= {*vars(base), *getattr(base, "__annotations__", {})}
    return {name for name in found if not name.startswith("_")}


def _is_public(value: type) -> bool:
    return value.__module__ in modules() and value.__name__ in _all(value.__module__)


def _member(value: type, member: str) -> str:
    found = inspect.getattr_static(value, member, None)
    if isinstance(found, staticmethod | classmethod):
        return _parameters(found.__func__)
    return _parameters(found) if callable(found) and not inspect.isclass(found) else ""


def _parameters(value: Any) -> str:
    """(server, /, *, level=...): names and how they may be given."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "(?)"  # C that does not say
    plain = [
        parameter.replace(
            annotation=parameter.empty,
            default=parameter.default if parameter.default is parameter.empty else _SOME,
        )
        for parameter in signature.parameters.values()
    ]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


class _Some:
    def __repr__(self) -> str:
        return "..."


_SOME = _Some()

if __name__ == "__main__":
    print("\n".join(lines()))
