"""Data as nobody should hand them in, and as everybody does: rows, containers, labels, weights."""

import datetime
import enum
import tempfile
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

try:
    import pandas as pd
except ImportError:  # pragma: no cover
    pd = None
try:
    import polars as pl
except ImportError:  # pragma: no cover
    pl = None

# -- values of X ---------------------------------------------------------------------------------


def _whole(rng, shape):
    return rng.integers(0, 4, shape).astype(float)


def _put(value):
    def make(rng, shape):
        X = rng.normal(size=shape)
        if X.size:
            X.flat[rng.integers(X.size)] = value
        return X

    return make


VALUES = {
    "whole": _whole,
    "normal": lambda rng, shape: rng.normal(size=shape),
    "binary": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "zeros": lambda rng, shape: np.zeros(shape),
    "same rows": lambda rng, shape: np.broadcast_to(rng.normal(size=shape[1:]), shape).copy(),
    "constant": lambda rng, shape: np.full(shape, 3.0),
    "huge": lambda rng, shape: rng.normal(size=shape) * 1e300,
    "large": lambda rng, shape: rng.normal(size=shape) * 1e30,
    "largest": lambda rng, shape: np.full(shape, np.finfo(float).max) * rng.choice([1, -1], shape),
    "largest single": lambda rng, shape: np.full(shape, float(np.finfo(np.float32).max)),
    "tiny": lambda rng, shape: rng.normal(size=shape) * 1e-300,
    "denormal": lambda rng, shape: np.full(shape, 5e-324) * rng.integers(0, 3, shape),
    "mixed": lambda rng, shape: rng.normal(size=shape) * 10.0 ** rng.integers(-300, 300, shape),
    "one huge": _put(1e300),
    "one NaN": _put(np.nan),
    "one inf": _put(np.inf),
    "one -inf": _put(-np.inf),
    "negative zero": lambda rng, shape: np.full(shape, -0.0),
    "shifted": lambda rng, shape: rng.normal(size=shape) + 1e9,
}

# -- containers of X -----------------------------------------------------------------------------


def _strided(X):
    wide = np.repeat(np.repeat(X, 2, axis=0), 2, axis=-1)
    return wide[::2, ..., ::2]


def _backwards(X):
    return X[::-1].copy()[::-1]


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _memmap(X):
    with tempfile.NamedTemporaryFile() as file:  # the mapping outlives the name
        mapped = np.memmap(file, dtype=X.dtype, mode="w+", shape=X.shape or (1,))
        mapped[...] = X
    return mapped


def _wide_indices(X):
    made = sparse.csr_array(X)
    made.indices, made.indptr = made.indices.astype(np.int64), made.indptr.astype(np.int64)
    return made


def _unsorted(X):
    made = sparse.csr_array(X)
    for start, stop in zip(made.indptr[:-1], made.indptr[1:], strict=True):
        made.indices[start:stop] = made.indices[start:stop][::-1].copy()
        made.data[start:stop] = made.data[start:stop][::-1].copy()
    made.has_sorted_indices = False
    return made


def _duplicated(X):
    """Every entry twice, each of half the value."""
    coo = sparse.coo_array(X)
    parts = (np.tile(coo.data / 2, 2), np.tile(coo.indices, 2), None)
    made = sparse.csr_array((X.shape[0], X.shape[1]))
    order = np.argsort(np.tile(coo.coords[0], 2), kind="stable")
    made.data = parts[0][order]
    made.indices = np.tile(coo.coords[1], 2)[order].astype(np.int32)
    counts = np.bincount(np.tile(coo.coords[0], 2), minlength=X.shape[0])
    made.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    made.has_canonical_format = False
    return made


def _duplicated_coo(X):
    coo = sparse.coo_array(X)
    places = tuple(np.tile(axis, 2) for axis in coo.coords)
    return sparse.coo_array((np.tile(coo.data / 2, 2), places), shape=X.shape)


