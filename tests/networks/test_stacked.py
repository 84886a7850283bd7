"""Networks trained in one pass end as those trained in turn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import nn

from hierlearn import (
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
    TorchClassifier,
    TorchMLPClassifier,
)
from hierlearn.networks import stacked
from hierlearn.networks._stacked_chain import StackedChain, chain_shape
from hierlearn.networks._stacked_optim import learning_rates
from hierlearn.networks._stacked_run import member_run
from hierlearn.networks.branching import split_classifier
from hierlearn.networks.stacked import can_stack, fit_stacked, plan_stacks

MLP = TorchMLPClassifier((8,), max_epochs=1)
SIZES = [(250, 5), (301, 4), (130, 7), (40, 3), (257, 2), (500, 5)]


def noisy(n_rows, n_classes, seed, n_features=16):
    random = np.random.RandomState(seed)
    X = random.standard_normal((n_rows, n_features))
    scores = X @ random.standard_normal((n_features, n_classes))
    return X, (scores + random.standard_normal(scores.shape)).argmax(axis=1)


@pytest.fixture(scope="module")
def datasets():
    return [noisy(*size, seed) for seed, size in enumerate(SIZES)]


def seeded(template, n_members=6):
    return [clone(template).set_params(random_state=seed) for seed in range(n_members)]


def in_turn(template, datasets):
    members = seeded(template, len(datasets))
    return [member.fit(*data) for member, data in zip(members, datasets, strict=True)]


def assert_same(members, others, rtol):
    for one, other in zip(members, others, strict=True):
        assert np.array_equal(one.classes_, other.classes_)
        pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
        for own, wanted in pairs:
            scale = float(wanted.detach().abs().max())
            torch.testing.assert_close(own, wanted, rtol=rtol, atol=rtol * scale)
        losses = [[row["train_loss"] for row in clf.history_] for clf in (one, other)]
        np.testing.assert_allclose(*losses, rtol=rtol)


@pytest.fixture
def counted(monkeypatch):
    """Note the size of every stack that is trained."""
    sizes = []

    def spy(runs):
        sizes.append(len(runs))
        return together(runs)

    together = stacked.train_together
    monkeypatch.setattr(stacked, "train_together", spy)
    return sizes


SETTINGS = {
    "adamw": {},
    "adam": {"optimizer": "adam", "activation": "tanh", "lr_schedule": "cosine"},
    "sgd": {"optimizer": "sgd", "lr": 0.05, "lr_schedule": "constant"},
    "no momentum": {"optimizer": "sgd", "lr": 0.05, "momentum": 0.0, "weight_decay": 0.0},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "small batches": {"batch_size": 7, "max_epochs": 2, "activation": "gelu"},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "balanced": {"class_weight": "balanced", "activation": "logistic"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-4)])
def test_weights_and_losses_are_those_of_training_alone(datasets, settings, dtype, rtol):
    params = {"hidden_layer_sizes": (25, 10), "max_epochs": 6, **settings}
    template = TorchMLPClassifier(dtype=dtype, **params)
    assert_same(fit_stacked(seeded(template), datasets), in_turn(template, datasets), rtol)


def test_networks_of_like_size_make_one_stack(datasets, counted):
    fit_stacked(seeded(TorchMLPClassifier((25, 10), max_epochs=1)), datasets)
    # The forty rows fit in one batch, so that network is of double precision.
    assert sorted(counted) == [1, 5]


@pytest.mark.parametrize("as_sparse", [False, True])
def test_sample_weights_and_sparse_rows(datasets, as_sparse):
    given = [
        (sparse.csr_array(X) if as_sparse else X, y, np.arange(len(y)) % 3) for X, y in datasets
    ]
    template = TorchMLPClassifier((8,), max_epochs=3, dtype="float64")
    assert_same(fit_stacked(seeded(template), given), in_turn(template, given), 1e-9)


def test_branches_of_one_network(datasets):
    X, y = noisy(600, 8, seed=9)
    network = TorchMLPClassifier((24, 12), max_epochs=2, random_state=0).fit(X, y)
    split = split_classifier(network, "hidden1")
    features = split.features(X)
    parts = [np.isin(y, part) for part in ([0, 1, 2], [3, 4], [5, 6, 7])]
    given = [(features[rows], y[rows]) for rows in parts]
    template = split.branch(4)
    assert_same(fit_stacked(seeded(template, 3), given), in_turn(template, given), 1e-4)


def flat_images(shape, n_outputs, bias=True):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 6, bias=bias), nn.ELU(), nn.Linear(6, n_outputs)
    )


@pytest.mark.parametrize("bias", [True, False])
def test_flattened_images_and_layers_without_bias(bias, counted):
    random = np.random.RandomState(0)
    given = [(random.standard_normal((90, 3, 2, 2)), np.arange(90) % 3) for _ in range(3)]
    template = TorchClassifier(
        flat_images, module_params={"bias": bias}, max_epochs=2, dtype="float64"
    )
    assert_same(fit_stacked(seeded(template, 3), given), in_turn(template, given), 1e-9)
    assert counted == [3]


def normalised(n_features, n_outputs):
    return nn.Sequential(
        nn.Linear(n_features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, n_outputs)
    )


ALONE = {
    "normalised": TorchClassifier(normalised, max_epochs=2),
    "early stopping": TorchMLPClassifier((8,), max_epochs=3, early_stopping=True),
    "callback": TorchMLPClassifier((8,), max_epochs=2, callbacks=[("own", Callback())]),
    "sampled softmax": SampledSoftmaxClassifier((8,), n_negatives=2, max_epochs=2),
    "two-level softmax": PartitionSoftmaxClassifier((8,), n_clusters=2, max_epochs=2),
    "own optimiser": TorchMLPClassifier((8,), max_epochs=2, optimizer=torch.optim.NAdam),
}


@pytest.mark.parametrize("template", ALONE.values(), ids=ALONE)
def test_what_cannot_be_stacked_is_trained_alone(datasets, template, counted):
    assert_same(fit_stacked(seeded(template), datasets), in_turn(template, datasets), 0)
    assert counted == []


def test_large_networks_are_trained_alone(datasets, counted, monkeypatch):
    monkeypatch.setitem(stacked._MEMBER_WEIGHTS, "cpu", 100)
    template = TorchMLPClassifier((8,), max_epochs=2, dropout=0.2)
    assert_same(fit_stacked(seeded(template), datasets), in_turn(template, datasets), 0)
    assert counted == []


def test_labels_are_trained_alone(counted):
    random = np.random.RandomState(0)
    given = [(random.standard_normal((80, 5)), random.randint(2, size=(80, 3))) for _ in range(2)]
    template = TorchMLPClassifier((8,), max_epochs=2)
    assert_same(fit_stacked(seeded(template, 2), given), in_turn(template, given), 0)
    assert counted == []


@pytest.mark.parametrize("limit", ["_STACK_WEIGHTS", "_STACK_INPUTS"])
def test_stacks_are_small_enough(datasets, counted, monkeypatch, limit):
    bound = 800 if limit == "_STACK_WEIGHTS" else 9000
    monkeypatch.setattr(stacked, limit, {"cpu": bound} if "WEIGHTS" in limit else bound)
    template = TorchMLPClassifier((16,), max_epochs=1, dtype="float64")
    members = fit_stacked(seeded(template), datasets)
    assert len(counted) > 1
    assert max(counted) < len(datasets)
    assert_same(members, in_turn(template, datasets), 1e-9)


def test_result_does_not_depend_on_n_jobs(datasets, monkeypatch):
    monkeypatch.setattr(stacked, "_STACK_WEIGHTS", {"cpu": 800})
    template = TorchMLPClassifier((16,), max_epochs=2)
    with parallel_config(backend="threading"):
        one, two = (fit_stacked(seeded(template), datasets, n_jobs=n_jobs) for n_jobs in (1, 2))
    for alone, beside in zip(one, two, strict=True):
        assert all(map(torch.equal, alone.module_.parameters(), beside.module_.parameters()))


def test_global_random_state_is_left_alone(datasets):
    before = torch.get_rng_state()
    fit_stacked(seeded(TorchMLPClassifier((8,), max_epochs=1, dropout=0.5)), datasets)
    assert torch.equal(torch.get_rng_state(), before)


def test_fitted_members_answer_as_any_classifier(datasets):
    template = TorchMLPClassifier((8,), max_epochs=3)
    labelled = [(X, np.array([f"class {code}" for code in y])) for X, y in datasets]
    for clf, (X, y) in zip(fit_stacked(seeded(template), labelled), labelled, strict=True):
        assert clf.n_features_in_ == 16
        assert set(clf.predict(X)) <= set(y)
        assert not clf.module_.training
        assert [row["epoch"] for row in clf.history_] == [1, 2, 3]
        assert all(parameter.grad is None for parameter in clf.module_.parameters())


def test_diverged_member_is_named_by_its_epoch(datasets):
    template = TorchMLPClassifier((8,), optimizer="sgd", lr=1e25, max_epochs=5)
    with pytest.raises(ValueError, match=r"must stay finite.* in epoch \d.*lower lr, now 1e\+25"):
        fit_stacked(seeded(template), datasets)


@pytest.mark.parametrize("template", [TorchMLPClassifier(lr=-1), TorchMLPClassifier(max_epochs=0)])
def test_parameters_are_checked(datasets, template):
    with pytest.raises(ValueError, match="must be a"):
        fit_stacked(seeded(template), datasets)


def test_bad_rows_are_refused_as_by_fit(datasets):
    X, y = datasets[0]
    fits = (lambda bad: TorchMLPClassifier().fit(*bad)), (lambda bad: fit_stacked([MLP], [bad]))
    for bad in ((np.where(X > 2, np.nan, X), y), (X, np.zeros(len(y))), (X, y[1:])):
        messages = []
        for fit in fits:
            with pytest.raises(ValueError, match=r"must|Found") as caught:
                fit(bad)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]


def test_every_member_needs_its_data():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        fit_stacked(seeded(MLP, 2), [noisy(40, 3, 0)])


@pytest.mark.parametrize("n_steps", [1, 3, 4, 5, 17, 100])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_learning_rates_are_those_of_torch(schedule, n_steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    policies = torch.optim.lr_scheduler
    policy = None
    if n_steps >= 4 and schedule == "one_cycle":
        policy = policies.OneCycleLR(optimizer, 0.3, total_steps=n_steps, cycle_momentum=False)
    elif n_steps >= 4 and schedule == "cosine":
        policy = policies.CosineAnnealingLR(optimizer, T_max=n_steps)
    expected = []
    for _ in range(n_steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if policy is not None:
            policy.step()
    np.testing.assert_allclose(learning_rates(schedule, 0.3, n_steps), expected, rtol=1e-9)


def hooked():
    chain = nn.Sequential(nn.Linear(3, 2))
    chain[0].register_forward_hook(lambda *_: None)
    return chain


def shared():
    layer = nn.Linear(3, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


def frozen():
    chain = nn.Sequential(nn.Linear(3, 2))
    chain[0].weight.requires_grad_(False)
    return chain


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 2),
        nn.Sequential(nn.Linear(3, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(3, 2), nn.Flatten(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(3, 2), nn.PReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 2)),
        hooked(),
        shared(),
        frozen(),
    ],
    ids=str,
)
def test_what_is_no_chain_of_linear_layers_has_no_shape(module):
    assert chain_shape(module) is None


def test_stacked_forward_is_each_networks_own():
    modules = [nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, k)) for k in (2, 4, 3)]
    stack = StackedChain(modules)
    x = torch.randn(3, 6, 4)
    logits = stack.forward(stack.views(3), x)
    for own, module, rows in zip(logits, modules, x, strict=True):
        wanted = module(rows)
        torch.testing.assert_close(own[:, : wanted.shape[1]], wanted)
        assert (own[:, wanted.shape[1] :] == -torch.inf).all()


def test_nothing_to_fit():
    assert fit_stacked([], []) == []
    assert plan_stacks([]) == []
    assert not can_stack("no estimator")


def test_a_stack_is_trained_on_the_device_of_its_worker(datasets):
    estimator = clone(MLP).set_params(random_state=0)
    run = member_run(estimator, *estimator._begin(*datasets[0]))
    from_elsewhere = replace(run, plan=replace(run.plan, device=torch.device("cuda:7")))
    assert from_elsewhere.here().plan.device == run.plan.device
    assert run.here() is run
