"""What counts: scorers by name, and what is refused before anything is fitted."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, top_k_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    HierarchicalDecompositionClassifier,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)
from hierlearn.controls import compare, measure
from hierlearn.controls.measuring import check_k, resolve_scoring, seeded
from hierlearn.metrics import RankingScorer, get_scorer

INDICATOR = np.eye(4, dtype=int)
NETWORK = TorchMLPClassifier((4,), max_epochs=1).fit(np.eye(4), [0, 0, 1, 1])


def top_2(estimator, X, y):
    return top_k_accuracy_score(y, estimator.predict_proba(X), k=2)


@pytest.fixture(scope="module")
def fitted():
    X, y = load_digits(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(X[:300] / 16, y[:300]), X[300:500] / 16, y[300:500]


@pytest.mark.parametrize(
    ("scoring", "y", "name"),
    [
        (None, [0, 1, 2], "accuracy"),
        (None, ["a", "b"], "accuracy"),
        (None, np.array([[0], [1]]), "accuracy"),
        (None, INDICATOR, "map@4"),
        (None, sparse.csr_array(INDICATOR), "map@4"),
        (None, np.eye(60, dtype=int), "map@50"),
        ("precision@3", [0, 1, 2], "precision@3"),
        ("balanced_accuracy", [0, 1, 2], "balanced_accuracy"),
        (get_scorer("recall@2"), INDICATOR, "recall@2"),
        (top_2, [0, 1], "top_2"),
    ],
)
def test_scorer_and_its_name(scoring, y, name):
    assert resolve_scoring(scoring, y).name == name


@pytest.mark.parametrize(
    ("scoring", "wanted"),
    [
        (None, lambda clf, X, y: clf.score(X, y)),
        ("accuracy", lambda clf, X, y: clf.score(X, y)),
        ("map@3", RankingScorer("map", 3)),
        (top_2, top_2),
        (make_scorer(top_k_accuracy_score, response_method="predict_proba", k=2), top_2),
    ],
    ids=["default", "name", "at k", "function", "sklearn's scorer"],
)
def test_score_is_the_scorers(fitted, scoring, wanted):
    measured = measure("linear", fitted[0], 0, 1.5, *fitted[1:], scoring)
    assert measured.score == pytest.approx(wanted(*fitted))
    assert (measured.variant, measured.fit_seconds) == ("linear", 1.5)
    assert measured.multiply_adds == 640
    assert measured.predict_seconds > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scoring": "nonsense"}, "scoring must be None, .* Got 'nonsense' instead"),
        ({"scoring": "map@many"}, "scoring must be None, .* Got 'map@many' instead"),
        ({"scoring": 3}, "scoring must be None, .* Got 3 instead"),
        ({"scoring": "map@11"}, "no more labels than there are, 10. Got k=11 .* use 'map@10'"),
        ({"seeds": 2}, r"seeds must be a sequence.* Got 2 instead; give range\(2\)"),
        ({"seeds": []}, "seeds must hold at least one integer"),
        (
            {"y_test": [0, 1]},
            "X_test and y_test must have the same number of samples. Got 20 and 2",
        ),
        (
            {"estimator": make_pipeline(StandardScaler(), LogisticRegression())},
            "must be a HierarchicalDecompositionClassifier or a SpecialistHeadAugmenter. Got Pipe",
        ),
        (
            {"estimator": make_pipeline(StandardScaler(), HierarchicalDecompositionClassifier())},
            "Got Pipeline instead; put the steps before it into its base_estimator",
        ),
        (
            {"estimator": LogisticRegression()},
            r"Got Log.* instead; wrap a classifier, as HierarchicalDecompositionClassifier\(model",
        ),
        (
            {"estimator": TorchMLPClassifier()},
            r"wrap it, as SpecialistHeadAugmenter\(model\) or HierarchicalDecompositionClassifier",
        ),
        (
            {"estimator": make_pipeline(StandardScaler(), NETWORK)},
            r"Got Pipeline .* as SpecialistHeadAugmenter\(FrozenEstimator\(model\)\), with",
        ),
        ({"estimator": FrozenEstimator(NETWORK)}, r"as SpecialistHeadAugmenter\(model\) or Hier"),
        ({"estimator": NETWORK.module_}, r"wrap it, as SpecialistHeadAugmenter\(model\)"),
        (
            {"estimator": HierarchicalDecompositionClassifier(), "X_val": np.zeros((2, 5))},
            "X_val and y_val must be None for a HierarchicalDecompositionClassifier",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_compare_refuses_at_once_what_it_cannot_measure(changes, message):
    rng = np.random.RandomState(0)
    call = {
        "estimator": SpecialistHeadAugmenter(),
        "X": rng.normal(size=(40, 5)),
        "y": np.arange(40) % 10,
        "X_test": rng.normal(size=(20, 5)),
        "y_test": np.arange(20) % 10,
        "seeds": [0],
    }
    with pytest.raises(ValueError, match=message) as error:
        compare(**{**call, **changes})
    assert "\n" not in str(error.value)


def test_labels_may_rank_more_samples_than_there_are_labels():
    scoring = resolve_scoring(get_scorer("map@9", average="labels"), INDICATOR)
    check_k(scoring, INDICATOR)
    with pytest.raises(ValueError, match="no more labels than there are, 4"):
        check_k(resolve_scoring("map@9", INDICATOR), INDICATOR)


def test_every_seed_is_replaced_and_no_fit_changes_what_was_given():
    inner = LogisticRegression(random_state=5)
    clf = HierarchicalDecompositionClassifier(make_pipeline(inner), random_state=5)
    first, second = seeded(clf, 0), seeded(clf, 1)
    for state in ("random_state", "base_estimator__logisticregression__random_state"):
        values = {seed.get_params()[state] for seed in (first, second)}
        assert len(values - {5, None}) == 2
    assert clf.random_state == inner.random_state == 5
