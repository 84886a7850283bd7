"""Long fits tell how far they are: on the standard error, counted in the parent, if asked."""

import io
import re
import sys
import threading
from contextlib import redirect_stderr

import pytest
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from hierlearn import (
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbeddingClassifier,
    MultiLabelDecompositionClassifier,
    NetworkSelector,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn import _progress as progress
from hierlearn._progress import reporting, watched, work_of_splits
from hierlearn._tasks import run_tasks
from hierlearn.controls import compare
from hierlearn.networks import mlp

BASE = TorchMLPClassifier((8,), max_epochs=1)
FITS = {
    "hierarchy": HierarchicalDecompositionClassifier(
        DecisionTreeClassifier(max_depth=4), fine_estimator=GaussianNB(), random_state=0
    ),
    "selector": NetworkSelector([GaussianNB(), DecisionTreeClassifier()], random_state=0),
    "heads": SpecialistHeadAugmenter(BASE, head_epochs=1, random_state=0),
    "rounds of heads": SpecialistHeadAugmenter(BASE, head_epochs=1, n_rounds=2, random_state=0),
    "network": TorchMLPClassifier((8,), max_epochs=3, random_state=0),
    "student": DistilledClassifier(BASE, BASE, random_state=0),
    "label tree": MultiLabelDecompositionClassifier((8,), max_epochs=2, random_state=0),
    "embedding": LabelEmbeddingClassifier((8,), max_epochs=2, random_state=0),
    "transfer": TransferClassifier(mlp(64, 8, hidden_layer_sizes=(16,)), max_epochs=2),
}
STAGES = {
    "network": ["training"],
    "student": ["teacher", "soft targets", "student"],
    "label tree": ["clusters of labels", "training"],
    "embedding": ["embeddings of labels", "training", "calibration on held-out rows"],
    "transfer": ["features of the frozen layers", "training"],
}


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(params=FITS.values(), ids=list(FITS))
def estimator(request):
    return clone(request.param)


@pytest.fixture
def hierarchy():
    return clone(FITS["hierarchy"]).set_params(verbose=1)


@pytest.fixture(autouse=True)
def _nothing_is_left_open():
    before = set(threading.enumerate())  # some may be other tests'
    yield
    assert progress._report() is None
    assert not getattr(progress._LOCAL, "silent", False)
    begun = set(threading.enumerate()) - before
    assert not any("tqdm" in type(thread).__module__ for thread in begun)


def _views(monkeypatch):
    """Return what is counted: pairs of tasks done and tasks in all."""
    counts = []

    class View(progress._View):
        def moved(self, report):
            counts.append((report.tasks, report.n_done, report.n_tasks))

    monkeypatch.setattr(progress, "_view", lambda name, verbose: View(name))
    return counts


# -- what is shown -----------------------------------------------------------------------------


def test_quiet_by_default(estimator, train, capfd):
    estimator.fit(*train)
    assert capfd.readouterr() == ("", "")


def test_stages_are_lines_where_lines_cannot_be_written_over(estimator, train, capfd):
    estimator.set_params(verbose=1).fit(*train)
    out, err = capfd.readouterr()
    assert out == ""
    *stages, end = err.splitlines()
    assert stages
    assert all(line.startswith(f"[{type(estimator).__name__}] ") for line in stages)
    assert re.fullmatch(r"\[\w+\] done in \d+:\d\d", end)


@pytest.mark.parametrize("name", STAGES)
def test_stages_have_names(name, train, capfd):
    clone(FITS[name]).set_params(verbose=1, random_state=0).fit(*train)
    lines = capfd.readouterr().err.splitlines()[:-1]
    assert [re.sub(r"^\[\w+\] | \(about.*", "", line) for line in lines] == STAGES[name]


def test_no_bar_where_a_table_is_printed(train, capfd):
    network = clone(FITS["network"]).set_params(verbose=2)
    with redirect_stderr(Terminal()) as terminal:
        network.fit(*train)
    assert len(terminal.getvalue().splitlines()) == 2
    assert "train_loss" in capfd.readouterr().out


def test_what_is_fitted_does_not_depend_on_it(estimator, train, test, capfd):
    quiet = clone(estimator).set_params(random_state=0).fit(*train)
    loud = clone(estimator).set_params(random_state=0, verbose=1).fit(*train)
    assert (quiet.predict_proba(test[0]) == loud.predict_proba(test[0])).all()
    assert set(vars(quiet)) == set(vars(loud))


def test_time_left_is_said_once_something_is_done(hierarchy, train, capfd):
    hierarchy.fit(*train)
    first, *others, _ = capfd.readouterr().err.splitlines()
    assert "left" not in first
    assert all(re.search(r"\(about \d+:\d\d left\)$", line) for line in others)


def test_terminal_has_one_bar_for_the_whole_fit(estimator, train):
    pytest.importorskip("tqdm", reason="tqdm draws the bar")
    with redirect_stderr(Terminal()) as terminal:
        estimator.set_params(verbose=1).fit(*train)
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    assert "100%" in shown
    assert shown.rstrip().endswith("done")


def test_works_without_tqdm(hierarchy, train, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with redirect_stderr(Terminal()) as terminal:
        hierarchy.fit(*train)
    assert len(terminal.getvalue().splitlines()) == 6


@pytest.mark.parametrize("live", [False, True])
def test_nothing_is_left_open_after_an_error(hierarchy, train, live):
    hierarchy.set_params(fine_estimator=GaussianNB(priors=[2.0]))
    with redirect_stderr(Terminal() if live else io.StringIO()) as stream:
        with pytest.raises(ValueError, match="priors"):
            hierarchy.fit(*train)
        assert "done" not in stream.getvalue()
        hierarchy.set_params(fine_estimator=GaussianNB()).fit(*train)
    assert "done" in stream.getvalue()


# -- what is counted ---------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_finished_networks_are_counted_in_the_parent(
    hierarchy, train, monkeypatch, n_jobs, backend
):
    counts = _views(monkeypatch)
    with parallel_config(backend=backend):
        hierarchy.set_params(n_jobs=n_jobs, mixing=0.0, cv=3).fit(*train)
    k = hierarchy.partition_.n_clusters
    fine = [("class assignment classifiers", i + 1, k) for i in range(k)]
    assert counts == [("held-out scores", i + 1, 3) for i in range(3)] + fine


def test_tasks_of_tasks_are_their_own(monkeypatch):
    counts = _views(monkeypatch)
    with reporting("outer", 1):
        run_tasks(run_tasks, [(pow, [(2, 3), (3, 2)])] * 4, stage="fits")
    assert counts == [("fits", i + 1, 4) for i in range(4)]


def test_epochs_of_a_network_are_counted(train, monkeypatch):
    counts = _views(monkeypatch)
    clone(FITS["network"]).set_params(verbose=1).fit(*train)
    assert counts == [("epochs", i + 1, 3) for i in range(3)]


@pytest.mark.parametrize(
    ("fine", "inside"),
    [
        (GaussianNB(), {"held-out scores", "base network on all data"}),
        (TorchMLPClassifier((4,), max_epochs=2), {"held-out scores", "base network on all data"}),
    ],
)
def test_epochs_move_what_they_are_a_part_of(hierarchy, train, monkeypatch, fine, inside):
    told, shares = [], []

    class View(progress._View):
        def within(self, report):
            told.append(report.told)
            shares.append(report.share)

    monkeypatch.setattr(progress, "_view", lambda name, verbose: View(name))
    base = TorchMLPClassifier((8,), max_epochs=4, random_state=0)
    hierarchy.set_params(base_estimator=base, fine_estimator=fine, mixing=0.0).fit(*train)
    assert {
        re.sub(r"( \d/\d)?, epochs .*", "", line) for line in told if "epochs" in line
    } >= inside
    assert "held-out scores 0/1, epochs 3/4" in told
    assert "base network on all data, epochs 3/4" in told
    assert shares == sorted(shares)
    assert len(set(shares)) >= 8


def test_quiet_fits_count_nothing(hierarchy, train, monkeypatch):
    counted = []
    monkeypatch.setattr(progress, "count", counted.append)
    hierarchy.set_params(verbose=0, base_estimator=BASE).fit(*train)
    assert counted == []


def test_lines_come_now_and_then_within_a_stage(train, monkeypatch, capfd):
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    clone(FITS["network"]).set_params(verbose=1).fit(*train)
    lines = capfd.readouterr().err.splitlines()
    assert [line.split("] ")[1].split(" (")[0] for line in lines[:4]] == [
        "training",
        *(f"epochs {i}/3" for i in (1, 2, 3)),
    ]


def test_share_does_not_fall_where_a_part_begins_again():
    report = progress._Report([])
    report.expect(2.0)
    report.begin_stage("two fits", 1.0)
    shares = []
    for part in (0.5, 1.0, 0.2):
        report.look_inside(part, "")
        shares.append(report.share)
    assert shares == [0.25, 0.5, 0.5]


def test_tasks_that_nobody_watches_pass():
    assert list(watched(iter("abc"), 3, "letters")) == ["a", "b", "c"]


def test_the_work_that_is_expected_is_done(estimator, train, monkeypatch):
    shares = []

    class View(progress._View):
        def end_stage(self, report):
            shares.append(report.before / report.expected)

    monkeypatch.setattr(progress, "_view", lambda name, verbose: View(name))
    estimator.set_params(verbose=1).fit(*train)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("cv", "work"), [(None, 0.8), (0.25, 0.75), (4, 3.0), ("prefit", 0.0), (object(), 1.0)]
)
def test_work_of_splits(cv, work):
    assert work_of_splits(cv) == work


