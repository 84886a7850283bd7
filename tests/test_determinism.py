"""The same random_state gives the same bits everywhere, and nothing global moves meanwhile."""

import json
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import joblib
import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier

import hierlearn
from hierlearn import (
    ConfusionSpectralPartitioner,
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)
from tests.bits import bits_of
from tests.hostile.estimators import CLASSIFIERS, DECOMPOSITIONS

ROOT = Path(__file__).parents[1]
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")
MLP = TorchMLPClassifier((8,), max_epochs=2, dropout=0.2)
WATCHED = TorchMLPClassifier((4,), max_epochs=2, early_stopping=True)


def _hierarchy(base, **params):
    params = {"random_state": 0, "cv": 2, "branch_epochs": 1, **params}
    return HierarchicalDecompositionClassifier(base, ConfusionSpectralPartitioner(2), **params)


pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# What hands tasks to joblib's workers.
PARALLEL = {
    "branches": _hierarchy(MLP),
    "one by one": _hierarchy(MLP, fine_estimator=WATCHED),
    "other classifiers": _hierarchy(SGDClassifier(max_iter=5, tol=None), hierarchy_estimator=MLP),
    "chosen": _hierarchy(MLP, fine_estimator=NetworkSelector([WATCHED, "branch"])),
    "selector": NetworkSelector([MLP, WATCHED], random_state=0),
    "heads": SpecialistHeadAugmenter(MLP, head_epochs=1, cv=2, random_state=0),
}
# They have nothing that torch trains.
NO_TRAINING = {
    "HierarchicalDecompositionClassifier, linear",
    "HierarchicalDecompositionClassifier, centroids",
    "OnTrunk",
}


@pytest.fixture(scope="module", autouse=True)
def _no_workers_are_left():
    yield
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def two_threads():
    """Let torch have two threads, so that a change would be seen."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def data(name):
    """Return rows and labels that an estimator takes; each label is in every fold."""
    shape = CLASSIFIERS[name].row_shape or (6,)
    y = np.tile(np.arange(4), 15)
    noise = np.random.RandomState(0).standard_normal((60, *shape))
    return (noise + y.reshape(-1, *[1] * len(shape))).astype(np.float32), y


def fitted(name):
    return CLASSIFIERS[name].new().fit(*data(name))


def answers(model, X):
    """Return what a fitted model says of rows, by every method that it has."""
    return {method: getattr(model, method)(X) for method in METHODS if hasattr(model, method)}


def assert_same(ones, others):
    assert ones.keys() == others.keys()
    for method, answer in ones.items():
        assert_array_equal(answer, others[method], err_msg=method)


def global_state():
    return (
        torch.get_rng_state().tolist(),
        [np.asarray(part).tolist() for part in np.random.get_state()],  # noqa: NPY002
        random.getstate(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
    )


def digests(names):
    """Return the bits of models, fitted here and now, as text."""
    return {name: sorted(content for _, _, content in bits_of(fitted(name))) for name in names}


# -- the same bits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
@pytest.mark.parametrize("name", PARALLEL)
def test_workers_make_no_difference(train, name, backend):
    X, y = train[0][:200], train[1][:200]
    alone = clone(PARALLEL[name]).fit(X, y)
    with parallel_config(backend):
        beside = clone(PARALLEL[name]).set_params(n_jobs=2).fit(X, y)
    assert bits_of(alone) == bits_of(beside)
    assert_same(answers(alone, X), answers(beside, X))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_beside_one_another_are_those_in_turn(backend):
    with parallel_config(backend):
        found = Parallel(n_jobs=2)(delayed(digests)([name]) for name in CLASSIFIERS)
    assert {name: bits for part in found for name, bits in part.items()} == digests(CLASSIFIERS)


def test_a_fresh_process_makes_the_same_models():
    code = (
        "import json, sys; from tests.test_determinism import digests;"
        "json.dump(digests(json.loads(sys.argv[1])), sys.stdout)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(list(CLASSIFIERS))],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        timeout=300,
    )
    assert json.loads(found.stdout) == digests(CLASSIFIERS)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_pickling_changes_neither_answers_nor_further_fits(name):
    X, y = data(name)
    model = fitted(name)
    again = pickle.loads(pickle.dumps(model))
    assert bits_of(again) == bits_of(model)
    assert_same(answers(again, X), answers(model, X))
    unfitted = pickle.loads(pickle.dumps(CLASSIFIERS[name].new()))
    assert bits_of(unfitted.fit(X, y)) == bits_of(model)
    assert bits_of(again.fit(X[:48], y[:48])) == bits_of(model.fit(X[:48], y[:48]))


# -- nothing global --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_no_call_moves_anything_global(name, two_threads):
    X, y = data(name)
    before = global_state()
    model = CLASSIFIERS[name].new()
    calls = [
        lambda: model.fit(X, y),
        *(lambda method=method: getattr(model, method)(X) for method in METHODS),
        lambda: model.score(X, y),
        lambda: pickle.loads(pickle.dumps(model)),
        lambda: clone(model),
    ]
    for call in calls:
        with suppress(AttributeError):  # not every estimator has every method
            call()
        assert global_state() == before


def test_files_move_nothing_global(tmp_path, two_threads):
    pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
    pytest.importorskip("skops", reason="skops stores the trees of model files")
    model = fitted("HierarchicalDecompositionClassifier")
    before = global_state()
    hierlearn.persistence.save(model, tmp_path / "model")
    assert global_state() == before
    hierlearn.persistence.load(tmp_path / "model")
    assert global_state() == before


@pytest.mark.parametrize("name", sorted(set(CLASSIFIERS) - NO_TRAINING))
def test_a_fit_that_fails_leaves_everything_as_it_was(name, two_threads, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("no gradient")

    monkeypatch.setattr(torch.Tensor, "backward", fail)
    monkeypatch.setattr(torch.autograd, "grad", fail)
    before = global_state()
    with pytest.raises(RuntimeError, match="no gradient"):
        fitted(name)
    assert global_state() == before


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_deterministic_algorithms_are_left_to_the_caller(name, deterministic):
    X, _ = data(name)
    first, second = fitted(name), fitted(name)
    assert bits_of(first) == bits_of(second)
    assert_same(answers(first, X), answers(second, X))
    assert torch.are_deterministic_algorithms_enabled()


# -- threads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_eight_threads_get_the_same_answers(name, two_threads):
    X, _ = data(name)
    model = fitted(name)
    alone = answers(model, X)
    model = pickle.loads(pickle.dumps(model))  # with nothing that the first call may have kept
    start = Barrier(8)

    def ask(_):
        start.wait()
        return [answers(model, X) for _ in range(3)]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(ask, range(8)):
            for given in found:
                assert_same(given, alone)
    assert torch.get_num_threads() == 2
    with ThreadPoolExecutor(1) as pool:  # new threads begin with the number that was set last
        assert pool.submit(torch.get_num_threads).result() == 2


@pytest.mark.parametrize("name", ["TorchMLPClassifier", *DECOMPOSITIONS])
def test_predicting_while_others_fit(name):
    X, _ = data(name)
    model = fitted(name)
    alone, bits = answers(model, X), bits_of(model)
    with ThreadPoolExecutor(4) as pool:
        fits = [pool.submit(fitted, name) for _ in range(2)]
        asked = [pool.submit(answers, model, X) for _ in range(8)]
        for found in asked:
            assert_same(found.result(), alone)
        for made in fits:
            assert bits_of(made.result()) == bits
