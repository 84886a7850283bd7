"""The training run: loss, optimisers, schedules, stopping, callbacks, what is printed."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax
from sklearn.exceptions import NotFittedError
from skorch.callbacks import Callback
from torch import nn

from hierlearn import TorchClassifier
from hierlearn.networks._data import BatchDataset
from hierlearn.networks._skorch import TrainingPlan, train_network

STILL = {"lr": 1e-12, "weight_decay": 0.0}


class Recorder(Callback):
    """Writes down what happens during a run."""

    def __init__(self):
        self.lr, self.sizes, self.states = [], [], []

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.lr.append(net.optimizer_.param_groups[0]["lr"])
            self.sizes.append(len(batch[0]))

    def on_epoch_end(self, net, **kwargs):
        self.states.append(copy.deepcopy(net.module_.state_dict()))


# -- the loss --------------------------------------------------------------------------------------


def test_loss_of_classes_is_the_weighted_cross_entropy(small, blobs):
    X, y = blobs
    weight = np.linspace(0.1, 3, 60)
    clf = small((), max_epochs=1, batch_size=60, **STILL).fit(X, y, sample_weight=weight)
    losses = -log_softmax(clf.decision_function(X), axis=1)[np.arange(60), y]
    assert_allclose(clf.history_[0]["train_loss"], np.average(losses, weights=weight), rtol=1e-5)


def test_loss_of_labels_is_the_mean_over_labels(small, blobs, tags):
    X, _ = blobs
    weight = np.linspace(0.1, 3, 60)
    factor = {0: 1.0, 1: 5.0, 2: 0.5}
    clf = small((), max_epochs=1, batch_size=60, class_weight=factor, **STILL)
    clf.fit(X, tags, sample_weight=weight)
    posterior = clf.predict_proba(X)
    losses = -(tags * [1.0, 5.0, 0.5] * np.log(posterior) + (1 - tags) * np.log(1 - posterior))
    expected = np.average(losses.mean(axis=1), weights=weight)
    assert_allclose(clf.history_[0]["train_loss"], expected, rtol=1e-5)


def test_loss_over_batches_is_that_of_the_whole(small, digits):
    X, y = digits
    weight = np.linspace(0.1, 3, len(y))
    params = {"max_epochs": 1, "dtype": "float64", **STILL}
    whole = small(batch_size=400, **params).fit(X, y, sample_weight=weight)
    parts = small(batch_size=64, **params).fit(X, y, sample_weight=weight)
    assert_allclose(parts.history_[0]["train_loss"], whole.history_[0]["train_loss"], rtol=1e-5)


class InSinglePrecision(nn.CrossEntropyLoss):
    """Sees logits in full precision only."""

    def forward(self, logits, target):
        assert logits.dtype == torch.float32
        return super().forward(logits, target)


def test_mixed_precision_changes_little_and_keeps_the_weights_type(digits):
    X, y = digits[0] / 16, digits[1]

    def train(autocast):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        data = BatchDataset(X, y, np.ones(len(y)), torch.float32)
        plan = TrainingPlan(
            criterion=InSinglePrecision,
            n_outputs=10,
            optimizer=torch.optim.AdamW,
            optimizer_params={"lr": 0.01},
            max_epochs=5,
            batch_size=64,
            lr_schedule="constant",
            patience=None,
            device=torch.device("cpu"),
            autocast=autocast,
            seed=0,
        )
        with torch.random.fork_rng():
            history = train_network(module, data, None, plan)
        return module, history[-1]["train_loss"]

    with torch.random.fork_rng():
        (_, full), (module, mixed) = train(None), train(torch.bfloat16)
    assert module[0].weight.dtype == torch.float32
    assert full != mixed
    assert_allclose(full, mixed, rtol=0.05)


# -- optimisers and schedules ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [
        ("adamw", 0.05),
        ("adam", 0.05),
        ("sgd", 0.2),
        (torch.optim.RMSprop, 0.02),
        (partial(torch.optim.SGD, momentum=0.9, nesterov=True), 0.2),
        (lambda params, lr, weight_decay: torch.optim.LBFGS(params, lr=lr), 0.5),
    ],
    ids=["adamw", "adam", "sgd", "class", "partial", "function"],
)
@pytest.mark.parametrize("lr_schedule", ["one_cycle", "cosine", "constant"])
def test_every_optimiser_and_schedule_learns(small, blobs, optimizer, lr, lr_schedule):
    clf = small(optimizer=optimizer, lr=lr, lr_schedule=lr_schedule, max_epochs=30).fit(*blobs)
    assert clf.score(*blobs) > 0.9
    assert clf.history_[-1]["train_loss"] < clf.history_[0]["train_loss"]


@pytest.mark.parametrize(
    ("params", "changed"),
    [
        ({"optimizer": "sgd", "momentum": 0.0}, True),
        ({"optimizer": "adamw", "momentum": 0.0}, False),
        ({"optimizer": "sgd", "weight_decay": 0.5}, True),
        ({"optimizer": "adamw", "weight_decay": 0.5}, True),
    ],
)
def test_settings_reach_the_optimiser(small, blobs, weights_of, params, changed):
    plain = small(max_epochs=5, optimizer=params["optimizer"]).fit(*blobs)
    other = small(max_epochs=5, **params).fit(*blobs)
    assert np.array_equal(weights_of(plain), weights_of(other)) != changed


def test_schedules_of_the_learning_rate(small, digits):
    rates = {}
    for name in ("constant", "cosine", "one_cycle"):
        recorder = Recorder()
        small(lr_schedule=name, lr=0.02, max_epochs=4, callbacks=[recorder]).fit(*digits)
        rates[name] = np.array(recorder.lr)
    assert {len(rate) for rate in rates.values()} == {4 * 7}
    assert_array_equal(rates["constant"], 0.02)
    assert (np.diff(rates["cosine"]) < 0).all()
    assert rates["cosine"].max() <= 0.02
    assert rates["cosine"][-1] < 0.001
    peak = rates["one_cycle"].argmax()
    assert 0 < peak < 14
    assert_allclose(rates["one_cycle"][peak], 0.02, rtol=0.05)
    assert (np.diff(rates["one_cycle"][: peak + 1]) > 0).all()
    assert (np.diff(rates["one_cycle"][peak:]) < 0).all()
    assert rates["one_cycle"][-1] < 0.001


@pytest.mark.parametrize("lr_schedule", ["one_cycle", "cosine"])
def test_runs_of_few_steps_keep_the_learning_rate(small, blobs, lr_schedule):
    recorder = Recorder()
    small(lr_schedule=lr_schedule, lr=0.02, max_epochs=3, callbacks=[recorder]).fit(*blobs)
    assert recorder.lr == [0.02] * 3


# -- callbacks and records -------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [list, tuple, lambda given: [("mine", given[0])]])
def test_callbacks_are_called(small, digits, weights_of, wrap):
    recorder = Recorder()
    clf = small(max_epochs=2, callbacks=wrap([recorder])).fit(*digits)
    # Every row once an epoch, the last batch being what is left.
    assert recorder.sizes == [64, 64, 64, 64, 64, 64, 16] * 2
    assert len(recorder.states) == 2
    assert_array_equal(weights_of(clf), weights_of(small(max_epochs=2).fit(*digits)))


def test_one_left_over_row_is_left_out_for_batch_normalisation_only(small, digits):
    def normalised(n_features, n_outputs):
        return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_outputs))

    X, y = digits[0][:65], digits[1][:65]
    recorders = Recorder(), Recorder()
    TorchClassifier(normalised, max_epochs=4, callbacks=[recorders[0]]).fit(X, y)
    small(max_epochs=4, callbacks=[recorders[1]]).fit(X, y)
    assert [recorder.sizes for recorder in recorders] == [[64] * 4, [64, 1] * 4]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_history_has_a_record_an_epoch(small, digits, early_stopping):
    clf = small(max_epochs=3, early_stopping=early_stopping).fit(*digits)
    assert [row["epoch"] for row in clf.history_] == [1, 2, 3]
    losses = {"train_loss", "valid_loss"} if early_stopping else {"train_loss"}
    assert all(set(row) == {"epoch", "dur"} | losses for row in clf.history_)


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 0), (2, 3)])
def test_verbose_above_one_prints_a_line_an_epoch(small, blobs, capsys, verbose, lines):
    small(max_epochs=3, verbose=verbose).fit(*blobs)
    printed = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert len(printed) == (lines + 2 if lines else 0)  # and two of heading


# -- early stopping --------------------------------------------------------------------------------


@pytest.fixture
def noisy(digits):
    """Digits, half of them mislabelled: a network that goes on overfits."""
    X, y = digits[0] / 16, digits[1].copy()
    y[::2] = np.random.RandomState(0).randint(10, size=200)
    return X, y


@pytest.mark.parametrize("patience", [3, 100])
def test_early_stopping_keeps_the_best_weights(small, noisy, patience):
    recorder = Recorder()
    clf = small(
        (64,),
        max_epochs=40,
        lr=0.02,
        lr_schedule="constant",
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=patience,
        callbacks=[recorder],
    ).fit(*noisy)
    losses = np.array([row["valid_loss"] for row in clf.history_])
    best = losses.argmin()
    assert len(losses) == min(best + 1 + patience, 40)
    assert best < len(losses) - 1
    for name, value in clf.module_.state_dict().items():
        assert torch.equal(value, recorder.states[best][name])


def test_early_stopping_holds_out_a_stratified_share(small, digits):
    recorder = Recorder()
    small(max_epochs=1, early_stopping=True, validation_fraction=0.25, callbacks=[recorder]).fit(
        *digits
    )
    assert sum(recorder.sizes) == pytest.approx(300, abs=5)


def test_early_stopping_keeps_rare_classes_in_training(small, blobs):
    X, y = blobs[0], blobs[1].copy()
    y[0] = 7
    clf = small(early_stopping=True, validation_fraction=0.5).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2, 7])


def test_early_stopping_needs_something_to_hold_out(small):
    message = (
        r"early_stopping=True needs.* Got classes of one sample only; set early_stopping=False"
    )
    with pytest.raises(ValueError, match=message):
        small(early_stopping=True).fit(np.eye(4), ["a", "b", "c", "d"])


def test_early_stopping_of_label_indicators_keeps_rare_labels_in_training(small, blobs):
    X, rare = blobs[0], np.zeros((60, 3), dtype=int)
    rare[:30, 0], rare[20:, 1], rare[:2, 2] = 1, 1, 1
    recorder = Recorder()
    settings = {"max_epochs": 1, "validation_fraction": 0.5, "callbacks": [recorder]}
    small(early_stopping=True, **settings).fit(X, rare)
    assert sum(recorder.sizes) == 30
    message = "early_stopping=True needs a row whose labels all occur in other rows"
    with pytest.raises(ValueError, match=message):
        small(early_stopping=True).fit(np.eye(4), np.eye(4, dtype=int))


# -- warm start ------------------------------------------------------------------------------------


def test_warm_start_goes_on_and_cold_start_does_not(small, digits, weights_of):
    clf = small(warm_start=True, max_epochs=3, lr=0.01).fit(*digits)
    first, losses = weights_of(clf), [clf.history_[-1]["train_loss"]]
    clf.set_params(max_epochs=1, lr=1e-12).fit(*digits)
    assert_allclose(weights_of(clf), first, atol=1e-8)
    clf.set_params(max_epochs=3, lr=0.01).fit(*digits)
    losses += [clf.history_[0]["train_loss"], clf.history_[-1]["train_loss"]]
    assert losses[0] > losses[1] > losses[2]
    clf.set_params(warm_start=False).fit(*digits)
    assert_array_equal(weights_of(clf), first)


def test_warm_start_refuses_another_problem_and_stays_as_it_was(small, blobs, tags):
    X, y = blobs
    clf = small(warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    for other in (y + 1, np.minimum(y, 1), tags):
        with pytest.raises(ValueError, match=r"warm_start=True needs the classes.*=False"):
            clf.fit(X, other)
    with pytest.raises(ValueError, match=r"X has 4 features.* is expecting 5"):
        clf.fit(X[:, :4], y)
    assert_array_equal(clf.predict_proba(X), before)


def test_warm_start_needs_the_same_shape_of_rows(digits):
    def network(shape, n_outputs):
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, n_outputs))

    X, y = digits[0].reshape(-1, 1, 8, 8), digits[1]
    clf = TorchClassifier(network, warm_start=True, max_epochs=1).fit(X, y)
    message = r"warm_start=True needs the features.*\(1, 8, 8\).*Got \(1, 8, 5\).*warm_start=False"
    with pytest.raises(ValueError, match=message):
        clf.fit(X[..., :5], y)


# -- runs that fail --------------------------------------------------------------------------------

DIVERGING = {"optimizer": "sgd", "lr": 1e12}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_diverging_run_ends_at_once_with_the_remedy(small, digits, early_stopping):
    recorder = Recorder()
    clf = small(**DIVERGING, early_stopping=early_stopping, callbacks=[recorder])
    message = (
        r"training loss must stay finite\. Got (nan|inf) in epoch 1 instead; scale X .*"
        r"StandardScaler.* or lower lr, now 1e\+12"
    )
    with pytest.raises(ValueError, match=message) as error:
        clf.fit(*digits)
    assert "\n" not in str(error.value)
    assert len(recorder.states) <= 1


class Exploding(torch.optim.SGD):
    """Leaves infinite weights behind a finite loss."""

    def step(self, closure=None):
        loss = super().step(closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(torch.inf)
        return loss


def test_weights_that_are_not_finite_are_refused(small, blobs):
    with pytest.raises(ValueError, match=r"training weights must stay finite\. Got inf.*lower lr"):
        small(optimizer=Exploding, max_epochs=1).fit(*blobs)


def test_a_failed_fit_leaves_no_network(small, digits):
    X, y = digits
    clf = small().fit(X, y).set_params(**DIVERGING)
    with pytest.raises(ValueError, match="finite"):
        clf.fit(X, y)
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_a_failed_warm_start_leaves_the_last_network(small, digits):
    X, y = digits
    clf = small(warm_start=True).fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="finite"):
        clf.set_params(**DIVERGING).fit(X, y)
    assert_array_equal(clf.predict_proba(X), before)
