"""Rows of X that are selected without being copied."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.utils import _safe_indexing

from hierlearn import _rows
from hierlearn._rows import RowView, check_blocks_finite, is_large, row_blocks, select_rows, viewed

X = np.arange(60, dtype=np.float32).reshape(20, 3)
SOURCES = {"dense": X, "csr": sparse.csr_matrix(X), "images": X.reshape(20, 1, 3, 1)}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_rows, "_BLOCK_VALUES", 6)


def values(found):
    return found.toarray() if sparse.issparse(found) else found


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize(
    "index",
    [slice(2, 9), slice(None, None, 3), [4, 4, 0], np.arange(20) % 2 == 0, np.arange(5, 8), []],
    ids=["slice", "step", "numbers", "mask", "run", "nothing"],
)
def test_selection_reads_what_indexing_gives(source, index):
    view = RowView(source)[index]
    wanted = source[np.arange(20)[index].astype(int)]
    assert isinstance(view, RowView)
    assert (view.shape, len(view), view.ndim) == (wanted.shape, wanted.shape[0], wanted.ndim)
    assert type(view.read()) is type(wanted)
    assert_array_equal(values(view.read()), values(wanted))
    assert_array_equal(np.asarray(view), values(wanted))


def test_selections_of_selections():
    view = RowView(X)[5:][np.arange(15) % 2 == 0][[1, 0]]
    assert_array_equal(view.read(), X[[7, 5]])
    assert_array_equal(_safe_indexing(view, np.array([1])).read(), X[[5]])
    assert_array_equal(view[0], X[7])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("index", [slice(2, 9), [3, 1]], ids=["run", "numbers"])
def test_what_is_read_is_a_copy(source, index):
    found = RowView(source)[index].read()
    before = values(found).copy()
    if sparse.issparse(found):
        found.data[:] = 0
    else:
        found[:] = 0
    assert_array_equal(values(RowView(source)[index].read()), before)


def test_another_shape_of_the_rows():
    view = RowView(X)[[3, 1]].reshape(2, 1, 3)
    assert view.shape == (2, 1, 3)
    assert_array_equal(view.read(), X[[3, 1]].reshape(2, 1, 3))
    assert np.shares_memory(view.source, X)


def test_large_is_what_copies_would_be_felt_of(monkeypatch):
    assert viewed(X) is X
    monkeypatch.setattr(_rows, "LARGE_BYTES", X.nbytes)
    assert isinstance(viewed(X), RowView)
    assert is_large(sparse.csr_array(X))
    for other in (X[1:], X.astype(object), list(X), X.ravel(), sparse.csc_array(X)):
        assert not is_large(other)


def test_select_rows_copies_of_small_and_views_large(monkeypatch):
    assert isinstance(select_rows(X, [1]), np.ndarray)
    monkeypatch.setattr(_rows, "LARGE_BYTES", 0)
    found = select_rows({"attach": X, "own": X[:, :2]}, [1])
    assert isinstance(found["attach"], RowView)
    assert_array_equal(found["own"].read(), X[[1], :2])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("view", [False, True])
def test_blocks_cover_all_rows_once(source, view, small_blocks):
    blocks = list(row_blocks(RowView(source)[::-1] if view else source))
    assert len(blocks) >= 9
    assert_array_equal(np.concatenate([np.arange(20)[rows] for rows, _ in blocks]), np.arange(20))
    found = np.concatenate([values(block) for _, block in blocks])
    assert_array_equal(found, values(source)[::-1] if view else values(source))


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float16", "dense"), ("float32", "dense"), ("float64", "view"), ("float32", "csr")],
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_found_in_any_block(dtype, kind, bad, small_blocks):
    wrong = X.astype(dtype)
    wrong[17, 1] = bad
    given = {"dense": np.asarray, "view": RowView, "csr": sparse.csr_array}[kind](wrong)
    with pytest.raises(ValueError, match="NaN" if np.isnan(bad) else "infinity"):
        check_blocks_finite(given)
    if np.isnan(bad):
        check_blocks_finite(given, allow_nan=True)
    check_blocks_finite(given[:17])


def test_whole_numbers_are_not_looked_at():
    check_blocks_finite(np.zeros((3, 2), dtype=np.uint8))