def _explicit_zeros(X):
    places = np.indices(X.shape).reshape(2, -1)
    return sparse.coo_array((X.ravel(), tuple(places)), shape=X.shape).tocsr()


# Each holds the same double precision values.
SAME = {
    "array": np.array,
    "list": lambda X: X.tolist(),
    "tuple of rows": lambda X: tuple(X),
    "Fortran": np.asfortranarray,
    "strided": _strided,
    "backwards": _backwards,
    "read-only": _read_only,
    "memmap": _memmap,
    "big-endian": lambda X: X.astype(">f8"),
    "object": lambda X: X.astype(object),
    "longdouble": lambda X: X.astype(np.longdouble),
    "matrix subclass": lambda X: np.ma.MaskedArray(X),
}
SPARSE = {
    **{f"{kind}_array": getattr(sparse, f"{kind}_array") for kind in ("csr", "csc", "coo")},
    **{f"{kind}_matrix": getattr(sparse, f"{kind}_matrix") for kind in ("csr", "csc", "coo")},
    "lil_array": sparse.lil_array,
    "lil_matrix": sparse.lil_matrix,
    "bsr_array": sparse.bsr_array,
    "dok_array": sparse.dok_array,
    "dia_array": sparse.dia_array,
    "64 bit indices": _wide_indices,
    "unsorted indices": _unsorted,
    "duplicate entries": _duplicated,
    "duplicate coo entries": _duplicated_coo,
    "explicit zeros": _explicit_zeros,
}
# These hold small whole numbers exactly.
NARROW = {
    **{kind: (lambda X, kind=kind: X.astype(kind)) for kind in ("uint8", "int8", ">i4", "uint64")},
    **{kind: (lambda X, kind=kind: X.astype(kind)) for kind in ("float16", "float32", ">f4")},
    "sparse uint8": lambda X: sparse.csr_array(X.astype(np.uint8)),
    "sparse float32": lambda X: sparse.csr_matrix(X.astype(np.float32)),
    "object of int": lambda X: X.astype(int).astype(object),
    "list of int": lambda X: X.astype(int).tolist(),
}
FRAMES = {}
if pd is not None:
    FRAMES |= {
        "pandas": lambda X: pd.DataFrame(X, columns=_names(X)),
        "pandas, numbered": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1] * 3),
        "pandas Float64": lambda X: pd.DataFrame(X, columns=_names(X)).astype("Float64"),
        "pandas sparse": lambda X: pd.DataFrame(X, columns=_names(X)).astype(
            pd.SparseDtype(float, 0.0)
        ),
        "pandas object": lambda X: pd.DataFrame(X, columns=_names(X)).astype(object),
    }
if pl is not None:
    FRAMES |= {"polars": lambda X: pl.DataFrame(X, schema=_names(X))}


def _names(X):
    return [f"feature {column}" for column in range(X.shape[1])]


def _with_na(X):
    frame = pd.DataFrame(X).astype("Float64")
    if frame.size:
        frame.iloc[0, 0] = pd.NA
    return frame


