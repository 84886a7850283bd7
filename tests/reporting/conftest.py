"""Models whose predictions are known, pages taken apart, and names that try to break out."""

from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition, TorchMLPClassifier

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "--><!-- ]]>",
    "{{ 7 * 7 }}{% raw %}",
    "a_class_name_of_sixty_characters_that_ends_in_a_number__00042",
    "🦊 fox 👩‍👩‍👧‍👦",
    "שלום עולם",
    "مرحبا بالعالم 12",
    "\u202eturned around",
    "line\u2028separator\nand tab\t",
    "",
    "\ud800 half a pair",
    "javascript:alert(1)",
    "e\u0301\u0302\u0303 with marks",
    "x" * 300,
]
_VOID = {"meta", "link", "input", "img", "br"}


class Told(ClassifierMixin, BaseEstimator):
    """Predicts the class whose code is the first feature."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[np.asarray(X)[:, 0].astype(int)]


class Page(HTMLParser):
    """A page's elements; wrongly nested ones are an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._open = [], {}, []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture(scope="session")
def page():
    return Page


@pytest.fixture(scope="session")
def hostile():
    return HOSTILE


@pytest.fixture(scope="session")
def told():
    """Return a model, rows, labels and a partition: a third of the samples is confused."""

    def make(n_classes, n_clusters, n_samples=2000, classes=None, **partition):
        rng = np.random.default_rng(0)
        classes = np.arange(n_classes) if classes is None else np.asarray(classes)
        labels = np.arange(n_classes) * n_clusters // n_classes
        true = rng.integers(n_classes, size=n_samples)
        near = np.clip(true + rng.integers(-2, 3, size=n_samples), 0, n_classes - 1)
        predicted = np.where(rng.random(n_samples) < 0.4, near, true)
        model = Told().fit(None, classes)
        clusters = LabelPartition(model.classes_, labels, **partition)
        return model, predicted[:, None], model.classes_[true], clusters

    return make


@pytest.fixture(scope="session")
def small(told):
    """Six classes in two clusters, by hand: rows, labels, predictions."""
    classes = np.array(["ant", "bee", "cat", "dog", "elk", "fox"])
    true = np.repeat(np.arange(6), 4)
    predicted = true.copy()
    predicted[[0, 1]] = 1  # two ants are taken for bees
    predicted[4] = 0  # a bee for an ant
    predicted[8] = 5  # a cat for a fox, of the other cluster
    model = Told().fit(None, classes)
    partition = LabelPartition(classes, [0, 0, 0, 1, 1, 1], names=["first", "second"])
    return model, predicted[:, None], classes[true], partition


@pytest.fixture(scope="session")
def fitted(train):
    base = TorchMLPClassifier((16,), lr=0.01, max_epochs=6, random_state=0)
    clf = HierarchicalDecompositionClassifier(base, gamma=0.5, mixing=0.0, random_state=0)
    return clf.fit(*train)
