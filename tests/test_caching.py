"""Parts of a fit that were kept are found again, and damaged ones are not believed."""

import json
import os
import pickle
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import Memory
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from hierlearn import (
    ConfusionSpectralPartitioner,
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbeddingClassifier,
    MultiLabelDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn._caching import FitCache, as_cache, next_checkpoint

N_CLASSES = 6


def _data(n_samples=240):
    random = np.random.RandomState(0)
    y = random.randint(N_CLASSES, size=n_samples)
    return random.standard_normal((n_samples, 8)) + 2 * np.eye(N_CLASSES, 8)[y], y


X, y = _data()
Y = np.eye(N_CLASSES, dtype=int)[y]
Y[np.arange(len(y)), (y + 1) % N_CLASSES] = X[:, 7] > 0
BASE = TorchMLPClassifier((16, 8), max_epochs=3, lr=0.01, random_state=None)
SMALL = TorchMLPClassifier((4,), max_epochs=2)


def _hierarchy(**params):
    given = {"random_state": 0, "partitioner": ConfusionSpectralPartitioner(2), **params}
    return HierarchicalDecompositionClassifier(BASE, **given)


def _backbone():
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    layers = torch.nn.Linear(8, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    torch.random.set_rng_state(torch_state)
    return torch.nn.Sequential(*layers)


ESTIMATORS = {
    "branches": lambda: _hierarchy(),
    "stacked": lambda: _hierarchy(fine_estimator=SMALL),
    "deeper": lambda: _hierarchy(max_depth=2, mixing=0.3),
    "tuned": lambda: _hierarchy(fine_tune=True, mixing=0.0),
    "chosen": lambda: _hierarchy(fine_estimator=NetworkSelector(["flat", "branch", SMALL])),
    "no networks": lambda: HierarchicalDecompositionClassifier(
        LogisticRegression(), random_state=0, cv=2
    ),
    "selector": lambda: NetworkSelector([SMALL, GaussianNB()], random_state=0),
    "heads": lambda: SpecialistHeadAugmenter(
        BASE, head_sizes=(4,), n_rounds=2, fine_tune=True, random_state=0
    ),
    "label tree": lambda: MultiLabelDecompositionClassifier(
        (8,), max_epochs=2, n_clusters=2, random_state=0
    ),
    "embedding": lambda: LabelEmbeddingClassifier((8,), max_epochs=2, random_state=0),
    "distilled": lambda: DistilledClassifier(BASE, SMALL, random_state=0),
    "frozen": lambda: TransferClassifier(_backbone(), max_epochs=2, random_state=0),
    "tuned backbone": lambda: TransferClassifier(
        _backbone(), tune="all", max_epochs=2, random_state=0
    ),
}


def _files(folder):
    """Return the files that are there, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("output.pkl")}


def _kinds(folder):
    return Counter(path.parts[-3] for path in _files(folder))


def _target(name):
    return Y if name in ("label tree", "embedding") else y


@pytest.mark.parametrize("name", ESTIMATORS)
def test_kept_parts_make_the_same_model(name, tmp_path):
    target = _target(name)
    plain = ESTIMATORS[name]().fit(X, target)
    first = ESTIMATORS[name]().set_params(memory=tmp_path).fit(X, target)
    before = _files(tmp_path)
    second = ESTIMATORS[name]().set_params(memory=str(tmp_path)).fit(X, target)
    assert before
    assert _files(tmp_path) == before  # all of it was found
    expected = plain.predict_proba(X)
    np.testing.assert_array_equal(first.predict_proba(X), expected)
    np.testing.assert_array_equal(second.predict_proba(X), expected)


@pytest.mark.parametrize("name", ["branches", "heads", "selector", "label tree"])
def test_estimators_with_memory_are_cloned_and_pickled(name, tmp_path):
    model = ESTIMATORS[name]().set_params(memory=Memory(tmp_path, verbose=0))
    assert clone(model).get_params()["memory"].location == model.memory.location
    fitted = pickle.loads(pickle.dumps(clone(model).fit(X, _target(name))))
    assert fitted.predict_proba(X).shape == (len(X), N_CLASSES)


@pytest.mark.parametrize("name", ["branches", "stacked", "chosen"])
def test_workers_share_the_folder(name, tmp_path):
    alone = ESTIMATORS[name]().set_params(memory=tmp_path).fit(X, y)
    before = _files(tmp_path)
    together = ESTIMATORS[name]().set_params(memory=tmp_path, n_jobs=2).fit(X, y)
    assert _files(tmp_path) == before
    np.testing.assert_array_equal(together.predict_proba(X), alone.predict_proba(X))


def test_search_over_gamma_trains_the_base_once_a_fold(tmp_path):
    grid = {"gamma": [0.5, 1.0, 2.0]}
    search = GridSearchCV(_hierarchy(memory=tmp_path), grid, cv=2, refit=False).fit(X, y)
    kinds = _kinds(tmp_path)
    assert len(search.cv_results_["params"]) == 3
    assert kinds["fold"] == 2  # bases behind the held-out scores
    # The base on all rows, the hierarchy classifier, and that of the family to choose mixing by.
    assert kinds["fit"] == 3 * 2


def test_search_over_routing_and_mixing_trains_nothing_twice(tmp_path):
    _hierarchy(memory=tmp_path).fit(X, y)
    before = _files(tmp_path)
    for routing in ("hard", "soft", 0.2):
        for mixing in ("auto", 0.5):
            _hierarchy(memory=tmp_path, routing=routing, mixing=mixing).fit(X, y)
    assert _files(tmp_path) == before


@pytest.mark.parametrize(
    "changed",
    [{"random_state": 1}, {"base_estimator__lr": 0.02}, {"cv": 0.3}, {"branch_lr": 0.05}],
    ids=lambda p: next(iter(p)),
)
def test_what_changes_the_fit_is_trained_anew(changed, tmp_path):
    _hierarchy(memory=tmp_path).fit(X, y)
    before = len(_files(tmp_path))
    kept = _hierarchy(memory=tmp_path).set_params(**changed).fit(X, y)
    assert len(_files(tmp_path)) > before
    plain = _hierarchy().set_params(**changed).fit(X, y)
    np.testing.assert_array_equal(kept.predict_proba(X), plain.predict_proba(X))


def test_other_rows_labels_and_weights_are_trained_anew(tmp_path):
    weight = np.where(y == 0, 2.0, 1.0)
    for given in ((X + 1e-9, y), (X, (y + 1) % N_CLASSES), (X, y, weight)):
        before = _kinds(tmp_path)["fit"]
        _hierarchy(memory=tmp_path, mixing=0.0).fit(*given)
        assert _kinds(tmp_path)["fit"] == before + 2


@pytest.mark.parametrize("damage", ["truncated", "emptied", "garbled", "other"])
def test_damaged_files_are_computed_again(damage, tmp_path):
    first = _hierarchy(memory=tmp_path).fit(X, y)
    for path in _files(tmp_path):
        content = bytearray(path.read_bytes())
        if damage == "truncated":
            content = content[: len(content) // 2]
        elif damage == "emptied":
            content = b""
        elif damage == "garbled":  # in the middle of some weights: pickle would not notice
            content[len(content) // 2] ^= 1
        else:
            content = pickle.dumps("something else")
        path.write_bytes(content)
    n_files = len(_files(tmp_path))
    with pytest.warns(UserWarning, match=r"output\.pkl is damaged: what it held is") as warned:
        second = _hierarchy(memory=tmp_path).fit(X, y)
    assert len(warned) == n_files
    assert all("\n" not in str(warning.message) for warning in warned)
    assert warned[0].filename != sys.modules["hierlearn._caching"].__file__
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    third = _hierarchy(memory=tmp_path).fit(X, y)  # without a warning
    np.testing.assert_array_equal(first.predict_proba(X), third.predict_proba(X))


class _Opened(GaussianNB):
    """A classifier whose parameter no key can be made of."""

    def __init__(self, given=None, *, priors=None, var_smoothing=1e-9):
        super().__init__(priors=priors, var_smoothing=var_smoothing)
        self.given = given

    def __sklearn_clone__(self):
        return self


def test_what_cannot_be_recognised_is_not_kept_and_said_once(tmp_path):
    model = HierarchicalDecompositionClassifier(
        _Opened(lambda: 0), partitioner=ConfusionSpectralPartitioner(2), random_state=0
    )
    with pytest.warns(UserWarning, match="cannot keep all of this fit: it depends on") as warned:
        model.set_params(memory=tmp_path / "folder").fit(X, y)
    assert len(warned) == 1
    assert not _files(tmp_path)


@pytest.mark.parametrize("memory", [3, object(), ["folder"]])
def test_memory_must_be_a_place(memory):
    with pytest.raises(ValueError, match="memory"):
        _hierarchy(memory=memory).fit(X, y)
    with pytest.raises(ValueError, match=r"memory must be None, a path or a joblib\.Memory"):
        as_cache(memory)


def test_memory_without_a_place_keeps_nothing():
    assert as_cache(Memory(None)) is None
    _hierarchy(memory=Memory(None), mixing=0.0).fit(X, y)


def test_compressed_and_mapped_stores_work(tmp_path):
    expected = _hierarchy().fit(X, y).predict_proba(X)
    memories = (
        Memory(tmp_path / "a", verbose=0, compress=3),
        Memory(tmp_path / "b", verbose=0, mmap_mode="r"),
    )
    for memory in memories:
        for _ in range(2):
            fitted = _hierarchy(memory=memory).fit(X, y)
            np.testing.assert_array_equal(fitted.predict_proba(X), expected)
    memories[0].clear(warn=False)
    assert not _files(tmp_path / "a")


def test_without_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FitCache, "part", None)
    _hierarchy().fit(X, y)
    assert next_checkpoint() is None
    assert not list(tmp_path.iterdir())


def test_a_store_that_cannot_be_written_is_no_error(tmp_path):
    cache = as_cache(tmp_path)
    blocked = Path(cache.memory.store_backend.location) / "hierlearn"
    blocked.write_text("a file where a folder should be")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cache.part("sum", (1, 2), lambda: 3) == 3


# -- going on where a training stopped -----------------------------------------------------------

TRAININGS = {
    "dropout": {"dropout": 0.3},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 30, "lr": 0.1},
    "cosine": {"lr_schedule": "cosine", "optimizer": "sgd", "input_dropout": 0.2},
    "constant": {"lr_schedule": "constant", "dtype": "float64"},
}


class _KilledError(BaseException):
    pass


def _weights(network):
    return [tensor.numpy().tobytes() for tensor in network.module_.state_dict().values()]


@pytest.fixture
def checkpoints(monkeypatch):
    """Write one after every epoch, and count epochs; ``stop_after`` ends a training like a kill."""
    from hierlearn import _caching
    from hierlearn.networks import _skorch

    class Counted(_skorch._Resumable):
        n_epochs = 0
        stop_after = None

        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            Counted.n_epochs += 1
            if Counted.n_epochs == Counted.stop_after:
                raise _KilledError

    monkeypatch.setattr(_caching, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_skorch, "_CHECKPOINT_SHARE", float("inf"))
    monkeypatch.setattr(_skorch, "_Resumable", Counted)
    return Counted


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("stop_after", [1, 3])
def test_trainings_go_on_to_the_last_bit(name, stop_after, checkpoints, tmp_path):
    params = {"max_epochs": 6, "lr": 0.01, "random_state": 0, **TRAININGS[name]}
    plain = TorchMLPClassifier((8,), **params).fit(X, y)

    def fit():
        network = TorchMLPClassifier((8,), **params)
        return as_cache(tmp_path).part("fit", (network, X, y), lambda: network.fit(X, y))

    checkpoints.stop_after = stop_after
    with pytest.raises(_KilledError):
        fit()
    assert _kinds(tmp_path) == {"checkpoint": 1}
    resumed = fit()
    losses = [row["train_loss"] for row in plain.history_]
    assert [row["train_loss"] for row in resumed.history_] == losses
    assert _weights(resumed) == _weights(plain)
    # Where early stopping stops, the last epoch is not counted.
    assert checkpoints.n_epochs in (len(losses), len(losses) - 1)
    assert _kinds(tmp_path) == {"fit": 1}


def test_damaged_checkpoints_are_not_gone_on_from(checkpoints, tmp_path):
    def fit():
        network = TorchMLPClassifier((8,), max_epochs=4, random_state=0)
        return as_cache(tmp_path).part("fit", (network, X, y), lambda: network.fit(X, y))

    checkpoints.stop_after = 2
    with pytest.raises(_KilledError):
        fit()
    (path,) = _files(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="damaged"):
        resumed = fit()
    assert checkpoints.n_epochs == 2 + 4
    plain = TorchMLPClassifier((8,), max_epochs=4, random_state=0).fit(X, y)
    assert _weights(resumed) == _weights(plain)


def test_brief_trainings_write_no_checkpoints(tmp_path):
    _hierarchy(memory=tmp_path).fit(X, y)
    assert not list(Path(tmp_path).rglob("checkpoint/*/*"))


class _Interrupting:
    """A data set's rows, behind which somebody presses Ctrl-C."""

    def __init__(self, after):
        self.left = after

    def __call__(self, *args):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_interrupted_trainings_are_not_kept(tmp_path, monkeypatch):
    from hierlearn.networks._data import BatchDataset

    fetch, pressed = BatchDataset.__getitems__, _Interrupting(after=4)
    monkeypatch.setattr(
        BatchDataset, "__getitems__", lambda self, rows: (pressed(), fetch(self, rows))[1]
    )
    with pytest.raises(KeyboardInterrupt):
        _hierarchy(memory=tmp_path).fit(X, y)
    assert not _files(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_fits_end_in_the_same_model(tmp_path):
    script = Path(__file__).parent / "long" / "killed_fit.py"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path), "alone", "2", "200"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for kill in json.loads(ran.stdout)["kills"]:
        assert kill["same"]
        assert kill["missing"] == 0
        assert kill["twice"] <= 1