# No right answer comes of these, or none that goes without saying.
BROKEN = {
    "complex": lambda X: X.astype(complex),
    "text": lambda X: X.astype(str),
    "bytes": lambda X: X.astype("S"),
    "words": lambda X: np.full(X.shape, "word", dtype=object),
    "None": lambda X: np.full(X.shape, None),
    "datetimes": lambda X: np.full(X.shape, np.datetime64("2020-01-01")),
    "timedeltas": lambda X: np.full(X.shape, np.timedelta64(3, "s")),
    "records": lambda X: np.zeros(len(X), dtype=[("a", float), ("b", int)]),
    "ragged": lambda X: [row[: 1 + i % 2] for i, row in enumerate(X.tolist())],
    "1-D": lambda X: X[..., 0] if X.ndim == 2 and X.shape[1] else X.ravel(),
    "3-D": lambda X: X[..., None] if X.ndim == 2 else X,
    "5-D": lambda X: X.reshape(*X.shape, *([1] * (5 - X.ndim))),
    "a number": lambda X: 3.0,
    "a string": lambda X: "rows",
    "nothing": lambda X: None,
    "dict": lambda X: {"a": X},
    "generator": lambda X: (row for row in X),
    "no rows": lambda X: X[:0],
    "no features": lambda X: X[..., :0],
    "one row": lambda X: X[:1],
    "complex sparse": lambda X: sparse.csr_array(X.reshape(len(X), -1).astype(complex)),
    "sparse without entries": lambda X: sparse.csr_array(X.reshape(len(X), -1).shape),
    "bool sparse": lambda X: sparse.csr_array(X.reshape(len(X), -1) > 1),
    "bool": lambda X: X > 1,
    "too large integers": lambda X: np.full(X.shape, 10**400, dtype=object),
    "fractions": lambda X: np.vectorize(Fraction, otypes=[object])(_whole_of(X)),
    "masked": lambda X: np.ma.masked_less(X, 1.0),
}
if pd is not None:
    BROKEN |= {
        "pandas with NA": lambda X: _with_na(X.reshape(len(X), -1)),
        "pandas categories": lambda X: pd.DataFrame(X.reshape(len(X), -1)).astype("category"),
        "pandas words": lambda X: pd.DataFrame({"a": ["word"] * len(X)}),
        "pandas of two kinds": lambda X: pd.DataFrame({"a": [1.0] * len(X), "b": ["w"] * len(X)}),
        "pandas, same names": lambda X: pd.DataFrame(
            X.reshape(len(X), -1), columns=["a"] * X.reshape(len(X), -1).shape[1]
        ),
        "Series": lambda X: pd.Series(np.arange(len(X), dtype=float)),
    }
if pl is not None:
    BROKEN |= {
        "polars words": lambda X: pl.DataFrame({"a": ["word"] * len(X)}),
        "polars with null": lambda X: pl.DataFrame({"a": [None] + [1.0] * (len(X) - 1)}),
    }


def _whole_of(X):
    return np.nan_to_num(X, nan=0, posinf=9, neginf=-9).astype(np.float32).astype(float)


# -- labels --------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


def objects(values):
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made


def _after(y, place, value):
    y = objects(list(y))
    if len(y):
        y[place % len(y)] = value
    return y


# The order of the labels is that of the codes.
LABELS = {
    "int": lambda c: c,
    "list of int": lambda c: c.tolist(),
    "negative": lambda c: c * 7 - 30,
    "far apart": lambda c: c.astype(np.int64) * 10**12,
    "int8": lambda c: c.astype(np.int8),
    "uint64": lambda c: c.astype(np.uint64) + np.uint64(2**63),
    "big-endian": lambda c: c.astype(">i4"),
    "read-only": _read_only,
    "strided": lambda c: np.repeat(c, 2)[::2],
    "whole floats": lambda c: c.astype(float),
    "whole halves": lambda c: c.astype(np.float16) - 2,
    "object of int": lambda c: c.astype(object),
    "digits": lambda c: np.array([f"{code:04d}" for code in c], dtype="U4"),
    "object of digits": lambda c: objects([f"{code:04d}" for code in c]),
    "list of digits": lambda c: [f"{code:04d}" for code in c],
    "unicode": lambda c: np.array([f"ÿ{code:04d}\t☃" for code in c], dtype="U9"),
    "StringDType": lambda c: np.array([f"{code:04d}" for code in c], dtype=np.dtypes.StringDType()),
}
if pd is not None:
    LABELS |= {
        "pandas int": lambda c: pd.Series(c, index=np.arange(len(c))[::-1] + 5, name="y"),
        "pandas Int64": lambda c: pd.Series(c, dtype="Int64"),
        "pandas string": lambda c: pd.Series([f"{code:04d}" for code in c], dtype="string"),
        "pandas object": lambda c: pd.Series([f"{code:04d}" for code in c], dtype=object),
        "pandas category": lambda c: pd.Series(
            pd.Categorical([f"{code:04d}" for code in c], categories=_categories(c))
        ),
        "Categorical": lambda c: pd.Categorical([f"{code:04d}" for code in c]),
        "category of int": lambda c: pd.Series(c).astype("category"),
        "Index": lambda c: pd.Index(c),
    }
