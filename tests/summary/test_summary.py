import copy
import html.parser
import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbeddingClassifier,
    LabelPartition,
    MultiLabelDecompositionClassifier,
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
    SpecialistHeadAugmenter,
    TorchClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.cost import estimator_cost
from hierlearn.networks import mlp
from hierlearn.summary import cluster_figures, summarise
from hierlearn.summary.table import text_width

NAMES = np.array(
    [
        "a name of sixty characters that somebody might have written!",
        "🐈 cat 👩\u200d🚀 emoji",
        "שלום עולם",
        "مرحبا بالعالم",
        "<script>alert(1)</script>",
        "one\ntwo",
        "x" * 300,
        "\x1b[31mred & <b>",
        "\u202eevil",
        "中文类名" * 20,
    ]
)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, NAMES[y[:600]]


@pytest.fixture(scope="module")
def hierarchy(digits):
    base = LogisticRegression(C=0.05, max_iter=500)
    return HierarchicalDecompositionClassifier(base, gamma=0.5, random_state=0).fit(*digits)


@pytest.fixture(scope="module")
def augmented(digits):
    base = TorchMLPClassifier((16,), max_epochs=3, lr=0.01)
    clf = SpecialistHeadAugmenter(base, head_sizes=(4,), n_rounds=2, evaluate=1, random_state=0)
    return clf.fit(*digits)


SMALL = TorchMLPClassifier((8,), max_epochs=2, random_state=0)
NETWORKS = {
    "perceptron": SMALL,
    "stopped early": TorchMLPClassifier((8,), max_epochs=2, early_stopping=True, random_state=0),
    "images": TorchCNNClassifier(
        ("conv 3x3|4", "pool 2", "fc 16"), input_shape=(1, 8, 8), max_epochs=1, random_state=0
    ),
    "any module": TorchClassifier(max_epochs=1, random_state=0),
    "transfer": TransferClassifier(mlp(64, 8, hidden_layer_sizes=(16,)), max_epochs=1),
    "label tree": MultiLabelDecompositionClassifier((8,), max_epochs=2, random_state=0),
    "embedding": LabelEmbeddingClassifier((8,), max_epochs=2, random_state=0),
    "two levels": PartitionSoftmaxClassifier((8,), max_epochs=2, n_clusters=3, random_state=0),
    "adaptive": AdaptiveSoftmaxClassifier((32,), max_epochs=1, cutoffs=[3], random_state=0),
    "sampled": SampledSoftmaxClassifier((8,), max_epochs=1, random_state=0),
    "student": DistilledClassifier(SMALL, TorchMLPClassifier((4,), max_epochs=1), random_state=0),
}


@pytest.fixture(scope="module")
def networks(digits):
    return {name: clone(network).fit(*digits) for name, network in NETWORKS.items()}


