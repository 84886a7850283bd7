"""The data sets of the benchmarks, split, scaled and with the flat network that suits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from hierlearn import TorchMLPClassifier, datasets

NAMES = ("digits", "glyphs", "cifar-100", "clinc150", "omniglot")
MULTILABEL_NAMES = ("bibtex", "delicious", "cifar-100-multilabel")


@dataclass(frozen=True)
class Problem:
    """A classification problem, ready to fit.

    ``y`` holds a label a sample, or is a sparse indicator with a column for each of
    ``class_names`` (the problems of ``MULTILABEL_NAMES``). ``network`` is the flat network of the
    paper, [200, 150], trained as suits the data, or for many labels one trained to convergence;
    ``classifier`` the flat classifier that the benchmarks decompose by default.
    """

    name: str
    X: Any
    y: Any
    X_test: Any
    y_test: Any
    class_names: list[str]
    network: TorchMLPClassifier
    classifier: Any


def load(name: str, data: str | None, *, n_glyphs: int = 300) -> Problem:
    """Load a data set by name; all but digits and glyphs need the folder of downloads."""
    if name not in ("digits", "glyphs") and data is None:
        raise SystemExit(f"--dataset {name} needs --data DIR, the folder with the usual download.")
    return {
        "digits": _digits,
        "glyphs": lambda: _glyphs(n_glyphs),
        "cifar-100": lambda: _cifar(data),
        "clinc150": lambda: _clinc(data),
        "omniglot": lambda: _omniglot(data),
        "bibtex": lambda: _bibtex(data),
        "delicious": lambda: _delicious(data),
        "cifar-100-multilabel": lambda: _cifar_multilabel(data),
    }[name]()


def _network(**params: Any) -> TorchMLPClassifier:
    return TorchMLPClassifier((200, 150), **params)


def _until_converged(**params: Any) -> TorchMLPClassifier:
    """Return a network for many labels that stops when its validation loss does not fall."""
    return TorchMLPClassifier(
        (512, 512),
        max_epochs=200,
        early_stopping=True,
        lr_schedule="constant",
        **params,
    )


def _problem(name: str, parts: tuple, class_names: Any, network: Any) -> Problem:
    return Problem(name, *parts, [str(n) for n in class_names], network, network)


def _standardised(X: np.ndarray, X_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale every feature to mean 0 and deviation 1 on the training data, in single precision."""
    X, X_test = X.astype(np.float32), X_test.astype(np.float32)
    mean, deviation = X.mean(axis=0), X.std(axis=0)
    deviation[deviation == 0] = 1
    return (X - mean) / deviation, (X_test - mean) / deviation


def _digits() -> Problem:
    bunch = datasets.load_digits(test_size=0.4)
    parts = bunch.data_train, bunch.target_train, bunch.data_test, bunch.target_test
    return _problem("digits", parts, bunch.target_names, _network(max_epochs=40))


def _glyphs(n_classes: int) -> Problem:
    bunch = datasets.load_glyphs(n_classes)
    X, X_test = _standardised(bunch.data_train, bunch.data_test)
    parts = X, bunch.target_train, X_test, bunch.target_test
    return _problem("glyphs", parts, np.unique(bunch.target_train), _network(max_epochs=25))


def _cifar(data: str) -> Problem:
    parts, class_names = _cifar_parts(data, multilabel=False)
    return _problem("cifar-100", parts, class_names, _network(dropout=0.2, max_epochs=8))


def _cifar_multilabel(data: str) -> Problem:
    parts, class_names = _cifar_parts(data, multilabel=True)
    return _problem("cifar-100-multilabel", parts, class_names, _until_converged(dropout=0.2))


def _cifar_parts(data: str, multilabel: bool) -> tuple[tuple, Any]:
    bunch = datasets.load_cifar100(data, multilabel=multilabel)
    flat = (part.reshape(len(part), -1) for part in (bunch.data_train, bunch.data_test))
    X, X_test = _standardised(*flat)
    return (X, bunch.target_train, X_test, bunch.target_test), bunch.target_names


def _bibtex(data: str) -> Problem:
    return _tags("bibtex", datasets.load_bibtex(data))


def _delicious(data: str) -> Problem:
    return _tags("delicious", datasets.load_delicious(data))


def _tags(name: str, bunch: Any) -> Problem:
    """Make a problem of words that occur or not, and of the tags to find."""
    parts = bunch.data_train, bunch.target_train, bunch.data_test, bunch.target_test
    class_names = [label.removeprefix("TAG_") for label in bunch.target_names]
    return _problem(name, parts, class_names, _until_converged(dropout=0.5))


def _omniglot(data: str) -> Problem:
    bunch = datasets.load_omniglot(data)
    flat = (part.reshape(len(part), -1) for part in (bunch.data_train, bunch.data_test))
    X, X_test = _standardised(*flat)
    parts = X, bunch.target_train, X_test, bunch.target_test
    return _problem("omniglot", parts, bunch.target_names, _network(dropout=0.2, max_epochs=20))


def _clinc(data: str) -> Problem:
    bunch = datasets.load_clinc150(data)
    words = TfidfVectorizer(ngram_range=(1, 2))
    X = words.fit_transform(bunch.data_train)
    X_test = words.transform(bunch.data_test)
    y, y_test = np.asarray(bunch.target_train), np.asarray(bunch.target_test)
    network = _network(dropout=0.5, max_epochs=8)
    return Problem("clinc150", X, y, X_test, y_test, list(np.unique(y)), network, LinearSVC())
