"""Spectral clustering: the eigenvectors, the gap, and that no similarity need be formed."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn.partition import (
    ConfusionSpectralPartitioner,
    cluster_rows,
    confusion_spectrum,
    similarity_spectrum,
    spectral_labels,
    widest_gap,
)


def _planted(n_blocks, size, noise, seed=0):
    """Confusions within blocks, and a little everywhere."""
    rng = np.random.default_rng(seed)
    n_classes = n_blocks * size
    blocks = np.kron(np.eye(n_blocks), np.ones((size, size)))
    return blocks * rng.random((n_classes, n_classes)) + noise * rng.random((n_classes, n_classes))


def _spectrum_by_definition(confusion):
    """B = A^T A without its diagonal, D^-1/2 B D^-1/2, all eigenvalues."""
    similarity = confusion @ confusion.T
    np.fill_diagonal(similarity, 0)
    root = 1 / np.sqrt(similarity.sum(axis=1))
    return np.linalg.eigvalsh(root[:, None] * similarity * root)[::-1]


def test_spectrum_by_definition():
    confusion = _planted(3, 4, noise=0.1)
    eigenvalues, vectors = confusion_spectrum(confusion, 12)
    np.testing.assert_allclose(eigenvalues, _spectrum_by_definition(confusion), atol=1e-12)
    assert eigenvalues[0] == pytest.approx(1)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_matrix])
def test_spectrum_from_products_is_that_of_the_formed_similarity(container, monkeypatch):
    confusion = _planted(4, 10, noise=0.05)
    confusion[3] = confusion[:, 3] = 0  # a class that is confused with no other
    confusion[3, 3] = 7
    expected_values, expected_vectors = confusion_spectrum(confusion, 4)
    monkeypatch.setattr("hierlearn.partition.spectral._DENSE_MAX", 10)
    values, vectors = confusion_spectrum(container(confusion), 4, random_state=0)
    np.testing.assert_allclose(values, expected_values, atol=1e-10)
    np.testing.assert_allclose(vectors, expected_vectors, atol=1e-7)
    np.testing.assert_allclose(vectors[3], 0, atol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_vectors", [10, 20, 40, 60])
def test_every_unconnected_group_has_its_eigenvector(container, n_vectors, monkeypatch):
    """The iteration alone finds only some of many equal eigenvalues."""
    monkeypatch.setattr("hierlearn.partition.spectral._DENSE_MAX", 10)
    confusion = _planted(40, 3, noise=0)
    expected, _ = similarity_spectrum(confusion @ confusion.T, n_vectors)
    values, vectors = confusion_spectrum(container(confusion), n_vectors, random_state=0)
    np.testing.assert_allclose(values, expected, atol=1e-9)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n_vectors), atol=1e-9)
    labels = spectral_labels(vectors, n_vectors, random_state=0)
    if n_vectors == 40:
        assert labels.tolist() == np.repeat(np.arange(40), 3).tolist()


@pytest.mark.parametrize("scale", [1e-170, 1e170])
def test_scale_of_the_confusion_does_not_matter(scale):
    confusion = _planted(3, 4, noise=0.1)
    values, vectors = confusion_spectrum(confusion, 3)
    scaled_values, scaled_vectors = confusion_spectrum(confusion * scale, 3)
    np.testing.assert_allclose(scaled_values, values)
    np.testing.assert_allclose(scaled_vectors, vectors, atol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_many_classes_without_any_confusion(container):
    partitioner = ConfusionSpectralPartitioner(n_clusters=5, random_state=0)
    partitioner.fit(container(np.eye(1200)))
    assert partitioner.n_clusters_ == 1
    np.testing.assert_array_equal(partitioner.eigenvalues_, 0)


def test_signs_are_fixed():
    confusion = _planted(3, 4, noise=0.1)
    _, vectors = confusion_spectrum(confusion, 4)
    largest = np.abs(vectors).argmax(axis=0)
    assert (vectors[largest, np.arange(4)] > 0).all()


@pytest.mark.parametrize("n_blocks", [2, 3, 5, 8])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_gap_finds_the_planted_number(n_blocks, noise):
    confusion = _planted(n_blocks, 6, noise)
    partitioner = ConfusionSpectralPartitioner(random_state=0).fit(confusion)
    assert partitioner.n_clusters_ == n_blocks
    assert partitioner.labels_.tolist() == np.repeat(np.arange(n_blocks), 6).tolist()


def test_gap_is_sought_up_to_max_clusters():
    confusion = _planted(8, 6, noise=0.01)
    partitioner = ConfusionSpectralPartitioner(max_clusters=4, random_state=0).fit(confusion)
    assert 2 <= partitioner.n_clusters_ <= 4
    assert partitioner.eigenvalues_.size == 5


@pytest.mark.parametrize(
    ("eigenvalues", "max_clusters", "expected"),
    [
        ([1, 1, 1, 0.1, 0], 4, 3),
        ([1, 0.1, 0.04, 0], 3, 2),  # the gap behind the first does not count
        ([1, 0.9, 0.8, 0.7], 3, 3),  # the last of equal gaps
        ([1, 1, 1, 1, 1], 4, 4),  # at least as many groups apart as allowed
        ([1, 0.9, 0.8, 0.0], 2, 2),  # the widest lies beyond the limit
        ([1, 0.5], 2, 2),
        ([1], 2, 1),
        ([0, 0, 0, 0], 3, 3),
    ],
)
def test_widest_gap_by_hand(eigenvalues, max_clusters, expected):
    assert widest_gap(np.array(eigenvalues, dtype=float), max_clusters) == expected


def test_equal_rows_give_fewer_clusters():
    assert cluster_rows(np.ones((5, 2)), 3, random_state=0).tolist() == [0] * 5
    assert spectral_labels(np.zeros((4, 2)), 2, random_state=0).tolist() == [0] * 4


def test_similarity_without_diagonal_decides():
    """Two identical classes are alike whatever their similarity to themselves."""
    similarity = np.diag([100.0, 1.0, 0.01]) + np.ones((3, 3))
    values, _ = similarity_spectrum(similarity, 3)
    np.testing.assert_allclose(values, [1, -0.5, -0.5], atol=1e-12)


@pytest.mark.parametrize(
    "given", [{"n_clusters": 0}, {"max_clusters": 1}, {"affinity": "rbf"}, {"random_state": "x"}]
)
def test_invalid_parameters(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"The {name!r} parameter of ConfusionSpectral"):
        ConfusionSpectralPartitioner(**given).fit(np.eye(4))
