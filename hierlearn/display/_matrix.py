"""Drawing the parts of a reordered confusion matrix: cells, blocks, colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierlearn.display._style import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PatchCollection
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text
    from numpy.typing import NDArray

_DIAGONAL = "#E4E4E4"
# A logarithmic colour scale spans this much; what is rarer is drawn as nothing.
_LOG_SPAN = 1e-3
# Rows and columns that the picture of a matrix has at most.
_MAX_CELLS = 800
# Least distance of the ticks of the colour bar, in its lengths.
_TICK_SPACING = 0.07


def color_norm(values: NDArray[np.float64], scale: str) -> Normalize:
    """Scale from confusion to colour.

    Parameters
    ----------
    values : ndarray of shape (K, K), dtype=float64
        Confusion with a zero diagonal.
    scale : {"sqrt", "log", "linear"}
        Kind of scale.

    Returns
    -------
    norm : matplotlib Normalize
        From nothing to the largest value.
    """
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    top = float(values.max()) or 1.0
    if scale == "log":
        return LogNorm(_LOG_SPAN * top, top, clip=True)
    return PowerNorm(0.5, 0.0, top) if scale == "sqrt" else Normalize(0.0, top)


def draw_cells(ax: Axes, values: NDArray[np.float64], *, scale: str, cmap: Any) -> AxesImage:
    """Draw the matrix; the diagonal is left out and shows as a pale grey line.

    With more classes than a picture has pixels to show, each pixel has the largest value of the
    cells beneath it, so that rare but strong confusions do not fade; the diagonal is empty then.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    values : ndarray of shape (K, K), dtype=float64
        Confusion in drawing order.
    scale : {"sqrt", "log", "linear"}
        Scale of the colours.
    cmap : str or matplotlib Colormap
        Colours.

    Returns
    -------
    image : matplotlib AxesImage
        The image; its array has the diagonal masked.
    """
    from matplotlib import colormaps

    n_classes = len(values)
    diagonal = np.eye(n_classes, dtype=bool)
    values = np.where(diagonal, 0.0, values)
    norm = color_norm(values, scale)
    if scale == "log":  # a logarithm has no zero: rare and never look the same
        values = np.maximum(values, _LOG_SPAN * values.max())
    step = -(-n_classes // _MAX_CELLS)
    cells = np.ma.masked_array(pool(values, step), mask=diagonal if step == 1 else False)
    colors = colormaps[cmap] if isinstance(cmap, str) else cmap
    image = ax.imshow(
        cells,
        cmap=colors.with_extremes(bad=_DIAGONAL),
        norm=norm,
        extent=(-0.5, step * len(cells) - 0.5, step * len(cells) - 0.5, -0.5),
        aspect="equal",
    )
    ax.set(xlim=(-0.5, n_classes - 0.5), ylim=(n_classes - 0.5, -0.5))
    return image


def pool(values: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """Take the largest value of every ``step`` rows and columns.

    Parameters
    ----------
    values : ndarray of shape (n, n), dtype=float64
        The values.
    step : int
        Number of rows, and of columns, that become one; the last ones may be fewer.

    Returns
    -------
    pooled : ndarray of shape (ceil(n / step), ceil(n / step)), dtype=float64
        The largest values.

    Examples
    --------
    >>> pool(np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 5.0], [7.0, 0.0, 0.0]]), 2)
    array([[2., 5.],
           [7., 0.]])
    """
    starts = np.arange(0, len(values), step)
    rows = np.maximum.reduceat(values, starts, axis=0)
    return np.maximum.reduceat(rows, starts, axis=1)


def draw_values(
    ax: Axes, image: AxesImage, values: NDArray[np.float64], *, percent: bool
) -> list[Text]:
    """Write the values into the cells, where they do not round to nothing.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    image : matplotlib AxesImage
        The image of the cells.
    values : ndarray of shape (K, K), dtype=float64
        What to write, the diagonal included.
    percent : bool
        Whether the values are shares, to be written in percent.

    Returns
    -------
    texts : list of matplotlib Text
        Row by row.
    """
    texts = []
    for row, column in np.ndindex(*values.shape):
        text = f"{100 * values[row, column]:.0f}" if percent else f"{values[row, column]:.4g}"
        if text == "0":
            continue
        color = FAINT
        if row != column:
            red, green, blue, _ = image.cmap(image.norm(values[row, column]))
            color = INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.55 else "white"
        texts.append(ax.text(column, row, text, ha="center", va="center", fontsize=8, color=color))
    return texts


def draw_blocks(ax: Axes, sizes: Sequence[int], color: str) -> list[Rectangle]:
    """Outline the block of each cluster on the diagonal.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    sizes : sequence of int
        Number of classes of each cluster, in drawing order.
    color : str
        Colour of the lines.

    Returns
    -------
    blocks : list of matplotlib Rectangle
        One per cluster, in drawing order.
    """
    from matplotlib.patches import Rectangle

    width = 1.4 if sum(sizes) <= 30 else 1.0
    starts = (np.cumsum([0, *sizes[:-1]]) - 0.5).tolist()
    blocks = [
        Rectangle((start, start), size, size, fill=False, edgecolor=color, lw=width, zorder=3)
        for start, size in zip(starts, sizes, strict=True)
    ]
    for block in blocks:
        ax.add_patch(block)
    return blocks


def draw_overlap(
    ax: Axes, strips: Sequence[tuple[int, int, int]], color: str
) -> PatchCollection | None:
    """Outline what overlap adds: a class's row across the columns of a further cluster.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    strips : sequence of (row, first column, number of columns)
        The strips, in drawing order.
    color : str
        Colour of the lines.

    Returns
    -------
    outlines : matplotlib PatchCollection or None
        The outlines, None without overlap.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    if not strips:
        return None
    patches = [Rectangle((start - 0.5, row - 0.5), size, 1.0) for row, start, size in strips]
    outlines = PatchCollection(
        patches, facecolors="none", edgecolors=color, linewidths=0.6, linestyles=":", zorder=3
    )
    ax.add_collection(outlines, autolim=False)
    return outlines


