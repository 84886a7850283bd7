"""Training several networks step by step together, each on batches of its own rows."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional

from .._progress import count, counting
from .._rows import RowView
from ._data import BatchDataset, as_tensor
from ._runtime import autocast_dtype, isolated, resolve_device, threads
from ._skorch import TrainingPlan, check_still_finite
from ._stacked_chain import ChainShape, Dropping, StackedChain, chain_shape
from ._stacked_optim import StackedOptimizer, learning_rates


@dataclass(frozen=True)
class MemberRun:
    """One network about to be trained.

    Parameters
    ----------
    estimator : BaseTorchClassifier
        The classifier that it belongs to.
    train : BatchDataset
        Its rows.
    plan : TrainingPlan
        How it would be trained alone.
    module : torch.nn.Module
        The untrained network.
    shape : ChainShape or None
        Of the network, None where it cannot be stacked.
    state : tensor
        State of torch's generator as the training begins.
    """

    estimator: Any
    train: BatchDataset
    plan: TrainingPlan
    module: nn.Module
    shape: ChainShape | None
    state: torch.Tensor

    @cached_property
    def key(self) -> Any:
        """What networks of one stack have in common; None stands alone."""
        if self.shape is None:
            return None
        plan, params = self.plan, self.plan.optimizer_params
        decay, momentum = params["weight_decay"], params.get("momentum")
        how = plan.optimizer, decay, momentum, plan.autocast, self.estimator.n_jobs
        is_sparse = sparse.issparse(getattr(self.train.X, "source", self.train.X))
        return self.shape.key, self.train.dtype, str(plan.device), is_sparse, *how

    @cached_property
    def n_weights(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    def here(self) -> MemberRun:
        """Return the run on the device of the process that asks, perhaps a worker elsewhere."""
        device = resolve_device(self.estimator.device)
        if device == self.plan.device:
            self.module.to(device)
            return self
        autocast = autocast_dtype(device, self.estimator.mixed_precision)
        plan = replace(self.plan, device=device, autocast=autocast)
        return replace(self, plan=plan, module=self.module.to(device))

    def __getstate__(self) -> dict[str, Any]:
        on_cpu = all(parameter.device.type == "cpu" for parameter in self.module.parameters())
        module = self.module if on_cpu else copy.deepcopy(self.module).cpu()
        return {**vars(self), "module": module}

    @property
    def n_inputs(self) -> int:
        """Numbers in its rows."""
        return math.prod(self.train.X.shape)

    @property
    def batch_size(self) -> int:
        """Rows in the largest batch."""
        return min(self.plan.batch_size, len(self.train))

    @property
    def n_batches(self) -> int:
        """Batches an epoch."""
        return -(-len(self.train) // self.plan.batch_size)

    @property
    def n_steps(self) -> int:
        """Steps of the whole run."""
        return self.n_batches * self.plan.max_epochs


def member_run(estimator: Any, train: BatchDataset, plan: TrainingPlan) -> MemberRun:
    """Return a network as it is drawn from the estimator's own seed."""
    vars(estimator).pop("module_", None)
    with isolated(plan.seed, plan.device, estimator.n_jobs):
        module = estimator._new_module(train).to(device=plan.device)
        state = torch.default_generator.get_state()
    shape = None if estimator.multilabel_ else chain_shape(module)
    return MemberRun(estimator, train, plan, module, _fitting(shape, train.X.shape), state)


def _fitting(shape: ChainShape | None, rows: tuple[int, ...]) -> ChainShape | None:
    """Return the shape where inputs are flat rows of the first layer's width, else None."""
    if shape is None or math.prod(rows[1:]) != shape.widths[0]:
        return None
    return shape if len(rows) == 2 or shape.flattens else None