# -- inside of others --------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize(
    ("name", "grid"),
    [("hierarchy", {"routing": ["soft", "hard"]}), ("network", {"lr": [0.01, 0.02]})],
)
def test_searches_have_a_line_a_fit(name, grid, train, capfd, n_jobs):
    get_reusable_executor().shutdown()  # workers write where they did when they started
    search = GridSearchCV(clone(FITS[name]).set_params(verbose=1), grid, cv=2, n_jobs=n_jobs)
    search.fit(*train)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 5
    assert all("done in" in line for line in lines)


def test_fits_inside_of_a_fit_are_silent(hierarchy, train, capfd):
    inner = clone(hierarchy)
    hierarchy.set_params(base_estimator=inner, fine_estimator=GaussianNB()).fit(*train)
    assert len(capfd.readouterr().err.splitlines()) == 6


def test_comparison_says_each_fit(train, test, capfd):
    found = []
    estimator = clone(FITS["hierarchy"])
    compare(estimator, *train, *test, seeds=[0, 1], verbose=1, progress=found.append)
    out, err = capfd.readouterr()
    *lines, end = [line.removeprefix("[compare] ") for line in err.splitlines()]
    assert out == ""
    assert [re.sub(r" \(about.*", "", line) for line in lines] == found
    assert all("left" in line for line in lines if line.startswith("seed 1"))
    assert end.startswith("done in")


