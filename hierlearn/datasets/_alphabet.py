"""The characters that become classes, drawn in every face that has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierlearn.datasets._characters import familiar_first
from hierlearn.datasets._fonts import FACES, FAMILIES, Frame, Pen

__all__ = ["Alphabet", "collect_alphabet"]

_N_STYLES = len(FACES) // len(FAMILIES)


@dataclass(frozen=True)
class Alphabet:
    """Characters, and their drawings.

    Attributes
    ----------
    characters : list of str
        One a class, the most familiar first.
    glyphs : ndarray of shape (n_glyphs, side, side), dtype uint8
        A drawing for each character and face.
    rows : ndarray of shape (n_classes, n_faces), dtype int64
        Where in ``glyphs`` the drawing of a character in a face is; -1 where the face lacks it.
    """

    characters: list[str]
    glyphs: NDArray[np.uint8]
    rows: NDArray[np.int64]


def collect_alphabet(n_classes: int, image_size: int, *, homoglyphs: bool) -> Alphabet:
    """Draw the first characters that the faces have.

    Parameters
    ----------
    n_classes : int
        How many.
    image_size : int
        Side of the images to come.
    homoglyphs : bool
        Keep characters that look exactly like an earlier one in at least half of the faces.

    Returns
    -------
    alphabet : Alphabet

    Raises
    ------
    ValueError
        If the faces have fewer characters.
    MissingExtraError
        If matplotlib or Pillow is not installed.
    """
    pens = [Pen(face, Frame(image_size)) for face in FACES]
    seen = _Seen()
    characters: list[str] = []
    glyphs: list[NDArray[np.uint8]] = []
    rows = np.full((n_classes, len(FACES)), -1, dtype=np.int64)
    for character in familiar_first(set().union(*(pen.codes for pen in pens))):
        faces = _faces_with(character, pens)
        drawn = [pens[face].draw(character) for face in faces]
        if not faces or not all(glyph.any() for glyph in drawn):
            continue
        if not seen.add(faces, drawn) and not homoglyphs:
            continue
        rows[len(characters), faces] = range(len(glyphs), len(glyphs) + len(faces))
        characters.append(character)
        glyphs.extend(drawn)
        if len(characters) == n_classes:
            return Alphabet(characters, np.stack(glyphs), rows)
    raise ValueError(
        f"n_classes must be at most {len(characters)}, the number of characters that the fonts "
        f"have. Got {n_classes} instead."
    )


def _faces_with(character: str, pens: list[Pen]) -> list[int]:
    """Return the faces of the families that have the character in all styles."""
    has = np.array([ord(character) in pen.codes for pen in pens]).reshape(-1, _N_STYLES)
    return np.flatnonzero(np.repeat(has.all(axis=1), _N_STYLES)).tolist()


class _Seen:
    """Remembers drawings, to tell a character that looks like an earlier one."""

    def __init__(self) -> None:
        self._n_characters = 0
        self._with_drawing: dict[tuple[int, bytes], list[int]] = {}

    def add(self, faces: list[int], drawn: list[NDArray[np.uint8]]) -> bool:
        """Remember a character's drawings if they are new, and tell whether they are.

        They are not if one earlier character shares them in at least half of the faces.
        """
        keys = [(face, glyph.tobytes()) for face, glyph in zip(faces, drawn, strict=True)]
        alike = Counter(other for key in keys for other in self._with_drawing.get(key, []))
        if alike and 2 * max(alike.values()) >= len(faces):
            return False
        for key in keys:
            self._with_drawing.setdefault(key, []).append(self._n_characters)
        self._n_characters += 1
        return True
