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
from hierlearn.confusion import HeldOutScores
from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    PARTITIONERS,
    TrainingRows,
    confusion_of,
    default_partitioner,
    learn_partition,
    with_fewer_clusters,
)

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


WEIGHED = [
    *PARTITIONERS,
    *(
        Partitioner(affinity=affinity)
        for Partitioner in (ConfusionLinkagePartitioner, ConfusionSpectralPartitioner)
        for affinity in ("hard", "soft", "top_k", "co_detection")
    ),
    CentroidPartitioner(4, method="spectral"),
    RandomPartitioner(ConfusionLinkagePartitioner(affinity="soft")),
    RandomPartitioner(CentroidPartitioner(4)),
]

# Their partitions must depend on the weights drawn, lest the tests below show nothing.
SENSITIVE = [
    "linkage",
    "centroid",
    *(ConfusionLinkagePartitioner(affinity=affinity) for affinity in ("hard", "soft")),
    RandomPartitioner(ConfusionLinkagePartitioner(affinity="soft"), random_state=0),
]


@pytest.fixture(scope="module")
def weighted():
    """Noisy scores and rows of 10 classes, and whole weights for them, some of them zero."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 10
    scores = rng.dirichlet(np.full(10, 0.3), size=200) + 0.2 * np.eye(10)[y]
    X = rng.normal(size=(200, 4))
    return scores, X, y, np.where(np.arange(200) < 10, 1, rng.integers(0, 4, size=200))


def learn_from(partitioner, scores, X, y, weight):
    weight = None if weight is None else np.asarray(weight, dtype=np.float64)
    held_out = HeldOutScores(scores, y, np.arange(len(y)), CLASSES, weight, ())
    return learn(partitioner, (held_out, TrainingRows(X, y, weight)))[1]


@pytest.mark.parametrize("partitioner", WEIGHED, ids=str)
def test_weights_are_repetitions(partitioner, weighted):
    scores, X, y, weight = weighted
    repeated = (part.repeat(weight, axis=0) for part in (scores, X, y))
    found, wanted = learn_from(partitioner, *weighted), learn_from(partitioner, *repeated, None)
    assert found.labels.tolist() == wanted.labels.tolist()
    assert (found.tree is None) == (wanted.tree is None)
    if found.tree is not None:  # sums in another order: heights may differ in their last bits
        assert np.array_equal(found.tree.parents, wanted.tree.parents)
        np.testing.assert_allclose(found.tree.heights, wanted.tree.heights, rtol=1e-12)


@pytest.mark.parametrize("partitioner", WEIGHED, ids=str)
def test_rows_of_weight_zero_are_not_noticed(partitioner, weighted):
    scores, X, y, weight = weighted
    nothing = weight == 0
    spoilt = scores.copy(), X.copy(), y.copy(), weight
    spoilt[0][nothing] = np.eye(10)[9]
    spoilt[1][nothing] = 1e6
    spoilt[2][nothing] = 0
    assert learn_from(partitioner, *spoilt) == learn_from(partitioner, *weighted)


@pytest.mark.parametrize("partitioner", SENSITIVE, ids=str)
def test_weights_make_a_difference(partitioner, weighted):
    ignored = learn_from(partitioner, *weighted[:3], None)
    assert learn_from(partitioner, *weighted).labels.tolist() != ignored.labels.tolist()


def test_weights_leave_the_parameters_of_the_partitioner(weighted):
    scores, _, y, weight = weighted
    held_out = HeldOutScores(scores, y, np.arange(200), CLASSES, weight.astype(float), ())
    chosen = ConfusionLinkagePartitioner(affinity="soft")
    fitted, partition = learn(chosen, (held_out, TrainingRows(scores, y, held_out.sample_weight)))
    assert repr(fitted) == repr(chosen)
    assert fitted.partition_ == partition
    assert fitted.transform(scores).shape == (200, partition.n_clusters)


class OwnPartitioner(BaseEstimator):
    """Looks at rows, and knows nothing of weights."""

    partition_input = "features"

    def fit(self, X, y):
        self.n_rows_ = len(X)
        self.partition_ = LabelPartition(np.unique(y), np.arange(10) % 2)
        return self


class OwnWeighingPartitioner(OwnPartitioner):
    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return super().fit(X, y)


@pytest.mark.parametrize("wrap", [lambda inner: inner, RandomPartitioner])
def test_partitioner_of_ones_own_without_weights(wrap, weighted):
    scores, X, y, weight = weighted
    with pytest.raises(ValueError, match="equal where not zero, for OwnPartitioner"):
        learn_from(wrap(OwnPartitioner()), *weighted)
    same = 2.0 * (weight > 0)
    held_out = HeldOutScores(scores, y, np.arange(200), CLASSES, same, ())
    fitted, _ = learn(wrap(OwnPartitioner()), (held_out, TrainingRows(X, y, same)))
    assert getattr(fitted, "partitioner_", fitted).n_rows_ == (weight > 0).sum()


def test_partitioner_of_ones_own_with_weights(weighted):
    scores, X, y, weight = weighted
    held_out = HeldOutScores(scores, y, np.arange(200), CLASSES, None, ())
    fitted, _ = learn(OwnWeighingPartitioner(), (held_out, TrainingRows(X, y, weight)))
    assert np.array_equal(fitted.weight_, weight)


def test_class_without_weight_cannot_be_placed_by_its_rows(weighted):
    scores, X, y, weight = weighted
    with pytest.raises(PartitionError, match=r"CentroidPartitioner .* Got none for 'd'"):
        learn_from("centroid", scores, X, y, np.where(y == 3, 0, weight))
    assert learn_from("spectral", scores, X, y, np.where(y == 3, 0, weight)).n_classes == 10


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


MANY = (
    ConfusionLinkagePartitioner(n_clusters=50),
    ConfusionSpectralPartitioner(50),
    CentroidPartitioner(50),
)


@pytest.mark.parametrize("given", MANY, ids=str)
@pytest.mark.parametrize("wrap", [lambda given: given, RandomPartitioner], ids=["", "random"])
def test_more_clusters_than_classes_are_refused_or_lowered_for_inner_levels(wrap, given, evidence):
    partitioner = wrap(given)
    with pytest.raises(ValueError, match=r"n_clusters must not exceed .* 10. Got 50"):
        learn(partitioner, evidence)
    _, partition = learn(with_fewer_clusters(partitioner, CLASSES.size), evidence)
    assert partition.n_clusters <= CLASSES.size
    assert given.n_clusters == 50
