"""Names that any class label can be shown under: one line, printable, not too long."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import groupby

# Invisible, and read from left to right: keeps what stands beside a right-to-left name in place.
LEFT_TO_RIGHT = "\u200e"
_ELLIPSIS = "…"
_DOTTED_CIRCLE = "◌"
# Joiners and variation selectors say how their neighbours are drawn, and are drawn as nothing.
JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
# What truncation does not cut in two: a character that is spelt out, or one with its marks.
_SPELT_OUT = re.compile(r"U\+[0-9A-F]{4,6}|.", flags=re.DOTALL)


def readable_name(name: object, max_length: int = 24) -> str:
    r"""Make a class label readable on one line.

    Parameters
    ----------
    name : object
        A class label; anything but a string is shown as ``str`` shows it.
    max_length : int, default=24
        Longer names lose their middle, so that beginning and number at the end both stay.

    Returns
    -------
    text : str
        Printable, not empty. Control characters, among them those that turn the direction of
        text around, are spelt out.

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
    text = spell_out(text, lambda char: char.isprintable() or char in JOINERS)
    if set(text) <= JOINERS:
        text = spell_out(text, lambda char: False)
    text = _shortened(text, max_length)
    # A combining mark with nothing to combine with would be drawn over its neighbour.
    return _DOTTED_CIRCLE + text if unicodedata.combining(text[0]) else text


def _shortened(text: str, max_length: int) -> str:
    """Take out the middle of what is too long, between characters as a reader sees them."""
    if len(text) <= max_length:
        return text
    tail = (max_length - 1) * 2 // 5
    atoms = _atoms(text)
    end = "".join(_that_fit(atoms[::-1], tail)[::-1])
    room = max_length - 1 - len(end)
    start = "".join(_that_fit(atoms, room)) or text[:room]
    return start + _ELLIPSIS + end


def _that_fit(atoms: Sequence[str], room: int) -> list[str]:
    fitting: list[str] = []
    for atom in atoms:
        room -= len(atom)
        if room < 0:
            break
        fitting.append(atom)
    return fitting


def _atoms(text: str) -> list[str]:
    atoms: list[str] = []
    for piece in _SPELT_OUT.findall(text):
        joined = piece in JOINERS or unicodedata.combining(piece[0])
        if atoms and (joined or atoms[-1][-1] == "\u200d"):
            atoms[-1] += piece
        else:
            atoms.append(piece)
    return atoms


def in_a_list(name: str) -> str:
    """Keep a name that is read from right to left from turning its neighbours around.

    Parameters
    ----------
    name : str
        A name.

    Returns
    -------
    name : str
        The name, between marks where it has right-to-left characters.
    """
    if not any(unicodedata.bidirectional(char) in ("R", "AL") for char in name):
        return name
    return LEFT_TO_RIGHT + name + LEFT_TO_RIGHT


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
    head = "" if head is None else f"{in_a_list(readable_name(head))}: "
    shown = [in_a_list(readable_name(members[0]))]
    for name in members[1:]:
        longer = [*shown, in_a_list(readable_name(name))]
        if len(head) + len(", ".join(longer)) > max_length:
            break
        shown = longer
    if len(shown) < len(members):
        shown.append(f"+{len(members) - len(shown)}")
    return head + ", ".join(shown)