if pl is not None:
    LABELS |= {
        "polars int": lambda c: pl.Series("y", c),
        "polars string": lambda c: pl.Series("y", [f"{code:04d}" for code in c]),
        "polars category": lambda c: pl.Series("y", [f"{code:04d}" for code in c], pl.Categorical),
    }


def _categories(codes):
    """All that occur, one that does not, and in another order than that of the alphabet."""
    return sorted({f"{code:04d}" for code in codes} | {"9999"}, reverse=True)


# Right or refused, as the estimator likes; but no in between.
ODD_LABELS = {
    "bool": lambda c: c > 0,
    "object of bool": lambda c: (c > 0).astype(object),
    "bytes": lambda c: c.astype("S4"),
    "object of bytes": lambda c: objects([b"%d" % code for code in c]),
    "tuples": lambda c: objects([(int(code), "x") for code in c]),
    "list of tuples": lambda c: [(int(code), "x") for code in c],
    "list of pairs": lambda c: [(int(code), 1) for code in c],
    "mixed": lambda c: objects([int(code) if code else "zero" for code in c]),
    "mixed list": lambda c: [int(code) if code else "zero" for code in c],
    "int and float": lambda c: objects([int(code) if code else 0.0 for code in c]),
    "datetime": lambda c: np.datetime64("2020-01-01") + c,
    "timedelta": lambda c: np.timedelta64(1, "D") * c,
    "dates": lambda c: objects([datetime.date(2020, 1, 1 + code % 28) for code in c]),
    "enum": lambda c: objects([Colour.RED if code else Colour.GREEN for code in c]),
    "decimal": lambda c: objects([Decimal(int(code)) for code in c]),
    "sets": lambda c: objects([frozenset([int(code)]) for code in c]),
    "complex": lambda c: c.astype(complex),
    "integers without end": lambda c: objects([10**30 + int(code) for code in c]),
    "fractional": lambda c: c + 0.5,
    "one fraction": lambda c: np.where(np.arange(len(c)) == 0, 0.25, c),
    "largest": lambda c: np.where(c > 0, 1e300, -1e300),
    "extremes": lambda c: np.where(c > 0, np.iinfo(np.int64).max, np.iinfo(np.int64).min),
    "column": lambda c: c[:, None],
    "column of strings": lambda c: c.astype("U4")[:, None],
    "empty strings": lambda c: np.array(["", "a", "\n", "\x00b"])[c % 4],
    "same name twice": lambda c: np.array(["a", "a", "b"])[c % 3],
    "indicator": lambda c: np.eye(4, dtype=int)[c % 4],
    "sparse indicator": lambda c: sparse.csr_array(np.eye(4, dtype=int)[c % 4]),
    "lil indicator": lambda c: sparse.lil_matrix(np.eye(4)[c % 4]),
    "coo indicator": lambda c: sparse.coo_array(np.eye(4, dtype=bool)[c % 4]),
    "bool indicator": lambda c: np.eye(4, dtype=bool)[c % 4],
    "float indicator": lambda c: np.eye(4)[c % 4],
    "Fortran indicator": lambda c: np.asfortranarray(np.eye(4, dtype=np.int8)[c % 4]),
    "object indicator": lambda c: np.eye(4, dtype=int)[c % 4].astype(object),
    "list indicator": lambda c: np.eye(4, dtype=int)[c % 4].tolist(),
    "full indicator": lambda c: np.ones((len(c), 3), dtype=int),
    "empty indicator": lambda c: np.zeros((len(c), 3), dtype=int),
    "one label": lambda c: (c > 0).astype(int)[:, None],
    "labels in turn": lambda c: np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])[c % 3],
    "labels of some": lambda c: np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]])[c % 3],
    "signs": lambda c: np.eye(4, dtype=int)[c % 4] * 2 - 1,
    "counts": lambda c: np.eye(4, dtype=int)[c % 4] * 3,
    "degrees": lambda c: np.eye(4)[c % 4] * 0.3,
    "multi-output": lambda c: np.stack([c, c + 1], axis=1),
}
if pd is not None:
    ODD_LABELS |= {
        "pandas boolean": lambda c: pd.Series(c > 0, dtype="boolean"),
        "pandas datetime": lambda c: pd.Series(np.datetime64("2020-01-01") + c),
        "pandas period": lambda c: pd.Series(pd.PeriodIndex.from_ordinals(c, freq="D")),
        "pandas interval": lambda c: pd.Series(pd.IntervalIndex.from_arrays(c, c + 1)),
        "pandas frame": lambda c: pd.DataFrame({"y": c}),
        "pandas indicator": lambda c: pd.DataFrame(np.eye(4, dtype=int)[c % 4]),
        "pandas bool indicator": lambda c: pd.DataFrame(np.eye(4, dtype=bool)[c % 4]),
    }