def train_together(runs: Sequence[MemberRun]) -> list[list[dict[str, Any]]]:
    """Train networks in place, as each would be trained alone; return their histories.

    Parameters
    ----------
    runs : sequence of MemberRun
        Of one ``shape.key``, optimiser, device and type; longest runs first.

    Returns
    -------
    list of list of dict
        One a network, see :func:`train_network`; ``dur`` is its share of the time.
    """
    start = time.perf_counter()
    stack = StackedChain([run.module for run in runs])
    with threads(runs[0].estimator.n_jobs), counting(runs[0].plan.max_epochs, "epochs"):
        losses = _descend(runs, stack).cpu().numpy()
    stack.write_back([run.module for run in runs])
    largest = stack.weights.abs().amax(dim=1).cpu().numpy()
    share = (time.perf_counter() - start) / sum(run.plan.max_epochs for run in runs)
    histories = [
        _history(run, losses[: run.n_steps, number], share) for number, run in enumerate(runs)
    ]
    for weights, run in zip(largest, runs, strict=True):
        check_still_finite(np.zeros(1), weights[None], run.plan.max_epochs, _rate(run.plan))
    return histories


def _descend(runs: Sequence[MemberRun], stack: StackedChain) -> torch.Tensor:
    """Run all steps; return the losses, shape (n_steps, n_members)."""
    plan = runs[0].plan
    batches = _Batches(runs)
    dropping = Dropping([run.state for run in runs], plan.device) if stack.drops else None
    params = plan.optimizer_params
    optimizer = StackedOptimizer(
        _optimizer_name(plan), stack.weights, params["weight_decay"], params.get("momentum", 0.0)
    )
    rates = _rates(runs).to(stack.weights)
    losses = torch.zeros(rates.shape[:2], device=plan.device, dtype=stack.weights.dtype)
    leaves: list[torch.Tensor] = []
    n_members = 0
    n_batches = runs[0].n_batches
    for step in range(len(rates)):
        if step % n_batches == 0:
            count(step // n_batches)
        x, target, weight, n_rows = batches.at(step)
        if len(x) != n_members:
            n_members = len(x)
            leaves = [view.detach().requires_grad_() for view in stack.views(n_members)]
        if dropping is not None:
            dropping.n_rows = n_rows
        with _precision(plan):
            logits = stack.forward(leaves, x, dropping)
        logits = logits.to(stack.weights.dtype)
        each = functional.cross_entropy(logits.flatten(0, 1), target, reduction="none")
        loss = (each.view(weight.shape) * weight).sum(dim=1)
        gradients = torch.autograd.grad(loss.sum(), leaves)
        losses[step, :n_members] = loss.detach()
        gradient = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
        with torch.no_grad():
            optimizer.step(gradient, rates[step, :n_members])
    return losses


class _Batches:
    """Batches of every network's own rows, in the order in which it would see them alone.

    Rows of all networks lie in one array, or are read out of the one that all are views of. A batch
    that is smaller than the others is filled up with rows of weight zero.
    """

    def __init__(self, runs: Sequence[MemberRun]) -> None:
        self.runs = runs
        plan = runs[0].plan
        self.device = plan.device
        self.dtype = runs[0].train.dtype
        self.width = max(run.batch_size for run in runs)
        self._generators = [torch.Generator().manual_seed(run.plan.seed) for run in runs]
        sizes = [len(run.train) for run in runs]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self._sizes = torch.tensor(sizes)
        self._batch_sizes = torch.tensor([run.batch_size for run in runs])
        self._n_batches = np.array([run.n_batches for run in runs])
        self._n_steps = np.array([run.n_steps for run in runs])
        longest = max(run.n_batches * run.batch_size for run in runs) + self.width
        self._order = torch.from_numpy(np.tile(self._starts[:, None], longest))
        self._X = self._store([run.train.X for run in runs])
        self._target = self._on_device([run.train.target for run in runs], torch.int64)
        self._weight = self._on_device([run.train.weight for run in runs], self.dtype)

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[int]]:
        """Return inputs, targets, weights and numbers of rows of the networks still running.

        Weights are divided by the number of rows, so that their products with losses sum to the
        mean. Shapes (n_running, n_rows, n_features), (n_running * n_rows,), (n_running, n_rows).
        """
        n_running = int(np.count_nonzero(self._n_steps > step))
        of_epoch = step % self._n_batches[:n_running]
        for number in np.flatnonzero(of_epoch == 0):
            order = _epoch_order(int(self._sizes[number]), self._generators[number])
            self._order[number, : len(order)] = order.add_(int(self._starts[number]))
        first = torch.from_numpy(of_epoch) * self._batch_sizes[:n_running]
        last = torch.minimum(first + self._batch_sizes[:n_running], self._sizes[:n_running])
        places = first[:, None] + torch.arange(self.width)
        rows = torch.gather(self._order[:n_running], 1, places)
        n_rows = last - first
        known = torch.arange(self.width) < n_rows[:, None]
        share = (known.to(self.dtype) / n_rows[:, None]).to(self.device)
        flat = rows.flatten()
        on_device = flat.to(self.device)
        weight = self._weight[on_device].view(share.shape) * share
        x = self._inputs(flat, on_device).view(n_running, self.width, -1)
        return x, self._target[on_device], weight, n_rows.tolist()

    def _store(self, parts: list[Any]) -> Any:
        joined = _joined(parts)
        if joined is not None and (joined.is_sparse or self.device.type == "cpu"):
            return joined
        if sparse.issparse(parts[0]):
            return sparse.vstack(parts, format="csr")
        tensors = [as_tensor(part, self.dtype).flatten(1).to(self.device) for part in parts]
        return torch.cat(tensors)

    def _inputs(self, rows: torch.Tensor, on_device: torch.Tensor) -> torch.Tensor:
        if not isinstance(self._X, torch.Tensor):
            return as_tensor(self._X[rows.numpy()], self.dtype).to(self.device)
        return self._X.index_select(0, on_device)

    def _on_device(self, parts: list[np.ndarray], dtype: torch.dtype) -> torch.Tensor:
        return as_tensor(np.concatenate(parts), dtype).to(self.device)


