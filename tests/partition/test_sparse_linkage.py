"""Average linkage of sparse confusions: scipy's tree, without its square of distances."""

import importlib
import time

import numpy as np
import pytest
from scipy import sparse
from scipy.cluster.hierarchy import cophenet, is_valid_linkage, linkage
from scipy.spatial.distance import squareform

from hierlearn.confusion import distance_from_confusion
from hierlearn.partition import (
    ConfusionLinkagePartitioner,
    average_linkage,
    cut_by_distance,
    sparse_linkage,
)
from hierlearn.partition.sparse_linkage import link_similarities, similarities_of_confusion


def random_confusion(seed, *, own=True, counts=False, most=90):
    """Sparse, of a few to ``most`` classes, some of them often in no part at all."""
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(1, most))
    confusion = sparse.random_array(
        (n_classes, n_classes), density=rng.uniform(0, 0.3), rng=rng, format="csr"
    )
    if counts:
        confusion.data = rng.integers(1, 4, confusion.nnz).astype(float)
    return sparse.csr_array(confusion + sparse.diags_array(own * rng.uniform(1, 2, n_classes)))


def scipys(confusion):
    distances = distance_from_confusion(confusion)
    if len(distances) == 1:
        return np.empty((0, 4))
    return linkage(squareform(distances, checks=False), "average")


@pytest.fixture(params=["rounds", "heaps", "rows", "mixed"])
def engine(request, monkeypatch):
    """Each way of linking by itself, whatever the size; and as it comes."""
    settings = {
        "rounds": {"_SQUARE_MAX": 1, "_SQUARE_PER_EDGE": 0, "_LEAST_MERGED": 0},
        "heaps": {"_SQUARE_MAX": 1, "_SQUARE_PER_EDGE": 0, "_LEAST_MERGED": 1},
        "rows": {"_SQUARE_MAX": 1000},
        "mixed": {"_SQUARE_MAX": 8, "_SQUARE_PER_EDGE": 0, "_LEAST_MERGED": 0.2},
    }
    for name, value in settings[request.param].items():
        monkeypatch.setattr(sparse_linkage, name, value)
    return request.param


def test_equals_scipy_on_200_random_matrices(engine):
    for seed in range(200):
        confusion = random_confusion(seed)
        expected = scipys(confusion)
        found = link_similarities(similarities_of_confusion(confusion))
        np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-9)
        if len(found):
            np.testing.assert_allclose(cophenet(found), cophenet(expected), atol=1e-9)
            assert is_valid_linkage(found)


@pytest.mark.parametrize("counts", [True, False])
def test_equals_scipy_on_200_matrices_with_ties(counts):
    for seed in range(200):
        confusion = random_confusion(seed, own=False, counts=counts)
        expected = scipys(confusion)
        found = average_linkage(confusion)
        np.testing.assert_allclose(found[:, 2], expected[:, 2], atol=1e-9)
        for height in (0.6, 0.75, 0.9, 1.0):
            np.testing.assert_array_equal(
                cut_by_distance(found, height), cut_by_distance(expected, height)
            )


def replayed_gap(found, similarities):
    """Repeat the merges with all distances; return the most that one was above the nearest."""
    upper = similarities.toarray()
    sums, sizes = upper + upper.T, np.ones(len(upper))
    nodes, gap = list(range(len(upper))), 0.0
    for new, (first, second, height, _) in enumerate(found, start=len(upper)):
        distances = 1 - sums / np.outer(sizes, sizes)
        np.fill_diagonal(distances, np.inf)
        one, other = nodes.index(int(first)), nodes.index(int(second))
        gap = max(gap, abs(distances[one, other] - height), height - distances.min())
        sums[one] += sums[other]
        sums[:, one] += sums[:, other]
        sizes[one] += sizes[other]
        nodes[one] = new
        sums, sizes = np.delete(np.delete(sums, other, 0), other, 1), np.delete(sizes, other)
        del nodes[other]
    return gap


def test_with_ties_each_merge_is_of_the_nearest_pair(engine):
    for seed in range(40):
        confusion = random_confusion(seed, own=False, counts=True, most=40)
        similarities = similarities_of_confusion(confusion)
        assert replayed_gap(link_similarities(similarities), similarities) < 1e-9


def test_pairs_equally_near_merge_at_equal_heights(engine):
    """Ties that no order of merging matters to: pairs of pairs, all alike."""
    confusion = sparse.csr_array(
        np.kron(np.eye(6), [[4, 2, 1, 1], [2, 4, 1, 1], [1, 1, 4, 2], [1, 1, 2, 4]])
    )
    found = link_similarities(similarities_of_confusion(confusion))
    np.testing.assert_allclose(found[:, 2], scipys(confusion)[:, 2], atol=1e-12)
    assert cut_by_distance(found, 1).tolist() == np.repeat(np.arange(6), 4).tolist()


