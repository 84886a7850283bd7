"""What all that take a confusion matrix, or divide classes, refuse, and how they say so."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    LabelPartition,
    PartitionSoftmaxClassifier,
)
from hierlearn.confusion import (
    distance_from_confusion,
    normalise_columns,
    normalise_rows,
    similarity_from_confusion,
)
from hierlearn.hierarchy import cluster_statistics
from hierlearn.partition import average_linkage, extend_by_confusion

CONFUSION = np.eye(6) * 5 + 1.0
WRONG = {
    "negative": np.where(np.eye(6)[::-1] > 0, -1.0, CONFUSION),
    "NaN": np.where(np.eye(6)[::-1] > 0, np.nan, CONFUSION),
    "infinite": np.where(np.eye(6)[::-1] > 0, np.inf, CONFUSION),
    "not-square": CONFUSION[:4],
}
SAYS = {
    "negative": r"[Nn]egative.*Got a minimum of -1 instead",
    "NaN": r"must (not contain|hold finite).*NaN instead",
    "infinite": r"must (not contain|hold finite).*inf",
    "not-square": r"square.*Got shape \(4, 6\) instead",
}
FORMS = [np.asarray, sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array]
PARTITION = LabelPartition(np.arange(6), np.arange(6) % 2)
PARTITIONERS = [ConfusionLinkagePartitioner, ConfusionSpectralPartitioner]
TAKERS = {
    "linkage": lambda matrix: ConfusionLinkagePartitioner(n_clusters=2).fit(matrix),
    "linkage-by-size": lambda matrix: ConfusionLinkagePartitioner(max_cluster_size=3).fit(matrix),
    "spectral": lambda matrix: ConfusionSpectralPartitioner(n_clusters=2).fit(matrix),
    "linkage-stream": lambda m: ConfusionLinkagePartitioner(n_clusters=2).partial_fit(m),
    "spectral-stream": lambda m: ConfusionSpectralPartitioner(n_clusters=2).partial_fit(m),
    "average_linkage": average_linkage,
    "extend_by_confusion": lambda matrix: extend_by_confusion(PARTITION, matrix, gamma=2.0),
    "cluster_statistics": lambda matrix: cluster_statistics(matrix, [0, 1], np.ones(6)),
    "normalise_rows": normalise_rows,
    "normalise_columns": normalise_columns,
    "similarity": similarity_from_confusion,
    "distance": distance_from_confusion,
}
X, Y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 6
NETWORK = {"hidden_layer_sizes": (5,), "max_epochs": 1, "random_state": 0}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", TAKERS)
def test_malformed_confusions_are_refused_in_one_line(name, kind, form):
    with pytest.raises(ValueError, match=SAYS[kind]) as caught:
        TAKERS[name](form(WRONG[kind]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_more_clusters_than_classes_are_refused(partitioner, method, form):
    learner = partitioner(n_clusters=7)
    with pytest.raises(ValueError, match=r"must not exceed the number of classes, 6\. Got 7"):
        getattr(learner, method)(form(CONFUSION))
    assert not hasattr(learner, "partition_")


@pytest.mark.parametrize("partitioner", PARTITIONERS)
def test_more_clusters_than_classes_are_refused_by_networks(partitioner):
    clf = PartitionSoftmaxClassifier(partitioner=partitioner(n_clusters=50), **NETWORK)
    with pytest.raises(ValueError, match=r"must not exceed the number of classes, 6\. Got 50"):
        clf.fit(X, Y)


@pytest.mark.parametrize("cutoffs", [[3, 2], [2, 2], [0, 2], [2, 6], [2.5], [[2, 3]], ["a"]])
def test_cutoffs_out_of_order_are_refused_in_one_line(cutoffs):
    with pytest.raises(ValueError, match=r"^cutoffs must be ascending .* 5\. Got .*") as caught:
        AdaptiveSoftmaxClassifier(cutoffs=cutoffs, **NETWORK).fit(X, Y)
    assert "\n" not in str(caught.value)
