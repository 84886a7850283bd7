"""The settings of a fitted estimator: what was decided in ``fit``, and its parameters."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from hierlearn._names import readable_name
from hierlearn.reporting.data import Setting

__all__ = ["decisions_of", "parameters_of"]

_LONGEST = 400
# Where an object lies in memory differs from run to run.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def decisions_of(estimator: Any) -> tuple[Setting, ...]:
    """Return what was decided in ``fit``, as the summary says it.

    Parameters
    ----------
    estimator : classifier
        Fitted.

    Returns
    -------
    tuple of Setting
        Empty where the estimator has no summary.
    """
    if not hasattr(estimator, "summary"):
        return ()
    settings = estimator.summary(max_clusters=1).tables[0]
    return tuple(Setting(name, str(value)) for name, value in settings.rows)


def parameters_of(estimator: Any) -> tuple[Setting, ...]:
    """Return the parameters of an estimator, those that were set first.

    Parameters
    ----------
    estimator : estimator
        With ``get_params``.

    Returns
    -------
    tuple of Setting
        Names in alphabetical order.
    """
    signature = inspect.signature(type(estimator).__init__).parameters
    found = [
        Setting(name, _as_text(value), _equal(value, signature[name].default))
        for name, value in sorted(estimator.get_params(deep=False).items())
        if name in signature
    ]
    return tuple(sorted(found, key=lambda setting: setting.is_default))


def _as_text(value: Any) -> str:
    with np.printoptions(threshold=20):
        text = " ".join(repr(value).split())
    return readable_name(_ADDRESS.sub("", text), _LONGEST)


def _equal(value: Any, default: Any) -> bool:
    if value is default:
        return True
    same = type(value) is type(default) and isinstance(value, str | int | float | tuple)
    return bool(same and value == default)
