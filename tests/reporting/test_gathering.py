"""What a report says: counts, order, pairs, accuracy and cost, and what is refused."""

import numpy as np
import pytest
from sklearn.datasets import make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    MultiLabelDecompositionClassifier,
    PartitionSoftmaxClassifier,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)
from hierlearn.controls import Comparison, Measurement
from hierlearn.exceptions import PartitionError
from hierlearn.reporting import gather


def measured(variant, seed, score, multiply_adds=100.0):
    return Measurement(variant, seed, score, float("nan"), multiply_adds, 10.0, 1.0, 0.1)


COMPARISON = Comparison(
    (
        *(measured("flat", seed, 0.70 + 0.01 * seed) for seed in range(3)),
        *(measured("hierarchy", seed, 0.74 + 0.012 * seed, 130.0) for seed in range(3)),
        *(measured("hierarchy, hard", seed, 0.73, 110.0) for seed in range(3)),
        *(measured("hierarchy, permuted", seed, 0.71, 130.0) for seed in range(3)),
    )
)


@pytest.fixture(scope="module")
def found(small):
    model, X, y, partition = small
    return gather(model, X, y, partition=partition)


def by_name(data, name):
    return next(row for row in data.classes if row.name == name)


def test_classes_of_a_cluster_are_side_by_side(found):
    names = [row.name for row in found.classes]
    groups = [set(names[cluster.start : cluster.stop]) for cluster in found.clusters]
    assert {frozenset(group) for group in groups} == {
        frozenset({"ant", "bee", "cat"}),
        frozenset({"dog", "elk", "fox"}),
    }


def test_counts_are_those_of_the_predictions(found):
    names = [row.name for row in found.classes]
    ant = by_name(found, "ant")
    assert (ant.n_samples, ant.right) == (4, 0.5)
    assert [(names[taken.place], taken.count, taken.share) for taken in ant.taken_for] == [
        ("bee", 2, 0.5)
    ]


def test_sparse_entries_are_the_confusion_in_order(found, small):
    model, X, y, _ = small
    code = {name: place for place, name in enumerate(row.name for row in found.classes)}
    dense = np.zeros((6, 6), dtype=int)
    for true, predicted in zip(y, model.predict(X), strict=True):
        dense[code[true], code[predicted]] += 1
    entries = found.confusions
    rebuilt = np.zeros((6, 6), dtype=int)
    for row in range(6):
        for entry in range(entries.starts[row], entries.starts[row + 1]):
            rebuilt[row, entries.columns[entry]] = entries.counts[entry]
    np.testing.assert_array_equal(rebuilt, dense)


def test_pairs_are_told_apart_by_where_they_lie(found):
    names = [row.name for row in found.classes]
    first = next(cluster for cluster in found.clusters if cluster.name == "first")
    (pair,) = first.pairs
    assert (names[pair.one], names[pair.other]) == ("ant", "bee")
    assert (pair.count, pair.count_back, pair.share_back) == (2, 1, 0.25)
    (across,) = found.confusions.across
    assert (names[across.one], names[across.other]) == ("cat", "fox")


def test_shares_of_a_cluster_sum_to_one(found):
    for cluster in found.clusters:
        assert cluster.right + cluster.within + cluster.between == pytest.approx(1.0)
    assert found.confusions.share_inside == pytest.approx(3 / 4)


def test_overlap_makes_guests_and_reaches_further(small):
    model, X, y, partition = small
    member = partition.membership.toarray()
    member[5, partition.labels[2]] = True
    wider = LabelPartition(partition.classes, partition.labels, member)
    data = gather(model, X, y, partition=wider)
    fox = by_name(data, "fox")
    (rank,) = fox.guest_of
    assert [data.classes[place].name for place in data.clusters[rank].guests] == ["fox"]
    assert data.confusions.across == ()


