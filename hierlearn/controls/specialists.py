"""Specialist heads beside what their gain may be due to instead.

All variants with heads stand on the same fitted base, so that they differ in the heads alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._input import last_step
from .._validation import draw_seeds
from ..cost import Cost
from ..networks import HeadPlan
from ..networks.augmenting import is_network
from ..partition import LabelPartition, permute_classes
from ..specialists import BaseShape, SpecialistHeadAugmenter, head_widths
from ..specialists.input import check_input
from ..specialists.plan import members_of
from .comparing import run_variants
from .comparison import Measurement
from .measuring import Trial, expected_cost, seeded
from .training import TRAINING_PASSES, as_expensive, equal_epochs, trained_as_long


@expected_cost.register
def _(estimator: SpecialistHeadAugmenter, X: Any) -> Cost:
    return estimator.cost_report(X).total


# -- the same base, trained as long ------------------------------------------------------------


@equal_epochs.register
def _(fitted: SpecialistHeadAugmenter) -> int | None:
    """Count the base on every split and on all data, all rounds of heads, and fine-tuning."""
    network = last_step(fitted.base_estimator_)
    if not _trained_here(fitted):
        return None
    own = len(network.history_)
    splits = own * sum(fitted._probe_shares)
    rounds, tuning = _epochs_above(fitted)
    extra = _extra_cost(fitted)
    # The frozen base is passed forward only; fine-tuning passes everything, backward too.
    above = sum(rounds) * (1 / TRAINING_PASSES + extra) + tuning * (1 + extra)
    path = sum(rounds) + tuning
    return int(network.max_epochs + max(math.ceil(splits + above), path))


def _trained_here(fitted: SpecialistHeadAugmenter) -> bool:
    """Tell whether the base is a network that was, or could have been, trained on these rows."""
    seen_none = isinstance(fitted.cv, str) and fitted.cv == "prefit"
    return not (seen_none or is_network(fitted._base()))


def _epochs_above(fitted: SpecialistHeadAugmenter) -> tuple[list[int], int]:
    """Return the epochs that each round of heads, and fine-tuning, ran for."""
    epochs = [len(history) for history in fitted.history_]
    return (epochs[:-1], epochs[-1]) if fitted.fine_tune else (epochs, 0)


def _extra_cost(fitted: SpecialistHeadAugmenter) -> float:
    """Return the cost of all that is trained above the base, in units of the base's."""
    report, n_own = fitted.cost_report(), fitted._opened.n_own
    heads = report.total.multiply_adds - report.flat.multiply_adds
    # Of a classifier layer that replaces the base's the report says nothing: it is no extra.
    replaced = fitted.classifier != "keep" and fitted.evaluate == "all"
    classifier = n_own * len(fitted.classes_) if replaced else 0
    return (heads + classifier) / report.flat.multiply_adds


# -- other heads on the same base --------------------------------------------------------------


def regrown(
    fitted: SpecialistHeadAugmenter,
    X: Any,
    y: Any,
    partitions: Sequence[LabelPartition] = (),
    plans: Sequence[HeadPlan] = (),
    *,
    sample_weight: ArrayLike | None = None,
    **params: Any,
) -> SpecialistHeadAugmenter:
    """Train other heads on the base of a fitted augmenter; all else is as it was.

    Parameters
    ----------
    fitted : SpecialistHeadAugmenter
        Not changed; its base is shared.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows that it was fitted on.
    y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
        Their labels.
    partitions : sequence of LabelPartition, default=()
        Of every round. Without any, the classifier layer alone is trained.
    plans : sequence of HeadPlan, default=()
        Labels and widths of the heads of every round.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        The weights that it was fitted with.
    **params
        Parameters of the augmenter that are to change.

    Returns
    -------
    SpecialistHeadAugmenter
        With the same seeds: on its own partitions and plans it is the fitted augmenter once more.

    Raises
    ------
    ValueError
        As :meth:`SpecialistHeadAugmenter.fit`.
    """
    grown = copy.copy(fitted).set_params(n_rounds=len(plans), **params)
    grown.partitions_, grown.plans_ = tuple(partitions), tuple(plans)
    held_out = getattr(fitted, "held_out_", None)
    scores = (None,) if held_out is None else (held_out.scores, held_out.sample_weight)
    grown._route(*scores)
    targets = check_input(grown, grown._tagged(grown._base()), X, y, sample_weight)
    # As SpecialistHeadAugmenter.fit draws them.
    seeds = draw_seeds(grown.random_state, 4 + 2 * max(len(plans), 1)).tolist()
    grown._train(targets, seeds[5::2], seeds[1], None)
    return grown


def permuted_plans(
    fitted: SpecialistHeadAugmenter, seed: int = 0
) -> tuple[tuple[LabelPartition, ...], tuple[HeadPlan, ...]]:
    """Let the labels change places, the same ones in every round.

    Parameters
    ----------
    fitted : SpecialistHeadAugmenter
        The augmenter whose clusters and heads are taken.
    seed : int, default=0
        Draws the permutation.

    Returns
    -------
    partitions : tuple of LabelPartition
        With clusters of the same sizes, overlap included.
    plans : tuple of HeadPlan
        Each head as wide as one of a cluster of that size was.
    """
    partitions = tuple(permute_classes(part, random_state=seed) for part in fitted.partitions_)
    plans = []
    for old, new, plan in zip(fitted.partitions_, partitions, fitted.plans_, strict=True):
        widths = [plan.widths[0]] * plan.n_heads
        places = zip(_by_size(old), _by_size(new), strict=True)
        for source, target in places:
            widths[target] = plan.widths[source]
        plans.append(HeadPlan(members_of(new), tuple(widths), plan.maps))
    return partitions, tuple(plans)


