import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import confusion_matrix

from hierlearn.confusion import (
    CONFUSION_METHODS,
    SPARSE_ABOVE,
    co_detection,
    confusion_from_scores,
    default_k,
    detect_top_k,
    hard_confusion,
    matrices,
    soft_confusion,
    top_k_confusion,
)
from hierlearn.exceptions import UnsupportedTargetError

# Three samples over three classes; with k=2 labels {0, 1}, {1, 2}, {1, 0} are detected.
SCORES = np.array([[0.5, 0.4, 0.1], [0.1, 0.5, 0.4], [0.3, 0.6, 0.1]])
Y = np.array([0, 2, 0])
WEIGHT = np.array([1.0, 2.0, 5.0])  # sums to 8

RNG = np.random.RandomState(0)
MANY = np.where(RNG.rand(80, 12) < 0.4, RNG.randint(1, 6, size=(80, 12)) / 5, 0.0)  # ties, zeros
MANY_Y = RNG.randint(11, size=80)  # the last class is never seen
MANY_INDICATOR = (RNG.rand(80, 12) < 0.2).astype(int)
MANY_WEIGHT = RNG.randint(3, size=80).astype(float)


def dense(matrix):
    return matrix.toarray() if sp.issparse(matrix) else matrix


def top_k_by_definition(scores, indicator, k, weight):
    """Eq. 3 with loops, entry [j, i]: label i among the k best while j is true."""
    n, n_classes = scores.shape
    total = np.zeros((n_classes, n_classes))
    for x in range(n):
        ranked = sorted(range(n_classes), key=lambda label: (-scores[x, label], label))
        detected = [label for label in ranked[:k] if scores[x, label] > 0]
        for true in np.flatnonzero(indicator[x]):
            total[true, detected] += weight[x]
    return total / weight.sum()


