"""The adapter to skorch: the one file that imports it.

skorch owns the training loop (batches, validation, callbacks, learning-rate schedules); what makes
its networks scikit-learn classifiers to the letter (validation, labels, weights, seeds) is ours and
lies in :mod:`hierlearn.networks.classifier`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    LRScheduler,
    PassthroughScoring,
    PrintLog,
)
from skorch.helper import SliceDataset
from skorch.utils import to_device

from .. import _caching, _progress
from ._data import BatchDataset

__all__ = ["SliceDataset", "TrainingPlan", "check_still_finite", "train_network"]

# Fewer steps than this leave a one-cycle schedule no room to rise and fall.
MIN_ONE_CYCLE_STEPS = 4
# Checkpoints may take up to this share of the time.
_CHECKPOINT_SHARE = 0.05
_RECORDED = ("epoch", "train_loss", "auxiliary_loss", "valid_loss", "dur")


@dataclass(frozen=True)
class TrainingPlan:
    """Everything about a training run but the module and the data.

    Parameters
    ----------
    criterion : callable
        Class of a torch loss, or what makes one. Called with ``reduction="none"``.
    n_outputs : int
        Columns that the network's output must have.
    optimizer : type of torch optimiser
        The optimiser class.
    optimizer_params : dict
        Its arguments, learning rate included.
    max_epochs, batch_size : int
        Length of the run and rows a step.
    lr_schedule : {"one_cycle", "cosine", "constant"}
        How the learning rate moves over the run.
    patience : int or None
        Epochs without a better validation loss until the run stops; None never stops early.
    device : torch.device
        Where the run takes place.
    autocast : torch.dtype or None
        Type of mixed precision.
    seed : int
        Seed of the batch order.
    callbacks : sequence
        Further skorch callbacks.
    verbose : int
        Print a line an epoch when positive: one less than an estimator's.
    pos_weight : ndarray of shape (n_outputs,) or None
        Factors on the loss of each label's positives.
    augment : callable or None
        From a batch of inputs, on the device, to a changed one; in training only.
    auxiliary : callable or None
        From a batch's targets and weights, after the network has run, to what auxiliary heads add
        to its loss and what is to be recorded of them; in training only.
    """

    criterion: Callable[..., torch.nn.Module]
    n_outputs: int
    optimizer: type[torch.optim.Optimizer]
    optimizer_params: dict[str, Any]
    max_epochs: int
    batch_size: int
    lr_schedule: str
    patience: int | None
    device: torch.device
    autocast: torch.dtype | None
    seed: int
    callbacks: Sequence[Any] = ()
    verbose: int = 0
    pos_weight: np.ndarray | None = None
    augment: Callable[[torch.Tensor], torch.Tensor] | None = None
    auxiliary: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None


class _WeightedNet(NeuralNet):
    """A skorch net whose targets carry sample weights and which may run in mixed precision."""

    def __init__(
        self,
        *args: Any,
        n_outputs: int,
        autocast: torch.dtype | None = None,
        augment: Callable[[torch.Tensor], torch.Tensor] | None = None,
        auxiliary: Callable[..., tuple[torch.Tensor, torch.Tensor]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.n_outputs = n_outputs
        self.autocast = autocast
        self.augment = augment
        self.auxiliary = auxiliary
        self.interrupted = False
        super().__init__(*args, **kwargs)

    def infer(self, x: Any, **fit_params: Any) -> torch.Tensor:
        """Propagate a batch, changed in training, in mixed precision where the plan says so."""
        if self.augment is not None and self.module_.training:
            x = self.augment(to_device(x, self.device))
        if self.autocast is None:
            return super().infer(x, **fit_params)
        with torch.autocast(torch.device(self.device).type, dtype=self.autocast):
            output = super().infer(x, **fit_params)
        return output.float()

    def get_loss(
        self, y_pred: torch.Tensor, y_true: Any, X: Any = None, training: bool = False
    ) -> torch.Tensor:
        """Return the weighted mean loss of a batch; weights have mean one over the data."""
        target, weight, *soft = to_device(y_true, self.device)
        wanted = (len(weight), self.n_outputs)
        got = getattr(y_pred, "shape", type(y_pred).__name__)
        if got != wanted:
            raise ValueError(
                f"module must map {wanted[0]} rows to logits of shape {wanted}, (n_samples, "
                f"n_outputs). Got {got if isinstance(got, str) else tuple(got)} instead; give its "
                "last layer n_outputs units."
            )
        loss = self.criterion_(y_pred, target, *soft)
        if loss.ndim > 1:
            loss = loss.mean(dim=1)
        loss = (loss * weight).mean()
        if self.auxiliary is None or not training:
            return loss
        added, shown = self.auxiliary(target, weight)
        self.history.record_batch("auxiliary_loss", shown.item())
        return loss + (added - added.detach())  # its gradient; what is recorded is the network's

    def fit_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and note whether it was not a callback that ended it early.

        skorch takes an interrupt from the keyboard for a wish to stop, as its callbacks have.
        """
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt as stop:
            raised = stop.__traceback__
            while raised is not None and raised.tb_next is not None:
                raised = raised.tb_next
            by = None if raised is None else raised.tb_frame.f_locals.get("self")
            self.interrupted = not isinstance(by, Callback)
            raise


