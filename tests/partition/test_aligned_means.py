"""k-means of eigenvectors of many classes: planted clusters, and no worse than random starts."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from hierlearn.partition import ConfusionSpectralPartitioner, spectral, spectral_labels
from hierlearn.partition._aligned_means import aligned_centres, cluster_aligned_rows


def planted(n_classes, n_clusters, within, seed=0, per_row=20):
    rng = np.random.default_rng(seed)
    truth = np.arange(n_classes) % n_clusters
    rows = np.repeat(np.arange(n_classes), per_row)
    same = truth[rows] + n_clusters * rng.integers(0, n_classes // n_clusters, rows.size)
    columns = np.where(rng.random(rows.size) < within, same, rng.integers(0, n_classes, rows.size))
    entries = (rng.random(rows.size), (rows, columns))
    return sparse.coo_array(entries, shape=(n_classes, n_classes)).tocsr(), truth


@pytest.mark.parametrize("within", [0.6, 0.8])
def test_finds_planted_clusters_of_many_classes(within):
    confusion, truth = planted(3000, 30, within)
    partitioner = ConfusionSpectralPartitioner(30, random_state=0).fit(confusion)
    assert adjusted_rand_score(partitioner.labels_, truth) >= 0.97


def test_close_to_the_dense_method(monkeypatch):
    confusion, _ = planted(1500, 15, 0.5)
    products = ConfusionSpectralPartitioner(15, random_state=0).fit(confusion).labels_
    monkeypatch.setattr(spectral, "_DENSE_MAX", 2000)
    dense = ConfusionSpectralPartitioner(15, random_state=0).fit(confusion).labels_
    assert adjusted_rand_score(products, dense) >= 0.97


def test_no_worse_than_ten_random_starts():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 12)) + 4 * np.eye(12)[rng.integers(0, 12, 400)]
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    labels = cluster_aligned_rows(units, np.random.RandomState(0))
    means = np.stack([units[labels == label].mean(axis=0) for label in range(12)])
    best = KMeans(12, n_init=10, random_state=0).fit(units).inertia_
    assert ((units - means[labels]) ** 2).sum() <= 1.01 * best


@pytest.mark.parametrize("rows", [np.zeros((5, 3)), np.ones((5, 3)) / np.sqrt(3), np.eye(3)])
def test_few_different_rows(rows):
    assert np.isfinite(aligned_centres(rows)).all()
    assert cluster_aligned_rows(rows, np.random.RandomState(0)).shape == (len(rows),)


def test_many_classes_alike_make_fewer_clusters():
    labels = spectral_labels(np.ones((1200, 3)), 3, random_state=0)
    assert labels.tolist() == [0] * 1200
