"""The measures against their definitions, counted by hand, in loops, and by scikit-learn."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import (
    average_precision_score,
    coverage_error,
    label_ranking_average_precision_score,
    top_k_accuracy_score,
)

from hierlearn.metrics import (
    _ranking,
    average_precision_at_k,
    coverage_at_k,
    coverage_depth,
    precision_at_k,
    recall_at_k,
)

RNG = np.random.RandomState(0)
SCORES = RNG.rand(60, 12)
TIED = RNG.randint(-2, 3, size=(60, 12)) / 4  # five values for twelve labels
Y = (RNG.rand(60, 12) < 0.25).astype(int)
Y[0] = 0  # nothing relevant
Y[1] = 1  # everything
Y[:, 11] = 0  # a label that never occurs
HAS_LABEL = Y.any(axis=1)
WEIGHT = RNG.randint(3, size=60).astype(float)

AT_K = [average_precision_at_k, precision_at_k, recall_at_k, coverage_at_k]


def by_label(y, scores, k, **params):
    return average_precision_at_k(y, scores, k, average="labels", **params)


def hit_rate(y, scores, k, **params):
    return coverage_at_k(y, scores, k, average="samples", **params)


def depth(y, scores, k, **params):
    return coverage_depth(y, scores, **params)


def hits_by_definition(relevant, scores, k):
    """Best first, of equals the irrelevant first, then by column; with loops."""
    order = sorted(range(len(scores)), key=lambda j: (-scores[j], relevant[j], j))
    return np.array([relevant[j] for j in order[:k]], dtype=bool), order[:k]


def average_precision_by_definition(relevant, scores, k):
    hits, _ = hits_by_definition(relevant, scores, k)
    at_hits = [hits[: rank + 1].mean() for rank in range(k) if hits[rank]]
    return sum(at_hits) / min(k, relevant.sum())


def expected(metric, y, scores, k, weight=None):
    """Mean over the samples with a label, one at a time."""
    values = {
        average_precision_at_k: average_precision_by_definition,
        precision_at_k: lambda r, s, k: hits_by_definition(r, s, k)[0].sum() / k,
        recall_at_k: lambda r, s, k: hits_by_definition(r, s, k)[0].sum() / r.sum(),
        hit_rate: lambda r, s, k: float(hits_by_definition(r, s, k)[0].any()),
    }[metric]
    kept = [i for i in range(len(y)) if y[i].any()]
    weight = np.ones(len(y)) if weight is None else weight
    return np.average([values(y[i], scores[i], k) for i in kept], weights=weight[kept])


@pytest.mark.parametrize("k", [1, 3, 7, 12])
@pytest.mark.parametrize("scores", [SCORES, TIED], ids=["distinct", "tied"])
@pytest.mark.parametrize("metric", [average_precision_at_k, precision_at_k, recall_at_k, hit_rate])
def test_mean_over_samples_is_the_definition(metric, scores, k):
    assert metric(Y, scores, k) == pytest.approx(expected(metric, Y, scores, k))
    weighted = metric(Y, scores, k, sample_weight=WEIGHT)
    assert weighted == pytest.approx(expected(metric, Y, scores, k, WEIGHT))


@pytest.mark.parametrize("k", [1, 4, 60])
@pytest.mark.parametrize("scores", [SCORES, TIED], ids=["distinct", "tied"])
def test_label_average_precision_is_the_definition(scores, k):
    occurring = [j for j in range(12) if Y[:, j].any()]
    one_by_one = [average_precision_by_definition(Y[:, j], scores[:, j], k) for j in occurring]
    assert by_label(Y, scores, k) == pytest.approx(np.mean(one_by_one))


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("scores", [SCORES, TIED], ids=["distinct", "tied"])
def test_label_coverage_is_the_definition(scores, k):
    found = set()
    for relevant, row in zip(Y, scores, strict=True):
        found |= {j for j in hits_by_definition(relevant, row, k)[1] if relevant[j]}
    assert coverage_at_k(Y, scores, k) == pytest.approx(len(found) / 11)


@pytest.mark.parametrize("seed", range(5))
def test_all_ranks_without_ties_are_scikit_learns_label_ranking(seed):
    rng = np.random.RandomState(seed)
    y, scores = (rng.rand(40, 9) < 0.3).astype(int), rng.randn(40, 9)
    kept = y.any(axis=1)  # scikit-learn counts the others as 1
    theirs = label_ranking_average_precision_score(y[kept], scores[kept])
    assert average_precision_at_k(y, scores, 9) == pytest.approx(theirs)
    weight = rng.rand(40)
    theirs = label_ranking_average_precision_score(
        y[kept], scores[kept], sample_weight=weight[kept]
    )
    assert average_precision_at_k(y, scores, 9, sample_weight=weight) == pytest.approx(theirs)


def test_all_ranks_by_label_are_scikit_learns_average_precision():
    theirs = average_precision_score(Y[:, :11], SCORES[:, :11], average="macro")
    assert by_label(Y, SCORES, 60) == pytest.approx(theirs)


@pytest.mark.parametrize("scores", [SCORES, TIED], ids=["distinct", "tied"])
def test_depth_is_scikit_learns_coverage_error(scores):
    theirs = coverage_error(Y[HAS_LABEL], scores[HAS_LABEL], sample_weight=WEIGHT[HAS_LABEL])
    assert coverage_depth(Y, scores, sample_weight=WEIGHT) == pytest.approx(theirs)


# Scores fall from left to right, so a label's column is its rank.
RANKED = [0.9, 0.7, 0.5, 0.3, 0.1]


@pytest.mark.parametrize(
    ("relevant", "k", "average_precision", "precision", "recall"),
    [
        ([1, 0, 0, 0, 0], 1, 1, 1, 1),
        ([1, 1, 1, 0, 0], 3, 1, 1, 1),
        ([1, 1, 1, 0, 0], 5, 1, 3 / 5, 1),
        ([1, 1, 1, 0, 0], 2, 1, 1, 2 / 3),  # as good as the first two can be
        ([0, 1, 0, 1, 0], 5, (1 / 2 + 2 / 4) / 2, 2 / 5, 1),
        ([0, 1, 0, 1, 0], 3, (1 / 2) / 2, 1 / 3, 1 / 2),
        ([0, 1, 1, 1, 0], 2, (1 / 2) / 2, 1 / 2, 1 / 3),  # two places for three labels
        ([0, 0, 0, 0, 1], 4, 0, 0, 0),
        ([1, 1, 1, 1, 1], 5, 1, 1, 1),
    ],
)
def test_one_sample_counted_by_hand(relevant, k, average_precision, precision, recall):
    assert average_precision_at_k([relevant], [RANKED], k) == pytest.approx(average_precision)
    assert precision_at_k([relevant], [RANKED], k) == pytest.approx(precision)
    assert recall_at_k([relevant], [RANKED], k) == pytest.approx(recall)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_constant_scores_earn_no_more_than_they_must(k):
    """The two irrelevant labels come first, wherever their columns are."""
    y, scores = [[1, 0, 1, 0], [0, 1, 1, 0], [1, 1, 0, 0]], np.zeros((3, 4))
    hits = max(0, k - 2)
    at_hits = [1 / 3, 2 / 4][:hits]
    assert precision_at_k(y, scores, k) == pytest.approx(hits / k)
    assert average_precision_at_k(y, scores, k) == pytest.approx(sum(at_hits) / min(k, 2))


def test_order_of_columns_changes_nothing():
    shuffled = np.random.RandomState(1).permutation(12)
    for metric in [*AT_K[:3], hit_rate, depth]:
        moved = metric(Y[:, shuffled], TIED[:, shuffled], 4)
        assert metric(Y, TIED, 4) == pytest.approx(moved)


def test_values_of_samples():
    values = average_precision_at_k(Y, SCORES, 5, average=None)
    assert values.shape == (60,)
    np.testing.assert_array_equal(np.isnan(values), ~HAS_LABEL)
    assert values[1] == 1
    assert np.nanmean(values) == pytest.approx(average_precision_at_k(Y, SCORES, 5))


@pytest.mark.parametrize("metric", [*AT_K, hit_rate, depth])
def test_samples_without_labels_are_left_out(metric):
    assert metric(Y, SCORES, 3) == pytest.approx(metric(Y[HAS_LABEL], SCORES[HAS_LABEL], 3))


SPARSE_SCORES = np.where(RNG.rand(60, 12) < 0.3, TIED, 0.0)


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_matrix])
@pytest.mark.parametrize("metric", [*AT_K, hit_rate, depth, by_label])
def test_sparse_is_dense(metric, container):
    wanted = metric(Y, SPARSE_SCORES, 4)
    assert metric(container(Y), SPARSE_SCORES, 4) == wanted
    assert metric(container(Y), container(SPARSE_SCORES), 4) == wanted
    assert metric(Y, container(SPARSE_SCORES), 4) == wanted


def test_entries_stored_in_parts_are_summed_and_left_as_they_were():
    halves = sp.csr_array(([0.5, 0.5, 1.0], [0, 0, 1], [0, 2, 3]), shape=(2, 3))
    assert precision_at_k(halves, [[3, 2, 1], [1, 2, 0]], 1) == 1
    assert halves.nnz == 3


@pytest.mark.parametrize("metric", [*AT_K, hit_rate, depth, by_label])
def test_chunks_change_nothing(metric, monkeypatch):
    whole = metric(Y, TIED, 4)
    monkeypatch.setattr(_ranking, "_CHUNK", 30)
    assert metric(Y, TIED, 4) == pytest.approx(whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.uint8, bool, object])
def test_any_real_scores_do(dtype):
    whole = RNG.randint(0, 2, size=(60, 12))
    assert average_precision_at_k(Y, whole.astype(dtype), 4) == pytest.approx(
        average_precision_at_k(Y, whole, 4)
    )


def test_infinite_scores_have_a_rank():
    scores = [[np.inf, 0.0, -np.inf]]
    assert average_precision_at_k([[1, 0, 0]], scores, 1) == 1
    assert average_precision_at_k([[0, 0, 1]], scores, 3) == pytest.approx(1 / 3)


@pytest.mark.parametrize("k", [1, 2, 5, 11])
def test_class_codes_are_one_label_a_sample(k):
    codes = RNG.randint(12, size=60)
    indicator = np.eye(12, dtype=int)[codes]
    for metric in [*AT_K, hit_rate, depth, by_label]:
        assert metric(codes, SCORES, k) == metric(indicator, SCORES, k)
    accuracy = top_k_accuracy_score(codes, SCORES, k=k, labels=np.arange(12))
    assert recall_at_k(codes, SCORES, k) == hit_rate(codes, SCORES, k) == pytest.approx(accuracy)


def test_average_precision_of_one_class_is_its_reciprocal_rank():
    values = average_precision_at_k([0, 1, 4], [RANKED] * 3, 4, average=None)
    np.testing.assert_allclose(values, [1, 1 / 2, 0])


NAN = np.where(np.eye(60, 12) > 0, np.nan, SCORES)


@pytest.mark.parametrize("metric", AT_K)
@pytest.mark.parametrize(
    ("y", "scores", "k", "message"),
    [
        (Y, SCORES, 13, r"k must be an integer from 1 to the number of labels, 12. Got 13 .*k=12"),
        (Y, SCORES, 0, "k must be an integer from 1 .* Got 0 instead"),
        (Y, SCORES, 2.0, "k must be an integer from 1 .* Got 2.0 instead"),
        (Y, SCORES, True, "k must be an integer from 1 .* Got True instead"),
        (Y[:, :5], SCORES, 3, r"y_true must have the shape of scores, \(60, 12\). Got \(60, 5\)"),
        (Y[:7], SCORES, 3, r"y_true must have the shape of scores, \(60, 12\). Got \(7, 12\)"),
        (Y * 2, SCORES, 3, "y_true must hold zeros and ones"),
        (sp.csr_array(Y * 2), SCORES, 3, "y_true must hold zeros and ones"),
        (Y.astype(str), SCORES, 3, "y_true must hold zeros and ones"),
        (np.zeros(60), SCORES[:, 0], 3, r"scores must be 2-D.* Got shape \(60,\) instead"),
        (Y[:0], SCORES[:0], 3, "scores must be 2-D.* not empty"),
        (Y, NAN, 3, "scores must not hold NaN"),
        (Y, sp.csr_array(NAN), 3, "scores must not hold NaN"),
        (Y, SCORES * 1j, 3, "scores must hold real numbers. Got dtype complex128"),
        (Y, np.full((60, 12), "high"), 3, "scores must hold real numbers. Got dtype <U4"),
        (Y * 0, SCORES, 3, "y_true must hold a relevant label in at least one sample"),
        (sp.csr_array(Y * 0), SCORES, 3, "y_true must hold a relevant label"),
        (np.full(60, 12), SCORES, 3, "y_true must hold codes from 0 to 11"),
        (np.zeros(59, int), SCORES, 3, "y_true must have one entry for each of the 60 rows"),
        (np.full(60, "a"), SCORES, 3, "y_true must hold integer codes from 0 to 11"),
    ],
)
def test_bad_input_is_one_line_with_a_remedy(metric, y, scores, k, message):
    with pytest.raises(ValueError, match=message) as error:
        metric(y, scores, k)
    assert "\n" not in str(error.value)
    assert "instead" in str(error.value)


def test_k_counts_samples_where_labels_rank_them():
    with pytest.raises(ValueError, match=r"from 1 to the number of samples, 60\. Got 61"):
        by_label(Y, SCORES, 61)


@pytest.mark.parametrize("weight", [np.zeros(60), 1.0 * ~HAS_LABEL])
def test_no_weight_on_labels_is_an_error(weight):
    with pytest.raises(ValueError, match="in at least one sample of positive weight"):
        recall_at_k(Y, SCORES, 2, sample_weight=weight)


@pytest.mark.parametrize(
    ("metric", "average"),
    [
        (average_precision_at_k, "labels"),
        (average_precision_at_k, None),
        (coverage_at_k, "labels"),
    ],
)
def test_weights_need_a_mean_over_samples(metric, average):
    with pytest.raises(ValueError, match="sample_weight must be None with average="):
        metric(Y, SCORES, 2, average=average, sample_weight=WEIGHT)


@pytest.mark.parametrize("metric", [average_precision_at_k, coverage_at_k])
def test_unknown_average_lists_the_choices(metric):
    with pytest.raises(ValueError, match="average must be one of 'labels', 'samples'"):
        metric(Y, SCORES, 2, average="macro")
