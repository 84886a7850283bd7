"""Hierarchical metrics: by hand, against sets, against scikit-learn on augmented indicators."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.metrics import make_scorer, precision_recall_fscore_support
from sklearn.model_selection import cross_val_score

from hierlearn.metrics import (
    hierarchical_fbeta_score,
    hierarchical_precision_recall_fscore,
    hierarchical_precision_score,
    hierarchical_recall_score,
    lowest_common_ancestor_depth,
    lowest_common_ancestor_height,
)
from hierlearn.partition import ClassTree, LabelPartition

NESTED = {"animals": {"cats": ["lion", "tiger"], "": ["wolf"]}, "vehicles": ["bus", "car"]}
PATHS = [
    ["animals", "cats", "lion"],
    ["animals", "cats", "tiger"],
    ["animals", "wolf", ""],
    ["vehicles", "bus", ""],
    ["vehicles", "car", ""],
]
NEWICK = "(((lion,tiger)cats,wolf)animals,(bus,car)vehicles);"
CLASSES = ["bus", "car", "lion", "tiger", "wolf"]

# true, predicted, |both|, |predicted|, |true|, depth and height of the common ancestor
BY_HAND = [
    ("lion", "lion", 3, 3, 3, 3, 0),
    ("lion", "tiger", 2, 3, 3, 2, 1),
    ("lion", "wolf", 1, 2, 3, 1, 2),
    ("wolf", "lion", 1, 3, 2, 1, 2),
    ("lion", "bus", 0, 2, 3, 0, 3),
    ("bus", "car", 1, 2, 2, 1, 1),
]
TRUE, PREDICTED, BOTH, N_PREDICTED, N_TRUE, DEPTHS, HEIGHTS = map(
    np.array, zip(*BY_HAND, strict=True)
)


def _edges():
    networkx = pytest.importorskip("networkx", reason="needs hierlearn[graph]")
    return networkx.DiGraph([edge for row in PATHS for edge in pairwise(row) if edge[1]])


FORMS = {
    "nested": lambda: NESTED,
    "paths": lambda: PATHS,
    "array": lambda: np.array(PATHS),
    "newick": lambda: NEWICK,
    "partition": lambda: LabelPartition.from_dict(NESTED),
    "graph": _edges,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_taxonomy_by_hand(form):
    taxonomy = FORMS[form]()
    precision, recall, fscore = hierarchical_precision_recall_fscore(
        TRUE, PREDICTED, taxonomy=taxonomy
    )
    assert precision == pytest.approx(8 / 15)
    assert recall == pytest.approx(8 / 16)
    assert fscore == pytest.approx(2 * 8 / 31)
    depths = lowest_common_ancestor_depth(TRUE, PREDICTED, taxonomy=taxonomy, average=None)
    assert depths.tolist() == DEPTHS.tolist()
    heights = lowest_common_ancestor_height(TRUE, PREDICTED, taxonomy=taxonomy, average=None)
    assert heights.tolist() == HEIGHTS.tolist()


def test_values_of_each_sample():
    scores = hierarchical_precision_recall_fscore(TRUE, PREDICTED, taxonomy=NESTED, average=None)
    np.testing.assert_allclose(scores.precision, BOTH / N_PREDICTED)
    np.testing.assert_allclose(scores.recall, BOTH / N_TRUE)
    np.testing.assert_allclose(scores.fscore, 2 * BOTH / (N_PREDICTED + N_TRUE))
    means = hierarchical_precision_recall_fscore(
        TRUE, PREDICTED, taxonomy=NESTED, average="samples"
    )
    np.testing.assert_allclose(means, [part.mean() for part in scores])


def test_thin_functions_are_the_three_parts():
    given = {"taxonomy": NESTED, "average": "samples"}
    whole = hierarchical_precision_recall_fscore(TRUE, PREDICTED, beta=2, **given)
    assert hierarchical_precision_score(TRUE, PREDICTED, **given) == whole.precision
    assert hierarchical_recall_score(TRUE, PREDICTED, **given) == whole.recall
    assert hierarchical_fbeta_score(TRUE, PREDICTED, beta=2, **given) == whole.fscore


@pytest.mark.parametrize(
    "labels",
    [
        [30, 10, 20],
        np.array([3, 1, 2], dtype=np.int8),
        ["c", "a", "b"],
        np.array(["c", "a", "b"], dtype=object),
        [2.5, 0.5, 1.0],
        [("x", 2), ("x", 0), ("x", 1)],
    ],
    ids=str,
)
def test_labels_of_any_dtype(labels):
    plain = labels.tolist() if isinstance(labels, np.ndarray) else labels
    taxonomy = {"g": plain[:2], "h": plain[2:]}
    y_true, y_pred = np.empty(3, dtype=object), np.empty(3, dtype=object)
    for row, guess in enumerate([1, 1, 2]):
        y_true[row], y_pred[row] = plain[row], plain[guess]
    if isinstance(labels, np.ndarray):
        y_true, y_pred = y_true.astype(labels.dtype), y_pred.astype(labels.dtype)
    depths = lowest_common_ancestor_depth(y_true, y_pred, taxonomy=taxonomy, average=None)
    assert depths.tolist() == [1, 2, 2]


@pytest.mark.parametrize("labels", [[True, False], np.array([True, False])])
def test_boolean_labels(labels):
    taxonomy = LabelPartition([False, True], [0, 1])
    assert hierarchical_fbeta_score(labels, labels, taxonomy=taxonomy) == 1
    assert hierarchical_fbeta_score(labels, labels[::-1], taxonomy=taxonomy) == 0


# -- against sets ---------------------------------------------------------------------------


def _random_case(seed):
    """Return a partition with a random tree and overlap, and the set of nodes above each class."""
    rng = np.random.default_rng(seed)
    n_classes, n_clusters = int(rng.integers(3, 12)), 3
    labels = np.concatenate([np.arange(3), rng.integers(3, size=n_classes - 3)])
    paths = [
        (f"q{cluster}", *(f"g{rng.integers(2)}" for _ in range(rng.integers(3))))
        for cluster in labels
    ]
    tree = ClassTree.from_paths(paths) if seed % 3 else None
    membership = rng.random((n_classes, n_clusters)) < (0.2 if seed % 2 else 0)
    membership[np.arange(n_classes), labels] = True
    names = ("q0", "q1", "q2")
    partition = LabelPartition(np.arange(n_classes) * 2, labels, membership, tree, names)
    above = []
    for code in range(n_classes):
        path = paths[code] if tree is not None else paths[code][:1]
        nodes = {("class", code)} | {path[:depth] for depth in range(1, len(path) + 1)}
        above.append(nodes | {(f"q{cluster}",) for cluster in np.flatnonzero(membership[code])})
    return partition, above, rng


def _by_sets(true_sets, predicted_sets, weights, beta):
    """Return what the definition gives, pooled over the samples."""
    both = sum(w * len(t & p) for t, p, w in zip(true_sets, predicted_sets, weights, strict=True))
    n_predicted = sum(w * len(p) for p, w in zip(predicted_sets, weights, strict=True))
    n_true = sum(w * len(t) for t, w in zip(true_sets, weights, strict=True))
    precision = both / n_predicted if n_predicted else 0.0
    recall = both / n_true if n_true else 0.0
    bottom = beta**2 * precision + recall
    return precision, recall, (1 + beta**2) * precision * recall / bottom if bottom else 0.0


def _sets(indicator, above):
    return [set().union(*(above[code] for code in np.flatnonzero(row))) for row in indicator]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("beta", [1.0, 0.5, 2])
def test_equals_the_definition_on_sets(seed, beta):
    partition, above, rng = _random_case(seed)
    n_classes = partition.n_classes
    weights = rng.integers(4, size=30).astype(float)
    single = rng.integers(n_classes, size=(2, 30))
    several = rng.random((2, 30, n_classes)) < 0.15
    for codes, sets in [
        (partition.classes[single], [[above[code] for code in row] for row in single]),
        (several.astype(int), [_sets(part, above) for part in several]),
    ]:
        scores = hierarchical_precision_recall_fscore(
            *codes, taxonomy=partition, beta=beta, sample_weight=weights
        )
        assert scores == pytest.approx(_by_sets(*sets, weights, beta))
        rows = hierarchical_precision_recall_fscore(
            *codes, taxonomy=partition, beta=beta, average=None
        )
        wanted = [_by_sets([t], [p], [1], beta) for t, p in zip(*sets, strict=True)]
        np.testing.assert_allclose(np.transpose(rows), wanted)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("average", ["micro", "macro", "samples"])
def test_equals_scikit_learn_on_augmented_indicators(seed, average):
    partition, above, rng = _random_case(seed)
    several = rng.random((2, 40, partition.n_classes)) < 0.25
    sets = [_sets(part, above) for part in several]
    nodes = sorted(set().union(*sets[0], *sets[1]), key=str)
    augmented = [[[node in row for node in nodes] for row in part] for part in sets]
    weights = rng.integers(1, 4, size=40)
    wanted = precision_recall_fscore_support(
        *np.array(augmented), average=average, sample_weight=weights, zero_division=0
    )[:3]
    scores = hierarchical_precision_recall_fscore(
        *map(sparse.csr_array, several),
        taxonomy=partition,
        average=average,
        sample_weight=weights,
    )
    assert scores == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(6))
def test_common_ancestors_equal_those_of_sets(seed):
    partition, _, rng = _random_case(2 * seed)  # without overlap
    tree = partition.tree or ClassTree.from_paths([(label,) for label in partition.labels.tolist()])
    parents, depths = tree.parents.tolist(), tree.depths()

    def line(node):
        return [node] if parents[node] < 0 else [node, *line(parents[node])]

    codes = rng.integers(partition.n_classes, size=(2, 50))
    meets = [max(set(line(a)) & set(line(b)), key=depths.__getitem__) for a, b in codes.T.tolist()]
    y = partition.classes[codes]
    got = lowest_common_ancestor_depth(*y, taxonomy=partition, average=None)
    assert got.tolist() == depths[meets].tolist()
    below = [
        max(line(leaf).index(meet) for leaf in range(tree.n_classes) if meet in line(leaf))
        for meet in meets
    ]
    heights = lowest_common_ancestor_height(*y, taxonomy=partition, average=None)
    assert heights.tolist() == below


# -- options --------------------------------------------------------------------------------


def test_weights_equal_repeated_rows():
    weights = np.array([2, 0, 1, 3, 1, 1])
    repeated = np.repeat(TRUE, weights), np.repeat(PREDICTED, weights)
    for average in ("micro", "macro", "samples"):
        given = {"taxonomy": NESTED, "average": average}
        weighted = hierarchical_precision_recall_fscore(
            TRUE, PREDICTED, sample_weight=weights, **given
        )
        assert weighted == pytest.approx(hierarchical_precision_recall_fscore(*repeated, **given))
    for metric in (lowest_common_ancestor_depth, lowest_common_ancestor_height):
        weighted = metric(TRUE, PREDICTED, taxonomy=NESTED, sample_weight=weights)
        assert weighted == pytest.approx(metric(*repeated, taxonomy=NESTED))


def test_height_of_mistakes_only():
    given = {"taxonomy": NESTED, "mistakes_only": True}
    assert lowest_common_ancestor_height(TRUE, PREDICTED, **given) == pytest.approx(9 / 5)
    weights = [5, 0, 0, 1, 1, 0]
    weighted = lowest_common_ancestor_height(TRUE, PREDICTED, sample_weight=weights, **given)
    assert weighted == pytest.approx(5 / 2)
    rows = lowest_common_ancestor_height(TRUE, PREDICTED, average=None, **given)
    np.testing.assert_array_equal(rows, [np.nan, 1, 2, 2, 3, 1])
    assert np.isnan(lowest_common_ancestor_height(TRUE, TRUE, **given))


def test_columns_of_an_indicator_are_named_by_labels():
    order = [4, 2, 0, 1, 3]
    indicator = np.eye(5, dtype=int)[:, order]
    labels = [CLASSES[code] for code in order]
    score = hierarchical_precision_score(CLASSES, indicator, taxonomy=NESTED, labels=labels)
    assert score == 1
    assert hierarchical_precision_score(CLASSES, np.eye(5), taxonomy=NESTED) == 1


def test_zero_division_is_the_value_of_what_is_not_defined():
    truth, nothing = [[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]], np.zeros((2, 5))
    given = {"taxonomy": NESTED, "average": None}
    assert hierarchical_precision_score(truth, nothing, **given).tolist() == [0, 0]
    precision, recall, fscore = hierarchical_precision_recall_fscore(
        truth, nothing, zero_division=1.0, **given
    )
    assert (precision.tolist(), recall.tolist(), fscore.tolist()) == ([1, 1], [0, 1], [0, 1])


@pytest.mark.parametrize(
    "metric",
    [
        hierarchical_precision_score,
        hierarchical_recall_score,
        hierarchical_fbeta_score,
        lowest_common_ancestor_depth,
        lowest_common_ancestor_height,
    ],
)
def test_scorer_of_scikit_learn(metric):
    X, y = load_iris(return_X_y=True)
    taxonomy = {"g": [0, 1], "h": [2]}
    scorer = make_scorer(metric, taxonomy=taxonomy)
    clf = DummyClassifier(strategy="constant", constant=0)
    scores = cross_val_score(clf, X, y, scoring=scorer, cv=2)
    np.testing.assert_allclose(scores, metric(y, np.zeros_like(y), taxonomy=taxonomy))
    weighted = scorer(clf.fit(X, y), X, y, sample_weight=np.where(y == 0, 1.0, 0.0))
    assert weighted == metric([0], [0], taxonomy=taxonomy)


def test_a_class_tree_has_codes():
    tree = ClassTree.from_paths([("a",), ("a",), ("b",)])
    assert lowest_common_ancestor_depth([0, 0], [1, 2], taxonomy=tree, average=None).tolist() == [
        1,
        0,
    ]


def test_one_class():
    assert hierarchical_fbeta_score(["x"], ["x"], taxonomy=LabelPartition(["x"], [0])) == 1
    taxonomy = LabelPartition(["x"], [0], tree=ClassTree([-1]))
    assert hierarchical_fbeta_score(["x"], ["x"], taxonomy=taxonomy) == 1
    assert lowest_common_ancestor_depth(["x"], ["x"], taxonomy=taxonomy) == 0


# -- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y_true": ["lion", "cow"]}, r"y_true must hold classes of the taxonomy.*Got \['cow'\]"),
        ({"y_pred": [1, 2]}, r"y_pred must hold classes.*Got \[1, 2\]"),
        ({"y_pred": ["lion"]}, "one row for each sample. Got 2 and 1"),
        ({"y_pred": np.zeros((2, 4))}, r"each of the 5 labels. Got shape \(2, 4\)"),
        ({"y_pred": np.full((2, 5), 2)}, "zeros and ones"),
        ({"taxonomy": None}, "taxonomy must be"),
        ({"beta": -1}, "beta must be a number of at least 0. Got -1"),
        ({"zero_division": "warn"}, "zero_division must be a number"),
        ({"taxonomy": 5}, "groups must be a mapping.*Got 5"),
        ({"average": "weighted"}, "average must be one of 'macro', 'micro', 'samples'"),
        ({"average": None, "sample_weight": [1, 1]}, "sample_weight must be None"),
        ({"sample_weight": [1]}, "sample_weight must have one entry"),
        ({"sample_weight": [0, 0]}, "at least one non-zero"),
    ],
)
def test_what_cannot_be_scored(given, message):
    valid = {"y_true": ["lion", "bus"], "y_pred": ["lion", "car"], "taxonomy": NESTED}
    with pytest.raises(ValueError, match=message) as caught:
        hierarchical_precision_recall_fscore(**{**valid, **given})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metric", [lowest_common_ancestor_depth, lowest_common_ancestor_height])
def test_what_has_no_common_ancestor(metric):
    with pytest.raises(ValueError, match=r"must be 1-D.*Got shapes \(1,\) and \(2,\)"):
        metric(["lion"], ["lion", "bus"], taxonomy=NESTED)
    with pytest.raises(ValueError, match=r"must be 1-D.*hierarchical_precision_recall_fscore"):
        metric(np.eye(5), np.eye(5), taxonomy=NESTED)
    with pytest.raises(ValueError, match=r"y_true must hold classes.*\['cow'\]"):
        metric(["cow"], ["lion"], taxonomy=NESTED)