def _joined(parts: list[Any]) -> RowView | None:
    """Return views of one matrix as one view, whose rows are read batch by batch; else None."""
    if not all(isinstance(part, RowView) and part.source is parts[0].source for part in parts):
        return None
    return RowView(parts[0].source, np.concatenate([part.rows for part in parts]), finite=True)


def _epoch_order(n_rows: int, generator: torch.Generator) -> torch.Tensor:
    """Return the order in which torch's loader would go through the rows, by the same draws."""
    torch.empty((), dtype=torch.int64).random_(generator=generator)  # seed of worker processes
    order = torch.randperm(n_rows, generator=generator)
    torch.randperm(n_rows, generator=generator)  # for rows beyond whole passes; there are none
    return order


def _rates(runs: Sequence[MemberRun]) -> torch.Tensor:
    """Return every network's learning rate at every step, shape (n_steps, n_members, 1)."""
    rates = np.zeros((runs[0].n_steps, len(runs), 1))
    for number, run in enumerate(runs):
        plan = run.plan
        rates[: run.n_steps, number, 0] = learning_rates(plan.lr_schedule, _rate(plan), run.n_steps)
    return torch.from_numpy(rates)


def _rate(plan: TrainingPlan) -> float:
    return float(plan.optimizer_params["lr"])


def _optimizer_name(plan: TrainingPlan) -> str:
    return plan.optimizer.__name__.lower()


def _precision(plan: TrainingPlan) -> Any:
    if plan.autocast is None:
        return nullcontext()
    return torch.autocast(plan.device.type, dtype=plan.autocast)


def _history(run: MemberRun, losses: np.ndarray, seconds: float) -> list[dict[str, Any]]:
    """Return one record an epoch, as skorch keeps them: batches count by their rows."""
    sizes = np.full(run.n_batches, run.batch_size, dtype=np.float64)
    sizes[-1] = len(run.train) - sizes[:-1].sum()
    means = losses.reshape(-1, run.n_batches).astype(np.float64) @ (sizes / sizes.sum())
    for epoch in np.flatnonzero(~np.isfinite(means))[:1]:
        check_still_finite(means[[epoch]], np.zeros(1), int(epoch) + 1, _rate(run.plan))
    return [
        {"epoch": epoch, "train_loss": mean, "dur": seconds}
        for epoch, mean in enumerate(means.tolist(), start=1)
    ]
