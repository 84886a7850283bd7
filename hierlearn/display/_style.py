"""What the displays share of matplotlib: the import, colours, fonts, text that is only text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierlearn._names import JOINERS, spell_out
from hierlearn.exceptions import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

# Okabe and Ito's colours, told apart under every common colour blindness; without black, which
# the text has, and yellow, too pale for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#222222"
FAINT = "#9A9A9A"

# Families that come with matplotlib, for characters that the user's own font lacks.
_FALLBACK_FAMILIES = ("DejaVu Sans", "STIXGeneral")
# Of these, with the characters of East Asia or pictographs, any that the system has.
_SYSTEM_FAMILIES = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "PingFang SC", "Hiragino Sans"),
    *("WenQuanYi Zen Hei", "Arial Unicode MS", "Noto Emoji", "Symbola"),
)


def require_matplotlib(purpose: str) -> None:
    """Raise the error that names the extra where matplotlib is not installed.

    Parameters
    ----------
    purpose : str
        What matplotlib is needed for, as the beginning of a sentence.

    Raises
    ------
    MissingExtraError
        If matplotlib cannot be imported.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f'{purpose} needs matplotlib: install it with pip install "hierlearn[plot]".'
        ) from error


def axes_of(ax: Axes | None, width: float, height: float) -> tuple[Figure | SubFigure, Axes]:
    """Return the axes given, or those of a new figure of the size asked for.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes to draw on.
    width, height : float
        Inches, for a new figure.

    Returns
    -------
    figure : matplotlib Figure
        The figure.
    ax : matplotlib Axes
        Its axes.
    """
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="compressed")


def axes_points(ax: Axes) -> tuple[float, float]:
    """Width and height of axes in points (1/72 inch), as laid out so far.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.

    Returns
    -------
    width, height : float
        Points.
    """
    box = ax.get_window_extent()
    scale = 72.0 / ax.figure.dpi
    return box.width * scale, box.height * scale


def cluster_colors(
    labels: NDArray[np.int64], order: NDArray[np.intp], palette: Sequence[str] | None = None
) -> list[str]:
    """Colour of each cluster: neighbours in drawing order differ.

    Parameters
    ----------
    labels : ndarray of shape (K,), dtype=int64
        Cluster of each class.
    order : ndarray of shape (K,), dtype=intp
        Drawing order of the classes.
    palette : sequence of colours, default=None
        Colours to go round; None for a palette safe for the colour-blind.

    Returns
    -------
    colors : list of str
        One colour per cluster number.
    """
    palette = PALETTE if palette is None else palette
    numbers, first = np.unique(np.asarray(labels)[order], return_index=True)
    colors = [""] * (int(numbers.max()) + 1)
    for rank, cluster in enumerate(numbers[np.argsort(first)]):
        colors[cluster] = palette[rank % len(palette)]
    return colors


def beside(ax: Axes, side: str) -> Transform:
    """Coordinates beside axes: points away from them, and data along them.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    side : {"left", "right", "bottom"}
        Which side of the axes.

    Returns
    -------
    transform : matplotlib Transform
        x (y at the bottom) in points, growing to the right (upwards) from the edge of the axes;
        the other coordinate as in the data.
    """
    from matplotlib.transforms import (
        Affine2D,
        ScaledTranslation,
        blended_transform_factory,
    )

    corner = (1.0, 0.0) if side == "right" else (0.0, 0.0)
    to_corner: Any = ax.transAxes
    points = Affine2D().scale(1 / 72) + ax.figure.dpi_scale_trans
    points += ScaledTranslation(*corner, to_corner)
    if side == "bottom":
        return blended_transform_factory(ax.transData, points)
    return blended_transform_factory(points, ax.transData)


def font_families() -> list[str]:
    """Families to look glyphs up in: the user's, matplotlib's, then some of the system's.

    Returns
    -------
    families : list of str
        Without repetition, in order.
    """
    import matplotlib
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    wide = [family for family in _SYSTEM_FAMILIES if family in installed]
    return list(dict.fromkeys([*matplotlib.rcParams["font.family"], *_FALLBACK_FAMILIES, *wide]))


def drawable_code_points() -> frozenset[int]:
    """Code points that one of :func:`font_families` has a glyph for.

    Returns
    -------
    code_points : frozenset of int
        Unicode code points.
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    paths = {findfont(FontProperties(family=[family])) for family in font_families()}
    return frozenset().union(*(get_font(path).get_charmap() for path in sorted(paths)))


def drawable(names: Iterable[str]) -> list[str]:
    """Spell out the characters that no font at hand has, in every name.

    Joiners and variation selectors among them are left out instead: nothing would be drawn.

    Parameters
    ----------
    names : iterable of str
        The names.

    Returns
    -------
    names : list of str
        The names, drawable without a warning.
    """
    code_points = drawable_code_points()
    left_out = {ord(char): None for char in JOINERS if ord(char) not in code_points}

    def known(char: str) -> bool:
        return ord(char) in code_points

    return [spell_out(name.translate(left_out) or name, known) for name in names]


def plain_text() -> dict[str, Any]:
    """Text properties under which a class name is drawn as it is.

    Returns
    -------
    properties : dict
        No mathtext, no TeX (a class may be called ``$``), and every font that may help.
    """
    return {"parse_math": False, "usetex": False, "fontfamily": font_families()}