def _by_size(partition: LabelPartition) -> list[int]:
    return np.argsort(partition.sizes, kind="stable").tolist()


def one_head_for_all(
    fitted: SpecialistHeadAugmenter, X: Any = None
) -> tuple[tuple[LabelPartition, ...], tuple[HeadPlan, ...]] | None:
    """Plan one head for all labels, always evaluated, at the expected cost of all heads.

    Parameters
    ----------
    fitted : SpecialistHeadAugmenter
        The augmenter whose cost the head is given.
    X : {array-like, sparse matrix} or None, default=None
        Rows whose routing the cost is for; None is that of the held-out rows.

    Returns
    -------
    partitions, plans : tuple, or None
        One partition and one plan; None where the heads are too cheap to pay for it.
    """
    opened, n_labels = fitted._opened, len(fitted.classes_)
    shape = BaseShape(opened.multiply_adds(), opened.n_own, opened.attach_shape, False)
    together = LabelPartition(fitted.classes_, np.zeros(n_labels, dtype=np.int64))
    one, maps = np.ones(1), fitted.plans_[0].maps
    ratio = fitted.cost_report(X).ratio
    try:
        widths = head_widths(None, [n_labels], one, one, shape, ratio, maps)
    except ValueError:
        return None
    return (together,), (HeadPlan(members_of(together), widths, maps),)


# -- all of them -------------------------------------------------------------------------------


@run_variants.register
def _(
    estimator: SpecialistHeadAugmenter, trial: Trial
) -> tuple[SpecialistHeadAugmenter, list[Measurement]]:
    """Fit an augmenter and its controls once."""
    heads = seeded(estimator, trial.seed)
    held_out = {"X_val": trial.X_val, "y_val": trial.y_val}
    _, seconds = trial.timed("heads", lambda: heads.fit(trial.X, trial.y, **held_out))
    found = [trial.measured("base", heads.base_estimator_, _base_seconds(heads))]
    found += [*_without_heads(heads, trial), *_flat(heads, trial)]
    if heads.n_rounds:
        plans = one_head_for_all(heads, trial.X_test)
        if plans is None:
            trial.say(f"seed {trial.seed}: the heads are too cheap to pay for one head for all")
        found += _grown("one head for all", heads, trial, plans, evaluate="all")
    found.append(trial.measured("heads", heads, seconds))
    # Any other classifier layer was trained for the heads' routing: it knows no other.
    if heads.n_rounds and heads.evaluate != "all" and heads.classifier == "keep":
        found.append(trial.measured("heads, all evaluated", heads.rerouted("all"), seconds))
    if any(len(codes) < len(heads.classes_) for plan in heads.plans_ for codes in plan.members):
        plans = permuted_plans(heads, trial.seed)
        found += _grown("heads, permuted", heads, trial, plans)
    return heads, found


def _without_heads(heads: SpecialistHeadAugmenter, trial: Trial) -> list[Measurement]:
    """Train on what the base has: its classifier layer, then all of it where the heads' fit did."""
    # Without heads there is nothing that a kept classifier layer could be kept for.
    classifier = "warm" if heads.classifier == "keep" else heads.classifier
    plain: dict[str, Any] = {"classifier": classifier, "evaluate": "all"}
    retrained = "base, classifier retrained"
    found = _grown(retrained, heads, trial, ((), ()), fine_tune=False, **plain)
    if heads.fine_tune:
        found += _grown("base, fine-tuned", heads, trial, ((), ()), **plain)
    return found


def _flat(heads: SpecialistHeadAugmenter, trial: Trial) -> list[Measurement]:
    """Train the base anew: for longer, and wider."""
    if not _trained_here(heads):
        return []
    flats = {
        "base, trained as long": trained_as_long(heads),
        "base, as expensive": as_expensive(heads, trial.X_test),
    }
    return [trial.fitted(name, flat) for name, flat in flats.items() if flat is not None]


def _grown(
    variant: str,
    heads: SpecialistHeadAugmenter,
    trial: Trial,
    plans: tuple[Any, Any] | None,
    **params: Any,
) -> list[Measurement]:
    """Measure other heads on the same base; their time includes the base's."""
    if plans is None:
        return []
    grown, seconds = trial.timed(
        variant, lambda: regrown(heads, trial.X, trial.y, *plans, **params)
    )
    return [trial.measured(variant, grown, _base_seconds(heads) + seconds)]


def _base_seconds(fitted: SpecialistHeadAugmenter) -> float:
    """Return what the base's last training took; NaN where it was trained elsewhere."""
    history = getattr(last_step(fitted.base_estimator_), "history_", [])
    return sum(epoch["dur"] for epoch in history) if history else math.nan
