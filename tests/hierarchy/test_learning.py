import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.naive_bayes import GaussianNB

from hierlearn import (
    CentroidPartitioner,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    LabelPartition,
    RandomPartitioner,
    TaxonomyPartitioner,
    held_out_scores,
)
from hierlearn.exceptions import PartitionError
from hierlearn.hierarchy import TrainingRows, default_partitioner, learn_partition
from hierlearn.hierarchy.learning import confusion_of
from hierlearn.partition import PARTITIONERS

CLASSES = np.array(list("abcdefghij"))


@pytest.fixture(scope="module")
def evidence(digits):
    """Held-out scores of a naive Bayes classifier, and the rows they are of."""
    X, y = digits
    scores = held_out_scores(GaussianNB(), X, CLASSES[y], cv=3, random_state=0)
    return scores, TrainingRows(X, y, None)


def learn(partitioner, evidence, seed=0):
    scores, rows = evidence
    return learn_partition(partitioner, confusion_of(scores, "soft"), scores, rows, seed)


class HalvesPartitioner(BaseEstimator):
    """What a user may write: no base class, no tags, nothing said about its input."""

    def fit(self, X, y=None, *, classes=None):
        assert X.shape == (len(classes), len(classes))
        labels = np.arange(len(classes)) >= len(classes) // 2
        # In an order of its own.
        self.partition_ = LabelPartition(classes[::-1], labels[::-1].astype(int))
        return self


PARTITIONS = [
    None,
    *PARTITIONERS,
    ConfusionSpectralPartitioner(3),
    ConfusionSpectralPartitioner(affinity="soft"),
    ConfusionLinkagePartitioner(max_cluster_size=3),
    ConfusionLinkagePartitioner(n_clusters=4, affinity="top_k", k=2),
    ConfusionLinkagePartitioner(distance_threshold=0.9, affinity="co_detection", k=2),
    CentroidPartitioner(3, method="spectral"),
    RandomPartitioner(CentroidPartitioner(4)),
    RandomPartitioner(TaxonomyPartitioner(list("xxxyyyzzzz"))),
    TaxonomyPartitioner({"vowels": list("aei"), "others": list("bcdfghj")}),
    TaxonomyPartitioner({c: "vowels" if c in "aei" else "others" for c in CLASSES}),
    HalvesPartitioner(),
]


@pytest.mark.parametrize("partitioner", PARTITIONS, ids=str)
def test_every_partitioner_partitions_the_classes_of_y(partitioner, evidence):
    before = repr(partitioner)
    fitted, partition = learn(partitioner, evidence)
    assert np.array_equal(partition.classes, CLASSES)
    assert partition.primary_sizes.sum() == 10
    assert fitted is not partitioner
    assert fitted.partition_.n_clusters == partition.n_clusters
    assert repr(partitioner) == before
    assert learn(partitioner, evidence)[1] == partition


def test_given_taxonomy_is_what_comes_out(evidence):
    _, partition = learn(TaxonomyPartitioner({"v": list("aei"), "o": list("bcdfghj")}), evidence)
    assert partition.to_dict() == {"v": list("aei"), "o": list("bcdfghj")}


def test_seed_reaches_partitioners_without_one_only(evidence):
    drawn = [learn("random", evidence, seed)[1].labels.tolist() for seed in range(4)]
    assert len({tuple(labels) for labels in drawn}) > 1
    chosen = RandomPartitioner(random_state=0)
    assert learn(chosen, evidence, 1)[1] == learn(chosen, evidence, 2)[1]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_ready_partition_is_used_as_it_is_in_the_order_of_y(order, evidence):
    overlapping = LabelPartition.from_groups(["abc", "adefghij"], CLASSES)
    given = overlapping.aligned_to(CLASSES[order])
    fitted, partition = learn(given, evidence)
    assert fitted is None
    assert partition == overlapping


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        (["abcde", "fghi"], "missing classes .*'j'"),
        (["abcde", "fghijk"], "extra classes .*'k'"),
        (["ab", "xy"], "missing classes .*'c'.* extra classes .*'x'"),
    ],
)
def test_partition_of_other_classes_is_refused(groups, names, evidence):
    with pytest.raises(PartitionError, match=f"partition must be for the same classes.*{names}"):
        learn(LabelPartition.from_groups(groups), evidence)


def test_taxonomy_that_forgets_a_class_is_refused(evidence):
    with pytest.raises(PartitionError, match="'j'"):
        learn(TaxonomyPartitioner({"one": list("abcde"), "two": list("fghi")}), evidence)


@pytest.mark.parametrize(
    ("n_classes", "n_clusters"), [(2, 2), (3, 2), (10, 3), (50, 7), (100, 10), (1000, 32)]
)
def test_default_is_about_sqrt_k_clusters(n_classes, n_clusters):
    assert default_partitioner(n_classes).n_clusters == n_clusters


@pytest.mark.parametrize("method", ["hard", "soft", "top_k", "co_detection"])
def test_confusion_by_name(method, evidence):
    confusion = confusion_of(evidence[0], method, k=2)
    assert confusion.shape == (10, 10)
    assert confusion.min() >= 0
    assert (np.diag(confusion) > 0).all()