# -- scikit-learn's callbacks ------------------------------------------------------------------


class Recorder:
    """A callback that keeps the names of the tasks."""

    def setup(self, estimator, context):
        self.begun, self.ended, self.torn_down = [], [], False

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        self.ended.append(context.task_name)

    def teardown(self, estimator, context):
        self.torn_down = True


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_callbacks_are_told_of_stages_and_networks(train, n_jobs, capfd):
    pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    hierarchy = clone(FITS["hierarchy"]).set_params(mixing=0.0, n_jobs=n_jobs)
    recorder = Recorder()
    hierarchy.set_callbacks(recorder).fit(*train)
    k = hierarchy.partition_.n_clusters
    assert recorder.begun.count("class assignment classifiers") == k + 1  # and the group of them
    assert sorted(recorder.begun) == sorted(recorder.ended)
    assert recorder.begun[0] == recorder.ended[-1] == "fit"
    assert recorder.torn_down
    assert capfd.readouterr() == ("", "")


def test_callbacks_are_told_of_epochs(train):
    pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    recorder = Recorder()
    clone(FITS["network"]).set_callbacks(recorder).fit(*train)
    assert recorder.begun == ["fit", "training", "epochs", "epochs", "epochs", "epochs"]
    assert sorted(recorder.begun) == sorted(recorder.ended)


def test_callbacks_are_torn_down_after_an_error(hierarchy, train):
    pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    recorder = Recorder()
    hierarchy.set_params(verbose=0, fine_estimator=GaussianNB(priors=[2.0]))
    with pytest.raises(ValueError, match="priors"):
        hierarchy.set_callbacks(recorder).fit(*train)
    assert recorder.torn_down
    assert not hasattr(hierarchy, "_callback_fit_ctx")


def test_progress_bar_of_scikit_learn(estimator, train, capfd):
    callback = pytest.importorskip("sklearn.callback", reason="since scikit-learn 1.9")
    pytest.importorskip("rich", reason="ProgressBar draws with rich")
    estimator.set_callbacks(callback.ProgressBar()).fit(*train)
    assert type(estimator).__name__ in capfd.readouterr().out
