"""How images are scaled for a pre-trained network: checks, and what tells two scalings apart."""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import joblib
import numpy as np

from .reading import Scale

# Rows that are looked at for the range of their values, where X is not in memory.
_LOOKED_AT = 64


def warn_of_range(rows: Any) -> None:
    """Say so if rows have been scaled already for a network that scales bytes.

    Parameters
    ----------
    rows : ndarray, csr matrix or LazyRows of shape (n_samples, ...)
    """
    if rows.dtype.kind != "f" or not rows.shape[0]:
        return
    largest = (rows if hasattr(rows, "max") else np.asarray(rows[:_LOOKED_AT])).max()
    if largest <= 1:
        warnings.warn(
            "A backbone by name scales X as values from 0 to 255. Got floats up to "
            f"{float(largest):g}; set scale for them, as scale=(127 / 255, 128 / 255) for "
            "efficientnet_lite0 and values from 0 to 1.",
            stacklevel=4,
        )


def checked_scale(scale: Scale, row_shape: tuple[int, ...] | None = None) -> Scale:
    """Return a scaling as a callable, None, or a pair of arrays.

    Parameters
    ----------
    scale : (shift, divisor), callable or None
    row_shape : tuple of int, default=None
        Shape of a row, whose first number is that of the channels; None does not look.

    Raises
    ------
    ValueError
        If it is no such pair, or has another number of values than rows have channels.
    """
    if scale is None or callable(scale):
        return scale
    try:
        shift, divisor = (np.asarray(part, dtype=np.float64) for part in scale)
    except (TypeError, ValueError):
        shift = divisor = np.zeros(0)
    fine = shift.size and divisor.size and np.isfinite(shift).all() and np.isfinite(divisor).all()
    if not fine or not divisor.all() or max(shift.ndim, divisor.ndim) > 1:
        raise ValueError(
            "scale must be (shift, divisor), finite numbers or one a channel, the divisor not zero."
            f" Got {scale!r} instead."
        )
    for part in (shift, divisor):
        if row_shape is not None and part.ndim and not _fits(part.size, row_shape):
            channels = f"{row_shape[0]} channels" if len(row_shape) == 3 else "no channels"
            raise ValueError(
                "scale must hold one number, or one a channel, for images (channels, height, "
                f"width). Got {part.size} numbers, and rows of shape {row_shape}, with {channels}, "
                "instead; give as many, or input_shape where rows are flat."
            )
    return shift, divisor


def _fits(size: int, row_shape: tuple[int, ...]) -> bool:
    return size == 1 or (len(row_shape) == 3 and size == row_shape[0])


def scale_key(scale: Scale) -> Hashable:
    """Return what tells whether two scalings are the same, in any process."""
    if scale is None or callable(scale):
        return None if scale is None else function_key(scale, "scale")
    shift, divisor = checked_scale(scale)  # type: ignore[misc]
    return tuple(map(float, shift.ravel())), tuple(map(float, divisor.ravel()))


def function_key(function: Callable[..., Any], name: str) -> str:
    """Return what tells whether two functions are the same, in any process.

    A function goes by its module and name, and by its code and what it has closed over, so that
    lambdas and functions that were edited differ. What its code calls is not looked into.

    Parameters
    ----------
    function : callable
        A function, lambda, method, ``functools.partial`` or an object with ``__call__``.
    name : str
        What to call it in an error.

    Raises
    ------
    ValueError
        If it holds what cannot be pickled.
    """
    if isinstance(function, functools.partial):
        held = [function.args, sorted(function.keywords.items())]
        return f"partial {function_key(function.func, name)} {_held_key(held, name)}"
    if isinstance(function, types.MethodType):
        own = function_key(function.__func__, name)
        return f"{own} {_held_key(function.__self__, name)}"
    if isinstance(function, types.FunctionType):
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        held = [*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        code = joblib.hash(_code_parts(function.__code__))
        return f"{_named(function)} {code} {_held_key(held, name)}"
    if isinstance(function, types.BuiltinFunctionType | np.ufunc | type):
        return _named(function)
    return f"{_named(type(function))} {_held_key(function, name)}"


def _named(function: Any) -> str:
    qualified = getattr(function, "__qualname__", None) or function.__name__
    return f"{getattr(function, '__module__', '')}.{qualified}"


def _code_parts(code: types.CodeType) -> tuple[Any, ...]:
    """Return what code does, without the place where it stands."""
    constants = [
        _code_parts(one)
        if isinstance(one, types.CodeType)
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return code.co_code, code.co_names, code.co_freevars, constants


def _held_key(held: Any, name: str) -> str:
    """Return a digest of what a function holds; functions in a list by themselves."""
    if isinstance(held, list):
        return "(" + ", ".join(_held_key(each, name) for each in held) + ")"
    if isinstance(held, types.FunctionType | types.MethodType | functools.partial):
        return function_key(held, name)
    try:
        return str(joblib.hash(held))
    except Exception as error:  # pickling fails in as many ways as there are objects
        raise ValueError(
            f"{name} must hold only what can be pickled, to be told from others. Got "
            f"{type(held).__name__} ({type(error).__name__}) instead; give a function of a module, "
            "without what cannot."
        ) from error
