"""Accuracy and cost, from a comparison with the controls or from the fitted model alone."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hierlearn.controls import Comparison, Measurement
from hierlearn.controls.comparing import run_variants
from hierlearn.controls.measuring import expected_cost, resolve_scoring
from hierlearn.cost import Cost, estimator_cost
from hierlearn.exceptions import HierlearnError
from hierlearn.reporting.counting import Counts
from hierlearn.reporting.data import Level, Results, Variant
from hierlearn.reporting.subject import Subject

__all__ = ["FLAT", "THIS", "as_comparison", "compared", "measured_here"]

_NAN = math.nan
# What the table calls the two models at hand.
THIS, FLAT = "this model", "flat network"
_UNKNOWN = Cost(_NAN, _NAN)
_CODE = """\
from hierlearn.controls import compare

result = compare({arguments}, seeds=[0, 1, 2])
hierlearn.report(estimator, X_test, y_test, path, comparison=result)"""


def as_comparison(comparison: Any) -> Comparison | None:
    """Return a comparison that is given as such, or as the records that were kept of it.

    Parameters
    ----------
    comparison : Comparison, sequence of dict or None
        What :func:`hierlearn.controls.compare` returned, or its ``to_records()``.

    Returns
    -------
    Comparison or None

    Raises
    ------
    ValueError
        If it is neither, or empty.
    """
    if comparison is None:
        return None
    if not isinstance(comparison, Comparison):
        try:
            records = [{**_GAPS, **record} for record in comparison]
            comparison = Comparison(tuple(Measurement(**record) for record in records))
        except TypeError:
            raise ValueError(
                "comparison must be what hierlearn.controls.compare returns, or its to_records(). "
                f"Got {type(comparison).__name__} instead."
            ) from None
    if not comparison.measurements:
        raise ValueError("comparison must hold measurements. Got none instead.")
    return comparison


# What a record may leave out, or have as null where JSON has no NaN.
_GAPS = dict.fromkeys(
    ("cluster_accuracy", "multiply_adds", "parameters", "fit_seconds", "predict_seconds"), _NAN
)


def compared(comparison: Comparison, levels: tuple[Level, ...]) -> Results:
    """Tabulate a comparison with the controls.

    Parameters
    ----------
    comparison : Comparison
        At least one variant.
    levels : tuple of Level
        Of the models at hand.

    Returns
    -------
    Results
        Differences and intervals are paired by seed.
    """
    n_seeds = len(comparison.seeds)
    baseline, subject = comparison.variants[0], comparison.subject
    variants = tuple(
        _variant(comparison, name, _role(name, baseline, subject)) for name in comparison.variants
    )
    seeds = f"{n_seeds} seeds" if n_seeds > 1 else "one seed"
    interval = (
        f"Intervals are Student's at 95 % over {seeds}, of differences paired by seed."
        if n_seeds > 1
        else "With one seed there are no intervals: measure several."
    )
    return Results(
        scoring=comparison.scoring,
        source=f"Every variant was fitted anew with each of {seeds}."
        if n_seeds > 1
        else "Every variant was fitted anew, once.",
        interval=interval,
        variants=variants,
        levels=levels,
        verdict=tuple(_sentences(comparison.verdict())),
        missing="",
        remedy="",
    )


def _sentences(verdict: str) -> list[str]:
    """Return a verdict's sentences unbroken, with true minus signs."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", verdict.replace("\n  ", " ")).splitlines()


def _role(name: str, baseline: str, subject: str | None) -> str:
    if name == subject:
        return "subject"
    if subject is not None and name.startswith(f"{subject}, ") and "permuted" not in name:
        return "routing"
    return "baseline" if name == baseline else "control"


def _variant(comparison: Comparison, name: str, role: str) -> Variant:
    baseline = comparison.variants[0]
    scores = comparison.values(name)
    gain = (_NAN,) * 3 if name == baseline else comparison.difference(name, baseline)
    return Variant(
        name=name,
        role=role,
        score=float(scores.mean()),
        spread=float(scores.std(ddof=1)) if len(scores) > 1 else _NAN,
        gain=gain[0],
        low=gain[1],
        high=gain[2],
        ratio=comparison.cost_ratio(name),
        multiply_adds=float(comparison.values(name, "multiply_adds").mean()),
        parameters=float(comparison.values(name, "parameters").mean()),
    )


# -- without a comparison ------------------------------------------------------------------------


