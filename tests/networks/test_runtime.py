"""Devices, threads, random states and files: nothing global moves, nothing global matters."""

import io
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from hierlearn import TorchMLPClassifier
from hierlearn.networks import BranchClassifier, forward
from hierlearn.networks._runtime import autocast_dtype, isolated, resolve_device, threads

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.fixture
def two_threads():
    """Let torch have two threads during the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def stochastic(small):
    """Build a network that draws all kinds of random numbers during fit."""

    def build(**params):
        return small(**{"dropout": 0.3, "max_epochs": 3, "early_stopping": True, **params})

    return build


def global_state():
    return (
        torch.get_rng_state().tolist(),
        [np.asarray(part).tolist() for part in np.random.get_state()],  # noqa: NPY002
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


# -- reproducibility -------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights(stochastic, digits, weights_of):
    first, second = stochastic().fit(*digits), stochastic().fit(*digits)
    assert_array_equal(weights_of(first), weights_of(second))
    other = stochastic(random_state=1).fit(*digits)
    assert not np.allclose(weights_of(first), weights_of(other))


def test_generators_as_seeds_move_on(stochastic, digits, weights_of):
    clf = stochastic(random_state=np.random.RandomState(5))
    first, second = weights_of(clf.fit(*digits)), weights_of(clf.fit(*digits))
    again = stochastic(random_state=np.random.RandomState(5)).fit(*digits)
    assert_array_equal(first, weights_of(again))
    assert not np.allclose(first, second)


def test_without_seed_every_fit_differs(stochastic, digits, weights_of):
    clf = stochastic(random_state=None)
    assert not np.allclose(weights_of(clf.fit(*digits)), weights_of(clf.fit(*digits)))


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_parallel_fits_equal_plain_ones(stochastic, digits, weights_of, backend):
    models = [stochastic(random_state=seed) for seed in range(4)]
    with parallel_config(backend):
        fitted = Parallel(n_jobs=2)(delayed(clone(clf).fit)(*digits) for clf in models)
    for clf, parallel in zip(models, fitted, strict=True):
        assert_array_equal(weights_of(parallel), weights_of(clf.fit(*digits)))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_finds_the_same_weights(stochastic, digits, weights_of, n_jobs):
    X, y = digits
    grid = {"dropout": [0.0, 0.3]}
    search = GridSearchCV(stochastic(), grid, cv=2, n_jobs=n_jobs).fit(X, y)
    plain = stochastic(dropout=search.best_params_["dropout"]).fit(X, y)
    assert_array_equal(weights_of(search.best_estimator_), weights_of(plain))
    half = np.arange(len(y)) % 2 == 0
    split = [(np.flatnonzero(half), np.flatnonzero(~half))]
    score = GridSearchCV(stochastic(), grid, cv=split, n_jobs=n_jobs).fit(X, y).cv_results_
    by_hand = [
        stochastic(dropout=dropout).fit(X[half], y[half]).score(X[~half], y[~half])
        for dropout in grid["dropout"]
    ]
    assert_array_equal(score["mean_test_score"], by_hand)


def test_threads_around_a_fit_do_not_matter(digits, weights_of, two_threads):
    X, y = digits
    around = TorchMLPClassifier(max_epochs=1, random_state=0).fit(X, y)
    torch.set_num_threads(1)
    plain = TorchMLPClassifier(max_epochs=1, random_state=0).fit(X, y)
    assert_array_equal(weights_of(around), weights_of(plain))


def test_threads_of_its_own_hardly_matter(digits, weights_of):
    X, y = digits
    one = TorchMLPClassifier(max_epochs=1, n_jobs=1, random_state=0).fit(X, y)
    two = TorchMLPClassifier(max_epochs=1, n_jobs=2, random_state=0).fit(X, y)
    assert_allclose(weights_of(one), weights_of(two), atol=1e-4)
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_global_state_is_left_as_it_was(stochastic, digits, two_threads, random_state, n_jobs):
    before = global_state()
    clf = stochastic(random_state=random_state, n_jobs=n_jobs, max_epochs=1).fit(*digits)
    assert global_state() == before
    clf.predict_proba(digits[0])
    assert global_state() == before


def test_global_state_survives_a_fit_that_fails(small, digits, two_threads):
    before = global_state()
    with pytest.raises(ValueError, match="finite"):
        small(optimizer="sgd", lr=1e12).fit(*digits)
    assert global_state() == before


def test_a_fit_on_the_cpu_seeds_no_gpu(small, blobs, monkeypatch):
    seeded = []
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, seeded.append)
    small(max_epochs=1, device="cpu").fit(*blobs)
    assert seeded == []


def test_isolated_seeds_inside_and_restores_outside():
    before = torch.get_rng_state()
    with isolated(3, CPU):
        first = torch.rand(4)
    with isolated(3, CPU):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("n_jobs", "inside"), [(None, 1), (1, 1), (2, 2)])
def test_threads_are_set_and_restored(two_threads, n_jobs, inside):
    with threads(n_jobs):
        assert torch.get_num_threads() == inside
    assert torch.get_num_threads() == 2

    with pytest.raises(KeyError), threads(n_jobs):
        raise KeyError
    assert torch.get_num_threads() == 2


def test_threads_do_not_follow_joblibs_configuration(two_threads):
    with parallel_config("threading", n_jobs=2), threads(None):
        assert torch.get_num_threads() == 1


# -- devices ---------------------------------------------------------------------------------------


def test_devices_without_gpu(no_gpu):
    assert resolve_device("auto") == resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match=r"device='cuda' needs CUDA.* 0 GPUs. Use 'auto' or 'cpu'"):
        resolve_device("cuda")


def test_devices_with_gpus(two_gpus):
    assert resolve_device("auto") == torch.device("cuda")
    assert resolve_device("cuda:1") == torch.device("cuda:1")
    assert resolve_device("cpu") == CPU
    with pytest.raises(ValueError, match=r"device='cuda:2'.* 2 GPUs. Use 'auto' or 'cpu'"):
        resolve_device("cuda:2")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "meta", "mps"])
def test_unknown_devices_list_the_choices(small, blobs, device):
    message = rf"device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'\. Got '{device}' instead"
    with pytest.raises(ValueError, match=message):
        small(device=device).fit(*blobs)


def test_a_model_for_a_gpu_predicts_without_one(small, blobs, no_gpu):
    X, y = blobs
    clf = small().fit(X, y)
    expected = clf.predict_proba(X)
    clf.set_params(device="cuda")
    with pytest.warns(UserWarning, match="device='cuda' is not available.*predicting on the CPU"):
        assert_array_equal(clf.predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"device='cuda' needs CUDA.*Use 'auto' or 'cpu'"):
        clf.fit(X, y)


@pytest.mark.parametrize(
    ("device", "wanted", "supported", "expected"),
    [
        ("cuda", True, True, torch.bfloat16),
        ("cuda", False, True, None),
        ("cuda", True, False, None),
        ("cpu", True, True, None),
    ],
)
def test_mixed_precision_on_gpus_that_have_it(monkeypatch, device, wanted, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert autocast_dtype(torch.device(device), wanted) == expected


# -- files -----------------------------------------------------------------------------------------


def test_round_trips_through_files(small, blobs, tags, tmp_path):
    X, y = blobs
    models = {
        "many": small().fit(X, y),
        "strings": small().fit(X, np.array(["ape", "bee", "cat"])[y]),
        "labels": small(early_stopping=True).fit(X, tags),
    }
    expected = {name: clf.predict_proba(X) for name, clf in models.items()}
    for name, clf in models.items():
        again = pickle.loads(pickle.dumps(clf))
        assert again.get_params() == clf.get_params()
        assert_array_equal(again.predict_proba(X), expected[name])
        assert_array_equal(clf.predict_proba(X), expected[name])
    joblib.dump((models, X), tmp_path / "models.joblib")
    script = (
        "import joblib, sys; models, X = joblib.load(sys.argv[1]);"
        "joblib.dump({k: (m.predict_proba(X), m.predict(X)) for k, m in models.items()},"
        "sys.argv[2])"
    )
    paths = [str(tmp_path / "models.joblib"), str(tmp_path / "found.joblib")]
    run_fresh(script, *paths)
    for name, (posterior, predicted) in joblib.load(paths[1]).items():
        assert_array_equal(posterior, expected[name])
        assert_array_equal(predicted, models[name].predict(X))


def run_fresh(script, *arguments, **environment):
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        check=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_warm_start_goes_on_after_a_round_trip(small, digits, weights_of):
    clf = small(max_epochs=1, warm_start=True).fit(*digits)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(weights_of(again.fit(*digits)), weights_of(clf.fit(*digits)))


class Travelling(nn.Sequential):
    """A network that knows where it was last sent."""

    where = "elsewhere"

    def cpu(self):
        self.where = "cpu"
        return super().cpu()


def test_every_network_of_an_estimator_is_stored_from_the_cpu(small, blobs):
    X, y = blobs
    clf = small().fit(X, y)
    clf.module_ = Travelling(*clf.module_)
    branch = BranchClassifier(Travelling(nn.Linear(5, 3)), np.arange(3), max_epochs=1).fit(X, y)
    assert pickle.loads(pickle.dumps(clf)).module_.where == "cpu"
    assert pickle.loads(pickle.dumps(branch)).head.where == "cpu"


def test_networks_that_share_layers_share_them_in_the_file(small, blobs):
    clf = small().fit(*blobs)
    head = nn.Sequential(*list(clf.module_)[1:])
    branch = BranchClassifier(head, clf.classes_, max_epochs=1)
    base, copied = pickle.loads(pickle.dumps((clf, branch)))
    assert copied.head[-1] is base.module_.output


# -- on a real GPU ---------------------------------------------------------------------------------


@needs_gpu
def test_gpu_and_cpu_agree(digits):
    X, y = digits
    params = {"hidden_layer_sizes": (32,), "max_epochs": 15, "lr": 0.01, "random_state": 0}
    scores = [
        TorchMLPClassifier(**params, device=device, mixed_precision=mixed).fit(X, y).score(X, y)
        for device, mixed in [("cpu", False), ("cuda", False), ("cuda:0", True)]
    ]
    assert min(scores) > 0.9
    clf = TorchMLPClassifier(**params, device="cuda").fit(X, y)
    on_gpu = clf.predict_proba(X)
    assert_allclose(clf.set_params(device="cpu").predict_proba(X), on_gpu, atol=1e-3)


@needs_gpu
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_fit_leaves_the_gpus_random_state(small, digits, device):
    before = torch.cuda.get_rng_state()
    small(device=device, dropout=0.3, max_epochs=2).fit(*digits)
    assert torch.equal(torch.cuda.get_rng_state(), before)


@needs_gpu
def test_seeds_hold_on_the_gpu(small, digits):
    X, y = digits
    first, second = (small(device="cuda", dropout=0.3).fit(X, y).predict_proba(X) for _ in range(2))
    assert_allclose(first, second, atol=1e-3)


@needs_gpu
def test_a_model_from_the_gpu_opens_without_one(small, digits, tmp_path):
    X, y = digits
    clf = small(device="cuda").fit(X, y)
    head = nn.Sequential(*list(clf.module_)[1:])
    hidden = forward(clf.module_[:1], X, "cuda")
    branch = BranchClassifier(head, clf.classes_, device="cuda", max_epochs=1).fit(hidden, y)
    expected = clf.predict_proba(X)
    assert next(clf.module_.parameters()).device.type == "cuda"
    joblib.dump((clf, branch, X), tmp_path / "models.joblib")
    # Stored, and the next prediction is on the GPU again.
    assert_array_equal(clf.predict_proba(X), expected)
    assert next(clf.module_.parameters()).device.type == "cuda"
    script = (
        "import joblib, sys, warnings; clf, branch, X = joblib.load(sys.argv[1]);"
        "assert {p.device.type for p in branch.head.parameters()} == {'cpu'};"
        "joblib.dump(clf.set_params(device='auto').predict_proba(X), sys.argv[2])"
    )
    paths = [str(tmp_path / "models.joblib"), str(tmp_path / "found.joblib")]
    run_fresh(script, *paths, CUDA_VISIBLE_DEVICES="")
    assert_allclose(joblib.load(paths[1]), expected, atol=1e-3)


@needs_gpu
def test_pickled_tensors_need_no_gpu(small, blobs):
    buffer = io.BytesIO()
    pickle.dump(small(device="cuda").fit(*blobs), buffer)
    assert b"cuda:0" not in buffer.getvalue()


@pytest.mark.parametrize(
    ("mixed_precision", "expected"),
    [(True, None), (False, None), ("always", torch.bfloat16)],
)
def test_cpu_trains_in_mixed_precision_only_when_told(mixed_precision, expected):
    assert autocast_dtype(torch.device("cpu"), mixed_precision) == expected