if pl is not None:
    ODD_LABELS |= {
        "polars bool": lambda c: pl.Series("y", c > 0),
        "polars frame": lambda c: pl.DataFrame({"y": c}),
        "polars date": lambda c: pl.Series("y", np.datetime64("2020-01-01") + c),
    }

# Always refused.
WRONG_LABELS = {
    "nothing": lambda c: None,
    "a number": lambda c: 1,
    "a string": lambda c: "labels",
    "NaN": lambda c: np.where(np.arange(len(c)) == 1, np.nan, c),
    "inf": lambda c: np.where(np.arange(len(c)) == 1, np.inf, c),
    "None among ints": lambda c: _after(c.tolist(), 1, None),
    "None among strings": lambda c: _after(c.astype(str), 1, None),
    "list with None": lambda c: [None, *c.astype(str).tolist()[1:]],
    "NaN among strings": lambda c: _after(c.astype(str), 1, np.nan),
    "list with NaN": lambda c: [np.nan, *c.astype(str).tolist()[1:]],
    "NaT": lambda c: np.where(np.arange(len(c)) == 1, np.datetime64("NaT"), np.datetime64(0, "D")),
    "NaN indicator": lambda c: np.where(np.arange(4) == 1, np.nan, np.eye(4)[c % 4]),
    "3-D": lambda c: np.eye(4, dtype=int)[c % 4][:, :, None],
    "too short": lambda c: c[:-1],
    "too long": lambda c: np.append(c, c[:1]),
    "empty": lambda c: c[:0],
    "one class": lambda c: np.zeros(len(c), dtype=int),
    "one class of strings": lambda c: np.full(len(c), "same"),
    "ragged": lambda c: [[int(code)] * (1 + i % 2) for i, code in enumerate(c)],
    "dicts": lambda c: objects([{"label": int(code)} for code in c]),
    "arrays": lambda c: objects([np.array([code, 0]) for code in c]),
}
if pd is not None:
    WRONG_LABELS |= {
        "Int64 with NA": lambda c: pd.Series([pd.NA, *c[1:]], dtype="Int64"),
        "string with NA": lambda c: pd.Series([pd.NA, *c[1:].astype(str)], dtype="string"),
        "category with NA": lambda c: pd.Series([None, *c[1:].astype(str)], dtype="category"),
        "boolean with NA": lambda c: pd.Series([pd.NA, *(c[1:] > 0)], dtype="boolean"),
        "object with NA": lambda c: pd.Series([pd.NA, *c[1:].tolist()], dtype=object),
        "datetime with NaT": lambda c: pd.Series([pd.NaT, *(np.datetime64("2020-01-01") + c[1:])]),
        "frame with NA": lambda c: pd.DataFrame({"y": pd.Series([pd.NA, *c[1:]], dtype="Int64")}),
    }
