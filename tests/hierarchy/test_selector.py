import copy
import math
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hierlearn import (
    NetworkSelector,
    OnTrunk,
    SelectionTable,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.hierarchy.candidates import name_candidates
from hierlearn.hierarchy.cluster_task import ClusterTask, hold_out
from hierlearn.hierarchy.selection_table import SelectionRow

STRATEGIES = ["exhaustive", "meta", "halving"]
LINEAR = LogisticRegression(max_iter=500)
NEAR = KNeighborsClassifier(3)
CANDIDATES = [("linear", LINEAR), ("near", NEAR)]


class Constant(ClassifierMixin, BaseEstimator):
    """Predicts one class, has no posteriors, and counts its trainings by all copies."""

    fits: list = []

    def __init__(self, place=0):
        self.place = place

    def fit(self, X, y):
        self.fits.append((self.place, len(y)))
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[self.place])


@pytest.fixture
def fits():
    Constant.fits.clear()
    return Constant.fits


def lines(n_classes, n_samples=200, seed=0):
    """Return noisy strips along a line, which a linear model tells apart and neighbours do not."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 30)
    X[:, 0] *= 3
    edges = np.quantile(X[:, 0], np.linspace(0, 1, n_classes + 1)[1:-1])
    return X, np.searchsorted(edges, X[:, 0])


def rings(n_classes, n_samples=200, seed=0):
    """Return rings, one in another, which neighbours tell apart and a linear model does not."""
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n_samples)
    angle = rng.rand(n_samples) * 2 * np.pi
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + y[:, None]), y


class Given:
    """Rows of one source."""

    def __init__(self, X):
        self.X = X

    def __call__(self, source):
        assert source is None
        return self.X


def task(X, y, seed=0, **params):
    params = {"sample_weight": None, "statistics": {"n_samples": float(len(y))}, **params}
    return ClusterTask(y, seed=seed, rows=Given(X), **params)


def planted(n_clusters, seed=0):
    """Return clusters that want different candidates, by a figure that says which."""
    tasks = []
    for number in range(n_clusters):
        linear = number % 2 == 0
        X, y = (lines if linear else rings)(2, 60 + 10 * number, seed=seed + number)
        figures = {"confusion_inside": 0.1 * linear + 0.001 * number, "n_samples": float(len(y))}
        tasks.append(task(X, y, seed=number, statistics=figures))
    return tasks, ["linear" if number % 2 == 0 else "near" for number in range(n_clusters)]


# -- choosing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("data", "wanted"), [(lines, "linear"), (rings, "near")])
def test_better_candidate_wins(strategy, data, wanted):
    X, y = data(3, 400)
    clf = NetworkSelector(CANDIDATES, strategy=strategy, random_state=0).fit(X[:300], y[:300])
    assert clf.best_name_ == wanted
    assert clf.candidate_names_[clf.best_index_] == wanted
    assert clf.scores_[wanted] == max(clf.scores_.values())
    assert clf.score(X[300:], y[300:]) > 0.8


def test_winner_is_trained_again_on_all_rows():
    X, y = rings(3)
    clf = NetworkSelector(CANDIDATES, random_state=0).fit(X, y)
    alone = clone(NEAR).fit(X, y)
    assert np.array_equal(clf.predict_proba(X), alone.predict_proba(X))
    assert [(run.candidate, run.purpose, run.n_samples) for run in clf.trained_] == [
        ("linear", "compare", 160),
        ("near", "compare", 160),
        ("near", "final", 200),
    ]
    once = clone(clf).set_params(refit=False).fit(X, y)
    assert [run.purpose for run in once.trained_] == ["compare", "compare"]
    assert once.scores_ == clf.scores_


def test_share_held_out(fits):
    X, y = rings(2)
    NetworkSelector([Constant()], validation_fraction=0.4, random_state=0).fit(X, y)
    assert fits == [(0, 120), (0, 200)]


def test_tie_goes_to_the_cheaper_then_to_the_earlier():
    X, y = lines(2)
    X[:, 0] = 10 * np.where(y == 1, 1, -1)
    wide, narrow = (TorchMLPClassifier(sizes, max_epochs=20, lr=0.05) for sizes in ((60,), (30,)))
    clf = NetworkSelector([("wide", wide), ("narrow", narrow)], random_state=0).fit(X, y)
    assert clf.scores_ == {"wide": 1.0, "narrow": 1.0}
    assert clf.best_name_ == "narrow"
    trees = [("first", DecisionTreeClassifier()), ("second", DecisionTreeClassifier())]
    assert NetworkSelector(trees, random_state=0).fit(X, y).best_name_ == "first"


def test_scoring_decides():
    X, y = rings(2, 100)
    y = np.where(np.arange(100) < 90, 0, 1)
    always = [("common", Constant(0)), ("rare", Constant(1))]
    accurate = NetworkSelector(always, random_state=0).fit(X, y)
    recall = NetworkSelector(always, scoring="recall", random_state=0).fit(X, y)
    assert (accurate.best_name_, recall.best_name_) == ("common", "rare")

    def second(estimator, X, y):
        return estimator.place

    assert NetworkSelector(always, scoring=second, random_state=0).fit(X, y).best_name_ == "rare"


def test_nothing_to_hold_out_keeps_the_first():
    clf = NetworkSelector([("near", KNeighborsClassifier(1)), ("linear", LINEAR)])
    clf.fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    assert clf.best_name_ == "near"
    assert all(math.isnan(score) for score in clf.scores_.values())


# -- cost --------------------------------------------------------------------------------------


def test_cost_weight_is_the_gain_that_a_tenfold_has_to_bring():
    X, y = rings(2, 400)
    linear = TorchMLPClassifier((), max_epochs=20, lr=0.05)
    large = TorchMLPClassifier((64, 64), max_epochs=20, lr=0.01)
    clf = NetworkSelector([("linear", linear), ("large", large)], random_state=0).fit(X, y)
    assert clf.costs_ == {"linear": 4, "large": 2 * 64 + 64 * 64 + 64 * 2}
    assert clf.best_name_ == "large"
    gain = clf.scores_["large"] - clf.scores_["linear"]
    tenfolds = math.log10(clf.costs_["large"] / clf.costs_["linear"])
    for factor, best in [(0.99, "large"), (1.01, "linear")]:
        clf.set_params(cost_weight=factor * gain / tenfolds).fit(X, y)
        assert clf.best_name_ == best


def test_training_is_priced_by_rows_epochs_and_multiply_adds():
    X, y = rings(2)
    clf = NetworkSelector([TorchMLPClassifier((8,), max_epochs=3)], random_state=0).fit(X, y)
    compared, final = clf.trained_
    assert compared.training_multiply_adds == 160 * 3 * (2 * 8 + 8 * 2)
    assert final.training_multiply_adds == 200 * 3 * (2 * 8 + 8 * 2)
    assert clf.fit_seconds_ == compared.seconds + final.seconds > 0


def test_unknown_cost_cannot_be_weighed():
    X, y = rings(2)
    with pytest.raises(ValueError, match=r"cost_weight must be 0 where .* with 'near'"):
        NetworkSelector(CANDIDATES, cost_weight=0.1).fit(X, y)


# -- strategies --------------------------------------------------------------------------------


def test_halving_trains_most_candidates_little():
    X, y = rings(3, 300)
    sizes = [(2,), (4,), (8,), (16,), (32,)]
    networks = [TorchMLPClassifier(size, max_epochs=9, lr=0.02) for size in sizes]
    clf = NetworkSelector(networks, strategy="halving", random_state=0).fit(X, y)
    first, second = clf.trained_[:5], clf.trained_[5:-1]
    assert [run.epochs for run in first] == [3] * 5
    assert [run.epochs for run in second] == [9] * 2
    assert clf.trained_[-1].purpose == "final"
    finalists = {name for name, score in clf.scores_.items() if not math.isnan(score)}
    assert finalists == {run.candidate for run in second}
    assert clf.best_name_ in finalists


def test_halving_rations_rows_of_every_class_where_there_are_no_epochs():
    X, y = rings(3, 300)
    candidates = [*CANDIDATES, ("tree", DecisionTreeClassifier())]
    clf = NetworkSelector(candidates, strategy="halving", random_state=0).fit(X, y)
    assert [run.n_samples for run in clf.trained_] == [80, 80, 80, 240, 300]
    assert clf.best_name_ == "near"


@pytest.mark.parametrize("max_epochs", [1, 2, 3, 8])
@pytest.mark.parametrize("n_candidates", [2, 4, 9])
def test_halving_judges_the_last_with_most_of_their_epochs(max_epochs, n_candidates):
    X, y = lines(2)
    candidates = [TorchMLPClassifier((n,), max_epochs=max_epochs) for n in range(1, 10)]
    clf = NetworkSelector(candidates[:n_candidates], strategy="halving", random_state=0).fit(X, y)
    compared = [run.epochs for run in clf.trained_ if run.purpose == "compare"]
    assert max(compared) > max_epochs / 2
    if max_epochs < 3:  # nothing to ration
        assert compared == [max_epochs] * n_candidates


def test_halving_compares_all_on_all_rows_where_rows_are_few():
    X, y = lines(4, 25)
    candidates = [LogisticRegression(C=c) for c in (0.1, 1, 10, 100)]
    clf = NetworkSelector(candidates, strategy="halving", random_state=0).fit(X, y)
    compared = [run.n_samples for run in clf.trained_ if run.purpose == "compare"]
    assert compared == [max(compared)] * 4
    assert not any(math.isnan(score) for score in clf.scores_.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_cluster_gets_the_candidate_it_wants(strategy):
    tasks, wanted = planted(6)
    selector = NetworkSelector(CANDIDATES, strategy=strategy, explore=1.0)
    assert [member.best_name_ for member in selector.fit_clusters(tasks)] == wanted


def test_meta_explores_some_clusters_and_chooses_right_for_the_others():
    tasks, wanted = planted(24)
    selector = NetworkSelector(CANDIDATES, strategy="meta", explore=0.5)
    members = selector.fit_clusters(tasks)
    chosen = [member for member in members if member.meta_model_ is not None]
    assert len(chosen) == 12
    for member in chosen:
        assert len(member.trained_) == 1
        assert all(math.isnan(score) for score in member.scores_.values())
    explored = [member for member in members if member.meta_model_ is None]
    assert all(len(member.trained_) == 3 for member in explored)
    assert [member.best_name_ for member in members] == wanted


@pytest.mark.parametrize("as_file", [False, True])
def test_experience_takes_the_place_of_exploring(tmp_path, as_file):
    first, _ = planted(12)
    known = NetworkSelector(CANDIDATES).fit_clusters(first)
    table = SelectionTable.merge([SelectionTable.from_hierarchy(member) for member in known])
    if as_file:
        table.save(tmp_path / "table.json")
        table = tmp_path / "table.json"
    tasks, wanted = planted(6, seed=100)
    members = NetworkSelector(CANDIDATES, strategy="meta", table=table).fit_clusters(tasks)
    assert [member.best_name_ for member in members] == wanted
    assert all(len(member.trained_) == 1 for member in members)


def test_table_for_other_candidates():
    table = SelectionTable(("linear", "tree"))
    tasks, _ = planted(2)
    with pytest.raises(ValueError, match="table must be for the candidates"):
        NetworkSelector(CANDIDATES, strategy="meta", table=table).fit_clusters(tasks)


def test_table_without_costs_is_refused_before_anything_is_trained(fits):
    X, y = lines(2, 60)
    row = SelectionRow(
        {"n_samples": 60.0}, {"a": 0.5, "b": 0.6}, {"a": 1.0, "b": math.nan}, "b", {"a": 0, "b": 0}
    )
    clf = NetworkSelector(
        {"a": Constant(), "b": Constant(1)},
        strategy="meta",
        table=SelectionTable(("a", "b"), (row,)),
        cost_weight=0.1,
    )
    with pytest.raises(ValueError, match=r"^cost_weight must be 0 .* Got 0\.1, .* 'b', instead; "):
        clf.fit(X, y)
    assert not fits


def test_table_in_another_order_of_candidates():
    names, seconds = ("near", "linear"), {"near": 0.1, "linear": 0.1}
    rows = [
        SelectionRow({"n_samples": 9.0}, {"near": 0.1, "linear": 0.9}, seconds, "linear", seconds)
    ]
    table = SelectionTable(names, tuple(rows * 12))
    clf = NetworkSelector(CANDIDATES, strategy="meta", table=table).fit(*rings(2))
    assert clf.best_name_ == "linear"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_result_does_not_depend_on_the_number_of_jobs(strategy):
    tasks, _ = planted(4)
    network = TorchMLPClassifier((4,), max_epochs=3)
    candidates = [
        ("network", network),
        ("tree", DecisionTreeClassifier(max_features=1)),
        ("near", NEAR),
    ]
    runs = [
        NetworkSelector(candidates, strategy=strategy, explore=0.5).fit_clusters(tasks, n_jobs)
        for n_jobs in (1, 2)
    ]
    for one, two, each in zip(*runs, tasks, strict=True):
        assert one.best_name_ == two.best_name_
        assert str(one.scores_) == str(two.scores_)
        assert np.array_equal(one.predict(each.rows(None)), two.predict(each.rows(None)))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_choosing_first_and_training_later_comes_to_the_same(strategy):
    tasks, _ = planted(4)
    selector = NetworkSelector(CANDIDATES, strategy=strategy, explore=0.5)
    at_once = selector.fit_clusters(tasks)
    choices = selector.choose_clusters(tasks)
    assert not any(hasattr(choice, "best_estimator_") for choice in choices)
    assert not any(run.purpose == "final" for choice in choices for run in choice.trained_)
    later = selector.refit_clusters(choices, tasks)
    for one, two, each in zip(at_once, later, tasks, strict=True):
        assert (one.best_name_, str(one.scores_)) == (two.best_name_, str(two.scores_))
        assert len(one.trained_) == len(two.trained_)
        assert np.array_equal(one.predict(each.rows(None)), two.predict(each.rows(None)))


def test_selector_itself_stays_unfitted_by_clusters():
    selector = NetworkSelector(CANDIDATES)
    members = selector.fit_clusters(planted(2)[0])
    with pytest.raises(NotFittedError):
        selector.predict([[0.0, 0.0]])
    assert all(member.candidates is selector.candidates for member in members)


def test_stand_ins_are_what_the_hierarchy_gives():
    X, y = rings(2)
    bound = {"flat": KNeighborsClassifier(1), "branch": Constant()}
    given = task(X, y, bound=bound)
    (member,) = NetworkSelector(["flat", "branch", LINEAR]).fit_clusters([given])
    assert member.best_name_ == "flat"
    assert isinstance(member.best_estimator_, KNeighborsClassifier)


def test_candidate_reads_its_source():
    class Reader(KNeighborsClassifier):
        def _source(self):
            return "trunk"

    X, y = rings(2)
    sources = {None: np.random.RandomState(0).rand(len(y), 3), "trunk": X}
    given = ClusterTask(y, None, 0, {}, sources.get)
    (member,) = NetworkSelector([("raw", NEAR), ("trunk", Reader())]).fit_clusters([given])
    assert (member.best_name_, member.source_) == ("trunk", "trunk")
    assert member.best_estimator_.score(X, y) == 1
    with pytest.raises(ValueError, match="must come from the hierarchy here"):
        member.predict(X)


class Doubled(BaseEstimator):
    """Frozen features: counts the rows it computes."""

    computed: list = []

    def __init__(self, name="double"):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Doubled) and self.name == other.name

    __hash__ = None

    def key(self):
        return self.name

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        self.computed.append(len(X))
        return 2 * X


class OnDoubled(KNeighborsClassifier):
    def _source(self):
        return Doubled()

    def _on_source(self):
        return KNeighborsClassifier(self.n_neighbors)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_alone_the_trunk_is_the_rows_themselves(strategy):
    X, y = rings(3)
    candidates = {"near": OnTrunk(NEAR), "linear": LINEAR}
    clf = NetworkSelector(candidates, strategy=strategy, random_state=0).fit(X, y)
    plain = NetworkSelector({**candidates, "near": NEAR}, strategy=strategy, random_state=0)
    assert clf.best_name_ == "near"
    np.testing.assert_array_equal(clf.predict_proba(X), plain.fit(X, y).predict_proba(X))


def test_shared_features_are_computed_once_for_all_candidates():
    X, y = rings(2)
    Doubled.computed.clear()
    clf = NetworkSelector([OnDoubled(1), OnDoubled(5), Constant()], random_state=0).fit(X, y)
    assert Doubled.computed == [200]
    assert isinstance(clf.source_, Doubled)
    assert clf.score(X, y) == clf.best_estimator_.score(2 * X, y) > 0.9


# -- hold-out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, list])
def test_every_class_is_on_both_sides(kind):
    X, y = rings(4, 60)
    train, test = hold_out(kind(X), y, 0.25, 0)
    assert sorted([*train, *test]) == list(range(60))
    assert len(test) == 15
    assert set(y[train]) == set(y[test]) == {0, 1, 2, 3}


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_equal_rows_stay_together(kind):
    X, y = rings(3, 30)
    train, test = hold_out(kind(np.repeat(X, 3, axis=0)), np.repeat(y, 3), 0.3, 0)
    assert not set(train // 3) & set(test // 3)
    once_train, once_test = hold_out(kind(X), y, 0.3, 0)
    assert set(once_test) == set(test // 3)
    assert set(once_train) == set(train // 3)


def test_order_of_the_rows_does_not_matter():
    X, y = rings(3, 30)
    _, test = hold_out(X, y, 0.3, 0)
    _, reversed_test = hold_out(X[::-1], y[::-1], 0.3, 0)
    assert sorted(29 - reversed_test) == test.tolist()


# -- scikit-learn ------------------------------------------------------------------------------


def test_weight_of_zero_leaves_the_row_out():
    X, y = rings(3, 200)
    weight = np.ones(200)
    weight[:50] = 0
    linear = LogisticRegression(max_iter=500)
    candidates = [("linear", linear), ("bayes", GaussianNB())]
    weighted = NetworkSelector(candidates, random_state=0).fit(X, y, sample_weight=weight)
    left_out = NetworkSelector(candidates, random_state=0).fit(X[50:], y[50:])
    assert weighted.scores_ == left_out.scores_
    assert np.allclose(weighted.predict_proba(X), left_out.predict_proba(X))


def test_weights_count_in_the_score():
    X, y = rings(2, 100)
    weight = np.where(y == 1, 9.0, 1.0)

    class Weighed(Constant):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y)

    candidates = [("zero", Weighed(0)), ("one", Weighed(1))]
    clf = NetworkSelector(candidates, random_state=0).fit(X, y, sample_weight=weight)
    assert clf.best_name_ == "one"
    assert clf.scores_["one"] > 0.8
    assert clf.scores_["zero"] == pytest.approx(1 - clf.scores_["one"])


def test_candidates_without_posteriors():
    X, y = lines(3)
    clf = NetworkSelector([("svm", LinearSVC()), ("constant", Constant())], random_state=0)
    assert not hasattr(clf, "predict_proba")
    clf.fit(X, y)
    assert not hasattr(clf, "predict_proba")
    assert clf.decision_function(X).shape == (200, 3)
    clf.set_params(candidates=[Constant()]).fit(X, y)
    assert not hasattr(clf, "decision_function")
    assert set(clf.predict(X)) == {0}


def test_pipelines_take_raw_input():
    texts = np.array(["red apple", "green pear", "blue sky", "grey cloud"] * 20, dtype=object)
    y = np.array(["fruit", "fruit", "weather", "weather"] * 20)
    texts = [f"{text} {number}" for number, text in enumerate(texts)]
    candidates = {
        "words": make_pipeline(TfidfVectorizer(), MultinomialNB()),
        "letters": make_pipeline(TfidfVectorizer(analyzer="char"), LogisticRegression()),
    }
    clf = NetworkSelector(candidates, random_state=0).fit(texts, y)
    assert clf.score(texts, y) == 1
    assert clf.classes_.tolist() == ["fruit", "weather"]


def test_sparse_input():
    X, y = lines(3)
    clf = NetworkSelector([LINEAR, NEAR], random_state=0)
    assert np.array_equal(
        clf.fit(sparse.csr_array(X), y).predict(X), clone(clf).fit(X, y).predict(X)
    )


def test_nested_parameters():
    clf = NetworkSelector(clone(NetworkSelector(CANDIDATES)).candidates)
    assert clf.get_params()["near__n_neighbors"] == 3
    assert clf.set_params(near__n_neighbors=7) is clf
    assert clf.get_params()["near__n_neighbors"] == 7
    clf.set_params(near=GaussianNB(), linear__C=0.5)
    assert dict(clf.candidates)["near"].__class__ is GaussianNB
    assert dict(clf.candidates)["linear"].C == 0.5
    assert set(clf.get_params(deep=False)) == set(NetworkSelector().get_params())
    with pytest.raises(ValueError, match="Invalid parameter 'far'"):
        clf.set_params(far=NEAR)


def test_grid_over_the_selector():
    X, y = rings(2, 120)
    networks = [("linear", TorchMLPClassifier(())), ("hidden", TorchMLPClassifier((8,)))]
    grid = {
        "cost_weight": [0, 0.1],
        "strategy": ["exhaustive", "halving"],
        "hidden__max_epochs": [2],
    }
    search = GridSearchCV(NetworkSelector(networks, random_state=0), grid, cv=2).fit(X, y)
    assert search.best_estimator_.get_params()["hidden__max_epochs"] == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_pickle_and_copy_answer_alike(strategy):
    X, y = rings(3)
    clf = NetworkSelector(CANDIDATES, strategy=strategy, random_state=0).fit(X, y)
    for twin in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert np.array_equal(twin.predict_proba(X), clf.predict_proba(X))
        assert twin.best_name_ == clf.best_name_


def test_default_candidates_are_perceptrons():
    X, y = rings(3)
    clf = NetworkSelector(strategy="halving", random_state=0).fit(X, y)
    assert all(name.startswith("mlp-") for name in clf.candidate_names_)
    assert isinstance(clf.best_estimator_, TorchMLPClassifier)


# -- names and errors --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("candidates", "names"),
    [
        ([TorchMLPClassifier((20, 5)), TorchMLPClassifier(())], ["mlp-20-5", "mlp-linear"]),
        (
            [GaussianNB(), NEAR, GaussianNB()],
            ["gaussiannb-1", "kneighborsclassifier", "gaussiannb-2"],
        ),
        ([make_pipeline(StandardScaler(), TorchMLPClassifier((7,)))], ["mlp-7"]),
        (["flat", "branch"], ["flat", "branch"]),
        (
            [TransferClassifier(), TransferClassifier(tune=2), TransferClassifier(tune="all")],
            ["transfer-frozen", "transfer-2", "transfer-all"],
        ),
        ({"a": GaussianNB(), "b": NEAR}, ["a", "b"]),
    ],
)
def test_names(candidates, names):
    assert [name for name, _ in name_candidates(candidates)] == names


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "at least one"),
        ({}, "at least one"),
        ([("a", NEAR), ("a", LINEAR)], "different names"),
        ([("a__b", NEAR)], "without double underscores"),
        ([(1, NEAR)], "names that are strings"),
        ([("a", NEAR), LINEAR], "named all or none"),
        ([KNeighborsClassifier], "with fit and predict"),
        ([("a", None)], "with fit and predict"),
        ([NEAR, LinearRegression()], "must be classifiers"),
        ([make_pipeline(StandardScaler(), Ridge())], "must be classifiers"),
        (["round"], "one of the strings 'branch', 'flat'. Got 'round'"),
        (["flat"], "only in the fine_estimator"),
        ([NEAR, "branch"], "only in the fine_estimator"),
    ],
)
def test_wrong_candidates(candidates, message):
    with pytest.raises(ValueError, match=message):
        NetworkSelector(candidates).fit(*rings(2))


def test_candidate_that_cannot_learn_is_named():
    X, y = rings(2)
    with pytest.raises(ValueError, match="Got an error from 'words': Negative values"):
        NetworkSelector({"near": NEAR, "words": MultinomialNB()}).fit(-X, y)


def test_candidate_without_weights_is_named():
    X, y = rings(2)
    with pytest.raises(ValueError, match="from 'near': sample_weight must be None"):
        NetworkSelector(CANDIDATES).fit(X, y, sample_weight=np.ones(len(y)))


@pytest.mark.parametrize("name", ["refit", "table", "n_jobs", "candidates"])
def test_candidate_named_like_a_parameter(name):
    clf = NetworkSelector({name: LINEAR, "near": NEAR})
    with pytest.raises(ValueError, match=f"^candidates must have names .* Got '{name}' instead; "):
        clf.fit(*lines(2))
    assert clf.get_params(deep=False)[name] is not LINEAR


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"strategy": "guess"}, "strategy"),
        ({"cost_weight": -1}, "cost_weight"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"explore": 2}, "explore"),
        ({"meta_model": "forest"}, "meta_model"),
        ({"scoring": "beauty"}, "scoring"),
        ({"candidates": 3}, "candidates"),
        ({"table": 3}, "table"),
    ],
)
def test_wrong_parameters(params, message):
    selector = NetworkSelector(CANDIDATES).set_params(**params)
    with pytest.raises(ValueError, match=message):
        selector.fit(*rings(2))
    with pytest.raises(ValueError, match=message):
        selector.fit_clusters(planted(2)[0])


def test_one_class_only():
    with pytest.raises(ValueError, match="at least two classes"):
        NetworkSelector(CANDIDATES).fit([[0.0], [1.0]], [1, 1])


def test_stages_are_told(capsys):
    NetworkSelector(CANDIDATES, verbose=1).fit(*rings(2))
    assert "2 candidates for 1 clusters" in capsys.readouterr().err
