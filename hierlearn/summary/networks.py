"""Reading the summary of a network, of whatever kind, off its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .table import Table

_MANY_LAYERS = 6
_CALIBRATIONS = {
    None: "none, cosines are logits",
    "temperature": "one scale for all labels",
    "platt": "a scale and a threshold a label",
}


def network_settings(estimator: Any) -> Table:
    """Tabulate what a network reads, its layers, its training, and what its kind adds.

    Parameters
    ----------
    estimator : torch classifier or DistilledClassifier
        Fitted.

    Returns
    -------
    Table
    """
    rows: list[tuple[str, str]] = []
    if hasattr(estimator, "student_"):
        rows += _distilled(estimator)
        estimator = estimator.student_
    rows += [("reads", _reads(estimator._input_shape)), _layers(estimator)]
    rows += [("trained", text) for text in _training(estimator.history_)]
    rows += _of_its_kind(estimator)
    return Table("", (), tuple(rows), "ll")


def network_costs(prices: Sequence[tuple[str, float, float]]) -> Table | None:
    """Tabulate prices, and how the last one compares with the first.

    Parameters
    ----------
    prices : sequence of (name, multiply-adds, parameters)
        NaN where unknown.

    Returns
    -------
    Table or None
        None without a price.
    """
    if not prices:
        return None
    rows = [(name, figure(products), figure(numbers)) for name, products, numbers in prices]
    (_, first, _), (_, last, _) = prices[0], prices[-1]
    if len(prices) > 1 and first:
        rows.append(("ratio", "unknown" if np.isnan(last / first) else f"{last / first:.2f} x", ""))
    heading = ("", "multiply-adds", "parameters")
    return Table("Cost of a prediction", heading, tuple(rows), "lrr")


def figure(value: float) -> str:
    """Return a number of things as a reader likes it, "unknown" for NaN."""
    return "unknown" if np.isnan(value) else f"{round(value):,}"


def _distilled(estimator: Any) -> Iterable[tuple[str, str]]:
    teacher = estimator.teacher_
    given = type(teacher).__name__ == "FrozenEstimator"
    kind = type(teacher.estimator if given else teacher).__name__
    yield "teacher", f"{kind} (as given)" if given else kind
    yield "student", type(estimator.student_).__name__
    labels = 1 - estimator.alpha
    yield (
        "learnt from",
        f"{estimator.alpha:.2g} the teacher at temperature {estimator.temperature:g}, "
        f"{labels:.2g} the labels",
    )


def _reads(shape: Sequence[int]) -> str:
    if len(shape) == 1:
        return f"{shape[0]:,} features"
    return "rows of " + " x ".join(f"{length:,}" for length in shape)


def _layers(estimator: Any) -> tuple[str, str]:
    sizes = getattr(estimator, "hidden_layer_sizes", None)
    if sizes is not None and not hasattr(estimator, "backbone"):
        shown = [str(int(size)) for size in list(sizes)[:_MANY_LAYERS]]
        more = "" if len(sizes) <= _MANY_LAYERS else f", ... ({len(sizes)} in all)"
        return "hidden layers", ", ".join(shown) + more or "none"
    layers = estimator.module_.modules()
    n_layers = sum(any(True for _ in layer.parameters(recurse=False)) for layer in layers)
    return "layers", f"{n_layers} with weights"


def _training(history: Sequence[dict[str, Any]]) -> Iterable[str]:
    if not history:
        return
    epochs = f"{len(history)} epochs" if len(history) > 1 else "1 epoch"
    text = f"{epochs}, loss {history[-1]['train_loss']:.3g}"
    if "valid_loss" in history[-1]:
        losses = [row["valid_loss"] for row in history]
        best = int(np.argmin(losses))
        text += f", {losses[best]:.3g} on held-out rows at best (epoch {best + 1})"
    yield text


def _of_its_kind(estimator: Any) -> Iterable[tuple[str, str]]:
    if hasattr(estimator, "n_tuned_"):
        n_tuned = estimator.n_tuned_
        yield "pre-trained", f"{n_tuned:,} weights tuned" if n_tuned else "frozen"
    if hasattr(estimator, "embeddings_"):
        n_labels, width = estimator.embeddings_.shape
        yield "embedding", f"{n_labels:,} vectors of {width} dimensions, {estimator.variant}"
        yield "calibration", _CALIBRATIONS[estimator.calibration]
    if getattr(estimator, "cutoffs_", ()):
        tails = len(estimator.cutoffs_)
        yield "output layer", f"frequent classes first, {tails} clusters of rarer ones"
    if hasattr(estimator, "negatives") and hasattr(estimator, "cluster_weight"):
        yield "negatives", f"{estimator.negatives:g} from samples without the cluster"