class _StopOnNonFinite(Callback):
    """End a diverged run at once, with the remedy, instead of returning a useless network."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        losses = np.ravel(net.history[-1, "batches", :, "train_loss"])
        sizes = [p.detach().abs().max() for p in net.module_.parameters() if p.numel()]
        weights = torch.stack(sizes).cpu().numpy() if sizes else np.zeros(1)
        check_still_finite(losses, weights, len(net.history), net.optimizer__lr)


def check_still_finite(losses: np.ndarray, weights: np.ndarray, epoch: int, lr: float) -> None:
    """Refuse to go on from an epoch whose losses or weights are not finite, with the remedy."""
    for name, values in (("loss", losses), ("weights", weights)):
        if not np.isfinite(values).all():
            raise ValueError(
                f"The training {name} must stay finite. Got {values[~np.isfinite(values)][0]} in "
                f"epoch {epoch} instead; scale X (e.g. with StandardScaler) or lower lr, now "
                f"{lr:g}."
            )


class _TellsEpochs(Callback):
    """Say how far the training is, where a fit around it shows progress."""

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        _progress.count(len(net.history))


class _FixedSplit:
    """Hand skorch the validation part that was split off before."""

    def __init__(self, valid: BatchDataset) -> None:
        self.valid = valid

    def __call__(self, dataset: Any, y: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        return dataset, self.valid


class _Resumable(Checkpoint):
    """Save now and then all that the rest of the training depends on, and go on from there.

    skorch's own checkpoint holds weights, optimiser and history. The same training to the last bit
    takes more: random states (batch order, dropout, augmentation), the schedule's and early
    stopping's memory, and the best weights so far. Put last among the callbacks.
    """

    def __init__(self, slot: Any) -> None:
        super().__init__(monitor=self._is_due, event_name=None)
        self.slot = slot

    def initialize(self) -> _Resumable:
        return self  # there are no files of skorch's

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        self._wait(0.0)
        state = self.slot.load()
        if state is not None:
            _restore(net, state)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        # Other networks of the same part may follow, which a restart goes on with.
        if not net.interrupted and self._is_due(net):
            self.slot.save(_state_of(net, done=True))

    def save_model(self, net: Any) -> None:
        start = time.monotonic()
        self.slot.save(_state_of(net))
        self._wait((time.monotonic() - start) / _CHECKPOINT_SHARE)

    def _is_due(self, net: Any) -> bool:
        return time.monotonic() >= self._due

    def _wait(self, seconds: float) -> None:
        self._due = time.monotonic() + max(seconds, _caching.CHECKPOINT_SECONDS)


def _callback(net: Any, kind: type) -> Any:
    return next((callback for _, callback in net.callbacks_ if isinstance(callback, kind)), None)


def _memory_of(stopping: Any) -> dict[str, Any]:
    """Return what early stopping has seen so far."""
    return {name: value for name, value in vars(stopping).items() if name.endswith("_")}


def _moved(held: Any, device: torch.device) -> Any:
    """Return the same with its tensors on a device."""
    if isinstance(held, torch.Tensor):
        return held.to(device)
    if isinstance(held, dict):
        return {name: _moved(value, device) for name, value in held.items()}
    return [_moved(value, device) for value in held] if isinstance(held, list) else held


def _state_of(net: Any, done: bool = False) -> dict[str, Any]:
    """Return all that the epochs to come depend on, on the CPU."""
    scheduler, stopping = _callback(net, LRScheduler), _callback(net, EarlyStopping)
    device = torch.device(net.device)
    state = {
        "done": done,
        "history": [{name: row[name] for name in _RECORDED if name in row} for row in net.history],
        "module": net.module_.state_dict(),
        "criterion": net.criterion_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "scheduler": None if scheduler is None else scheduler.lr_scheduler_.state_dict(),
        "stopping": None if stopping is None else _memory_of(stopping),
        "order": net.iterator_train__generator.get_state(),
        "random": torch.default_generator.get_state(),
        "random_device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }
    return _moved(state, torch.device("cpu"))


def _restore(net: Any, state: dict[str, Any]) -> None:
    """Bring a net that is about to begin to where it was saved."""
    device = torch.device(net.device)
    net.module_.load_state_dict(state["module"])
    net.criterion_.load_state_dict(state["criterion"])
    net.optimizer_.load_state_dict(state["optimizer"])
    for row in state["history"]:
        net.history.new_epoch()
        for name, value in row.items():
            net.history.record(name, value)
    if state["scheduler"] is not None:
        _callback(net, LRScheduler).lr_scheduler_.load_state_dict(state["scheduler"])
    if state["stopping"] is not None:
        vars(_callback(net, EarlyStopping)).update(_moved(state["stopping"], device))
    net.max_epochs = 0 if state["done"] else net.max_epochs - len(state["history"])
    net.iterator_train__generator.set_state(state["order"])
    torch.default_generator.set_state(state["random"])
    if state["random_device"] is not None:
        torch.cuda.set_rng_state(state["random_device"], device)


def _schedule(plan: TrainingPlan, n_batches: int) -> list[tuple[str, Callback]]:
    """Return the learning-rate schedule as skorch callbacks, stepped after every batch."""
    steps = plan.max_epochs * n_batches
    if plan.lr_schedule == "constant" or steps < MIN_ONE_CYCLE_STEPS:
        return []
    policies = torch.optim.lr_scheduler
    if plan.lr_schedule == "cosine":
        scheduler = LRScheduler(policies.CosineAnnealingLR, T_max=steps, step_every="batch")
    else:
        scheduler = LRScheduler(
            policies.OneCycleLR,
            max_lr=_peak_rates(plan),
            total_steps=steps,
            cycle_momentum=False,
            step_every="batch",
        )
    return [("lr_schedule", scheduler)]


def _peak_rates(plan: TrainingPlan) -> float | list[float]:
    """Return the learning rate, or one for each group of parameters, the rest in the last."""
    groups = plan.optimizer_params.get("param_groups", ())
    rate = plan.optimizer_params["lr"]
    return [*(group["lr"] for _, group in groups), rate] if groups else rate


def _callbacks(plan: TrainingPlan, n_batches: int, has_valid: bool) -> list[Any]:
    callbacks: list[Any] = [("finite_loss", _StopOnNonFinite()), *_schedule(plan, n_batches)]
    if _progress.is_told():
        callbacks.append(("progress", _TellsEpochs()))
    if plan.auxiliary is not None:
        mean = PassthroughScoring("auxiliary_loss", lower_is_better=None, on_train=True)
        callbacks.append(("auxiliary_loss", mean))
    if has_valid and plan.patience is not None:
        stop = EarlyStopping(patience=plan.patience, load_best=True, sink=lambda message: None)
        callbacks.append(("early_stopping", stop))
    slot = _caching.next_checkpoint()
    if slot is None or plan.callbacks:  # what the user's remember is not known
        return [*callbacks, *plan.callbacks]
    return [*callbacks, ("resumable", _Resumable(slot))]


def _drops_last(module: torch.nn.Module, n_samples: int, batch_size: int) -> bool:
    """Tell whether a last batch of one row is left out, as batch normalisation needs two."""
    normalised = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)
    return n_samples % batch_size == 1 < n_samples and any(
        isinstance(layer, normalised) for layer in module.modules()
    )


def _identity(batch: Any) -> Any:
    return batch


def train_network(
    module: torch.nn.Module,
    train: BatchDataset,
    valid: BatchDataset | None,
    plan: TrainingPlan,
) -> list[dict[str, Any]]:
    """Train ``module`` in place and return one record an epoch.

    Parameters
    ----------
    module : torch.nn.Module
        Network to train; its parameters are changed in place.
    train : BatchDataset
        Rows to learn from.
    valid : BatchDataset or None
        Rows to stop by, or None.
    plan : TrainingPlan
        How to train.

    Returns
    -------
    list of dict
        ``epoch``, ``train_loss``, ``dur`` (seconds) and, with ``valid``, ``valid_loss``, with
        auxiliary heads ``auxiliary_loss``.
    """
    criterion: dict[str, Any] = {"criterion__reduction": "none"}
    if plan.pos_weight is not None:
        criterion["criterion__pos_weight"] = torch.as_tensor(plan.pos_weight, dtype=train.dtype)
    drop_last = _drops_last(module, len(train), plan.batch_size)
    n_batches = -(-len(train) // plan.batch_size) - drop_last
    net = _WeightedNet(
        module,
        n_outputs=plan.n_outputs,
        criterion=plan.criterion,
        optimizer=plan.optimizer,
        **{f"optimizer__{name}": value for name, value in plan.optimizer_params.items()},
        **criterion,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        iterator_train__shuffle=True,
        iterator_train__generator=torch.Generator().manual_seed(plan.seed),
        iterator_train__collate_fn=_identity,
        iterator_train__drop_last=drop_last,
        iterator_valid__collate_fn=_identity,
        train_split=None if valid is None else _FixedSplit(valid),
        callbacks=_callbacks(plan, n_batches, valid is not None),
        callbacks__print_log=None if plan.verbose <= 0 else PrintLog(),
        device=str(plan.device),
        autocast=plan.autocast,
        augment=plan.augment,
        auxiliary=plan.auxiliary,
        verbose=plan.verbose,
    )
    with _progress.counting(plan.max_epochs, "epochs"):
        net.fit(train, None)
    if net.interrupted and _caching.is_keeping():
        raise KeyboardInterrupt  # or half a training would be kept as a whole one
    keys = [key for key in _RECORDED if key in net.history[-1]]
    return [{key: row[key] for key in keys} for row in net.history]
