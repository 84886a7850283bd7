"""Fits and predictions on a Dask cluster of separate processes are those of one process."""

import gc
import os
import pickle
import signal

import numpy as np
import pytest
from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import SGDClassifier

from hierlearn import (
    ConfusionSpectralPartitioner,
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)
from hierlearn._tasks import run_tasks, thread_share
from tests.bits import bits_of

distributed = pytest.importorskip("distributed", reason="distributed (extra dask) runs the cluster")

MLP = TorchMLPClassifier((16,), max_epochs=2, lr=0.02)
# Networks that watch their own progress are trained one by one.
WATCHED = TorchMLPClassifier((8,), max_epochs=3, early_stopping=True)
# Forests that predict with several jobs add up votes in the order in which they come.
TREES = ExtraTreesClassifier(3, max_depth=5, n_jobs=1)
# Of Dask's own, about its sockets and event loops at the end of processes.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def _hierarchy(base, **params):
    params = {"random_state": 0, "cv": 2, "branch_epochs": 1, **params}
    return HierarchicalDecompositionClassifier(base, ConfusionSpectralPartitioner(3), **params)


MODELS = {
    "branches": _hierarchy(MLP),
    "one by one": _hierarchy(MLP, fine_estimator=WATCHED),
    "other classifiers": _hierarchy(TREES, fine_estimator=SGDClassifier(max_iter=5, tol=None)),
    "deep": _hierarchy(TREES, fine_estimator=WATCHED, max_depth=2),
    "chosen": _hierarchy(MLP, fine_estimator=NetworkSelector([WATCHED, "branch", TREES])),
    "heads": SpecialistHeadAugmenter(MLP, head_epochs=1, cv=2, random_state=0),
}


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected
    gc.collect()


@pytest.fixture
def on_dask(client):
    client.wait_for_workers(2, timeout=60)
    with parallel_config("dask"):
        yield client


class Fused(TorchMLPClassifier):
    """A network whose fit takes its process with it, once."""

    def __init__(self, fuse=None, max_epochs=3, random_state=None):
        super().__init__((8,), max_epochs=max_epochs, random_state=random_state)
        self.fuse = fuse

    def fit(self, X, y, sample_weight=None):
        if self.fuse is not None:
            try:
                os.remove(self.fuse)
            except FileNotFoundError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, sample_weight)


def _fail(number):
    raise ValueError(f"{number} is refused")


def _sum_with_share(X, number):
    return float(X["rows"].sum()) + number, os.getpid(), thread_share()


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_the_one_of_one_process(on_dask, train, test, name):
    there = clone(MODELS[name]).fit(*train)
    with parallel_config("sequential"):
        here = clone(MODELS[name]).fit(*train)
        assert_array_equal(there.predict_proba(test[0]), here.predict_proba(test[0]))
    assert bits_of(there) == bits_of(here)


def test_a_killed_worker_changes_nothing(on_dask, train, test, tmp_path):
    fuse = tmp_path / "fuse"
    model = _hierarchy(MLP, fine_estimator=Fused(str(fuse)))
    with parallel_config("sequential"):
        here = clone(model).fit(*train)
    workers = set(on_dask.run(os.getpid).values())
    fuse.touch()
    there = clone(model).fit(*train)
    assert not fuse.exists()
    on_dask.wait_for_workers(2, timeout=60)
    assert len(workers & set(on_dask.run(os.getpid).values())) == 1
    assert bits_of(there) == bits_of(here)
    assert_array_equal(there.predict_proba(test[0]), here.predict_proba(test[0]))


def test_workers_are_other_processes_with_their_share_of_the_cores(on_dask):
    rows = {"rows": np.ones((100, 1000))}
    found = run_tasks(_sum_with_share, [(rows, number) for number in range(4)])
    assert [total for total, _, _ in found] == [1e5, 1e5 + 1, 1e5 + 2, 1e5 + 3]
    assert os.getpid() not in {process for _, process, _ in found}
    assert {share for _, _, share in found} == {max(1, cpu_count() // 2)}


def test_what_a_task_runs_stays_in_its_worker(on_dask):
    found = run_tasks(effective_n_jobs, [(None,), (None,)])
    assert found == [1, 1]


def test_a_single_worker_is_as_good_as_none(client, monkeypatch):
    rows = {"rows": np.ones((100, 1000))}
    with parallel_config("dask"):
        backend, _ = get_active_backend()
        # As after the loss of the other one, between the two times that joblib looks.
        counts = iter([2, 2, 2])
        monkeypatch.setattr(backend, "effective_n_jobs", lambda n_jobs: next(counts, 1))
        found = run_tasks(_sum_with_share, [(rows, number) for number in range(3)])
    assert [total for total, _, _ in found] == [1e5, 1e5 + 1, 1e5 + 2]


def test_one_task_stays_here(on_dask):
    assert run_tasks(os.getpid, [()]) == [os.getpid()]


def test_error_of_a_task_is_the_callers(on_dask):
    with pytest.raises(ValueError, match="is refused"):
        run_tasks(_fail, [(number,) for number in range(3)])


def test_data_travel_once(on_dask, monkeypatch):
    rows = {"rows": np.ones((300, 1000))}
    with_tasks, beforehand = [], []
    submit, scatter = on_dask.submit, on_dask.scatter

    def submitted(*args, **kwargs):
        with_tasks.append(len(pickle.dumps(_without_futures(kwargs["tasks"]))))
        return submit(*args, **kwargs)

    def scattered(data, **kwargs):
        beforehand.extend(part.nbytes for part in data)
        return scatter(data, **kwargs)

    monkeypatch.setattr(on_dask, "submit", submitted)
    monkeypatch.setattr(on_dask, "scatter", scattered)
    with parallel_config("dask", client=on_dask):
        run_tasks(_sum_with_share, [(rows, number) for number in range(8)])
    assert beforehand == [rows["rows"].nbytes]
    assert sum(with_tasks) < rows["rows"].nbytes / 10


def _without_futures(tasks):
    return [
        [arg for arg in args if not isinstance(arg, distributed.Future)] for _, args, _ in tasks
    ]


def test_predictions_in_parallel(on_dask, train, test):
    model = clone(MODELS["branches"])
    with parallel_config("sequential"):
        model.fit(*train)
    X = np.concatenate([test[0]] * 4)
    blocks = np.array_split(X, 4)
    # As docs/distributed.md does: the model to every worker once, then blocks of rows.
    everywhere = on_dask.scatter(model, broadcast=True)
    parts = on_dask.gather(on_dask.map(_posteriors, blocks, model=everywhere))
    assert_array_equal(
        np.concatenate(parts), np.concatenate([_posteriors(b, model) for b in blocks])
    )


def _posteriors(X, model):
    return model.predict_proba(X)
