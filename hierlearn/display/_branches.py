"""Drawing the parts of a dendrogram: axis, branches, names, clusters, cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hierlearn.display._style import FAINT, INK, beside, plain_text
from hierlearn.display._tree import cluster_tops, rate_positions, shows_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text
    from numpy.typing import NDArray

    from hierlearn.display._tree import TreeLayout

_RATE_TICKS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4, 3e-5, 1e-5)
_TRIANGLE_HALF_HEIGHT = 0.36
# Bars of the clusters, and where the names start, in points from the edge of the axes.
_BAR_LEFT, _BAR_WIDTH, _NAME_LEFT = 3.0, 6.0, 13.0


def draw_height_axis(
    ax: Axes, layout: TreeLayout, *, scale: str, has_heights: bool
) -> NDArray[np.float64]:
    """Set the axis of the heights, root at the left, and place every node on it.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    layout : TreeLayout
        The layout.
    scale : {"auto", "linear", "log"}
        See :meth:`ClassDendrogramDisplay.plot`.
    has_heights : bool
        Whether the tree says how high its nodes are, and not only what they join.

    Returns
    -------
    positions : ndarray of shape (n_nodes,), dtype=float64
        Position of every node.
    """
    joins = [node for node, children in enumerate(layout.children) if children]
    as_rates = scale == "log" or (scale == "auto" and shows_rates(layout.heights[joins]))
    positions = layout.heights
    if has_heights and as_rates:
        positions, floor = rate_positions(layout.heights)
        _label_rates(ax, floor, never=bool((1.0 - layout.heights < floor).any()))
    elif has_heights:
        ax.set_xlabel("Distance between what is joined")
    else:
        ax.set_xticks([])
    ax.set_xlim(1.03 * float(positions.max()) or 1.0, 0.0)
    return positions


def _label_rates(ax: Axes, floor: float, *, never: bool) -> None:
    """Label a logarithmic axis with rates; its far end is zero where groups lie there."""
    ticks = [rate for rate in _RATE_TICKS if rate >= floor * (1.5 if never else 1.0)]
    names = [f"{100 * rate:g}%" for rate in ticks]
    if never:
        ticks, names = [*ticks, floor], [*names, "0%"]
    ax.set_xticks(-np.log10(ticks), names)
    ax.set_xlabel("Rate of confusion between what is joined (log scale)")


def draw_branches(
    ax: Axes,
    layout: TreeLayout,
    positions: NDArray[np.float64],
    colors: Sequence[str] | None,
) -> LineCollection:
    """Draw a stem from each child to its parent's bar, and the bars.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    layout : TreeLayout
        The layout.
    positions : ndarray of shape (n_nodes,), dtype=float64
        Position of every node.
    colors : sequence of str or None
        Colour of each cluster.

    Returns
    -------
    branches : matplotlib LineCollection
        The lines.
    """
    from matplotlib.collections import LineCollection

    lines, line_colors = [], []
    for node in layout.branching:
        rows = layout.rows[layout.children[node]]
        lines.append([(positions[node], rows.min()), (positions[node], rows.max())])
        line_colors.append(_color(layout, node, colors))
        for child, row in zip(layout.children[node], rows, strict=True):
            lines.append([(positions[child], row), (positions[node], row)])
            line_colors.append(_color(layout, child, colors))
    width = 1.3 if len(layout.ends) <= 60 else 1.0
    branches = LineCollection(lines, colors=line_colors, linewidths=width, capstyle="projecting")
    ax.add_collection(branches, autolim=False)
    return branches


def _color(layout: TreeLayout, node: int, colors: Sequence[str] | None) -> str:
    cluster = layout.clusters[node]
    return FAINT if colors is None or cluster < 0 else colors[cluster]


def draw_triangles(
    ax: Axes,
    layout: TreeLayout,
    positions: NDArray[np.float64],
    colors: Sequence[str] | None,
) -> PolyCollection | None:
    """Draw each collapsed branch as a triangle from its top to the leaves' edge.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    layout : TreeLayout
        The layout.
    positions : ndarray of shape (n_nodes,), dtype=float64
        Position of every node.
    colors : sequence of str or None
        Colour of each cluster.

    Returns
    -------
    triangles : matplotlib PolyCollection or None
        The triangles, None where no branch is collapsed.
    """
    from matplotlib.collections import PolyCollection

    ends = [end for end in layout.ends if layout.children[end]]
    if not ends:
        return None
    half = _TRIANGLE_HALF_HEIGHT
    corners = [
        [
            (positions[end], layout.rows[end]),
            (0.0, layout.rows[end] - half),
            (0.0, layout.rows[end] + half),
        ]
        for end in ends
    ]
    faces = [_color(layout, end, colors) for end in ends]
    triangles = PolyCollection(corners, facecolors=faces, edgecolors=faces, linewidths=0.8)
    triangles.set_alpha(0.55)
    ax.add_collection(triangles, autolim=False)
    return triangles


def draw_names(ax: Axes, names: Sequence[str], font_size: float) -> None:
    """Write the name of every row at the right, first row on top.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    names : sequence of str
        Name of each row.
    font_size : float
        Points.
    """
    ax.yaxis.tick_right()
    ax.set_yticks(np.arange(len(names)), names, fontsize=font_size, color=INK, **plain_text())
    ax.tick_params(axis="y", length=0, pad=_NAME_LEFT)
    ax.tick_params(axis="x", labelsize=8, colors=INK)
    ax.xaxis.label.set(fontsize=9, color=INK)
    ax.set_ylim(len(names) - 0.4, -0.6)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(FAINT)


def draw_cluster_bars(ax: Axes, layout: TreeLayout, colors: Sequence[str]) -> list[Rectangle]:
    """Draw a bar beside the names for every run of rows of one cluster.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    layout : TreeLayout
        The layout.
    colors : sequence of str
        Colour of each cluster.

    Returns
    -------
    bars : list of matplotlib Rectangle
        The bars, top to bottom.
    """
    from matplotlib.patches import Rectangle

    clusters = layout.clusters[layout.ends]
    starts = np.flatnonzero(np.r_[True, clusters[1:] != clusters[:-1]])
    stops = np.r_[starts[1:], len(clusters)]
    bars = []
    for start, stop in zip(starts, stops, strict=True):
        if clusters[start] < 0:
            continue
        bar = Rectangle(
            (_BAR_LEFT, start - 0.42),
            _BAR_WIDTH,
            stop - start - 0.16,
            transform=beside(ax, "right"),
            color=colors[clusters[start]],
            linewidth=0,
            clip_on=False,
        )
        ax.add_patch(bar)
        bars.append(bar)
    return bars


def draw_cluster_numbers(
    ax: Axes, layout: TreeLayout, positions: NDArray[np.float64], font_size: float
) -> list[Text]:
    """Write each cluster's number on the stem that leads to it.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    layout : TreeLayout
        The layout.
    positions : ndarray of shape (n_nodes,), dtype=float64
        Position of every node.
    font_size : float
        Points.

    Returns
    -------
    texts : list of matplotlib Text
        One per branch of a cluster.
    """
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.0, foreground="white")]
    return [
        ax.annotate(
            str(cluster),
            (positions[node], layout.rows[node]),
            xytext=(-2.5, 1.0),
            textcoords="offset points",
            ha="right",
            va="bottom",
            fontsize=font_size,
            fontweight="bold",
            color=INK,
            path_effects=halo,
            annotation_clip=False,
        )
        for cluster, nodes in sorted(cluster_tops(layout).items())
        for node in nodes
    ]


def draw_cut(ax: Axes, position: float) -> Line2D:
    """Draw the height at which the tree was cut.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes.
    position : float
        Where on the axis of the heights.

    Returns
    -------
    line : matplotlib Line2D
        A dashed line over all rows.
    """
    from matplotlib.patheffects import withStroke

    ax.annotate(
        "cut",
        (position, 1.0),
        xycoords=ax.get_xaxis_transform(),
        xytext=(-3.0, -1.0),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
        fontstyle="italic",
        color=INK,
        path_effects=[withStroke(linewidth=2.0, foreground="white")],
    )
    return ax.axvline(position, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0.5)
