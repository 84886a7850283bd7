"""Many small classifiers of one architecture, trained in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from .._caching import FitCache
from .._tasks import run_tasks
from ..confusion import fit_with_weight
from ._base import OPTIMIZERS, BaseTorchClassifier
from ._runtime import isolated
from ._skorch import train_network
from ._stacked_run import MemberRun, member_run, train_together

# Found on a CPU, docs/families.md has the figures: larger networks keep a core busy alone, and
# more weights at a time than these leave its caches. A GPU has room for more.
_MEMBER_WEIGHTS = {"cpu": 2**20, "cuda": 2**22}
_STACK_WEIGHTS = {"cpu": 2**21, "cuda": 2**26}
# A stack holds a copy of its rows.
_STACK_INPUTS = 2**26
# Weights of surplus outputs, as a share of all: the price of unequal numbers of classes.
_SURPLUS = 1.25


def can_stack(estimator: Any) -> bool:
    """Tell whether an unfitted classifier may be trained beside others of its kind.

    So may one of our torch networks whose training is a fixed number of steps that nobody watches:
    ``early_stopping``, ``callbacks``, ``verbose``, an optimiser of the user's, augmentation,
    auxiliary heads and a warm start are reasons to train it alone. Whether its layers fit is seen
    when it is built.

    Parameters
    ----------
    estimator : classifier

    Returns
    -------
    bool

    Examples
    --------
    >>> from hierlearn import TorchMLPClassifier
    >>> from hierlearn.networks.stacked import can_stack
    >>> can_stack(TorchMLPClassifier()), can_stack(TorchMLPClassifier(early_stopping=True))
    (True, False)
    """
    if not isinstance(estimator, BaseTorchClassifier):
        return False
    kind = type(estimator)
    steps = ("fit", "_train", "_run")
    plain = all(getattr(kind, step) is getattr(BaseTorchClassifier, step) for step in steps)
    watched = estimator.early_stopping or estimator.callbacks or estimator.verbose > 1
    named = isinstance(estimator.optimizer, str) and estimator.optimizer in OPTIMIZERS
    fixed = kind._augmentation is BaseTorchClassifier._augmentation and not estimator._goes_on()
    alone = estimator.auxiliary is None
    return bool(plain and not watched and named and fixed and alone)


def fit_stacked(
    estimators: Sequence[Any],
    datasets: Iterable[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    cache: FitCache | None = None,
) -> list[Any]:
    """Fit classifiers, small networks of one architecture in one pass.

    The weights of networks that differ in their number of classes at most lie in one tensor, so
    that a layer of all of them is one batched product and a step of all optimisers one update.
    Every network has rows, batches, seed, number of steps and learning rates of its own, and ends
    with the weights that its own ``fit`` gives, up to rounding (on a GPU but for the units that
    dropout drops). What cannot be stacked, or would be slower so, is trained alone.

    Parameters
    ----------
    estimators : sequence of classifier
        Unfitted; see :func:`can_stack`. Networks are stacked where they are chains of linear
        layers, activations and dropout with equal hidden layers, and y is multi-class.
    datasets : iterable of (X, y) or (X, y, sample_weight)
        What each would be fitted on.
    n_jobs : int or None, default=None
        Stacks trained at a time. The result does not depend on it.
    cache : FitCache or None, default=None
        Where networks that are trained alone, and whole stacks of others, are looked up and kept.

    Returns
    -------
    list of classifier
        The same objects, fitted, or those of the cache. In ``history_``, ``dur`` is an equal share
        of the stack's time.

    Raises
    ------
    ValueError
        As the classifiers' own ``fit``; of a diverged run at its end, not in the epoch.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import TorchMLPClassifier
    >>> from hierlearn.networks.stacked import fit_stacked
    >>> X, y = load_digits(return_X_y=True)
    >>> low, high = fit_stacked(
    ...     [TorchMLPClassifier((25, 10), random_state=seed) for seed in (0, 1)],
    ...     [(X[y < 5], y[y < 5]), (X[y >= 5], y[y >= 5])],
    ... )
    >>> low.score(X[y < 5], y[y < 5]) > 0.9, high.classes_.tolist()
    (True, [5, 6, 7, 8, 9])
    """
    estimators = list(estimators)
    runs: list[MemberRun] = []
    for i, (estimator, dataset) in enumerate(zip(estimators, datasets, strict=True)):
        if can_stack(estimator):
            runs.append(member_run(estimator, *estimator._begin(*dataset)))
        elif cache is None:
            estimator.fit(*dataset)
        else:
            estimators[i] = fit_with_weight(estimator, *dataset, cache=cache)
    stacks = plan_stacks(runs)
    tasks = [(stack, cache) for stack in stacks]
    trained = run_tasks(_train, tasks, n_jobs=n_jobs, stage="stacks of networks")
    for stack, results in zip(stacks, trained, strict=True):
        for run, (module, history) in zip(stack, results, strict=True):
            run.estimator.history_, run.estimator.module_ = history, module
    return estimators


def worth_stacking(n_weights: int, device: str = "cpu") -> bool:
    """Tell whether networks of that many weights train faster together than in turn.

    Parameters
    ----------
    n_weights : int
        Of one network.
    device : str, default="cpu"
        Type of torch device.

    Returns
    -------
    bool

    Examples
    --------
    >>> worth_stacking(2_000), worth_stacking(5_000_000)
    (True, False)
    """
    return n_weights <= _MEMBER_WEIGHTS.get(device, 0)


def plan_stacks(runs: Sequence[MemberRun]) -> list[list[MemberRun]]:
    """Put networks into stacks of like shape and length, longest first; large ones stay alone."""
    stacks: list[_Stack] = []
    newest: dict[Any, _Stack] = {}
    for run in sorted(runs, key=lambda run: -run.n_steps):
        stack = newest.get(run.key)
        if run.key is None or stack is None or not stack.takes(run):
            stack = newest[run.key] = _Stack()
            stacks.append(stack)
        stack.add(run)
    return [stack.runs for stack in stacks]


class _Stack:
    """Networks to be trained together, and what their sizes come to."""

    def __init__(self) -> None:
        self.runs: list[MemberRun] = []
        self.n_weights = 0
        self.n_inputs = 0
        self.widest = 0
        self.batches: list[int] = []

    def takes(self, run: MemberRun) -> bool:
        """Tell whether one more network fits, into the cache and to the others' sizes."""
        device = run.plan.device.type
        widest = max(self.widest, run.n_weights)
        padded = (len(self.runs) + 1) * widest
        return (
            worth_stacking(widest, device)
            and padded <= _STACK_WEIGHTS[device]
            and padded <= _SURPLUS * (self.n_weights + run.n_weights)
            and max(*self.batches, run.batch_size) <= 2 * min(*self.batches, run.batch_size)
            and self.n_inputs + run.n_inputs <= _STACK_INPUTS
        )

    def add(self, run: MemberRun) -> None:
        """Take one more network."""
        self.runs.append(run)
        self.n_weights += run.n_weights
        self.n_inputs += run.n_inputs
        self.widest = max(self.widest, run.n_weights)
        sizes = [*self.batches, run.batch_size]
        self.batches = [min(sizes), max(sizes)]


def _train(
    stack: Sequence[MemberRun], cache: FitCache | None = None
) -> list[tuple[nn.Module, list[dict[str, Any]]]]:
    """Train a stack; return networks and histories, for another process may have trained them."""
    if cache is not None:
        return cache.part("stack", tuple(map(_content, stack)), lambda: _train(stack))
    stack = [run.here() for run in stack]
    first = stack[0]
    alone = first.key is None or not worth_stacking(first.n_weights, first.plan.device.type)
    histories = [_train_alone(run) for run in stack] if alone else train_together(stack)
    # From the CPU, for who gets them may have no such device.
    modules = [run.module.cpu().eval() for run in stack]
    return list(zip(modules, histories, strict=True))


def _content(run: MemberRun) -> tuple[Any, ...]:
    """Return what the training of a network depends on; of its estimator the plan tells all."""
    return run.plan, run.module, run.shape, run.train, run.state, run.estimator._fit_setting()


def _train_alone(run: MemberRun) -> list[dict[str, Any]]:
    with isolated(run.plan.seed, run.plan.device, run.estimator.n_jobs):
        torch.default_generator.set_state(run.state)
        return train_network(run.module, run.train, None, run.plan)
