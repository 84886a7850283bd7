"""X and y as they are given: arrays of numbers and of labels, or one line that says why not."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

from hierlearn._given import as_labels, plain_labels, validate_data
from hierlearn.exceptions import UnsupportedTargetError

X = np.arange(6.0).reshape(3, 2)


def objects(*values):
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


@pytest.mark.parametrize(
    "y",
    [
        [None, "a"],
        [np.nan, "a"],
        ["a", None],
        objects(1, None),
        objects("a", np.nan),
        np.array([1.0, np.nan]),
        np.array([1.0, np.inf]),
        np.array(["2020-01-01", "NaT"], dtype="datetime64[D]"),
    ],
    ids=str,
)
def test_missing_labels_are_refused(y):
    with pytest.raises(UnsupportedTargetError, match=r"a label for every.*Got 1 of 2 missing"):
        as_labels(y)


def test_no_labels_at_all_are_refused():
    with pytest.raises(UnsupportedTargetError, match="y must be given"):
        as_labels(None)


@pytest.mark.parametrize("dtype", ["Int64", "string", "boolean", "category", object])
def test_missing_labels_of_frames_are_refused(dtype):
    pandas = pytest.importorskip("pandas", reason="pandas has the frames")
    values = {"Int64": [1, 2], "boolean": [True, False]}.get(dtype, ["a", "b"])
    y = pandas.Series([pandas.NA, *values], dtype=dtype)
    with pytest.raises(UnsupportedTargetError, match=r"Got 1 of 3 missing"):
        as_labels(y)
    assert as_labels(y[1:]).tolist() == values


@pytest.mark.parametrize("y", [[1, "a"], ["a", 1.5], objects(1, "a"), objects(True, "a")], ids=str)
def test_numbers_do_not_become_text(y):
    with pytest.raises(UnsupportedTargetError, match=r"labels of one type. Got .* and "):
        as_labels(y)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        (objects((1, "x"), (2, "x")), "tuple"),
        (objects({"a": 1}, {"a": 2}), "dict"),
        (objects(np.zeros(2), np.zeros(2)), "ndarray"),
        (objects(10**30, 10**31), "int"),
        (np.array([b"a", b"b"]), "bytes"),
        (np.zeros(2, dtype=[("a", int)]), "records"),
        (np.array([1j, 2]), "Complex data not supported"),
    ],
    ids=["tuples", "dicts", "arrays", "large", "bytes", "records", "complex"],
)
def test_what_is_no_label_is_refused(y, found):
    with pytest.raises(UnsupportedTargetError, match=rf"strings, or numbers.*Got .*{found}"):
        as_labels(y)


def test_ragged_and_masked_labels_are_refused():
    with pytest.raises(UnsupportedTargetError, match="sequences of different lengths"):
        as_labels([[1], [1, 2]])
    with pytest.raises(ValueError, match=r"y must not have masked values\. Got 1 instead"):
        as_labels(np.ma.MaskedArray([1, 2], [True, False]))


@pytest.mark.parametrize(
    "y",
    [["01", "1"], objects("01", "1"), np.array(["01", "1"], dtype=np.dtypes.StringDType())],
    ids=["list", "objects", "StringDType"],
)
def test_digits_stay_text(y):
    assert plain_labels(as_labels(y)).tolist() == ["01", "1"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (np.full((3, 2), np.datetime64("2020-01-01")), "datetime64"),
        (np.full((3, 2), np.timedelta64(1, "s")), "timedelta64"),
        (np.ma.MaskedArray(X, X > 4), "Got 1 instead"),
        (np.full((3, 2), 10**400, dtype=object), "too large"),
    ],
    ids=["dates", "durations", "masked", "large"],
)
def test_rows_that_are_no_numbers_are_refused(rows, found):
    with pytest.raises(ValueError, match=rf"X must .*{found}"):
        validate_data(BaseEstimator(), rows)


def test_frames_that_are_no_numbers_are_refused():
    pandas = pytest.importorskip("pandas", reason="pandas has the frames")
    words = pandas.DataFrame({"a": ["w", "v", "w"]}).astype("category")
    with pytest.raises(ValueError, match=r"X must hold numbers\. Got str instead"):
        validate_data(BaseEstimator(), words)
    numbers = pandas.DataFrame(X).astype("category")
    assert validate_data(BaseEstimator(), numbers).dtype == float
    with pytest.raises(ValueError, match=r"columns of different names\. Got 'a' more than once"):
        validate_data(BaseEstimator(), pandas.DataFrame(X, columns=["a", "a"]))


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csr_matrix])
def test_entries_out_of_order_are_put_in_order_in_a_copy(form):
    given = form((np.array([1.0, 2.0, 4.0]), np.array([1, 0, 0]), np.array([0, 2, 3, 3])))
    checked = validate_data(BaseEstimator(), given, accept_sparse="csr")
    assert checked.has_canonical_format
    np.testing.assert_array_equal(checked.toarray(), [[2, 1], [4, 0], [0, 0]])
    assert given.indices.tolist() == [1, 0, 0]


def test_the_largest_numbers_are_finite():
    largest = np.array([[np.finfo(float).max] * 2, [-np.finfo(float).max] * 2])
    assert validate_data(BaseEstimator(), largest) is largest
