"""Confusion batch by batch is that of all rows at once."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from hierlearn.confusion import CONFUSION_METHODS, StreamingConfusion, confusion_from_scores
from hierlearn.exceptions import UnsupportedTargetError

N_CLASSES, K = 12, 3


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, N_CLASSES - 1, 200)  # the last class is never true
    return rng.dirichlet(np.full(N_CLASSES, 0.3), y.size), y, rng.uniform(0, 2, y.size)


def batches(n_rows, size=37):
    return [slice(start, start + size) for start in range(0, n_rows, size)]


def highest(scores, k):
    indices = np.argsort(-scores, axis=1)[:, :k]
    return indices, np.take_along_axis(scores, indices, axis=1)


@pytest.mark.parametrize("method", CONFUSION_METHODS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize("weighted", [True, False])
def test_streaming_equals_batch(rows, method, container, weighted):
    scores, y, weight = rows
    weight = weight if weighted else None
    stream = StreamingConfusion(N_CLASSES, method=method, k=K)
    for batch in batches(y.size):
        part = None if weight is None else weight[batch]
        assert stream.update(container(scores[batch]), y[batch], sample_weight=part) is stream
    expected = confusion_from_scores(scores, y, method=method, k=K, sample_weight=weight)
    np.testing.assert_allclose(stream.result(), expected)
    np.testing.assert_allclose(stream.result(sparse=True).toarray(), expected)
    assert stream.n_samples_seen_ == y.size


@pytest.mark.parametrize("method", ["hard", "top_k", "co_detection"])
def test_the_highest_scores_suffice(rows, method):
    scores, y, _ = rows
    stream = StreamingConfusion(N_CLASSES, method=method, k=K)
    for batch in batches(y.size):
        stream.update_top_k(*highest(scores[batch], K), y[batch])
    expected = confusion_from_scores(scores, y, method=method, k=K)
    np.testing.assert_allclose(stream.result(), expected)


def test_soft_of_the_highest_scores_counts_the_others_as_zero(rows):
    scores, y, _ = rows
    indices, values = highest(scores, K)
    kept = np.zeros_like(scores)
    np.put_along_axis(kept, indices, values, axis=1)
    stream = StreamingConfusion(N_CLASSES, method="soft").update_top_k(indices, values, y)
    np.testing.assert_allclose(stream.result(), confusion_from_scores(kept, y, method="soft"))


@pytest.mark.parametrize("method", ["soft", "top_k"])
def test_indicators(rows, method):
    scores, y, _ = rows
    single = StreamingConfusion(N_CLASSES, method=method).update(scores, y)
    several = StreamingConfusion(N_CLASSES, method=method).update(
        scores, np.eye(N_CLASSES, dtype=int)[y]
    )
    np.testing.assert_allclose(several.result(), single.result())


def test_result_may_be_asked_for_in_between(rows):
    scores, y, _ = rows
    stream = StreamingConfusion(N_CLASSES, method="hard").update(scores[:50], y[:50])
    first = stream.result()
    stream.update(scores[50:], y[50:])
    np.testing.assert_array_equal(first, confusion_from_scores(scores[:50], y[:50], method="hard"))
    np.testing.assert_array_equal(stream.result(), confusion_from_scores(scores, y, method="hard"))


def test_many_classes_stay_sparse():
    n_classes, rng = 200_000, np.random.default_rng(0)
    stream = StreamingConfusion(n_classes, k=5)
    for _ in range(5):
        y = rng.integers(0, n_classes - 5, 1000)
        stream.update_top_k(y[:, None] + np.arange(5), rng.random((1000, 5)) + 0.1, y)
    confusion = stream.result()
    assert sparse.issparse(confusion)
    assert confusion.nnz <= 25_000
    assert confusion.sum() == pytest.approx(5)


def test_batches_cost_what_they_hold():
    n_classes, rng = 300_000, np.random.default_rng(0)
    stream = StreamingConfusion(n_classes, k=5)
    tracemalloc.start()
    for _ in range(40):
        y = rng.integers(0, n_classes - 5, 100)
        stream.update_top_k(y[:, None] + np.arange(5), rng.random((100, 5)) + 0.1, y)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4e6  # a batch as a matrix of its own would be 1.2 MB each


@pytest.mark.parametrize(
    ("indices", "values", "message"),
    [
        ([[0, 1]], [[0.5]], "must have the same shape"),
        ([0, 1], [0.5, 0.5], "must have the same shape"),
        ([[0.0, 1.0]], [[0.5, 0.5]], "array of integers"),
        ([[0, N_CLASSES]], [[0.5, 0.5]], "class codes from 0 to 11"),
        ([[-1, 0]], [[0.5, 0.5]], "class codes from 0 to 11"),
        ([[1, 1]], [[0.5, 0.5]], "twice in a row"),
        ([[0, 1]], [[0.5, -0.5]], "must not be negative"),
        ([[0, 1]], [[0.5, np.nan]], "contains NaN"),
    ],
)
def test_bad_highest_scores(indices, values, message):
    with pytest.raises(ValueError, match=message) as caught:
        StreamingConfusion(N_CLASSES).update_top_k(indices, values, [0])
    assert "\n" not in str(caught.value)


def test_errors(rows):
    scores, y, _ = rows
    with pytest.raises(ValueError, match="n_classes must be a positive integer"):
        StreamingConfusion(0)
    with pytest.raises(ValueError, match="method must be one of"):
        StreamingConfusion(3, method="cosine")
    with pytest.raises(ValueError, match="Got none so far; call update first"):
        StreamingConfusion(3).result()
    with pytest.raises(ValueError, match="one column for each of the 3 classes"):
        StreamingConfusion(3).update(scores, y)
    with pytest.raises(ValueError, match="y must be given for method='top_k'"):
        StreamingConfusion(N_CLASSES).update(scores)
    with pytest.raises(ValueError, match="codes from 0 to 11"):
        StreamingConfusion(N_CLASSES).update(scores, y + 5)
    with pytest.raises(UnsupportedTargetError):
        StreamingConfusion(N_CLASSES, method="hard").update(scores, np.eye(N_CLASSES)[y])
    with pytest.raises(ValueError, match="k must be an integer from 1 to"):
        StreamingConfusion(N_CLASSES, k=99).update(scores, y)
