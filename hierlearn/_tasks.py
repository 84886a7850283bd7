"""The one place where tasks are handed to workers, each with its share of the cores.

Workers are joblib's, of whatever backend the caller chose. A task may itself use several cores
(``n_jobs`` of a network, matrix products); as many workers at once would ask for more cores than
there are, and threads that wait for one another cost far more than they bring. So every worker
is told its share, and what is below it keeps to that.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import closing, contextmanager
from typing import Any

import joblib
from joblib import cpu_count, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend
from sklearn.utils.fixes import parse_version
from sklearn.utils.parallel import Parallel, delayed

from hierlearn._progress import part, watched
from hierlearn._shipping import Parcel, dask_client, opened, pack, put_on_workers

__all__ = ["run_tasks", "thread_share"]

_SHARE = threading.local()
# Unordered, a task that takes long does not hide that others are done.
_AS_FINISHED = (
    "generator_unordered"
    if parse_version(joblib.__version__) >= parse_version("1.4")
    else "generator"
)


def run_tasks(
    function: Callable[..., Any],
    tasks: Iterable[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    stage: str = "",
    n_tasks: int | None = None,
) -> list[Any]:
    """Call a function once for every task, several at a time.

    Parameters
    ----------
    function : callable
        Called with the entries of each task. It must depend on nothing else, so that the results
        do not depend on ``n_jobs`` or on the backend: seeds are among the arguments.
    tasks : iterable of tuple
        Arguments. They are taken as workers become free, so that a generator holds few at a time.
    n_jobs : int or None, default=None
        Tasks at a time, as in joblib: None is one, unless :func:`joblib.parallel_config` says
        otherwise.
    stage : str, default=""
        What the tasks are, as the progress of a fit names them.
    n_tasks : int or None, default=None
        Their number, for iterables without a length.

    Returns
    -------
    list
        What the function returned, in the order of the tasks.

    Examples
    --------
    >>> from hierlearn._tasks import run_tasks
    >>> run_tasks(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    if n_tasks is None:
        tasks = tasks if isinstance(tasks, Sized) else list(tasks)
        n_tasks = len(tasks)
    if n_tasks == 0:
        return []
    n_threads = thread_share() if n_tasks == 1 else _share_of(effective_n_jobs(n_jobs))
    finish = _here if n_tasks == 1 else _finished  # one task needs no worker
    results: list[Any] = [None] * n_tasks
    calls = ((i, function, n_threads, task) for i, task in enumerate(tasks))
    with _restoring_threads(n_threads), closing(finish(calls, n_jobs)) as finished:
        for i, result in watched(finished, n_tasks, stage):
            results[i] = result
    return results


def thread_share() -> int | None:
    """Return how many threads a task may use in this worker; None outside of workers.

    Returns
    -------
    int or None
    """
    return getattr(_SHARE, "n_threads", None)


def _here(calls: Iterable[Any], n_jobs: int | None) -> Generator[tuple[int, Any], None, None]:
    """Yield what calls return, made by no worker."""
    for call in calls:
        yield _run(*call)


def _finished(calls: Iterable[Any], n_jobs: int | None) -> Generator[tuple[int, Any], None, None]:
    """Yield what calls return, as soon as the backend says so."""
    backend, _ = get_active_backend()
    # With a single worker joblib works here.
    client = dask_client(backend) if effective_n_jobs(n_jobs) > 1 else None
    sent = calls if client is None else _sent(calls, client)
    tells = getattr(backend, "supports_return_generator", False)
    parallel = Parallel(n_jobs=n_jobs, return_as=_AS_FINISHED if tells else "list")
    yield from parallel(delayed(_run)(*call) for call in sent)


def _sent(calls: Iterable[Any], client: Any) -> Iterator[tuple[Any, ...]]:
    """Yield calls as workers on other machines get them: what several of them hold is there."""
    parcels, shared = pack(calls)
    there = put_on_workers(client, shared)
    for parcel in parcels:
        yield (parcel, *(there[place] for place in parcel.shared))


def _share_of(n_workers: int) -> int | None:
    """Return the threads of each of some workers; None, as before, where there is one."""
    share = thread_share()
    if n_workers < 2:
        return share
    return max(1, (cpu_count() if share is None else share) // n_workers)


def _run(*call: Any) -> tuple[int, Any]:
    """Run one task in its worker."""
    if isinstance(call[0], Parcel):
        # Or what the task runs would by default be spread over the whole cluster in turn.
        with parallel_config("threading", n_jobs=1):
            return _run(*opened(call[0], call[1:]))
    index, function, n_threads, task = call
    with _limited_to(n_threads), part():
        return index, function(*task)


@contextmanager
def _limited_to(n_threads: int | None) -> Iterator[None]:
    """Give what runs inside the context, in this thread, its share of the cores."""
    before, _SHARE.n_threads = thread_share(), n_threads
    try:
        with _restoring_threads(n_threads) as torch:
            if torch is not None:
                torch.set_num_threads(min(n_threads, torch.get_num_threads()))
            yield
    finally:
        _SHARE.n_threads = before


@contextmanager
def _restoring_threads(n_threads: int | None) -> Iterator[Any]:
    """Yield torch, and put its thread count back; None where it is not loaded, or nothing limited.

    The count is a thread's own, but the latest one set is what new threads begin with. So it is set
    even where this thread's has not changed.
    """
    torch = None if n_threads is None else sys.modules.get("torch")
    before = None if torch is None else torch.get_num_threads()
    try:
        yield torch
    finally:
        if torch is not None:
            torch.set_num_threads(before)