class _Reader(html.parser.HTMLParser):
    """Collect the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("fitted", ["hierarchy", "augmented"])
def test_eighty_columns_hold_it_whatever_the_names(fitted, request):
    text = str(request.getfixturevalue(fitted).summary())
    assert max(text_width(line) for line in text.split("\n")) <= 80
    assert all(char.isprintable() or char in "\n\u200d\u200e" for char in text)
    assert "ratio" in text
    assert "held-out rows" in text


def test_settings_accuracy_cost_and_clusters_are_those_of_the_estimator(hierarchy):
    settings, accuracy, cost, clusters = hierarchy.summary().tables
    assert dict(settings.rows)["base"] == "LogisticRegression"
    held_out = hierarchy.held_out_
    flat = np.mean(held_out.scores.argmax(axis=1) == held_out.y)
    assert accuracy.rows[0][-1] == f"{100 * flat:.1f}%"
    assert cost.rows[1][1] == f"{round(hierarchy.cost_report().total.multiply_adds):,}"
    partition = hierarchy.partition_
    assert len(clusters.rows) == partition.n_clusters
    for cluster, row in enumerate(clusters.rows):
        assert set(row[-1].names) == set(partition.classes[partition.members(cluster)])


def test_a_loaded_estimator_says_what_is_left(hierarchy):
    loaded = pickle.loads(pickle.dumps(hierarchy))
    assert str(loaded.summary().tables[0]) == str(hierarchy.summary().tables[0])
    assert "flat network" not in [row[0] for row in loaded.summary().tables[1].rows]


def test_size_of_heads_is_in_words(augmented):
    assert "of equal size" in str(augmented.summary())


def test_each_round_of_heads_has_its_clusters(augmented):
    captions = [table.caption for table in augmented.summary().tables]
    assert captions[-2:] == ["Clusters of round 1", "Clusters of round 2"]


def test_many_clusters_are_cut_to_the_most_confused(hierarchy):
    full, short = hierarchy.summary(), hierarchy.summary(max_clusters=1)
    within = [float(row[3].rstrip("%")) for row in full.tables[-1].rows]
    (row,) = short.tables[-1].rows
    assert row == full.tables[-1].rows[int(np.argmax(within))]
    assert "the 1 most confused within of" in short.tables[-1].caption


def test_labels_of_several_a_sample_have_no_accuracy():
    X, y = make_multilabel_classification(200, 8, n_classes=5, random_state=0)
    base = TorchMLPClassifier((8,), max_epochs=2)
    clf = SpecialistHeadAugmenter(base, head_sizes=(4,), random_state=0).fit(X, y)
    text = str(clf.summary())
    assert "5 labels in" in text
    assert "ccuracy" not in text


@pytest.mark.parametrize("partitioner", [LabelPartition(range(3), [0, 0, 1], names=["a", "b"])])
def test_named_clusters_go_by_their_names(partitioner):
    X = np.random.default_rng(0).random((90, 3))
    y = np.arange(90) % 3
    clf = HierarchicalDecompositionClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), partitioner, random_state=0
    )
    settings, *_, clusters = clf.fit(X, y).summary().tables
    assert [row[0] for row in clusters.rows] == ["a", "b"]
    assert dict(settings.rows)["base"] == "StandardScaler > LogisticRegression"


def test_too_few_clusters_are_refused(hierarchy):
    with pytest.raises(ValueError, match=r"max_clusters must be at least 1\. Got 0 instead\."):
        hierarchy.summary(max_clusters=0)


@pytest.mark.parametrize("fitted", ["hierarchy", "augmented"])
def test_notebooks_see_the_partition_with_every_name_escaped(fitted, request):
    clf = request.getfixturevalue(fitted)
    page = clf._repr_html_()
    assert page == clf._repr_mimebundle_()["text/html"] or page.count("hierlearn-summary") > 0
    own = _Reader(clf.summary().to_html())
    assert "script" not in own.tags
    assert "b" not in own.tags
    assert "<script>alert(1)</script>" in own.text
    assert "שלום עולם" in own.text
    assert "Clusters" in own.text


def test_unfitted_estimators_show_scikit_learns_diagram_alone():
    clf = HierarchicalDecompositionClassifier()
    assert "hierlearn-summary" not in clf._repr_html_()
    assert "hierlearn-summary" not in clf._repr_mimebundle_()["text/html"]


def test_text_display_has_no_html(hierarchy):
    with sklearn.config_context(display="text"):
        assert not hasattr(hierarchy, "_repr_html_")
        assert "text/html" not in hierarchy._repr_mimebundle_()


def test_a_summary_reads_only(hierarchy):
    before = copy.copy(hierarchy.__dict__)
    summarise(hierarchy)
    assert hierarchy.__dict__.keys() == before.keys()


@pytest.mark.parametrize("overlap", [False, True])
def test_shares_of_a_cluster_sum_to_one(overlap):
    rng = np.random.default_rng(0)
    labels = np.array([0, 0, 1, 1, 2])
    membership = np.eye(3, dtype=bool)[labels]
    membership[0, 1] = overlap
    partition = LabelPartition(range(5), labels, membership)
    confusion = rng.random((5, 5))
    figures = cluster_figures(partition, confusion)
    np.testing.assert_allclose(figures.right + figures.within + figures.between, 1.0)
    np.testing.assert_allclose(figures.flow.sum(axis=1), 1.0)
    rates = confusion / confusion.sum(axis=1, keepdims=True)
    reach = rates[0, 1] + overlap * rates[0, 2:4].sum()
    assert figures.within[0] == pytest.approx((reach + rates[1, 0]) / 2)


def test_classes_never_seen_count_for_nothing():
    partition = LabelPartition(range(3), [0, 0, 1])
    figures = cluster_figures(partition, [[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert figures.right.tolist() == [0.75, 0.0]
    assert figures.within.tolist() == [0.25, 0.0]


# -- networks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_say_what_they_are_and_cost(name, networks):
    clf = networks[name]
    settings, cost, *clusters = clf.summary().tables
    text = str(clf.summary())
    assert text.startswith(f"{type(clf).__name__}: 10 classes")
    assert max(text_width(line) for line in text.split("\n")) <= 80
    rows = dict(settings.rows)
    assert rows["reads"] == ("rows of 1 x 8 x 8" if name == "images" else "64 features")
    assert rows["trained"].startswith("1 epoch, " if len(clf.history_) == 1 else "2 epochs, ")
    assert ("held-out" in rows["trained"]) == (name == "stopped early")
    price = estimator_cost(getattr(clf, "student_", clf))
    own = [row for row in cost.rows if row[0] != "ratio"][-1]
    assert own[1:] == (f"{round(price.multiply_adds):,}", f"{round(price.parameters):,}")
    assert len(clusters) == hasattr(clf, "partition_")


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_shown_in_notebooks(name, networks):
    page = networks[name]._repr_html_()
    assert page.count('<div class="hierlearn-summary">') == 1
    assert "script" not in _Reader(networks[name].summary().to_html()).tags
    assert "hierlearn-summary" not in clone(networks[name])._repr_html_()


@pytest.mark.parametrize("name", ["label tree", "embedding", "two levels", "adaptive", "sampled"])
def test_special_output_layers_are_priced_beside_a_flat_one(name, networks, digits):
    hidden = networks[name].hidden_layer_sizes
    flat = estimator_cost(TorchMLPClassifier(hidden, max_epochs=1).fit(*digits))
    (label, *figures), *_ = networks[name].summary().tables[1].rows
    assert label == "flat network"
    assert figures == [f"{flat.multiply_adds:,}", f"{flat.parameters:,}"]


def test_clusters_of_labels_go_by_the_names_given():
    X, y = make_multilabel_classification(200, 8, n_classes=6, random_state=0)
    clf = MultiLabelDecompositionClassifier((8,), max_epochs=1, routing=1, random_state=0).fit(X, y)
    names = [f"label {i}" for i in "abcdef"]
    settings, _, clusters = clf.summary(names=names).tables
    n_clusters = clf.partition_.n_clusters
    assert dict(settings.rows)["routing"] == f"the 1 most probable of {n_clusters} clusters"
    assert "6 labels in" in str(clf.summary())
    for cluster, row in enumerate(clusters.rows):
        assert list(row[-1].names) == [names[i] for i in clf.partition_.members(cluster)]
    with pytest.raises(ValueError, match=r"a name for each of the 6 classes\. Got 2 instead"):
        clf.summary(names=names[:2])


def test_student_stands_beside_its_teacher(networks):
    settings, cost = networks["student"].summary().tables
    rows = dict(settings.rows)
    assert (rows["teacher"], rows["student"]) == ("TorchMLPClassifier", "TorchMLPClassifier")
    assert [row[0] for row in cost.rows] == ["teacher", "student", "ratio"]


def test_network_without_a_known_price_has_no_cost(digits):
    class Odd(torch.nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = torch.nn.Linear(n_features, n_outputs)

        def forward(self, x):
            return self.layer(x) * float(x.sum() > 0)

    clf = TorchClassifier(Odd, max_epochs=1).fit(*digits)
    assert len(clf.summary().tables) == 1