def test_hard_confusion_counted_by_hand():
    expected = [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_array_equal(hard_confusion(SCORES, Y), expected)
    weighted = [[1, 5, 0], [0, 0, 0], [0, 2, 0]]
    np.testing.assert_array_equal(hard_confusion(SCORES, Y, sample_weight=WEIGHT), weighted)


def test_hard_confusion_equals_sklearns():
    scores = RNG.rand(80, 12)
    expected = confusion_matrix(MANY_Y, scores.argmax(axis=1), labels=range(12))
    np.testing.assert_array_equal(hard_confusion(scores, MANY_Y), expected)


def test_soft_confusion_counted_by_hand():
    expected = [[0.4, 0.5, 0.1], [0, 1, 0], [0.1, 0.5, 0.4]]
    np.testing.assert_allclose(soft_confusion(SCORES, Y), expected)
    first = (1 * SCORES[0] + 5 * SCORES[2]) / 6
    weighted = [first, [0, 1, 0], [0.1, 0.5, 0.4]]
    np.testing.assert_allclose(soft_confusion(SCORES, Y, sample_weight=WEIGHT), weighted)


def test_soft_confusion_of_a_class_without_weight_is_that_of_an_unseen_class():
    np.testing.assert_allclose(
        soft_confusion(SCORES, Y, sample_weight=[1, 0, 1]), [[0.4, 0.5, 0.1], [0, 1, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize("container", [np.array, sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_soft_confusion_of_several_labels_counted_by_hand(container):
    indicator = container(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]]))
    # Row 0 is the mean of the first two samples, row 1 the first; no sample has label 2.
    expected = [[0.3, 0.45, 0.25], [0.5, 0.4, 0.1], [0, 0, 1]]
    np.testing.assert_allclose(soft_confusion(SCORES, indicator), expected)
    weighted = [(1 * SCORES[0] + 2 * SCORES[1]) / 3, SCORES[0], [0, 0, 1]]
    np.testing.assert_allclose(soft_confusion(SCORES, indicator, sample_weight=WEIGHT), weighted)


def soft_by_definition(scores, indicator, weight):
    """Row j: the mean of the scores over the samples that have label j, with loops."""
    rows = np.eye(scores.shape[1])
    for label in range(scores.shape[1]):
        share = weight * indicator[:, label]
        if share.sum():
            rows[label] = (share[:, None] * scores).sum(axis=0) / share.sum()
    return rows


@pytest.mark.parametrize("weight", [None, MANY_WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("sparse", [True, False])
def test_soft_confusion_of_several_labels_follows_its_definition(weight, sparse):
    indicator = np.where(np.arange(12) == 7, 0, MANY_INDICATOR)  # one label never occurs
    expected = soft_by_definition(MANY, indicator, np.ones(80) if weight is None else weight)
    for scores in (MANY, sp.csr_array(MANY)):
        for labels in (indicator, sp.csr_array(indicator), indicator.astype(bool)):
            found = soft_confusion(scores, labels, sample_weight=weight, sparse=sparse)
            np.testing.assert_allclose(dense(found), expected, atol=1e-15)


def test_soft_confusion_rows_sum_to_one():
    scores = RNG.dirichlet(np.ones(12), size=80)
    np.testing.assert_allclose(soft_confusion(scores, MANY_Y).sum(axis=1), 1)


def test_top_k_confusion_counted_by_hand():
    # Row 0 (true 0): two of three samples, both detect 0 and 1. Row 2: one sample, detects 1, 2.
    expected = np.array([[2, 2, 0], [0, 0, 0], [0, 1, 1]]) / 3
    np.testing.assert_allclose(top_k_confusion(SCORES, Y, k=2), expected)
    weighted = np.array([[6, 6, 0], [0, 0, 0], [0, 2, 2]]) / 8
    np.testing.assert_allclose(top_k_confusion(SCORES, Y, k=2, sample_weight=WEIGHT), weighted)


@pytest.mark.parametrize("container", [np.array, sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_top_k_confusion_of_several_labels_counted_by_hand(container):
    indicator = container(np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]]))
    # The first sample counts in rows 0 and 1, the last, without a label, in none.
    expected = np.array([[1, 1, 0], [1, 1, 0], [0, 1, 1]]) / 3
    np.testing.assert_allclose(top_k_confusion(SCORES, indicator, k=2), expected)
    weighted = np.array([[1, 1, 0], [1, 1, 0], [0, 2, 2]]) / 8
    np.testing.assert_allclose(
        top_k_confusion(SCORES, indicator, k=2, sample_weight=WEIGHT), weighted
    )


def test_co_detection_counted_by_hand():
    expected = np.array([[2, 2, 0], [2, 3, 1], [0, 1, 1]]) / 3
    np.testing.assert_allclose(co_detection(SCORES, k=2), expected)
    weighted = np.array([[6, 6, 0], [6, 8, 2], [0, 2, 2]]) / 8
    np.testing.assert_allclose(co_detection(SCORES, k=2, sample_weight=WEIGHT), weighted)


@pytest.mark.parametrize("k", [1, 3, 12])
@pytest.mark.parametrize("weight", [None, MANY_WEIGHT], ids=["even", "weighted"])
def test_top_k_and_co_detection_follow_their_definitions(k, weight):
    each = np.ones(80) if weight is None else weight
    ours = top_k_confusion(MANY, MANY_INDICATOR, k=k, sample_weight=weight)
    np.testing.assert_allclose(ours, top_k_by_definition(MANY, MANY_INDICATOR, k, each))
    together = co_detection(MANY, k=k, sample_weight=weight)
    detected = dense(detect_top_k(MANY, k))
    np.testing.assert_allclose(together, top_k_by_definition(MANY, detected, k, each))
    assert np.array_equal(together, together.T)


def test_top_1_confusion_is_the_hard_confusion_as_a_share():
    share = top_k_confusion(MANY, MANY_Y, k=1) * 80
    np.testing.assert_allclose(share, hard_confusion(MANY, MANY_Y))


def test_codes_and_their_indicator_give_the_same():
    indicator = np.eye(12, dtype=int)[MANY_Y]
    for method in ("soft", "top_k"):
        np.testing.assert_array_equal(
            confusion_from_scores(MANY, MANY_Y, method=method),
            confusion_from_scores(MANY, indicator, method=method),
        )


@pytest.mark.parametrize("method", CONFUSION_METHODS)
@pytest.mark.parametrize("weight", [None, MANY_WEIGHT], ids=["even", "weighted"])
def test_dense_and_sparse_agree_whatever_comes_in_and_out(method, weight):
    options = {"method": method, "k": 3, "sample_weight": weight}
    expected = confusion_from_scores(MANY, MANY_Y, sparse=False, **options)
    assert isinstance(expected, np.ndarray)
    assert (expected >= 0).all()
    for scores in (MANY, sp.csr_array(MANY), sp.csc_matrix(MANY), MANY.tolist()):
        as_dense = confusion_from_scores(scores, MANY_Y, sparse=False, **options)
        as_sparse = confusion_from_scores(scores, MANY_Y, sparse=True, **options)
        assert isinstance(as_dense, np.ndarray)
        assert isinstance(as_sparse, sp.csr_array)
        assert (as_sparse.data > 0).all()
        np.testing.assert_allclose(as_dense, expected, rtol=1e-12)
        np.testing.assert_allclose(as_sparse.toarray(), expected, rtol=1e-12)


@pytest.mark.parametrize("method", CONFUSION_METHODS)
def test_weights_count_as_copies(method):
    copies = MANY_WEIGHT.astype(int)
    repeated = confusion_from_scores(
        np.repeat(MANY, copies, axis=0), np.repeat(MANY_Y, copies), method=method
    )
    weighted = confusion_from_scores(MANY, MANY_Y, method=method, sample_weight=copies)
    np.testing.assert_allclose(weighted, repeated)


@pytest.mark.parametrize("method", CONFUSION_METHODS)
def test_many_classes_give_a_sparse_array(method):
    n_classes = SPARSE_ABOVE + 1
    scores = sp.csr_array(np.where(RNG.rand(50, n_classes) < 0.01, 0.5, 0.0))
    y = np.arange(50)
    matrix = confusion_from_scores(scores, y, method=method)
    assert isinstance(matrix, sp.csr_array)
    assert matrix.shape == (n_classes, n_classes)
    few = confusion_from_scores(scores[:, :SPARSE_ABOVE], y, method=method)
    assert isinstance(few, np.ndarray)


def test_sparse_confusion_over_a_million_classes_is_never_dense():
    n_classes = 1_000_000  # dense it would take 8 terabytes
    columns = RNG.randint(n_classes, size=(30, 4))
    scores = sp.csr_array(
        (np.full(120, 0.25), (np.repeat(np.arange(30), 4), columns.ravel())),
        shape=(30, n_classes),
    )
    for method in CONFUSION_METHODS:
        matrix = confusion_from_scores(scores, columns[:, 0], method=method)
        assert matrix.nnz <= n_classes + 30 * 16


def test_ranking_in_batches_equals_ranking_at_once(monkeypatch):
    at_once = co_detection(MANY, k=4)
    monkeypatch.setattr("hierlearn.confusion.detection._BATCH_ENTRIES", 30)
    np.testing.assert_array_equal(co_detection(MANY, k=4), at_once)


def test_equal_scores_detect_the_first_labels_and_zeros_none():
    scores = np.array([[0.2, 0.4, 0.4, 0.4], [0.0, 0.0, 0.7, 0.0], [0.0, 0.0, 0.0, 0.0]])
    expected = [[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(detect_top_k(scores, 2).toarray(), expected)
    np.testing.assert_array_equal(detect_top_k(sp.csr_array(scores), 2).toarray(), expected)


def test_entries_stored_twice_are_added_before_ranking():
    split = sp.csr_array(([0.3, 0.4, 0.3], [0, 1, 0], [0, 3]), shape=(1, 3))
    assert not split.has_canonical_format
    np.testing.assert_array_equal(detect_top_k(split, 1).toarray(), [[1, 0, 0]])
    assert split.nnz == 3  # the caller's matrix is left as it was


@pytest.mark.parametrize("method", CONFUSION_METHODS)
def test_input_is_not_changed(method):
    scores, y, weight = MANY.copy(), MANY_Y.copy(), MANY_WEIGHT.copy()
    confusion_from_scores(scores, y, method=method, sample_weight=weight)
    assert np.array_equal(scores, MANY)
    assert np.array_equal(y, MANY_Y)
    assert np.array_equal(weight, MANY_WEIGHT)


def test_dispatch_by_name():
    for name in CONFUSION_METHODS:
        direct = getattr(matrices, name if name == "co_detection" else f"{name}_confusion")
        arguments = (MANY,) if name == "co_detection" else (MANY, MANY_Y)
        options = {"k": default_k(12)} if name in ("top_k", "co_detection") else {}
        np.testing.assert_array_equal(
            confusion_from_scores(MANY, MANY_Y, method=name), direct(*arguments, **options)
        )
    np.testing.assert_array_equal(
        confusion_from_scores(MANY, method="co_detection", k=2), co_detection(MANY, k=2)
    )


@pytest.mark.parametrize("n_classes", [2, 3, 10, 10_000])
def test_default_k_leaves_some_class_undetected(n_classes):
    assert 1 <= default_k(n_classes) < n_classes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fuzzy"}, "method must be one of 'co_detection', 'hard', 'soft', 'top_k'. Got"),
        ({"y": None}, "y must be given for method='soft'"),
        ({"y": [0, 1]}, "y must have one entry for each of the 3 rows. Got 2"),
        ({"y": [0, 1, 3]}, "y must hold codes from 0 to 2, one per column. Got codes from 0 to 3"),
        ({"y": [0, -1, 1]}, "y must hold codes from 0 to 2"),
        ({"y": ["a", "b", "c"]}, "y must hold integer codes.*numpy.unique"),
        ({"y": np.eye(3), "method": "hard"}, "one class code per sample.*top_k_confusion"),
        ({"scores": SCORES - 0.2}, "scores must not be negative.*class_scores.* Got .* -0.1"),
        ({"scores": sp.csr_array(SCORES - 0.2)}, "scores must not be negative"),
        ({"scores": SCORES * np.nan}, "scores contains NaN"),
        ({"scores": SCORES[0]}, "Expected 2D array"),
        ({"sample_weight": [1, 2]}, "one entry for each of the 3 samples"),
        ({"sample_weight": [1, -2, 1]}, "not negative. Got -2"),
        ({"sample_weight": [0, 0, 0]}, "sample_weight must have a positive sum"),
        ({"sparse": "maybe"}, "sparse must be True, False or 'auto'. Got 'maybe'"),
        ({"method": "top_k", "k": 0}, "k must be an integer from 1 to the number of classes, 3"),
        ({"method": "top_k", "k": 4}, "k must be .* Got 4"),
        ({"method": "co_detection", "k": 1.5}, "k must be .* Got 1.5"),
        ({"method": "co_detection", "k": True}, "k must be .* Got True"),
        ({"method": "top_k", "y": np.eye(2)}, r"y must be an indicator matrix .*\(3, 3\)"),
        ({"method": "top_k", "y": 2 * np.eye(3)}, "y must hold only 0 and 1.* Got 2"),
        ({"method": "soft", "y": np.eye(2)}, r"y must be an indicator matrix .*\(3, 3\)"),
        ({"method": "soft", "y": np.full((3, 3), "a")}, "y must be an indicator matrix of 0 and 1"),
        ({"method": "soft", "y": np.eye(3) * np.nan}, "y must hold only 0 and 1.* Got nan"),
    ],
)
def test_bad_input_is_a_one_line_error_with_the_rule_and_the_value(options, message):
    arguments = {"scores": SCORES, "y": Y} | options
    with pytest.raises(ValueError, match=message) as raised:
        confusion_from_scores(**arguments)
    if "scores" not in options:  # scikit-learn's own messages may be longer
        assert "\n" not in str(raised.value)


def test_several_labels_are_an_unsupported_target_for_counts():
    for indicator in (np.eye(3), sp.csr_array(np.eye(3))):
        with pytest.raises(UnsupportedTargetError, match="use soft_confusion"):
            hard_confusion(SCORES, indicator)
