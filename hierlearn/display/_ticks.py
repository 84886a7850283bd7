"""The names beside a reordered confusion matrix: of its classes, or of its clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierlearn._names import group_name, readable_name
from hierlearn.display._labels import spread
from hierlearn.display._style import FAINT, INK, beside, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from numpy.typing import NDArray

# Mean advance of a character, and distance of lines, in sizes of the font.
_CHARACTER, _LINE = 0.62, 1.25
_CLUSTER_FONT = 7.0
# Distance, in points, from the axes to the names of the clusters, for the lines between them.
_LEADER_POINTS = 11.0
# What stands around the matrix of a new figure beside the names: axis labels, title, colour bar.
_EXTRA_WIDTH, _EXTRA_HEIGHT = 1.5, 0.9


@dataclass(frozen=True)
class Ticks:
    """Names along both axes of a matrix.

    Parameters
    ----------
    rows, columns : tuple of str
        Names along the vertical and the horizontal axis, in drawing order.
    font_size : float
        Points.
    side_points : float
        Length of the axes, in points.
    n_classes : int
        Number of rows of the matrix.
    centres : ndarray of float64 or None
        Middle of the block that each name belongs to; None where every class is named.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    font_size: float
    side_points: float
    n_classes: int
    centres: NDArray[np.float64] | None = None

    @property
    def turned(self) -> bool:
        """Whether the names along the horizontal axis are turned, being too wide upright."""
        longest = max(map(len, self.columns))
        room = self.side_points / len(self.columns)
        return longest > 2 or self._upright_spacing * self.font_size > room

    @property
    def _upright_spacing(self) -> float:
        return _CHARACTER * (1 + max(map(len, self.columns)))

    @property
    def figure_inches(self) -> tuple[float, float]:
        """Width and height of a new figure that leaves its side to the matrix."""
        advance = _CHARACTER * self.font_size
        left = advance * max(map(len, self.rows))
        bottom = advance * max(map(len, self.columns)) if self.turned else self.font_size
        gap = 0.0 if self.centres is None else _LEADER_POINTS
        width = (self.side_points + left + gap) / 72 + _EXTRA_WIDTH
        return width, (self.side_points + bottom + gap) / 72 + _EXTRA_HEIGHT

    def draw(self, ax: Axes) -> None:
        """Write the names.

        Parameters
        ----------
        ax : matplotlib Axes
            The axes, with the matrix drawn.
        """
        text = {"fontsize": self.font_size, "color": INK, **plain_text()}
        rotation = 90.0 if self.turned else 0.0
        if self.centres is None:
            places = np.arange(self.n_classes)
            ax.set_yticks(places, self.rows, **text)
            ax.set_xticks(places, self.columns, rotation=rotation, **text)
            ax.tick_params(length=0, pad=3)
            return
        along = _LINE if self.turned else self._upright_spacing
        columns, rows = self._spread(self.centres, along), self._spread(self.centres, _LINE)
        ax.set_yticks(rows, self.rows, **text)
        ax.set_xticks(columns, self.columns, rotation=rotation, **text)
        ax.tick_params(length=0, pad=_LEADER_POINTS + 2)
        draw_leaders(ax, "left", self.centres, rows)
        draw_leaders(ax, "bottom", self.centres, columns)

    def _spread(self, centres: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
        gap = spacing * self.font_size * self.n_classes / self.side_points
        return spread(centres, gap, -0.5, self.n_classes - 0.5)


def class_ticks(names: Sequence[str], side_points: float | None) -> Ticks:
    """Ticks that name every class.

    Parameters
    ----------
    names : sequence of str
        Names of the classes, in drawing order.
    side_points : float or None
        Length of the axes in points; None for what the names ask for.

    Returns
    -------
    ticks : Ticks
        The ticks.
    """
    if side_points is None:
        side_points = float(np.clip(9.0 * len(names), 330.0, 900.0))
    font_size = float(np.clip(0.75 * side_points / len(names), 4.0, 9.0))
    short = tuple(readable_name(name, 20) for name in names)
    return Ticks(short, short, font_size, side_points, len(names))


def cluster_ticks(
    heads: Sequence[str], members: Sequence[Sequence[str]], side_points: float | None
) -> Ticks:
    """Ticks that name the clusters; the largest ones, where there is no room for all.

    Parameters
    ----------
    heads : sequence of str
        Number or name of each cluster, in drawing order.
    members : sequence of sequence of str
        Names of the classes of each.
    side_points : float or None
        Length of the axes in points; None for what the clusters ask for.

    Returns
    -------
    ticks : Ticks
        The ticks.
    """
    sizes = np.array([len(names) for names in members])
    if side_points is None:
        side_points = float(np.clip(2.2 * sizes.sum(), 330.0, 660.0))
    room = max(2, int(side_points / (_LINE * _CLUSTER_FONT)))
    named = np.sort(np.argsort(-sizes, kind="stable")[:room])
    max_length = int(np.clip(side_points / 10, 12, 34))
    return Ticks(
        tuple(group_name(heads[place], members[place], max_length) for place in named),
        tuple(readable_name(heads[place], 14) for place in named),
        _CLUSTER_FONT,
        side_points,
        int(sizes.sum()),
        (np.cumsum(sizes) - sizes / 2 - 0.5)[named],
    )


def draw_leaders(
    ax: Axes, side: str, centres: NDArray[np.float64], places: NDArray[np.float64]
) -> LineCollection:
    """Draw a line from each block to its name, which may have been moved.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    side : {"left", "bottom"}
        Side of the axes that the names are on.
    centres : ndarray of shape (n_names,), dtype=float64
        Middle of each block.
    places : ndarray of shape (n_names,), dtype=float64
        Where its name is.

    Returns
    -------
    leaders : matplotlib LineCollection
        The lines.
    """
    from matplotlib.collections import LineCollection

    out = np.array([0.0, -0.25, -0.85, -1.0]) * _LEADER_POINTS
    along = np.stack([centres, centres, places, places], axis=1)
    lines = np.stack(np.broadcast_arrays(out, along), axis=2)
    if side == "bottom":
        lines = lines[:, :, ::-1]
    leaders = LineCollection(
        list(lines), colors=FAINT, linewidths=0.5, transform=beside(ax, side), clip_on=False
    )
    ax.add_collection(leaders, autolim=False)
    return leaders
