"""What a long fit tells of itself while it runs: stages, finished networks, the time left.

A fit opens a report (:func:`reports`), whatever runs inside names its stages
(:func:`begin_stage`), and tasks are counted as they finish (:func:`watched`), all of it in the
process and thread that the fit was called in. Fits inside of fits, and tasks in that thread, tell
the report around them how far they are (:func:`part`); what runs in a worker has nothing to tell
(:func:`silent`), its parent counts it. Everything goes to the standard error.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from numbers import Real
from typing import Any, TypeVar

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for scikit-learn's, which is not there."""


__all__ = [
    "CallbackSupportMixin",
    "advance",
    "begin_stage",
    "count",
    "counting",
    "expect",
    "is_told",
    "part",
    "reporting",
    "reports",
    "silent",
    "watched",
    "work_of_splits",
]

T = TypeVar("T")
_LOCAL = threading.local()
_SECONDS_BETWEEN_LINES = 10.0


# -- what fits say -------------------------------------------------------------------------------


def reports(method: Callable[..., T]) -> Callable[..., T]:
    """Decorate a method of an estimator with a parameter ``verbose``, so that it reports.

    Inside of another report a ``fit`` moves what it is a part of, and other methods add to that
    report.

    Parameters
    ----------
    method : callable
        Usually ``fit``.

    Returns
    -------
    callable
    """

    @functools.wraps(method)
    def reported(estimator: Any, *args: Any, **kwargs: Any) -> T:
        if _report() is not None and method.__name__ != "fit":
            return method(estimator, *args, **kwargs)
        with reporting(type(estimator).__name__, estimator.verbose, estimator):
            return method(estimator, *args, **kwargs)

    return reported


@contextmanager
def reporting(name: str, verbose: int, estimator: Any = None) -> Iterator[None]:
    """Report what runs inside the context, unless something around it does.

    Parameters
    ----------
    name : str
        Who reports.
    verbose : int
        0 says nothing; above 1 there is no bar, for others write, too.
    estimator : estimator or None, default=None
        Whose scikit-learn callbacks are called, where it has any.
    """
    around = _report()
    shown: list[Any] = [] if around is None else [_Upwards(around)]
    if getattr(estimator, "_skl_callbacks", None):
        shown.append(_Callbacks(estimator))
    if verbose and around is None and not getattr(_LOCAL, "silent", False):
        shown.append(_view(name, int(verbose)))
    if not shown:
        yield
        return
    _LOCAL.report = _Report(shown)
    try:
        yield
    except BaseException:
        _LOCAL.report.close(failed=True)
        raise
    else:
        _LOCAL.report.close(failed=False)
    finally:
        _LOCAL.report = around


def expect(work: float) -> None:
    """Say how much work the whole report is for, in the unit of the stages' weights."""
    if (report := _report()) is not None:
        report.expect(work)


def begin_stage(name: str, weight: float = 0.0) -> None:
    """End the stage before and begin another one, which is this much of the work expected."""
    if (report := _report()) is not None:
        report.begin_stage(name, weight)


def advance(weight: float) -> None:
    """Say that some of the work is done, whatever the stage."""
    if (report := _report()) is not None:
        report.advance(weight)


def watched(finished: Iterable[T], n_tasks: int, stage: str) -> Iterator[T]:
    """Pass on what tasks returned, and count them.

    Parameters
    ----------
    finished : iterable
        Yields once for every task that is done.
    n_tasks : int
        How many there will be.
    stage : str
        What the tasks are, for the reader.

    Yields
    ------
    object
        The items of ``finished``.
    """
    report = _report()
    if report is None:
        yield from finished
        return
    report.begin_tasks(stage, n_tasks)
    for item in finished:
        report.end_task()
        yield item
    report.end_tasks()


def is_told() -> bool:
    """Tell whether anything is made of what is told here."""
    return _report() is not None


@contextmanager
def counting(n_steps: int, name: str) -> Iterator[None]:
    """Count the steps of a stage, such as epochs, inside the context; :func:`count` says where.

    Parameters
    ----------
    n_steps : int
        How many there will be at most.
    name : str
        What the steps are, for the reader.
    """
    report = _report()
    if report is None:
        yield
        return
    report.begin_tasks(name, n_steps)
    yield
    report.end_tasks()


def count(n_done: int) -> None:
    """Say how many steps are done."""
    if (report := _report()) is not None:
        report.end_task(n_done)


@contextmanager
def part() -> Iterator[None]:
    """Let what is told inside the context move the task, or the stage, that it is a part of.

    Without a report nothing inside the context tells of itself.
    """
    around = _report()
    if around is None:
        with silent():
            yield
        return
    inside = _Report([_Upwards(around)])
    _LOCAL.report = inside
    try:
        yield
    finally:
        inside.close(failed=True)
        _LOCAL.report = around


@contextmanager
def silent() -> Iterator[None]:
    """Let nothing inside the context tell of itself: the work of a task is its parent's to tell."""
    before = _report(), getattr(_LOCAL, "silent", False)
    _LOCAL.report, _LOCAL.silent = None, True
    try:
        yield
    finally:
        _LOCAL.report, _LOCAL.silent = before