def test_tree_has_a_branch_for_each_cluster(found):
    assert found.tree is not None
    assert len(found.tree.branches) == 2
    ((across, joined),) = found.tree.forks
    assert joined == (0, 1)
    assert across == 0.0
    for branch, cluster in zip(found.tree.branches, found.clusters, strict=True):
        rows = [row for line in branch.lines for row in line[1::2]]
        assert min(rows) == 0
        assert max(rows) == cluster.stop - cluster.start - 1


def test_levels_multiply_to_the_accuracy(fitted, test):
    data = gather(fitted, *test)
    flat, own = data.results.levels
    assert own.cluster * own.within == pytest.approx(own.final)
    assert own.final == pytest.approx(fitted.score(*test))
    assert flat.final == pytest.approx(fitted.base_estimator_.score(*test))


def test_without_a_comparison_the_base_is_the_baseline(fitted, test):
    results = gather(fitted, *test).results
    flat, own = results.variants
    assert own.gain == pytest.approx(own.score - flat.score)
    assert own.low <= own.gain <= own.high
    assert own.ratio == pytest.approx(fitted.cost_report().ratio)
    assert "not run" in results.missing
    assert "compare(" in results.remedy


@pytest.mark.parametrize("given", [COMPARISON, COMPARISON.to_records()])
def test_comparison_gives_paired_intervals_and_a_verdict(fitted, test, given):
    results = gather(fitted, *test, comparison=given).results
    assert [variant.role for variant in results.variants] == [
        "baseline",
        "subject",
        "routing",
        "control",
    ]
    subject = results.variants[1]
    expected = COMPARISON.difference("hierarchy", "flat")
    assert (subject.gain, subject.low, subject.high) == pytest.approx(expected)
    assert results.verdict[0].startswith("Worth it")
    assert results.missing == ""


def test_records_of_json_may_lack_what_is_unknown(fitted, test):
    records = [{"variant": "flat", "seed": 0, "score": 0.5, "multiply_adds": float("nan")}]
    (variant,) = gather(fitted, *test, comparison=records).results.variants
    assert variant.score == 0.5


def test_one_label_each_may_be_absent_from_the_test_set(small):
    model, X, y, partition = small
    kept = y != "elk"
    data = gather(model, X[kept], y[kept], partition=partition)
    elk = by_name(data, "elk")
    assert elk.n_samples == 0
    assert np.isnan(elk.right)


@pytest.mark.parametrize(
    ("make", "n_variants"),
    [
        (lambda base: HierarchicalDecompositionClassifier(base, random_state=0), 2),
        (lambda base: SpecialistHeadAugmenter(base, random_state=0), 2),
        (lambda base: PartitionSoftmaxClassifier(n_clusters=3, max_epochs=2), 1),
        (
            lambda base: make_pipeline(
                StandardScaler(), HierarchicalDecompositionClassifier(base, random_state=0)
            ),
            2,
        ),
    ],
    ids=["hierarchy", "heads", "softmax", "pipeline"],
)
def test_classifiers_with_a_partition(train, test, make, n_variants):
    X, y = train
    names = np.array([f"digit {code}" for code in range(10)])
    base = TorchMLPClassifier((16,), max_epochs=2, random_state=0)
    clf = make(base).fit(X, names[y])
    data = gather(FrozenEstimator(clf), test[0], names[test[1]])
    assert len(data.results.variants) == n_variants
    assert {row.name for row in data.classes} == set(names)
    assert data.results.variants[-1].score == pytest.approx(clf.score(test[0], names[test[1]]))


