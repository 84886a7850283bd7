"""Names that any class label can be drawn under: short, printable, never parsed as math."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression

_ELLIPSIS = "…"
_DOTTED_CIRCLE = "◌"


def readable_name(name: object, max_length: int = 24) -> str:
    r"""Make a class label drawable on one line.

    Parameters
    ----------
    name : object
        A class label; anything but a string is shown as ``str`` shows it.
    max_length : int, default=24
        Longer names lose their middle, so that beginning and number at the end both stay.

    Returns
    -------
    text : str
        Printable, not empty.

    Examples
    --------
    >>> readable_name("a_very_long_name_of_a_class_012", max_length=12)
    'a_very_…_012'
    >>> readable_name("tab\tor space"), readable_name(" ")
    ('tab U+0009 or space', 'U+0020')
    """
    text = str(name)
    if not text:
        return "(empty)"
    if not text.strip():
        text = spell_out(text, lambda char: False)
    text = spell_out(text, str.isprintable)
    if len(text) > max_length:
        tail = (max_length - 1) * 2 // 5
        text = text[: max_length - 1 - tail] + _ELLIPSIS + text[len(text) - tail :]
    # A combining mark with nothing to combine with would be drawn over its neighbour.
    return _DOTTED_CIRCLE + text if unicodedata.combining(text[0]) else text


def spell_out(text: str, keep: Callable[[str], bool]) -> str:
    """Replace characters by their code points.

    Parameters
    ----------
    text : str
        The text.
    keep : callable
        Says of a character whether it stays.

    Returns
    -------
    text : str
        The text.

    Examples
    --------
    >>> spell_out("a☃☃b", str.isalpha)
    'a U+2603 U+2603 b'
    """
    if all(map(keep, text)):
        return text
    parts = []
    for kept, run in groupby(text, key=keep):
        chars = "".join(run)
        parts += [chars] if kept else [f"U+{ord(char):04X}" for char in chars]
    return " ".join(parts)


def check_names(names: Any, n_expected: int, *, what: str) -> list[str]:
    """Turn names into text, one per class or cluster.

    Parameters
    ----------
    names : array-like of shape (n_expected,) or None
        The names; None for the numbers from 0.
    n_expected : int
        How many there must be.
    what : str
        Name of the parameter, for the error.

    Returns
    -------
    names : list of str
        The names as text.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    if names is None:
        return [str(number) for number in range(n_expected)]
    names = [str(name) for name in names]
    if len(names) != n_expected:
        raise ValueError(f"{what} must have {n_expected} entries. Got {len(names)} instead.")
    return names


def group_name(head: str | None, members: Sequence[str], max_length: int = 34) -> str:
    """Name a group of classes by its number or name and as many of its classes as fit.

    Parameters
    ----------
    head : str or None
        Number or name of the cluster; None for a group that is not one cluster.
    members : sequence of str
        Names of its classes, the telling ones first.
    max_length : int, default=34
        Characters to stay within; the first class is named even where it does not fit.

    Returns
    -------
    text : str
        As in ``"3: maple, oak, +5"``.

    Examples
    --------
    >>> group_name("3", ["maple", "oak", "willow", "palm"], max_length=16)
    '3: maple, oak, +2'
    """
    head = "" if head is None else f"{readable_name(head)}: "
    shown = [readable_name(members[0])]
    for name in members[1:]:
        longer = ", ".join([*shown, readable_name(name)])
        if len(head) + len(longer) > max_length:
            break
        shown.append(readable_name(name))
    if len(shown) < len(members):
        shown.append(f"+{len(members) - len(shown)}")
    return head + ", ".join(shown)


def spread(positions: Any, min_gap: float, low: float, high: float) -> np.ndarray:
    """Move sorted labels apart as little as possible (least squares), within bounds.

    Parameters
    ----------
    positions : array-like of shape (n,)
        Where the labels would like to be, ascending.
    min_gap : float
        Distance that neighbours keep; less where the bounds do not leave so much.
    low, high : float
        Bounds.

    Returns
    -------
    positions : ndarray of shape (n,), dtype=float64
        Where they go, ascending.

    Examples
    --------
    >>> spread([0.0, 5.0, 5.5, 9.0], min_gap=2.0, low=0.0, high=10.0)
    array([0.  , 4.25, 6.25, 9.  ])
    """
    positions = np.asarray(positions, dtype=float)
    if len(positions) < 2:
        return np.clip(positions, low, high)
    gap = min(min_gap, (high - low) / (len(positions) - 1))
    # With the gaps taken off, "apart" reads "not decreasing": an isotonic regression.
    gaps = gap * np.arange(len(positions))
    return isotonic_regression(positions - gaps, y_min=low, y_max=high - gaps[-1]) + gaps
