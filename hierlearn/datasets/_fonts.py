"""The faces that come with matplotlib: where they are, what they contain, how they are drawn.

matplotlib itself is not imported: its folder of fonts is all that is needed from it.
"""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn.exceptions import MissingExtraError

__all__ = ["FACES", "FAMILIES", "OVERSAMPLING", "Face", "Frame", "Pen", "code_points"]

OVERSAMPLING = 3
"""Side of a drawn glyph over the side of the images sampled from it."""

_BORDER = 1  # empty rim of a drawn glyph, so that sampling past its edge fades out
_ASCENT, _DESCENT = 1.0, 0.28  # of the frame, in em: capitals with accents, letters with tails


@dataclass(frozen=True)
class Face:
    """One font: family, style, and the stem of its file's name."""

    family: str
    style: str
    stem: str

    @property
    def name(self) -> str:
        """Return family and style."""
        return f"{self.family} {self.style}"


FAMILIES = ("DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif")
FACES = tuple(
    Face(family, style, family.replace(" ", "") + suffix)
    for family, slanted in zip(FAMILIES, ("Oblique", "Oblique", "Italic"), strict=True)
    for style, suffix in (
        ("regular", ""),
        ("bold", "-Bold"),
        ("oblique", f"-{slanted}"),
        ("bold oblique", f"-Bold{slanted}"),
    )
)
"""The faces, a family after the other, each in the same four styles.

The other fonts of matplotlib lack most scripts (Computer Modern) or are a size smaller (STIX).
"""


def font_path(face: Face) -> Path:
    """Return the file of a face.

    Parameters
    ----------
    face : Face
        One of :data:`FACES`.

    Returns
    -------
    path : pathlib.Path

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed, or came without its fonts.
    """
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        raise MissingExtraError(
            "load_glyphs draws the fonts that come with matplotlib: install it with "
            'pip install "hierlearn[plot]".'
        )
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / f"{face.stem}.ttf"
    if not path.is_file():
        raise MissingExtraError(
            f"load_glyphs draws the fonts that come with matplotlib, and {path} is missing: "
            'install it anew with pip install --force-reinstall "hierlearn[plot]".'
        )
    return path


def code_points(font: bytes) -> set[int]:
    """Read the characters of a TrueType font off its ``cmap`` table.

    Only the Basic Multilingual Plane is read (subtable format 4). A character that the font maps
    to glyph 0, the box for missing characters, does not count.

    Parameters
    ----------
    font : bytes
        Content of the font file.

    Returns
    -------
    codes : set of int
        Code points.

    Raises
    ------
    ValueError
        If the font has no such table.
    """
    (n_tables,) = struct.unpack_from(">H", font, 4)
    tables = (struct.unpack_from(">4sLLL", font, 12 + 16 * i) for i in range(n_tables))
    for tag, _, table, _ in tables:
        if tag != b"cmap":
            continue
        (n_subtables,) = struct.unpack_from(">H", font, table + 2)
        for i in range(n_subtables):
            platform, encoding, offset = struct.unpack_from(">HHL", font, table + 4 + 8 * i)
            if (platform, encoding) == (3, 1):
                return _segments(font, table + offset)
    raise ValueError("font must have a Unicode cmap of format 4. Got none instead.")


def _segments(font: bytes, start: int) -> set[int]:
    """Read the code points of a format 4 subtable: ranges of codes, shifted or looked up."""
    (length,) = struct.unpack_from(">H", font, start + 2)
    words = np.frombuffer(font, ">u2", length // 2, start).astype(np.int64)
    n = int(words[3]) // 2  # the header stores it doubled
    ends, starts = words[7 : 7 + n], words[8 + n : 8 + 2 * n]
    deltas, offsets = words[8 + 2 * n : 8 + 3 * n], words[8 + 3 * n : 8 + 4 * n]
    found: set[int] = set()
    for i in range(n):
        codes = np.arange(starts[i], ends[i] + 1)
        glyphs = codes
        if offsets[i]:  # counted in bytes from the place where the offset itself is stored
            glyphs = words[8 + 3 * n + i + offsets[i] // 2 + codes - starts[i]]
            codes = codes[glyphs != 0]
            glyphs = glyphs[glyphs != 0]
        found.update(codes[(glyphs + deltas[i]) % 65536 != 0].tolist())
    return found - {0xFFFF}


@dataclass(frozen=True)
class Frame:
    """The square that all glyphs are drawn in, on a common baseline."""

    image_size: int

    @property
    def side(self) -> int:
        """Return the side of the drawn glyph in pixels, with its rim."""
        return self.image_size * OVERSAMPLING + 2 * _BORDER

    @property
    def em(self) -> int:
        """Return the font size in pixels."""
        return max(1, round(self.image_size * OVERSAMPLING / (_ASCENT + _DESCENT)))

    @property
    def baseline(self) -> int:
        """Return the row of the baseline."""
        return _BORDER + round(self.em * _ASCENT)


class Pen:
    """Draws the characters of one face in a frame.

    Parameters
    ----------
    face : Face
        What to draw in.
    frame : Frame
        What to draw on.

    Attributes
    ----------
    codes : set of int
        Code points of the characters that the face has.

    Raises
    ------
    MissingExtraError
        If matplotlib or Pillow is not installed.
    """

    def __init__(self, face: Face, frame: Frame) -> None:
        path = font_path(face)
        self.frame = frame
        self.codes = code_points(path.read_bytes())
        self._font = _open_font(path, frame.em)

    def draw(self, character: str) -> NDArray[np.uint8]:
        """Draw a character on the baseline, its advance width centred, shrunk where it exceeds.

        Parameters
        ----------
        character : str
            One character that the face has.

        Returns
        -------
        drawn : ndarray of shape (side, side), dtype uint8
            Ink 255 on 0, blurred by as much as the sampling will skip.
        """
        from PIL import Image, ImageDraw, ImageFilter

        side, baseline, font = self.frame.side, self.frame.baseline, self._font
        inner = side - 2 * _BORDER
        left, top, right, bottom = font.getbbox(character, anchor="ls")
        below = side - _BORDER - baseline
        excess = max((right - left) / inner, -top / (baseline - _BORDER), bottom / below)
        if excess > 1:
            font = font.font_variant(size=max(1, int(self.frame.em / excess)))
            left, top, right, bottom = font.getbbox(character, anchor="ls")
        picture = Image.new("L", (inner, inner))
        place = (round((inner - left - right) / 2), baseline - _BORDER)
        ImageDraw.Draw(picture).text(place, character, fill=255, font=font, anchor="ls")
        blurred: Any = picture.filter(ImageFilter.BoxBlur(OVERSAMPLING // 2))
        return np.pad(np.asarray(blurred), _BORDER)


def _open_font(path: Path, size: int) -> Any:
    try:
        from PIL import ImageFont
    except ImportError as error:
        raise MissingExtraError(
            'load_glyphs draws with Pillow: install it with pip install "hierlearn[plot]".'
        ) from error
    # The basic engine draws alike whether or not Pillow was built with Raqm.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