def test_all_alike(engine):
    found = link_similarities(sparse.csr_array(np.triu(np.full((40, 40), 0.5), 1)))
    np.testing.assert_allclose(found[:, 2], 0.5)
    assert is_valid_linkage(found)


def test_chain_of_equal_links(engine):
    n_classes = 300
    chain = sparse.diags_array(np.full(n_classes - 1, 0.5), offsets=1).tocsr()
    assert is_valid_linkage(link_similarities(chain))


def test_disconnected_parts_join_at_height_one(engine):
    confusion = sparse.block_diag([np.ones((3, 3)), np.eye(2), np.ones((4, 4))], format="csr")
    found = link_similarities(similarities_of_confusion(confusion))
    assert (found[:, 2] == 1).sum() == 3
    np.testing.assert_allclose(found[:, 2], scipys(confusion)[:, 2])
    assert cut_by_distance(found, 1).tolist() == [0, 0, 0, 1, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@pytest.mark.parametrize("linked", [True, False])
def test_few_classes(engine, n_classes, linked):
    confusion = sparse.csr_array(np.ones((n_classes, n_classes)) if linked else np.eye(n_classes))
    found = link_similarities(similarities_of_confusion(confusion))
    np.testing.assert_allclose(found[:, 2], scipys(confusion)[:, 2])
    assert found.shape == (n_classes - 1, 4)


def test_order_of_the_classes_does_not_matter(engine):
    confusion = random_confusion(7)
    order = np.random.default_rng(0).permutation(confusion.shape[0])
    found = link_similarities(similarities_of_confusion(confusion))
    shuffled = link_similarities(similarities_of_confusion(confusion[order][:, order]))
    np.testing.assert_allclose(found[:, 2], shuffled[:, 2])


def star(n_classes):
    """All classes are predicted as the first, more or less often, and as themselves."""
    rates = np.linspace(0.1, 0.4, n_classes - 1)
    column = sparse.csr_array((rates, (np.arange(1, n_classes), np.zeros(n_classes - 1, int))))
    column.resize(n_classes, n_classes)
    return sparse.csr_array(column + sparse.diags_array(np.append(1.0, 1 - rates)))


def test_a_class_that_all_are_confused_with(engine):
    confusion = star(700)
    found = link_similarities(similarities_of_confusion(confusion))
    np.testing.assert_allclose(found[:, 2], scipys(confusion)[:, 2], atol=1e-9)


def planted(n_classes, per_row=20, seed=0):
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(n_classes), per_row)
    within = rows // 50 * 50 + rng.integers(0, 50, rows.size)
    columns = np.where(rng.random(rows.size) < 0.7, within, rng.integers(0, n_classes, rows.size))
    entries = (rng.random(rows.size), (rows, np.minimum(columns, n_classes - 1)))
    return sparse.coo_array(entries, shape=(n_classes, n_classes)).tocsr()


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_public_function_above_the_size_for_scipy(container, monkeypatch):
    monkeypatch.setattr(importlib.import_module("hierlearn.partition.linkage"), "_SCIPY_MAX", 100)
    confusion = planted(1500, per_row=5)
    before = confusion.copy()
    found = average_linkage(container(confusion))
    np.testing.assert_allclose(found[:, 2], scipys(confusion)[:, 2], atol=1e-9)
    assert (confusion != before).nnz == 0


def test_twenty_thousand_classes_in_seconds_and_the_same_each_time():
    confusion = planted(20_000)
    start = time.process_time()
    partitioner = ConfusionLinkagePartitioner(max_cluster_size=50).fit(confusion)
    assert time.process_time() - start < 30  # a second or two on an idle machine
    assert partitioner.partition_.sizes.max() <= 50
    np.testing.assert_array_equal(partitioner.partition_.tree.to_linkage(), partitioner.linkage_)
    np.testing.assert_array_equal(average_linkage(confusion), partitioner.linkage_)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        (
            np.array([[1.0, -1.0], [0.0, 1.0]]),
            "must not have negative entries. Got a minimum of -1",
        ),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), "Input confusion contains NaN"),
        (np.ones((2, 3)), "must be square"),
    ],
)
def test_bad_input(confusion, message):
    with pytest.raises(ValueError, match=message) as caught:
        average_linkage(sparse.csr_array(confusion))
    assert "\n" not in str(caught.value)