def draw_colorbar(ax: Axes, image: AxesImage, *, percent: bool) -> Colorbar:
    """Draw the scale of the colours beside the matrix.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    image : matplotlib AxesImage
        The image of the cells.
    percent : bool
        Whether the values are shares.

    Returns
    -------
    colorbar : matplotlib Colorbar
        The colour bar.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter

    colorbar = ax.figure.colorbar(image, ax=ax, shrink=0.5, aspect=25, pad=0.02)
    colorbar.locator = FixedLocator(_apart(round_values(*image.get_clim()), image.norm))
    unit, sign = (100.0, "%") if percent else (1.0, "")
    colorbar.formatter = FuncFormatter(lambda value, _: f"{unit * value:.4g}{sign}")
    colorbar.minorlocator = FixedLocator([])
    colorbar.update_ticks()
    colorbar.ax.tick_params(labelsize=8, labelcolor=INK, color=FAINT, width=0.6)
    colorbar.outline.set(edgecolor=FAINT, linewidth=0.6)
    label = "Rate of confusion" if percent else "Confusion"
    colorbar.set_label(f"{label} (diagonal left out)", fontsize=9, color=INK)
    return colorbar


def _apart(values: list[float], norm: Any) -> list[float]:
    """Drop the values that are too close to a larger one, or to the lowest, on the scale."""
    lowest, kept = values[0], values[-1:]
    for value in reversed(values[:-1]):
        near_lowest = value > lowest and norm(value) - norm(lowest) < _TICK_SPACING
        if norm(kept[-1]) - norm(value) >= _TICK_SPACING and not near_lowest:
            kept.append(value)
    return kept[::-1]


def round_values(low: Any, high: Any) -> list[float]:
    """Return round numbers between two, closer together towards zero.

    Parameters
    ----------
    low, high : float
        Bounds, not negative.

    Returns
    -------
    values : list of float
        The numbers 1, 2 and 5 times a power of ten between the bounds, and zero if it is one;
        those below a five-hundredth of ``high`` only when ``low`` is above zero.

    Examples
    --------
    >>> round_values(0.0, 0.3)
    [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    """
    floor = max(low, high / 500)
    decades = range(int(np.floor(np.log10(floor))), int(np.floor(np.log10(high))) + 1)
    values = [float(f"{lead}e{decade}") for decade in decades for lead in (1, 2, 5)]
    return [0.0] * (low == 0) + [value for value in values if floor <= value <= high]


def frame(ax: Axes) -> None:
    """Draw a thin frame around the matrix.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    """
    for spine in ax.spines.values():
        spine.set(color=FAINT, linewidth=0.6)