def _report() -> _Report | None:
    return getattr(_LOCAL, "report", None)


def work_of_splits(cv: Any) -> float:
    """Return the work of scoring held-out rows, in fits on all rows; 1 where it is not known.

    Parameters
    ----------
    cv : object
        As for :func:`hierlearn.confusion.held_out_scores`.

    Returns
    -------
    float

    Examples
    --------
    >>> from hierlearn._progress import work_of_splits
    >>> work_of_splits(None), work_of_splits(5), work_of_splits("prefit")
    (0.8, 4.0, 0.0)
    """
    if isinstance(cv, str):
        return 0.0
    if cv is None:
        return 0.8
    if isinstance(cv, Real):
        number = float(cv)
        return number - 1 if number > 1 else 1 - number
    return 1.0


# -- what is known of the work -------------------------------------------------------------------


class _Report:
    """How far a fit is, and the views that show it.

    Parameters
    ----------
    views : list
        What is told of every change.
    """

    def __init__(self, views: list[Any]) -> None:
        self.views = views
        self.began = time.monotonic()
        self.expected = 0.0
        self.before = 0.0  # work of the stages that have ended
        self.stage, self.weight = "", 0.0
        self.tasks, self.n_tasks, self.n_done = "", 0, 0
        self.part, self.detail = 0.0, ""  # of the task, or the stage, that runs
        self._reached = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the report began."""
        return time.monotonic() - self.began

    @property
    def inside(self) -> float:
        """Share of the stage that is done."""
        done = (self.n_done + self.part) / self.n_tasks if self.n_tasks else self.part
        return min(1.0, done)

    @property
    def share(self) -> float:
        """Share of the expected work that is done, 0 where none is expected; it never falls."""
        if self.expected:
            done = (self.before + self.weight * self.inside) / self.expected
            self._reached = max(self._reached, min(1.0, done))
        return self._reached

    @property
    def left(self) -> float | None:
        """Seconds left if the rest goes on as what is done; None before anything is."""
        return self.elapsed * (1 / self.share - 1) if self.share else None

    @property
    def counted(self) -> str:
        """The tasks that are done, as text."""
        return f"{self.tasks} {self.n_done}/{self.n_tasks}" if self.n_tasks else ""

    @property
    def told(self) -> str:
        """What runs now, as text."""
        return ", ".join(filter(None, (self.counted or self.stage, self.detail)))

    def expect(self, work: float) -> None:
        """Take what is expected; the first one to say it speaks for all."""
        self.expected = self.expected or float(work)

    def begin_stage(self, name: str, weight: float) -> None:
        """End the stage before and begin another one."""
        self._end_stage()
        self.stage, self.weight = name, weight
        self.part, self.detail = 0.0, ""
        self._tell("begin_stage")

    def advance(self, weight: float) -> None:
        """Count work that belongs to no stage."""
        self.before += weight
        self._tell("moved")

    def begin_tasks(self, name: str, n_tasks: int) -> None:
        """Begin to count tasks of this stage."""
        self.tasks, self.n_tasks, self.n_done = name or "tasks", n_tasks, 0
        self.part, self.detail = 0.0, ""
        self._tell("begin_tasks")

    def end_task(self, n_done: int | None = None) -> None:
        """Count one, or say how many there are."""
        self.n_done = self.n_done + 1 if n_done is None else n_done
        self.part, self.detail = 0.0, ""
        self._tell("moved")

    def look_inside(self, part: float, detail: str) -> None:
        """Take how far the task, or the stage, is that runs now."""
        self.part, self.detail = part, detail
        self._tell("within")

    def end_tasks(self) -> None:
        """End the count; its stage is done as far as it is tasks."""
        self._tell("end_tasks")
        self.before, self.weight = self.before + self.weight, 0.0
        self.n_tasks, self.part, self.detail = 0, 0.0, ""

    def close(self, *, failed: bool) -> None:
        """End the report; every view is closed, whatever another one does."""
        if not failed:
            self._end_stage()
        for view in self.views:
            view.close(self, failed)

    def _end_stage(self) -> None:
        self.before, self.weight, self.n_tasks = self.before + self.weight, 0.0, 0
        if self.stage:
            self._tell("end_stage")

    def _tell(self, change: str) -> None:
        for view in self.views:
            getattr(view, change)(self)


# -- how it is shown -----------------------------------------------------------------------------


def _view(name: str, verbose: int) -> Any:
    """Return what suits the place where the fit runs."""
    if _in_worker():
        return _OneLine(name)
    if verbose == 1 and _is_live() and (bar := _bar_class()) is not None:
        return _Bar(name, bar)
    return _OneLine(name) if _in_search() else _Lines(name)


def _in_worker() -> bool:
    """Tell whether several fits may be running, of which this is one."""
    return (
        multiprocessing.current_process().name != "MainProcess"
        or threading.current_thread() is not threading.main_thread()
    )


def _is_live() -> bool:
    """Tell whether a line can be written over: a terminal, or a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _in_search() -> bool:
    """Tell whether scikit-learn's searches or cross-validation called, who fit many times."""
    frame: Any = sys._getframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("sklearn.model_selection"):
            return True
        frame = frame.f_back
    return False


