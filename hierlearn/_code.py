"""What code is, for keys of caches: its instructions, and what it refers to beyond its arguments.

Code of releases goes by name and version; all other code is looked at, for it may be edited between
two fits.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

__all__ = [
    "code_parts",
    "function_in",
    "goes_by_version",
    "is_found_by_name",
    "members_of",
    "name_of",
    "references_of",
    "version_of",
]

# Where packages are installed, whose code goes by their version; all other code is looked at.
_INSTALLED = {"site-packages", "dist-packages"}
# Members of every class that say nothing of what it does.
_INCIDENTAL = {
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__slots__"),
    *("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__"),
    *("__firstlineno__", "__static_attributes__", "__abstractmethods__", "_abc_impl"),
    *("__orig_bases__", "__parameters__", "__dataclass_fields__", "__dataclass_params__"),
}


def name_of(thing: Any) -> str:
    """Return the full name of a class, function or module.

    Examples
    --------
    >>> from hierlearn._code import name_of
    >>> name_of(dict)
    'builtins.dict'
    """
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", "")
    return f"{getattr(thing, '__module__', None) or ''}.{name}"


def _top(thing: Any) -> str:
    module = getattr(thing, "__module__", None)
    if isinstance(thing, types.ModuleType):
        module = thing.__name__
    return (module or "").partition(".")[0]


def version_of(thing: Any) -> str | None:
    """Return the version that a module's package gives itself, or that of Python.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn._code import version_of
    >>> version_of(np.mean) == np.__version__
    True
    """
    top = _top(thing)
    if top in sys.stdlib_module_names:
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    version = getattr(sys.modules.get(top), "__version__", None)
    return version if isinstance(version, str) else None


def goes_by_version(thing: Any) -> bool:
    """Tell whether code is that of a release, and not the user's own.

    Examples
    --------
    >>> from hierlearn._code import goes_by_version
    >>> goes_by_version(dict), goes_by_version(type("Own", (), {"__module__": "own"}))
    (True, False)
    """
    top = _top(thing)
    if top in ("hierlearn", "builtins") or top in sys.stdlib_module_names:
        return top != "__main__"
    file = getattr(sys.modules.get(top), "__file__", None)
    installed = file is not None and not _INSTALLED.isdisjoint(Path(file).parts)
    return installed and version_of(thing) is not None


def is_found_by_name(function: Any) -> bool:
    """Tell whether a function is what its module holds under its name.

    Examples
    --------
    >>> from hierlearn._code import is_found_by_name
    >>> is_found_by_name(is_found_by_name), is_found_by_name(lambda: 0)
    (True, False)
    """
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function or getattr(found, "__func__", None) is function


def code_parts(code: types.CodeType) -> tuple[Any, ...]:
    """Return what code does, without the place where it stands.

    Examples
    --------
    >>> from hierlearn._code import code_parts
    >>> code_parts((lambda x: x).__code__) == code_parts((lambda x: x).__code__)
    True
    """
    constants = tuple(
        code_parts(part) if isinstance(part, types.CodeType) else part for part in code.co_consts
    )
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return code.co_code, code.co_exceptiontable, constants, counts, names


def members_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what a class itself defines, by name."""
    for name, member in sorted(vars(cls).items()):
        if name in _INCIDENTAL:
            continue
        if isinstance(member, property):
            yield name, (member.fget, member.fset, member.fdel)
        elif isinstance(member, functools.cached_property):
            yield name, member.func
        elif isinstance(member, types.MemberDescriptorType | types.GetSetDescriptorType):
            yield name, None  # a slot
        else:
            yield name, member


def function_in(member: Any) -> types.FunctionType | None:
    """Return the Python function of a method or a function that was wrapped, if there is one.

    Examples
    --------
    >>> from functools import lru_cache
    >>> from hierlearn._code import function_in, name_of
    >>> function_in(lru_cache(name_of)) is name_of
    True
    """
    if isinstance(member, staticmethod | classmethod):
        member = member.__func__
    if isinstance(member, functools._lru_cache_wrapper):
        member = member.__wrapped__
    return member if isinstance(member, types.FunctionType) else None


def references_of(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what a function finds in its module and in functions around it, by name.

    Of a module of the user's it is what the function's code names.
    """
    code = function.__code__
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield name, _contents(cell)
    named, read = _names(code)
    for name in sorted(read & set(function.__globals__)):
        yield from _found_in(function.__globals__[name], name, named)


def _found_in(held: Any, name: str, named: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield what a name stands for, and of a module of the user's what code names of it."""
    yield name, held
    if isinstance(held, types.ModuleType) and not goes_by_version(held):
        inner = {k: v for k, v in vars(held).items() if k in named and v is not held}
        for own, value in sorted(inner.items(), key=itemgetter(0)):
            yield from _found_in(value, f"{name}.{own}", named - {own})


def _names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Return all names in code, and those that it looks up in its module."""
    named = set(code.co_names)
    read = {str(i.argval) for i in dis.get_instructions(code) if i.opname.startswith("LOAD_GLOBAL")}
    read |= {str(i.argval) for i in dis.get_instructions(code) if i.opname == "LOAD_NAME"}
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            inner = _names(part)
            named, read = named | inner[0], read | inner[1]
    return named, read


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
