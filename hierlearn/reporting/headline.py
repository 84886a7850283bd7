"""The figures at the head of a report."""

from __future__ import annotations

import math

from hierlearn.reporting.counting import Counts
from hierlearn.reporting.data import Figure, Results, Variant

__all__ = ["headline", "signed", "times"]


def headline(
    results: Results, counts: Counts, share_inside: float, *, compared: bool
) -> tuple[Figure, ...]:
    """Choose what stands at the head.

    Parameters
    ----------
    results : Results
        Accuracy and cost.
    counts : Counts
        The confusion.
    share_inside : float
        Share of the confusion inside the clusters.
    compared : bool
        Whether the results are means over seeds.

    Returns
    -------
    tuple of Figure
    """
    partition, baseline = counts.partition, results.variants[0]
    subject = next((v for v in results.variants if v.role == "subject"), baseline)
    what = "labels" if counts.true is None else "classes"
    clusters = f"in {partition.n_clusters} cluster{'s' if partition.n_clusters > 1 else ''}"
    found = [Figure(what.capitalize(), f"{partition.n_classes:,}", clusters)]
    name = results.scoring[:1].upper() + results.scoring[1:]
    note = "mean over seeds" if compared else "on the test samples"
    found.append(Figure(name, f"{100 * subject.score:.1f} %", note))
    if subject is not baseline:
        found.append(_gain(subject, baseline))
    if not math.isnan(subject.ratio):
        found.append(Figure("Cost", times(subject.ratio), f"multiply-adds of {baseline.name}"))
    if not math.isnan(share_inside):
        inside = f"{100 * share_inside:.0f} %"
        overlap = ", overlap included" if partition.is_overlapping else ""
        found.append(Figure("Within clusters", inside, f"of all that is confused{overlap}"))
    return tuple(found)


def _gain(subject: Variant, baseline: Variant) -> Figure:
    note = f"points over {baseline.name}"
    if not math.isnan(subject.low):
        note += f" [{signed(100 * subject.low, 1)}, {signed(100 * subject.high, 1)}]"
    return Figure("Gain", signed(100 * subject.gain, 1), note)


def times(value: float) -> str:
    """Return a ratio, to three digits or so.

    Examples
    --------
    >>> times(1.136), times(25.02), times(float("nan"))
    ('1.14 ×', '25.0 ×', '–')
    """
    if math.isnan(value):
        return "–"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} ×"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, a true minus before negative ones.

    Examples
    --------
    >>> signed(-0.26, 1), signed(1.0, 1)
    ('−0.3', '+1.0')
    """
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−")
