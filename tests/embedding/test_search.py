"""Nearest labels: exact, and through an index."""

import builtins
import pickle

import numpy as np
import pytest

from hierlearn.embedding import ExactSearch, make_search, normalise_rows, search
from hierlearn.exceptions import MissingExtraError


def needs_usearch(name):
    if name == "approximate":
        pytest.importorskip("usearch", reason="usearch is not installed")


@pytest.fixture(scope="module")
def labels():
    return normalise_rows(np.random.RandomState(0).standard_normal((3000, 24)))


@pytest.fixture(scope="module")
def vectors():
    return np.random.RandomState(1).standard_normal((50, 24))


def test_exact_search_finds_the_largest_cosines(labels, vectors, monkeypatch):
    monkeypatch.setattr(search, "_MAX_ELEMENTS", 7000)  # two rows at a time
    found, cosines = ExactSearch(labels).nearest(vectors, 5)
    scores = normalise_rows(vectors) @ labels.T
    assert (found == np.argsort(-scores, axis=1)[:, :5]).all()
    assert np.allclose(cosines, -np.sort(-scores, axis=1)[:, :5])


def test_approximate_search_finds_nearly_all_and_exact_cosines(labels, vectors):
    needs_usearch("approximate")
    found, cosines = make_search("approximate", labels).nearest(vectors, 10)
    expected, _ = ExactSearch(labels).nearest(vectors, 10)
    shared = [len(set(a) & set(b)) for a, b in zip(found, expected, strict=True)]
    assert np.mean(shared) > 9.5
    assert np.allclose(cosines, np.take_along_axis(normalise_rows(vectors) @ labels.T, found, 1))
    assert (np.diff(cosines, axis=1) <= 0).all()


@pytest.mark.parametrize("name", ["exact", "approximate"])
def test_search_survives_a_file_and_has_bounds(name, labels, vectors):
    needs_usearch(name)
    made = make_search(name, labels)
    again = pickle.loads(pickle.dumps(made))
    assert (again.nearest(vectors, 3)[0] == made.nearest(vectors, 3)[0]).all()
    assert made.nearest(vectors[:0], 3)[0].shape == (0, 3)
    for k in (0, 3001, 1.0):
        with pytest.raises(ValueError, match="k must be a whole number from 1 to"):
            made.nearest(vectors, k)


def test_missing_package_is_named_with_its_extra(monkeypatch, labels):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("usearch"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"usearch; install it with .*hierlearn\[search\]"):
        make_search("approximate", labels)


def test_unknown_search_is_refused(labels):
    with pytest.raises(ValueError, match="search must be one of 'approximate', 'exact'"):
        make_search("fast", labels)
