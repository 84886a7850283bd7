"""What accuracy costs: variants and controls by their multiply-adds, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from hierlearn._names import readable_name
from hierlearn.display._labels import spread
from hierlearn.display._style import (
    FAINT,
    INK,
    PALETTE,
    axes_of,
    axes_points,
    beside,
    drawable,
    plain_text,
    require_matplotlib,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_NAME_LEFT = 26.0
_FONT = 9.0
_LOG_FROM = 8.0
_SUBJECT, _BASELINE, _CONTROL = PALETTE[1], INK, PALETTE[0]


class CostAccuracyDisplay:
    """Score against multiply-adds for every variant of a comparison.

    Up and to the left is better. Bars are confidence intervals over seeds. The variant in question
    is orange, as are its other routings (hollow); the first variant, which the others are held
    against, is black, the other controls are blue.

    Parameters
    ----------
    variants : sequence of str
        Their names; the first is what the others are held against.
    scores : sequence of array-like of shape (n_seeds,)
        Scores of each, higher is better, one for every seed. NaN where a variant was not measured.
    multiply_adds : array-like of shape (n_variants,)
        Multiply-adds of one prediction; NaN where unknown.
    scoring : str, default="accuracy"
        What the scores are.
    subject : str or None, default=None
        The variant in question.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure containing them.
    drawn_ : list of str
        Variants drawn: those of known cost.
    left_out_ : list of str
        The others.
    means_, lows_, highs_ : ndarray of shape (n_variants,)
        What is drawn, NaN for an interval of fewer than two seeds.
    points_ : list of matplotlib ErrorbarContainer
        One for each variant drawn.
    names_ : list of matplotlib Text
        Their names, beside the axes.

    See Also
    --------
    hierlearn.controls.compare : Measures the variants.

    Examples
    --------
    >>> from hierlearn.display import CostAccuracyDisplay
    >>> display = CostAccuracyDisplay(
    ...     ["flat", "hierarchy"], [[0.70, 0.72], [0.73, 0.75]], [1000, 1300], subject="hierarchy"
    ... ).plot(relative_to="flat")
    >>> display.means_.round(3)
    array([0.  , 0.03])
    """

    def __init__(
        self,
        variants: Sequence[str],
        scores: Sequence[ArrayLike],
        multiply_adds: ArrayLike,
        *,
        scoring: str = "accuracy",
        subject: str | None = None,
    ) -> None:
        self.variants = variants
        self.scores = scores
        self.multiply_adds = multiply_adds
        self.scoring = scoring
        self.subject = subject

    def plot(
        self, *, ax: Axes | None = None, level: float = 0.95, relative_to: str | None = None
    ) -> CostAccuracyDisplay:
        """Draw the points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; names stand to their right. None for a new figure.
        level : float, default=0.95
            Confidence of Student's interval over seeds.
        relative_to : str, default=None
            A variant: differences from its score are drawn, paired by seed. What all variants
            share of a seed's luck is gone from their intervals then. None draws scores.

        Returns
        -------
        display : CostAccuracyDisplay
            The display itself, with the attributes that end in an underscore.

        Raises
        ------
        MissingExtraError
            If matplotlib is not installed.
        ValueError
            If the parts do not fit together, no cost is known, or ``relative_to`` or ``subject`` is
            unknown.
        """
        require_matplotlib("CostAccuracyDisplay.plot")
        names, scores, costs = self._check(relative_to)
        if relative_to is not None:
            scores = scores - scores[names.index(relative_to)]
        self.means_, self.lows_, self.highs_ = _intervals(scores, level)
        known = np.isfinite(costs) & np.isfinite(self.means_)
        if not known.any():
            raise ValueError(
                "multiply_adds must be known for one variant at least. Got none instead; compare "
                "networks, or linear models."
            )
        self.drawn_ = [name for name, drawn in zip(names, known, strict=True) if drawn]
        self.left_out_ = [name for name in names if name not in self.drawn_]
        self.figure_, self.ax_ = axes_of(ax, 7.5, max(3.4, 1.2 + 0.3 * known.sum()))
        self._draw_points(costs, known)
        self._finish(costs[known], level, relative_to, scores.shape[1])
        self._draw_names(costs, known)
        return self

    def _check(
        self, relative_to: str | None
    ) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        names = [str(name) for name in self.variants]
        scores = _padded([np.ravel(np.asarray(values, dtype=float)) for values in self.scores])
        costs = np.asarray(self.multiply_adds, dtype=np.float64)
        if not len(names) == len(scores) == costs.size or costs.ndim != 1:
            raise ValueError(
                "variants, scores and multiply_adds must have an entry for each variant. Got "
                f"{len(names)}, {len(scores)} and {costs.size} instead."
            )
        for what, name in (("relative_to", relative_to), ("subject", self.subject)):
            if name is not None and name not in names:
                raise ValueError(f"{what} must be one of {names}. Got {name!r} instead.")
        return names, scores, costs

    def _draw_points(self, costs: NDArray[np.float64], known: NDArray[np.bool_]) -> None:
        self.points_ = []
        for place in np.flatnonzero(known).tolist():
            color, face = self._colors(place)
            low, high = self.lows_[place], self.highs_[place]
            mean = self.means_[place]
            interval = None if np.isnan(low) else [[mean - low], [high - mean]]
            point = self.ax_.errorbar(
                costs[place],
                mean,
                yerr=interval,
                fmt="o",
                markersize=6,
                color=color,
                markerfacecolor=face,
                elinewidth=1.1,
                capsize=2.5,
            )
            self.points_.append(point)

    def _colors(self, place: int) -> tuple[str, str]:
        """Colour of a variant, and of the inside of its point."""
        name, subject = str(self.variants[place]), self.subject
        if name == subject:
            return _SUBJECT, _SUBJECT
        if subject is not None and name.startswith(f"{subject}, ") and "permuted" not in name:
            return _SUBJECT, "white"
        return (_BASELINE, _BASELINE) if place == 0 else (_CONTROL, _CONTROL)

    def _draw_names(self, costs: NDArray[np.float64], known: NDArray[np.bool_]) -> None:
        """Write the names at the right, as near to the height of their points as there is room."""
        from matplotlib.collections import LineCollection

        ax, places = self.ax_, np.flatnonzero(known)
        places = places[np.argsort(self.means_[places], kind="stable")]
        low, high = ax.get_ylim()
        gap = 1.3 * _FONT * (high - low) / axes_points(ax)[1]
        heights = spread(self.means_[places], gap, low + gap / 2, high - gap / 2)
        transform, points = beside(ax, "right"), zip(places.tolist(), heights, strict=True)
        names = drawable(map(str, self.variants))
        self.names_, leaders = [], []
        for place, height in points:
            color, _ = self._colors(place)
            text = {"fontsize": _FONT, "va": "center", "color": color, **plain_text()}
            name = readable_name(names[place], 36)
            self.names_.append(ax.text(_NAME_LEFT, height, name, transform=transform, **text))
            leaders.append([(2.0, self.means_[place]), (_NAME_LEFT - 3.0, height)])
        lines = LineCollection(
            leaders, colors=FAINT, linewidths=0.6, transform=transform, clip_on=False
        )
        ax.add_collection(lines, autolim=False)
        left, right = costs[places], np.full(len(places), ax.get_xlim()[1])
        ax.hlines(self.means_[places], left, right, colors=FAINT, linewidths=0.4, zorder=0)

    def _finish(
        self, costs: NDArray[np.float64], level: float, relative_to: str | None, n_seeds: int
    ) -> None:
        from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator

        ax = self.ax_
        if costs.min() > 0 and costs.max() > _LOG_FROM * costs.min():
            ax.set_xscale("log")
        else:
            # Zero is shown unless that would crowd all points at one end.
            margin = 0.2 * max(np.ptp(costs), 0.1 * costs.max())
            start = costs.min() - margin if costs.min() > 0.5 * costs.max() else 0.0
            ax.set_xlim(start, costs.max() + margin or 1.0)
            ax.xaxis.set_major_locator(MaxNLocator(6))
        ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
        ax.set_xlabel("Multiply-adds of a prediction", fontsize=10, color=INK)
        label = f"{self.scoring[:1].upper()}{self.scoring[1:]}"
        if relative_to is not None:
            label += f", points over {readable_name(relative_to)}"
            ax.axhline(0.0, color=INK, linewidth=0.6, zorder=0.5)
        sign, unit = ("+", "") if relative_to is not None else ("", "%")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:{sign}.4g}{unit}"))
        (label,) = drawable([label])
        ax.set_ylabel(label, fontsize=10, color=INK, **plain_text())
        seeds = f"{n_seeds} seed{'s' if n_seeds > 1 else ''}"
        title = (
            f"{seeds}, intervals of {100 * level:g}%" if n_seeds > 1 else f"{seeds}, no intervals"
        )
        if self.left_out_:
            title += f"; {len(self.left_out_)} of unknown cost left out"
        ax.set_title(title, loc="left", fontsize=10, color=INK)
        ax.tick_params(labelsize=8, colors=INK)
        ax.set_ylim(*ax.get_ylim())
        for side in ("right", "top"):
            ax.spines[side].set_visible(False)

    @classmethod
    def from_comparison(
        cls,
        comparison: Any,
        *,
        ax: Axes | None = None,
        level: float = 0.95,
        relative_to: str | None = None,
    ) -> CostAccuracyDisplay:
        """Draw a comparison of an estimator with its controls.

        Parameters
        ----------
        comparison : hierlearn.controls.Comparison
            What :func:`hierlearn.controls.compare` returns.
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        level : float, default=0.95
            As in :meth:`plot`.
        relative_to : str, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : CostAccuracyDisplay
            The display, drawn.
        """
        return cls.from_records(
            comparison.to_records(),
            scoring=comparison.scoring,
            subject=comparison.subject,
            ax=ax,
            level=level,
            relative_to=relative_to,
        )

    @classmethod
    def from_records(
        cls,
        records: Iterable[Mapping[str, Any]],
        *,
        scoring: str = "accuracy",
        subject: str | None = None,
        ax: Axes | None = None,
        level: float = 0.95,
        relative_to: str | None = None,
    ) -> CostAccuracyDisplay:
        """Draw measurements that were kept as dicts, for example in a JSON file.

        Parameters
        ----------
        records : iterable of dict
            ``variant``, ``seed``, ``score`` and ``multiply_adds`` of each fit, as
            ``Comparison.to_records`` gives them; other entries are not read.
        scoring : str, default="accuracy"
            What the scores are.
        subject : str, default=None
            The variant in question. None for the first that has a permuted twin, or is called
            "hierarchy" or "heads".
        ax : matplotlib Axes, default=None
            As in :meth:`plot`.
        level : float, default=0.95
            As in :meth:`plot`.
        relative_to : str, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : CostAccuracyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are none, or one lacks an entry.

        Examples
        --------
        >>> from hierlearn.display import CostAccuracyDisplay
        >>> records = [
        ...     {"variant": "flat", "seed": 0, "score": 0.70, "multiply_adds": 1000},
        ...     {"variant": "hierarchy", "seed": 0, "score": 0.75, "multiply_adds": 1300},
        ... ]
        >>> CostAccuracyDisplay.from_records(records).subject
        'hierarchy'
        """
        require_matplotlib("CostAccuracyDisplay.from_records")
        variants, scores, costs = _tabulated(records)
        display = cls(
            variants,
            list(scores),
            costs,
            scoring=scoring,
            subject=_subject(variants) if subject is None else subject,
        )
        return display.plot(ax=ax, level=level, relative_to=relative_to)


def _tabulated(
    records: Iterable[Mapping[str, Any]],
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Return the variants, their scores by seed, and their mean costs."""
    rows = list(records)
    needed = ("variant", "seed", "score", "multiply_adds")
    missing = sorted({key for row in rows for key in needed if key not in row})
    if missing or not rows:
        raise ValueError(
            f"records must be dicts with the entries {', '.join(needed)}. Got "
            f"{'one without ' + missing[0] if missing else 'none'} instead."
        )
    variants = list(dict.fromkeys(str(row["variant"]) for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    scores = np.full((len(variants), len(seeds)), np.nan)
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for row in rows:
        name, cost = str(row["variant"]), row["multiply_adds"]
        scores[variants.index(name), seeds.index(row["seed"])] = row["score"]
        costs[name].append(np.nan if cost is None else float(cost))
    return variants, scores, np.array([np.mean(costs[name]) for name in variants])


def _subject(variants: Sequence[str]) -> str | None:
    paired = [name for name in variants if f"{name}, permuted" in variants]
    return next(iter(paired + [name for name in ("hierarchy", "heads") if name in variants]), None)


def _padded(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    padded = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


def _intervals(
    scores: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean over seeds and Student's interval of every variant."""
    means, lows, highs = np.full((3, len(scores)), np.nan)
    for place, row in enumerate(scores):
        values = row[np.isfinite(row)]
        if len(values):
            means[place] = values.mean()
        if len(values) > 1:
            half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
            lows[place], highs[place] = means[place] - half, means[place] + half
    return means, lows, highs
