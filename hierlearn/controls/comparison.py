"""Measurements of several variants over several seeds, and their paired differences."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .verdict import verdict

# What is measured where no partition could be permuted.
_SUBJECTS = ("hierarchy", "heads")


@dataclass(frozen=True)
class Measurement:
    """One variant, fitted once.

    Parameters
    ----------
    variant : str
        What was measured.
    seed : int
        Random state of the fit.
    score : float
        By the scorer that the comparison names, on the test samples; higher is better. Accuracy is
        FC, final classification, in the paper on hierarchical decomposition.
    cluster_accuracy : float
        Share of test samples whose cluster was named right (HC); NaN for variants without a gate.
    multiply_adds, parameters : float
        Expected cost of a prediction and numbers stored; NaN where unknown.
    fit_seconds, predict_seconds : float
        Wall-clock time of the fit and of predicting the test set.
    """

    variant: str
    seed: int
    score: float
    cluster_accuracy: float
    multiply_adds: float
    parameters: float
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True)
class Comparison:
    """Measurements of several variants over several seeds; print it.

    Parameters
    ----------
    measurements : tuple of Measurement
        The first variant is what the others are held against.
    scoring : str, default="accuracy"
        Name of the scorer that they were measured by.

    Examples
    --------
    >>> from hierlearn.controls import Comparison, Measurement
    >>> def row(variant, seed, score, multiply_adds):
    ...     return Measurement(variant, seed, score, float("nan"), multiply_adds, 10, 1.0, 0.1)
    >>> result = Comparison((
    ...     row("base", 0, 0.80, 100), row("base", 1, 0.82, 100),
    ...     row("heads", 0, 0.84, 103), row("heads", 1, 0.86, 103),
    ...     row("heads, permuted", 0, 0.82, 103), row("heads, permuted", 1, 0.84, 103),
    ... ))
    >>> [round(value, 3) for value in result.difference("heads", "heads, permuted")]
    [0.02, 0.02, 0.02]
    >>> print(result.verdict())
    Worth it over 2 seeds: heads beats base and every control.
    heads: +4.00 points of accuracy [+4.00, +4.00] over base, +4.94 % relative [+4.16, +5.71], at
      1.030 times the multiply-adds.
    Structure pays here: heads +2.00 points [+2.00, +2.00] over the same partition with labels
      permuted.
    """

    measurements: tuple[Measurement, ...]
    scoring: str = "accuracy"

    @property
    def variants(self) -> list[str]:
        """Names of the variants, in the order measured."""
        return list(dict.fromkeys(m.variant for m in self.measurements))

    @property
    def seeds(self) -> list[int]:
        """The seeds measured, ascending."""
        return sorted({m.seed for m in self.measurements})

    @property
    def subject(self) -> str | None:
        """The variant in question: the first that was measured with its partition permuted, too.

        Where none was, it is the one called "hierarchy" or "heads", if there is one.
        """
        known = set(self.variants)
        paired = [name for name in self.variants if f"{name}, permuted" in known]
        return next(iter(paired + [name for name in _SUBJECTS if name in known]), None)

    def values(self, variant: str, field: str = "score") -> NDArray[np.float64]:
        """Return one figure of a variant for every seed, shape (n_seeds,).

        Parameters
        ----------
        variant : str
            Its name.
        field : str, default="score"
            Name of a field of :class:`Measurement`.

        Returns
        -------
        values : ndarray of shape (n_seeds,)
            One for every seed.
        """
        return np.array(list(self._by_seed(variant, field).values()), dtype=np.float64)

    def _by_seed(self, variant: str, field: str) -> dict[int, float]:
        found = {m.seed: getattr(m, field) for m in self.measurements if m.variant == variant}
        if not found:
            raise KeyError(f"variant must be one of {self.variants}. Got {variant!r} instead.")
        return dict(sorted(found.items()))

    def _paired(
        self, variant: str, control: str, field: str = "score"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a figure of two variants for the seeds that both were measured with."""
        one, other = self._by_seed(variant, field), self._by_seed(control, field)
        common = [seed for seed in one if seed in other]
        return np.array([one[s] for s in common]), np.array([other[s] for s in common])

    def difference(
        self, variant: str, control: str, level: float = 0.95
    ) -> tuple[float, float, float]:
        """Return the mean difference in score and its interval, paired by seed.

        Parameters
        ----------
        variant, control : str
            Names of the two.
        level : float, default=0.95
            Confidence of Student's interval over seeds.

        Returns
        -------
        mean, low, high : float
            ``low`` and ``high`` are NaN with a single seed.
        """
        values, others = self._paired(variant, control)
        return _interval(values - others, level)

    def relative(
        self, variant: str, control: str | None = None, level: float = 0.95
    ) -> tuple[float, float, float]:
        """Return the mean relative gain in score and its interval, from the ratio of every seed.

        Parameters
        ----------
        variant, control : str
            Names of the two; ``control=None`` is the first variant.
        level : float, default=0.95
            Confidence of Student's interval over seeds.
        variant : str
            Name of the variant.
        control : str or None, default=None
            What it is held against; None for the first variant.

        Returns
        -------
        mean, low, high : float
            0.071 is a gain of 7.1 %. NaN where the control's score is not positive.
        """
        values, others = self._paired(variant, control or self.variants[0])
        return _interval(_ratios(values, others) - 1, level)

    def cost_ratio(self, variant: str, control: str | None = None) -> float:
        """Return the multiply-adds of a variant over those of another, the mean over seeds.

        Parameters
        ----------
        variant, control : str
            Names of the two; ``control=None`` is the first variant.
        variant : str
            Name of the variant.
        control : str or None, default=None
            What it is held against; None for the first variant.

        Returns
        -------
        float
            NaN where unknown.
        """
        pair = self._paired(variant, control or self.variants[0], "multiply_adds")
        return float(_ratios(*pair).mean())

    def to_records(self) -> list[dict[str, Any]]:
        """Return the measurements as dicts, for JSON or a data frame.

        Returns
        -------
        records : list of dict
            One for each variant and seed, with the fields of :class:`Measurement`.
        """
        return [asdict(measurement) for measurement in self.measurements]

    def verdict(self) -> str:
        """Say in plain sentences whether the variant in question beats what it must.

        Returns
        -------
        str
            A sentence a line, broken at 100 characters: whether it is worth it at all, the gain
            over the first variant, then for each control whether the gain is more than what the
            control explains; where there is no gain, the difference alone. An interval that
            includes zero settles nothing, nor does one seed. Empty if there is no :attr:`subject`.
        """
        return verdict(self)

    def table(self, control: str | None = None) -> str:
        """Return the means as text, with the paired difference to a control (the first variant).

        Parameters
        ----------
        control : str or None, default=None
            Variant to take the difference to; None for the first.

        Returns
        -------
        table : str
            A line a variant.
        """
        control = control or self.variants[0]
        head = ["", "HC %", f"{self.scoring} %", f"vs {control}"]
        head += ["mult-adds", "ratio", "parameters", "fit s", "predict s"]
        rows = [head, *(self._row(variant, control) for variant in self.variants)]
        columns = list(zip(*rows, strict=True))
        if not any(columns[1][1:]):  # nothing here names clusters
            del columns[1]
        widths = [max(map(len, column)) for column in columns]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column[0] in ("", head[3]) else cell.rjust(width)
                for cell, column, width in zip(row, columns, widths, strict=True)
            )
            for row in zip(*columns, strict=True)
        )

    def _row(self, variant: str, control: str) -> list[str]:
        scores = self.values(variant) * 100
        spread = f" ±{scores.std(ddof=1):.2f}" if len(scores) > 1 else ""
        return [
            variant,
            _percent(self.values(variant, "cluster_accuracy").mean()),
            f"{scores.mean():.2f}{spread}",
            self._against(variant, control),
            _count(self.values(variant, "multiply_adds").mean()),
            _times(self.cost_ratio(variant, control)),
            _count(self.values(variant, "parameters").mean()),
            _seconds(self.values(variant, "fit_seconds"), 1),
            _seconds(self.values(variant, "predict_seconds"), 2),
        ]

    def _against(self, variant: str, control: str) -> str:
        if variant == control:
            return ""
        mean, low, high = (100 * value for value in self.difference(variant, control))
        interval = "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"
        return f"{mean:+.2f}{interval}"

    def __str__(self) -> str:
        found = self.verdict()
        return f"{self.table()}\n\n{found}" if found else self.table()


def _interval(paired: NDArray[np.float64], level: float) -> tuple[float, float, float]:
    """Return the mean and Student's interval; NaN for an interval of fewer than two values."""
    n_seeds = len(paired)
    mean = float(paired.mean()) if n_seeds else math.nan
    if n_seeds < 2:
        return mean, math.nan, math.nan
    half = float(stats.t.ppf((1 + level) / 2, n_seeds - 1) * stats.sem(paired))
    return mean, mean - half, mean + half


def _ratios(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    undefined = np.full(len(values), np.nan)
    return np.divide(values, others, out=undefined, where=others > 0)


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"


def _count(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{round(value):,}"


def _times(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _seconds(values: NDArray[np.float64], digits: int) -> str:
    median = float(np.median(values))
    return "" if math.isnan(median) else f"{median:.{digits}f}"