def _bar_class() -> Any:
    """Return tqdm's bar, without a thread of its own; None without tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return type("_Bar", (tqdm,), {"monitor_interval": 0})


def clock(seconds: float) -> str:
    """Return a duration as a clock shows it.

    Examples
    --------
    >>> from hierlearn._progress import clock
    >>> clock(65), clock(3605)
    ('1:05', '1:00:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _View:
    """Shows nothing of what it is told."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _print(self, line: str) -> None:
        print(f"[{self.name}] {line}", file=sys.stderr, flush=True)

    def begin_stage(self, report: _Report) -> None:
        """Show that a stage begins."""

    def end_stage(self, report: _Report) -> None:
        """Show that it ends."""

    def begin_tasks(self, report: _Report) -> None:
        """Show that tasks begin."""

    def end_tasks(self, report: _Report) -> None:
        """Show that they are done."""

    def moved(self, report: _Report) -> None:
        """Show that some of the work is done."""

    def within(self, report: _Report) -> None:
        """Show that some of a task, or of a stage without tasks, is done."""

    def close(self, report: _Report, failed: bool) -> None:
        """Show that the report ends."""


class _OneLine(_View):
    """A line at the end."""

    def close(self, report: _Report, failed: bool) -> None:
        if not failed:
            self._print(f"done in {clock(report.elapsed)}")


class _Lines(_View):
    """A line a stage, and now and then one for the tasks in it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._latest = 0.0

    def begin_stage(self, report: _Report) -> None:
        self._say(report, report.stage)

    def moved(self, report: _Report) -> None:
        if report.n_tasks:
            self.within(report)

    def within(self, report: _Report) -> None:
        if report.elapsed - self._latest >= _SECONDS_BETWEEN_LINES:
            self._say(report, report.told)

    def close(self, report: _Report, failed: bool) -> None:
        if not failed:
            self._print(f"done in {clock(report.elapsed)}")

    def _say(self, report: _Report, line: str) -> None:
        self._latest = report.elapsed
        left = report.left
        self._print(line if left is None else f"{line} (about {clock(left)} left)")


class _Bar(_View):
    """tqdm's bar, one for the whole fit."""

    def __init__(self, name: str, kind: Any) -> None:
        super().__init__(name)
        self.bar = kind(
            total=1.0,
            desc=name,
            file=sys.stderr,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}",
        )

    def begin_stage(self, report: _Report) -> None:
        self._show(report, force=True)

    end_stage = begin_tasks = end_tasks = begin_stage

    def moved(self, report: _Report) -> None:
        self._show(report)

    within = moved

    def _show(self, report: _Report, force: bool = False) -> None:
        told = [report.told]
        if report.left is not None:
            told.insert(0, f"about {clock(report.left)} left")
        self.bar.set_postfix_str(", ".join(told), refresh=False)
        self.bar.update(report.share - self.bar.n)
        if force:
            self.bar.refresh()

    def close(self, report: _Report, failed: bool) -> None:
        if not failed:
            self.bar.set_postfix_str("done", refresh=False)
            self.bar.update(1.0 - self.bar.n)
        self.bar.close()


class _Upwards(_View):
    """Tells the report around a part how far the part is."""

    def __init__(self, around: _Report) -> None:
        super().__init__("")
        self.around = around

    def moved(self, report: _Report) -> None:
        share = report.share if report.expected else report.inside
        self.around.look_inside(share, report.told)

    begin_stage = begin_tasks = within = moved

    def close(self, report: _Report, failed: bool) -> None:
        self.around.detail = ""


class _Callbacks(_View):
    """scikit-learn's callbacks: a task for the fit, for every stage, and for every network."""

    def __init__(self, estimator: Any) -> None:
        super().__init__(type(estimator).__name__)
        self.estimator = estimator
        self.open = [estimator._init_callback_context(max_subtasks=None)]
        self._begin(self.open[0])

    def begin_stage(self, report: _Report) -> None:
        self._enter(report.stage, None)

    def begin_tasks(self, report: _Report) -> None:
        self._enter(report.tasks, report.n_tasks)

    def moved(self, report: _Report) -> None:
        if report.n_tasks:
            self._enter(report.tasks, 0)
            self._leave()

    def end_stage(self, report: _Report) -> None:
        self._leave()

    end_tasks = end_stage

    def close(self, report: _Report, failed: bool) -> None:
        while self.open and not failed:
            self._leave()

    def _enter(self, name: str, n_subtasks: int | None) -> None:
        self.open.append(self.open[-1].subcontext(task_name=name, max_subtasks=n_subtasks))
        self._begin(self.open[-1])

    def _leave(self) -> None:
        self.open.pop().call_on_fit_task_end(estimator=self.estimator)

    def _begin(self, context: Any) -> None:
        context.call_on_fit_task_begin(estimator=self.estimator)