def measured_here(
    subject: Subject,
    X: Any,
    y: Any,
    counts: Counts,
    flat_hits: NDArray[np.bool_] | None,
    levels: tuple[Level, ...],
) -> Results:
    """Hold the fitted model against the flat network it stands on, on the rows at hand.

    Parameters
    ----------
    subject : Subject
        The model.
    X, y : array-like
        Test rows.
    counts : Counts
        What it predicts.
    flat_hits : ndarray of shape (n_samples,) of bool, or None
        Whether the flat network names the class of each row; None where there is none, or with
        several labels a sample.
    levels : tuple of Level
        Of both.

    Returns
    -------
    Results
    """
    cost = _cost(subject, X)
    if counts.true is None:
        variants = _by_score(subject, X, y, cost)
        scoring = resolve_scoring(None, y).name
        interval = ""
    else:
        assert counts.predicted is not None
        scoring, hits = "accuracy", counts.predicted == counts.true
        variants = _by_hits(subject, hits, flat_hits, cost)
        interval = (
            "Intervals are at 95 %, over the rows of the test set, for this one fit: another fit "
            "would differ by more."
        )
    sole = len(variants) == 1
    missing, remedy = _what_is_missing(subject)
    return Results(
        scoring=scoring,
        source=f"The fitted model on {len(_rows(y)):,} test samples"
        + ("." if sole else ", beside the flat network that it stands on."),
        interval="" if sole else interval,
        variants=variants,
        levels=levels,
        verdict=(),
        missing=missing,
        remedy=remedy,
    )


def _rows(y: Any) -> range:
    return range(y.shape[0] if hasattr(y, "shape") else len(y))


def _by_hits(
    subject: Subject, hits: NDArray[np.bool_], flat_hits: NDArray[np.bool_] | None, cost: Cost
) -> tuple[Variant, ...]:
    own, n_rows = float(hits.mean()), len(hits)
    if flat_hits is None:
        return (_alone(subject, own, cost),)
    gain, low, high = _paired(hits, flat_hits)
    flat = _priced(subject.flat)
    before = Variant(
        FLAT, "baseline", float(flat_hits.mean()), _NAN, _NAN, _NAN, _NAN, 1.0,
        flat.multiply_adds, flat.parameters,
    )  # fmt: skip
    low, high = (low, high) if n_rows > 1 else (_NAN, _NAN)
    return before, _this(subject, own, (gain, low, high), cost, flat)


def _paired(hits: NDArray[np.bool_], flat_hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the mean difference of two models on the same rows, and its interval of 95 %."""
    differences = hits.astype(np.float64) - flat_hits
    mean = float(differences.mean())
    if len(hits) < 2:
        return mean, _NAN, _NAN
    half = float(stats.norm.ppf(0.975) * stats.sem(differences))
    return mean, mean - half, mean + half


def _by_score(subject: Subject, X: Any, y: Any, cost: Cost) -> tuple[Variant, ...]:
    scorer = resolve_scoring(None, y).scorer
    own = float(scorer(subject.model, X, y))
    if subject.flat is None:
        return (_alone(subject, own, cost),)
    flat = _priced(subject.flat)
    score = float(scorer(subject.flat, subject.flat_input(X), y))
    before = Variant(
        FLAT, "baseline", score, _NAN, _NAN, _NAN, _NAN, 1.0,
        flat.multiply_adds, flat.parameters,
    )  # fmt: skip
    return before, _this(subject, own, (own - score, _NAN, _NAN), cost, flat)


def _alone(subject: Subject, score: float, cost: Cost) -> Variant:
    return _this(subject, score, (_NAN,) * 3, cost, _UNKNOWN)


def _this(
    subject: Subject, score: float, gain: tuple[float, float, float], cost: Cost, flat: Cost
) -> Variant:
    known = flat.multiply_adds > 0
    return Variant(
        name=THIS,
        role="subject",
        score=score,
        spread=_NAN,
        gain=gain[0],
        low=gain[1],
        high=gain[2],
        ratio=cost.multiply_adds / flat.multiply_adds if known else _NAN,
        multiply_adds=cost.multiply_adds,
        parameters=cost.parameters,
    )


def _cost(subject: Subject, X: Any) -> Cost:
    """Price the last step, under the routing of these rows where it depends on them."""
    try:
        return expected_cost(subject.structured, subject.flat_input(X))
    except (HierlearnError, ValueError, AttributeError):
        return _priced(subject.structured)


def _priced(estimator: Any) -> Cost:
    try:
        return estimator_cost(estimator)
    except (HierlearnError, ValueError, AttributeError):
        return _UNKNOWN


def _what_is_missing(subject: Subject) -> tuple[str, str]:
    """Say which controls were not run, and how they are."""
    if not isinstance(subject.structured, tuple(set(run_variants.registry) - {object})):
        return "", ""
    held_out = ", X_val=X_val, y_val=y_val" if _is_prefit(subject.structured) else ""
    arguments = f"estimator, X_train, y_train, X_test, y_test{held_out}"
    missing = (
        "The other controls were not run: the flat network trained as long, one as expensive, and "
        "the same partition with classes permuted. Without them, it is open whether structure pays."
    )
    return missing, _CODE.format(arguments=arguments)


def _is_prefit(estimator: Any) -> bool:
    base = getattr(estimator, "base_estimator", None)
    return type(base).__name__ == "FrozenEstimator"
