"""Rows of stacked bars, in one panel or two side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hierlearn.display._style import FAINT, INK, axes_points, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

ELSEWHERE = "#B5B5B5"
# Further parts of a bar are paler than the first.
_ALPHAS = (1.0, 0.4)


def row_limit(
    ax: Axes | None, given: int | None, default: int, min_points: float, what: str
) -> int:
    """Return how many rows are drawn at most.

    Parameters
    ----------
    ax : matplotlib Axes or None
        Axes given to draw on.
    given : int or None
        What the user asks for.
    default : int
        Where nothing limits it.
    min_points : float
        Height of a row that can be read.
    what : str
        Name of the parameter, for the error.

    Returns
    -------
    limit : int
        At least 1.

    Raises
    ------
    ValueError
        If ``given`` is below 1.
    """
    if given is not None:
        if given < 1:
            raise ValueError(f"{what} must be at least 1. Got {given} instead.")
        return given
    if ax is None:
        return default
    return int(np.clip(axes_points(ax)[1] / min_points, 1, default))


def panels(ax: Axes, n_panels: int) -> list[Axes]:
    """Divide axes into panels side by side.

    Parameters
    ----------
    ax : matplotlib Axes
        What is divided; keeps its title only.
    n_panels : int
        1 or 2.

    Returns
    -------
    panels : list of matplotlib Axes
        Left to right.
    """
    ax.set_axis_off()
    width = 1.0 if n_panels == 1 else 0.48
    return [ax.inset_axes((place * (1.0 - width), 0.0, width, 1.0)) for place in range(n_panels)]


def draw_stacked(
    ax: Axes,
    parts: Mapping[str, NDArray[Any]],
    colors: Sequence[str],
    *,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Draw a bar a row, its parts side by side.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    parts : mapping of str to ndarray of shape (n_rows,)
        Lengths, by name of the part.
    colors : sequence of str
        Colour of each row.
    fixed : mapping of str to str, default=None
        Parts that have one colour in all rows.

    Returns
    -------
    bars : dict of str to matplotlib BarContainer
        By name of the part.
    """
    fixed = fixed or {}
    rows, start, bars = np.arange(len(colors)), np.zeros(len(colors)), {}
    for (name, lengths), alpha in zip(parts.items(), _ALPHAS, strict=False):
        color, shade = (fixed[name], 1.0) if name in fixed else (colors, alpha)
        bars[name] = ax.barh(rows, lengths, 0.74, left=start, color=color, alpha=shade)
        start = start + lengths
    ax.set_xlim(0, 1.12 * float(start.max()) or 1.0)
    return bars


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the rows at the left, first row on top, and take the frame away.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    names : sequence of str
        Name of each row.
    """
    size = float(np.clip(0.72 * axes_points(ax)[1] / len(names), 4.0, 9.0))
    ax.set_yticks(np.arange(len(names)), names, fontsize=size, color=INK, **plain_text())
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=8, colors=INK)
    ax.xaxis.label.set(color=INK)
    ax.set_ylim(len(names) - 0.4, -0.6)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)


def write_ends(ax: Axes, ends: NDArray[Any], texts: Sequence[str]) -> None:
    """Write a text behind every bar.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    ends : ndarray of shape (n_rows,)
        Where the bars end.
    texts : sequence of str
        What to write.
    """
    size = float(np.clip(0.6 * axes_points(ax)[1] / len(texts), 4.0, 8.0))
    for row, (end, text) in enumerate(zip(ends.tolist(), texts, strict=True)):
        ax.annotate(
            text,
            (end, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=INK,
        )


def percent_axis(ax: Axes, label: str) -> None:
    """Label a horizontal axis of shares in percent.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    label : str
        What the shares are of.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
    ax.set_xlabel(label, fontsize=9)