if pl is not None:
    WRONG_LABELS |= {
        "polars with null": lambda c: pl.Series("y", [None, *c[1:].tolist()]),
        "polars strings with null": lambda c: pl.Series("y", [None, *c[1:].astype(str).tolist()]),
    }

# -- weights -------------------------------------------------------------------------------------

WEIGHTS = {
    "none": lambda c: None,
    "one": lambda c: 1.0,
    "ones": lambda c: np.ones(len(c)),
    "list": lambda c: (1 + c).tolist(),
    "counts": lambda c: (1 + c).astype(np.uint8),
    "single": lambda c: (1 + c).astype(">f4"),
    "zero for a class": lambda c: (c > 0).astype(float),
    "zero for all but a class": lambda c: (c == 0).astype(float),
    "zero for a row": lambda c: (np.arange(len(c)) > 0).astype(float),
    "one row only": lambda c: (np.arange(len(c)) == 0).astype(float),
    "huge": lambda c: np.full(len(c), 1e300) * (1 + c),
    "largest": lambda c: np.full(len(c), np.finfo(float).max),
    "tiny": lambda c: np.full(len(c), 1e-300) * (1 + c),
    "denormal": lambda c: np.full(len(c), 5e-324),
    "far apart": lambda c: np.where(c > 0, 1e150, 1e-150),
    "bool": lambda c: c > 0,
    "object": lambda c: (1.0 + c).astype(object),
    "read-only": lambda c: _read_only(1.0 + c),
}
WRONG_WEIGHTS = {
    "zeros": lambda c: np.zeros(len(c)),
    "zero": lambda c: 0,
    "negative": lambda c: np.where(np.arange(len(c)) == 0, -1.0, 1.0),
    "NaN": lambda c: np.where(np.arange(len(c)) == 0, np.nan, 1.0),
    "inf": lambda c: np.where(np.arange(len(c)) == 0, np.inf, 1.0),
    "too short": lambda c: np.ones(len(c) - 1),
    "too long": lambda c: np.ones(len(c) + 1),
    "column": lambda c: np.ones((len(c), 1)),
    "words": lambda c: np.full(len(c), "word"),
    "a word": lambda c: "balanced",
    "complex": lambda c: np.ones(len(c), dtype=complex),
    "None among them": lambda c: _after(np.ones(len(c)), 0, None),
    "dict": lambda c: {"a": 1},
    "ragged": lambda c: [[1.0] * (1 + i % 2) for i in range(len(c))],
    "datetimes": lambda c: np.datetime64("2020-01-01") + c,
}
if pd is not None:
    WEIGHTS |= {"Series": lambda c: pd.Series(1.0 + c, index=np.arange(len(c))[::-1])}
    WRONG_WEIGHTS |= {"NA": lambda c: pd.Series([pd.NA, *([1.0] * (len(c) - 1))], dtype="Float64")}
if pl is not None:
    WEIGHTS |= {"polars": lambda c: pl.Series("w", 1.0 + c)}


# -- strategies ----------------------------------------------------------------------------------


def kinds(table):
    """Return names of a table, shrinking to the first."""
    return st.sampled_from(sorted(table, key=list(table).index))


@st.composite
def codes(draw, min_rows=8, max_rows=24, max_classes=5, least=2):
    """Class codes: each class ``least`` times or more, then at random, in any order."""
    n_classes = draw(st.integers(2, max_classes))
    n_rows = draw(st.integers(max(min_rows, least * n_classes), max(max_rows, least * n_classes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rest = rng.integers(0, n_classes, n_rows - least * n_classes)
    return rng.permutation(np.concatenate([np.repeat(np.arange(n_classes), least), rest]))


@st.composite
def values(draw, n_rows, row_shape=None, kind=None):
    """Values of X, of any kind that doubles can be."""
    if row_shape is None:
        row_shape = (draw(st.integers(1, 5)),)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return VALUES[draw(kinds(VALUES)) if kind is None else kind](rng, (n_rows, *row_shape))
