"""Tasks are dispatched in one place: order, errors, backends, a share of the cores for each."""

import os
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
import torch
from joblib import cpu_count, parallel_config
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from sklearn.datasets import make_classification

from hierlearn import TorchMLPClassifier
from hierlearn._tasks import run_tasks, thread_share
from hierlearn.networks._runtime import resolve_threads

BACKENDS = ["loky", "threading", "multiprocessing"]
TASKS = [(number,) for number in range(5)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    with parallel_config(backend=request.param):
        yield request.param


@pytest.fixture(scope="module", autouse=True)
def _no_workers_are_left():
    yield
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def _square(number):
    time.sleep(0.02 * (4 - number))  # the first one ends last
    return number**2


def _fail(number):
    if number == 3:
        raise ValueError("three is refused")
    return number


def _threads_of(n_jobs):
    return resolve_threads(n_jobs), torch.get_num_threads(), thread_share()


def _nested(number):
    return run_tasks(_threads_of, [(-1,), (-1,)], n_jobs=2)


def _fit_seconds(X, y, n_jobs):
    """Return what a fit costs in CPU time, all threads of this process together."""
    model = TorchMLPClassifier((64, 64), max_epochs=1, batch_size=32, n_jobs=n_jobs, random_state=0)
    began = time.process_time()
    model.fit(X, y)
    return time.process_time() - began


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_results_are_in_the_order_of_the_tasks(n_jobs, backend):
    assert run_tasks(_square, TASKS, n_jobs=n_jobs) == [0, 1, 4, 9, 16]


def test_tasks_may_come_from_a_generator(backend):
    assert run_tasks(_square, iter(TASKS), n_jobs=2) == [0, 1, 4, 9, 16]
    assert run_tasks(_square, iter(TASKS), n_jobs=2, n_tasks=5) == [0, 1, 4, 9, 16]


def test_a_generator_is_read_as_workers_become_free():
    made = []
    tasks = (made.append(number) or (number,) for number in range(8))
    run_tasks(lambda number: made.append(-1), tasks, n_tasks=8)
    assert made == [entry for number in range(8) for entry in (number, -1)]


def test_no_tasks_are_no_work():
    assert run_tasks(_square, []) == run_tasks(_square, iter(())) == []


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_error_of_a_task_is_the_callers(n_jobs, backend):
    with pytest.raises(ValueError, match="three is refused"):
        run_tasks(_fail, TASKS, n_jobs=n_jobs)
    assert run_tasks(_square, TASKS, n_jobs=n_jobs) == [0, 1, 4, 9, 16]  # nothing is left behind


def test_one_task_needs_no_worker():
    with parallel_config(backend="loky", n_jobs=2):
        assert run_tasks(os.getpid, [()]) == [os.getpid()]


def test_settings_of_scikit_learn_reach_the_workers(backend):
    with config_context(assume_finite=True):
        found = run_tasks(get_config, [(), ()], n_jobs=2)
    assert [config["assume_finite"] for config in found] == [True, True]


def test_backend_that_returns_lists_only_is_served():
    with parallel_config(backend="multiprocessing"):
        assert not get_active_backend()[0].supports_return_generator
        assert run_tasks(_square, TASKS, n_jobs=2) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("wish", [None, -1, 64])
def test_a_worker_gets_its_share_of_the_cores(wish, backend):
    share = max(1, cpu_count() // 2)
    for wanted, torch_threads, told in run_tasks(_threads_of, [(wish,)] * 3, n_jobs=2):
        assert told == share
        assert wanted <= share
        assert torch_threads <= share


def test_alone_there_is_nothing_to_share():
    before = torch.get_num_threads()
    assert run_tasks(_threads_of, [(None,), (3,)]) == [(1, before, None), (3, before, None)]


def test_shares_are_shared_in_turn():
    with parallel_config(backend="threading"):
        for inner in run_tasks(_nested, TASKS[:2], n_jobs=2):
            assert {told for _, _, told in inner} == {max(1, cpu_count() // 4)}


@pytest.mark.parametrize("n_threads", [1, 3])
def test_thread_count_of_torch_is_put_back(n_threads, backend):
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        run_tasks(_threads_of, [(-1,)] * 4, n_jobs=2)
        if backend == "threading":  # others would have to start their workers anew
            with pytest.raises(ValueError, match="three"):
                run_tasks(_fail, TASKS, n_jobs=2)
        assert torch.get_num_threads() == n_threads
        with parallel_config(backend="threading"):  # new threads begin with it, too
            found = joblib.Parallel(n_jobs=2)([joblib.delayed(torch.get_num_threads)()] * 2)
        assert found == [n_threads, n_threads]
        assert thread_share() is None
    finally:
        torch.set_num_threads(before)


def test_random_state_is_not_moved(backend):
    X, y = make_classification(60, random_state=0)
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    run_tasks(_fit_seconds, [(X, y, -1)] * 2, n_jobs=2)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_torch_is_not_loaded_for_it():
    code = (
        "import sys; from hierlearn._tasks import run_tasks; "
        "assert run_tasks(pow, [(2, 3), (3, 2)]) == [8, 9]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(cpu_count() < 2, reason="one core cannot be asked for twice")
def test_networks_of_several_workers_do_not_wait_for_one_another():
    # CPU time, for threads that wait for a core spin: without shares it is fifty times as much.
    X, y = make_classification(2000, 300, n_informative=20, n_classes=5, random_state=0)
    with parallel_config(backend="loky"):
        run_tasks(_fit_seconds, [(X[:50], y[:50], None)] * 2, n_jobs=2)  # workers have started
        alone = min(run_tasks(_fit_seconds, [(X, y, None)] * 3))
        together = min(run_tasks(_fit_seconds, [(X, y, cpu_count())] * 4, n_jobs=2))
    assert together < 4 * alone
