"""Bad input: one line that names what is wrong, what was given and what to do."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TaxonomyPartitioner,
    TorchMLPClassifier,
)
from hierlearn.exceptions import HierlearnError, PartitionError, UnsupportedTargetError

NB = GaussianNB()
MLP = TorchMLPClassifier((8,), max_epochs=1)
HALVES = LabelPartition(np.arange(10), np.repeat([0, 1], 5))


def decomposition(base=NB, partitioner=None, **params):
    return HierarchicalDecompositionClassifier(base, partitioner, random_state=0, **params)


def error_of(action, *arguments, kind=ValueError):
    with pytest.raises(kind) as caught:
        action(*arguments)
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_says(message, *parts):
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"gamma": 0}, ["'gamma'", "(0.0, inf)", "None", "Got 0 instead"]),
        ({"gamma": -1.5}, ["'gamma'", "(0.0, inf)", "Got -1.5 instead"]),
        ({"routing": "best"}, ["'routing'", "'hard'", "'soft'", "int", "Got 'best' instead"]),
        ({"routing": 0}, ["'routing'", "[1, inf)", "Got 0 instead"]),
        ({"routing": None}, ["'routing'", "Got None instead"]),
        (
            {"partitioner": "kmeans"},
            ["'partitioner'", "'centroid'", "'linkage'", "'random'", "'spectral'", "'taxonomy'"],
        ),
        ({"partitioner": 5}, ["'partitioner'", "LabelPartition", "Got 5 instead"]),
        ({"confusion": "fuzzy"}, ["'confusion'", "'soft'", "'top_k'", "Got 'fuzzy' instead"]),
        ({"overlap_rule": "some"}, ["'overlap_rule'", "'any'", "'all'", "Got 'some'"]),
        ({"mixing": 1.5}, ["'mixing'", "[0.0, 1.0]", "'auto'", "Got 1.5 instead"]),
        ({"mixing": "best"}, ["'mixing'", "'auto'", "Got 'best' instead"]),
        ({"max_depth": 0}, ["'max_depth'", "[1, inf)", "Got 0 instead"]),
        ({"hierarchy_estimator": "twig"}, ["'hierarchy_estimator'", "'branch'", "Got 'twig'"]),
        ({"fine_estimator": 3}, ["'fine_estimator'", "'fit' and 'predict'", "Got 3 instead"]),
        ({"base": StandardScaler()}, ["'base_estimator'", "'predict'", "StandardScaler()"]),
        ({"branch_epochs": 0}, ["'branch_epochs'", "[1, inf)", "Got 0 instead"]),
        ({"branch_lr": 0.0}, ["'branch_lr'", "Got 0.0 instead"]),
        ({"cv": "loo"}, ["cv must be", "'prefit'", "Got 'loo'"]),
        ({"cv": 1.5}, ["cv must be", "fraction", "Got 1.5"]),
        (
            {"confusion": "top_k", "confusion_k": 11},
            ["k must be an integer from 1 to the number of classes, 10. Got 11 instead"],
        ),
    ],
    ids=str,
)
def test_parameters(digits, params, said):
    assert_says(error_of(decomposition(**params).fit, *digits), *said)


def test_partitioner_class_instead_of_instance(digits):
    message = error_of(
        decomposition(partitioner=ConfusionLinkagePartitioner).fit, *digits, kind=TypeError
    )
    assert_says(message, "partitioner must be an instance: write ConfusionLinkagePartitioner()")


@pytest.mark.parametrize(
    ("label", "shown"), [(3, "3"), ("cat", "'cat'"), (2.0, "2.0"), (True, "True")]
)
def test_one_class_only(digits, label, shown):
    message = error_of(decomposition().fit, digits[0], [label] * 600)
    assert_says(message, "y must hold at least two classes", f"only: {shown} instead", "add")


def test_all_but_one_class_weigh_nothing(digits):
    weight = (digits[1] == 7).astype(float)
    message = error_of(decomposition().fit, *digits, weight)
    assert_says(message, "y must hold at least two classes", "only: 7 instead")


@pytest.mark.parametrize("lonely", [["solo"], ["solo", "other", "third"]])
def test_class_of_a_single_sample(digits, lonely):
    y = digits[1].astype(object)
    y[: len(lonely)] = lonely
    message = error_of(decomposition().fit, digits[0], y.astype(str))
    assert_says(message, "two samples of every class", f"class {min(lonely)!r}", "merge")
    assert ("2 other classes" in message) == (len(lonely) == 3)


def test_class_with_one_sample_that_weighs_anything(digits):
    weight = np.ones(600)
    weight[np.flatnonzero(digits[1] == 4)[1:]] = 0
    message = error_of(decomposition().fit, *digits, weight)
    assert_says(message, "two samples of every class", "class 4")


@pytest.mark.parametrize("n_labels", [2, 3])
def test_several_labels_a_sample(digits, n_labels):
    indicator = np.random.default_rng(0).integers(0, 2, size=(600, n_labels))
    message = error_of(decomposition().fit, digits[0], indicator, kind=UnsupportedTargetError)
    assert_says(message, "y must hold one class label", "use TorchMLPClassifier")


def test_continuous_y(digits):
    y = digits[1] + 0.5
    message = error_of(decomposition().fit, digits[0], y, kind=UnsupportedTargetError)
    assert_says(message, "y must hold class labels", "continuous", "bin them")


def test_no_y(digits):
    assert_says(error_of(decomposition().fit, digits[0], None), "requires y", "Pass the class")


def test_lengths_that_differ(digits):
    message = error_of(decomposition().fit, digits[0], digits[1][:500])
    assert_says(message, "same number of samples", "600 and 500")


@pytest.mark.parametrize("base", [NB, MLP, make_pipeline(StandardScaler(), MLP)], ids=str)
@pytest.mark.parametrize("stage", ["fit", "predict"])
def test_nan(digits, base, stage):
    X, y = digits
    holed = X.copy()
    holed[5, 7] = np.nan
    clf = decomposition(base)
    action = (clf.fit, holed, y) if stage == "fit" else (clf.fit(X, y).predict, holed)
    assert_says(error_of(*action), "X must", "NaN", "Got", "SimpleImputer")


@pytest.mark.parametrize("stage", ["fit", "predict"])
def test_images_into_a_flat_base(digits, stage):
    X, y = digits
    images = X.reshape(-1, 8, 8)
    clf = decomposition(MLP)
    action = (clf.fit, images, y) if stage == "fit" else (clf.fit(X, y).predict, images)
    message = error_of(*action)
    assert_says(message, "X must be 2-D", "(600, 8, 8)", "X.reshape(len(X), -1)")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "decision_path"])
def test_other_features_than_in_fit(digits, method):
    clf = decomposition().fit(*digits)
    message = error_of(getattr(clf, method), digits[0][:, :9])
    assert_says(message, "X has 9 features", "expecting 64 features")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform", "decision_path"])
def test_not_fitted(digits, method):
    message = error_of(getattr(decomposition(), method), digits[0], kind=NotFittedError)
    assert_says(message, "not fitted yet. Call 'fit'")


@pytest.mark.parametrize("method", ["cost_report", "rerouted"])
def test_not_fitted_nothing_to_tell(method):
    message = error_of(getattr(decomposition(), method), kind=NotFittedError)
    assert_says(message, "not fitted yet. Call 'fit'")


@pytest.mark.parametrize(
    ("partition", "said"),
    [
        (LabelPartition(np.arange(9), [0] * 9), ["missing classes [9]", "give every class of y"]),
        (LabelPartition(np.arange(11), [0] * 11), ["extra classes [10]"]),
        (
            LabelPartition(list("abcdefghij"), [0] * 10),
            ["missing classes [0", "extra classes ['a'"],
        ),
        (TaxonomyPartitioner({"low": range(5), "high": range(5, 9)}), ["9"]),
    ],
    ids=["fewer", "more", "others", "taxonomy"],
)
def test_partition_for_other_classes(digits, partition, said):
    message = error_of(decomposition(NB, partition).fit, *digits, kind=PartitionError)
    assert_says(message, *said)
    assert issubclass(PartitionError, HierlearnError)


def test_max_depth_with_a_ready_partition(digits):
    message = error_of(decomposition(NB, HALVES, max_depth=2).fit, *digits)
    assert_says(message, "max_depth must be 1", "LabelPartition", "Got 2", "give a partitioner")


@pytest.mark.parametrize("base", [NB, make_pipeline(StandardScaler(), NB)], ids=str)
def test_branch_of_a_base_without_layers(digits, base):
    message = error_of(decomposition(base, hierarchy_estimator="branch").fit, *digits)
    assert_says(message, "hierarchy_estimator='branch'", "Got GaussianNB", "give a classifier")


def test_branch_at_a_layer_that_is_not_there(digits):
    message = error_of(decomposition(MLP, branch_at="conv7").fit, *digits)
    assert_says(message, "branch_at", "'hidden1'", "Got 'conv7' instead")


@pytest.mark.parametrize(
    ("slot", "said"),
    [
        ("base_estimator", "KNeighborsClassifier"),
        ("hierarchy_estimator", "KNeighborsClassifier"),
        ("fine_estimator", "KNeighborsClassifier"),
    ],
)
def test_weights_that_a_member_cannot_take(digits, slot, said):
    clf = decomposition().set_params(**{slot: KNeighborsClassifier()})
    message = error_of(clf.fit, *digits, np.ones(600))
    assert_says(message, "sample_weight must be None", said, "leave them out")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (np.zeros(600), "only zero weights"),
        (np.ones(599), "Got shape (599,)"),
        (-np.ones(600), "Got -1 instead"),
        (np.full(600, np.nan), "Got nan instead"),
    ],
    ids=["zeros", "short", "negative", "nan"],
)
def test_weights_that_are_none(digits, weight, said):
    assert_says(error_of(decomposition().fit, *digits, weight), said, "eight")


def test_held_out_rows_that_all_weigh_nothing(digits):
    weight = np.repeat([1.0, 0.0], 300)
    cv = [(np.arange(300), np.arange(300, 600))]
    message = error_of(decomposition(cv=cv, mixing=0).fit, *digits, weight)
    assert_says(message, "sample_weight must weigh some", "leave out the rows of weight zero")


# -- a base that came fitted -------------------------------------------------------------------


def test_prefit_base_that_is_not_fitted(digits):
    message = error_of(decomposition(cv="prefit").fit, *digits, kind=NotFittedError)
    assert_says(message, "GaussianNB instance is not fitted yet")


def test_prefit_base_that_knows_more_classes(digits):
    X, y = digits
    fitted = GaussianNB().fit(X, y)
    message = error_of(decomposition(fitted, cv="prefit").fit, X[y < 8], y[y < 8])
    assert_says(message, "every class that the fitted base_estimator knows", "class 8", "add some")


def test_prefit_network_that_lacks_a_class(digits):
    X, y = digits
    fitted = TorchMLPClassifier((8,), max_epochs=1).fit(X[y < 9], y[y < 9])
    message = error_of(decomposition(fitted, HALVES, cv="prefit").fit, X, y)
    assert_says(message, "y must hold classes", "[9]")


def test_prefit_with_nothing_to_judge_by(digits):
    X, y = digits
    first = np.unique(y, return_index=True)[1]
    fitted = GaussianNB().fit(X, y)
    message = error_of(decomposition(fitted, cv="prefit").fit, X[first], y[first])
    assert_says(message, "mixing='auto' needs two samples", "set mixing to a number")
    given = decomposition(
        fitted, HALVES, cv="prefit", mixing=0.5, fine_estimator=KNeighborsClassifier(1)
    )
    assert given.fit(X[first], y[first]).score(X, y) > 0.5


def test_a_members_own_error_comes_through(digits):
    clf = decomposition(LogisticRegression(C=-1))
    message = error_of(clf.fit, *digits)
    assert_says(message, "'C' parameter of LogisticRegression", "Got -1 instead")


@pytest.mark.parametrize("gap", [None, np.nan])
def test_missing_labels(gap):
    X = np.arange(12.0).reshape(6, 2)
    y = np.array(["a", "b", "a", "b", "a", gap], dtype=object)
    with pytest.raises(ValueError, match=r"label for every sample.*1 of 6 missing.*leave those"):
        HierarchicalDecompositionClassifier(GaussianNB()).fit(X, y)