@pytest.mark.parametrize(
    "clf",
    [
        MultiLabelDecompositionClassifier(max_epochs=2, random_state=0),
        SpecialistHeadAugmenter(TorchMLPClassifier((8,), max_epochs=2), random_state=0),
    ],
    ids=["tree", "heads"],
)
def test_several_labels_count_what_is_detected_beside_them(clf):
    X, y = make_multilabel_classification(200, 10, n_classes=8, random_state=0)
    clf.fit(X, y)
    data = gather(clf, X, y)
    assert data.multilabel
    assert data.detected > 0
    assert sorted(row.n_samples for row in data.classes) == sorted(y.sum(axis=0).tolist())
    assert data.results.scoring.startswith("map@")
    assert data.results.levels == ()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A", "B", "C", "D", "E", "F"], {"A", "B", "C", "D", "E", "F"}),
        ({"ant": "Ant"}, {"Ant", "bee", "cat", "dog", "elk", "fox"}),
    ],
)
def test_names_by_code_or_by_label(small, names, expected):
    model, X, y, partition = small
    data = gather(model, X, y, partition=partition, class_names=names)
    assert {row.name for row in data.classes} == expected


def test_one_cluster_and_one_class(told):
    model, X, y, partition = told(3, 1)
    data = gather(model, X, y, partition=partition)
    assert data.tree is not None
    assert data.tree.forks == ()
    model, X, y, partition = told(1, 1)
    assert gather(model, X, y, partition=partition).tree is None


def test_parameters_name_no_place_in_memory(fitted, test):
    class Odd:
        pass

    clf = HierarchicalDecompositionClassifier(**fitted.get_params(deep=False))
    clf.__dict__.update(fitted.__dict__)
    clf.cv = Odd()
    values = {item.name: item.value for item in gather(clf, *test).parameters}
    assert " at 0x" not in values["cv"]
    assert "Odd object" in values["cv"]


class TestErrors:
    def test_classifier_without_a_partition(self, train, test):
        flat = GaussianNB().fit(*train)
        with pytest.raises(TypeError, match="give partition="):
            gather(flat, *test)

    def test_name_of_a_file(self, test):
        with pytest.raises(TypeError, match=r"must be a fitted classifier\. Got str instead"):
            gather("model.skops", *test)

    def test_partitioner_alone(self):
        partitioner = ConfusionLinkagePartitioner(n_clusters=2).fit(np.eye(4) + 0.1)
        with pytest.raises(TypeError, match="must be a fitted classifier"):
            gather(partitioner, np.eye(4), np.arange(4))

    def test_not_fitted(self, test):
        with pytest.raises(NotFittedError):
            gather(HierarchicalDecompositionClassifier(), *test)

    def test_partition_of_other_classes(self, small):
        model, X, y, _ = small
        with pytest.raises(PartitionError, match="same classes"):
            gather(model, X, y, partition=LabelPartition(["ant", "bee"], [0, 1]))

    def test_unknown_labels(self, small):
        model, X, y, partition = small
        strange = np.where(y == "ant", "yak", y)
        with pytest.raises(PartitionError, match=r"y must hold classes.*yak"):
            gather(model, X, strange, partition=partition)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [(slice(0, 3), "same number of samples"), (slice(0, 0), "one at least")],
    )
    def test_rows_and_labels_that_do_not_fit(self, small, rows, message):
        model, X, y, partition = small
        labels = y[:0] if rows.stop == 0 else y
        with pytest.raises(ValueError, match=message):
            gather(model, X[rows], labels, partition=partition)

    def test_y_of_another_kind(self, fitted, test):
        X, y = test
        with pytest.raises(ValueError, match="y must be one label a sample"):
            gather(fitted, X, np.eye(10)[y])

    def test_too_few_names(self, small):
        model, X, y, partition = small
        with pytest.raises(ValueError, match="class_names must have 6 entries"):
            gather(model, X, y, partition=partition, class_names=["A"])

    def test_too_many_classes(self, told):
        model, X, y, partition = told(5001, 10, n_samples=10)
        with pytest.raises(ValueError, match="at most 5000 classes"):
            gather(model, X, y, partition=partition)

    @pytest.mark.parametrize("given", [3, [{"variant": "flat", "speed": 1}], []])
    def test_comparison_of_another_kind(self, fitted, test, given):
        with pytest.raises(ValueError, match="comparison must"):
            gather(fitted, *test, comparison=given)
