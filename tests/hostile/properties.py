"""What holds of every public estimator, whatever it is given."""

import inspect
import warnings

import numpy as np
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.hostile import strategies as hostile
from tests.hostile.estimators import ALL, CLASSIFIERS, PARTITIONERS, TRANSFORMERS
from tests.hostile.outcomes import Refused, check_answers, n_rows, outcome

CONTAINERS = hostile.SAME | hostile.SPARSE | hostile.NARROW | hostile.FRAMES
MULTILABEL = ("LabelEmbeddingClassifier", "MultiLabelDecompositionClassifier")
INDICATORS = {k: v for k, v in hostile.ODD_LABELS.items() if "indicator" in k or "labels" in k}


def examples(max_examples):
    """Return settings of so many examples: the same in every run, and no time limit but ours."""
    return settings(
        max_examples=max_examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# -- what an estimator is fitted to --------------------------------------------------------------


def precomputed(name):
    """Tell whether an estimator takes a confusion matrix."""
    estimator = ALL[name].estimator
    own = getattr(estimator, "affinity", None) == "precomputed"
    return name in PARTITIONERS and (own or name == "RandomPartitioner")


def rows(data, name, codes, kind=None):
    """Draw X for codes: of a kind, of any (None), or of any and of either sign ("any")."""
    subject, sign = ALL[name], kind
    kind = None if kind == "any" else kind
    if precomputed(name):
        n_classes = int(codes.max(initial=1)) + 1
        return positive(name, data.draw(hostile.values(n_classes, (n_classes,), kind)), sign)
    shape = subject.row_shape
    if name in PARTITIONERS and "entroid" not in name:
        shape = (int(codes.max(initial=1)) + 1,)
    return positive(name, data.draw(hostile.values(len(codes), shape, kind)), sign)


def positive(name, X, sign):
    """Most often give those that take no negative numbers none."""
    counts = name in PARTITIONERS or name.startswith("LabelEmbedder")
    return abs(X) if counts and sign != "any" else X


def contained(table, kind, X):
    """Return X in a container; examples of what cannot be put there are left out."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return table[kind](X)
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError):
        assume(False)


def fit(estimator, X, y, weight=None, **params):
    """Fit with weights where they are taken."""
    if weight is not None and "sample_weight" in inspect.signature(estimator.fit).parameters:
        params["sample_weight"] = weight
    return estimator.fit(X, y, **params)


def fitted(name, X, y, weight=None):
    """Return a fitted estimator, or Refused."""
    estimator = ALL[name].new()
    found = outcome(lambda: fit(estimator, X, y, weight), X, y, weight)
    return found if isinstance(found, Refused) else estimator


def answers(estimator, X):
    """Return what an estimator says of rows, checked; or Refused."""
    if hasattr(estimator, "labels_"):
        partition = estimator.partition_
        assert partition.n_classes == len(estimator.labels_) == len(estimator.classes_)
        assert partition.n_clusters == estimator.n_clusters_
    if not any(hasattr(estimator, method) for method in ("predict", "transform")):
        return {}
    return check_answers(estimator, X)


# -- properties ----------------------------------------------------------------------------------


def anything(data, name):
    """Any rows, labels and weights, in any container: an answer or a clear error."""
    codes = data.draw(hostile.codes())
    X = rows(data, name, codes, data.draw(st.sampled_from([None, "whole", "normal"])))
    containers = data.draw(st.sampled_from([CONTAINERS, hostile.BROKEN]))
    X = contained(containers, data.draw(hostile.kinds(containers)), X)
    labels = [hostile.LABELS, hostile.ODD_LABELS, hostile.WRONG_LABELS]
    table = data.draw(st.sampled_from([INDICATORS] if name in MULTILABEL else labels))
    kind = data.draw(hostile.kinds(table))
    y = contained(table, kind, codes)
    weights = data.draw(st.sampled_from([hostile.WEIGHTS, hostile.WRONG_WEIGHTS]))
    weight = contained(weights, data.draw(hostile.kinds(weights)), codes)
    found = fitted(name, X, y, weight)
    if name in CLASSIFIERS and table is hostile.WRONG_LABELS:
        assert isinstance(found, Refused), f"labels were taken: {kind}"
    if name in CLASSIFIERS and weights is hostile.WRONG_WEIGHTS:
        assert isinstance(found, Refused), "weights were taken"
    if not isinstance(found, Refused):
        answers(found, X)


def values(data, name):
    """Any numbers to learn from and to predict."""
    codes = data.draw(hostile.codes())
    y = np.eye(4, dtype=int)[codes % 4] if name in MULTILABEL else codes
    X = rows(data, name, codes, data.draw(st.sampled_from([None, "any", "normal", "whole"])))
    found = fitted(name, X, y)
    if isinstance(found, Refused):
        return
    answers(found, X)
    other = data.draw(hostile.values(len(codes), X.shape[1:]))
    answers(found, other)


def containers(data, name):
    """The same rows in another container: the same answers, to learn from and to predict."""
    codes = data.draw(hostile.codes())
    y = np.eye(4, dtype=int)[codes % 4] if name in MULTILABEL else codes
    kind = data.draw(hostile.kinds(CONTAINERS))
    X = rows(data, name, codes, "whole")
    assume(X.ndim == 2 or kind in hostile.SAME)
    held = contained(CONTAINERS, kind, X)
    plain, other = fitted(name, X, y), fitted(name, held, y)
    if isinstance(plain, Refused) or isinstance(other, Refused):
        # Some members take no sparse matrices; a confusion may be all zeros.
        both = isinstance(plain, Refused) and isinstance(other, Refused)
        assert both or sparse.issparse(held) or "sparse" in kind, (
            f"refused as {kind} only: {plain}, {other}"
        )
        return
    expected = answers(plain, X)
    assert not isinstance(expected, Refused)
    for estimator in (plain, other):
        named = estimator is other and hasattr(other, "feature_names_in_")
        found = answers(estimator, held if estimator is plain or named else X)
        assert not isinstance(found, Refused), f"refused to predict {kind}: {found}"
        for method, answer in expected.items():
            assert_alike(found[method], answer, loose=name not in CLASSIFIERS or "32" in kind)


def assert_alike(found, expected, loose):
    if sparse.issparse(expected):
        found, expected = found.toarray(), expected.toarray()
    if expected.dtype.kind == "f":
        tolerance = 1e-4 if loose else 1e-6
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        np.testing.assert_array_equal(found, expected)


def labels(data, name):
    """Labels of any kind, in any container, come back as they were; only their names differ."""
    codes = data.draw(hostile.codes(max_classes=6))
    kind = data.draw(hostile.kinds(hostile.LABELS))
    X = rows(data, name, codes, "normal")
    y = contained(hostile.LABELS, kind, codes)
    plain, named = fitted(name, X, codes), fitted(name, X, y)
    assert not isinstance(named, Refused), f"{kind} refused: {named.error}"
    given = list(y) if not hasattr(y, "to_numpy") else list(y.to_numpy())
    wanted = [given[int(np.flatnonzero(codes == code)[0])] for code in np.unique(codes)]
    assert named.classes_.tolist() == list(wanted)
    textual = isinstance(wanted[0], str)
    assert all(isinstance(label, str) == textual for label in named.classes_.tolist())
    predicted = answers(named, X)["predict"]
    expected = answers(plain, X)["predict"]
    assert predicted.tolist() == [wanted[code] for code in expected.tolist()]


def wrong_labels(data, name):
    """Missing labels, of one class only, of another length: refused."""
    codes = data.draw(hostile.codes())
    X = rows(data, name, codes, "normal")
    kind = data.draw(hostile.kinds(hostile.WRONG_LABELS))
    found = fitted(name, X, contained(hostile.WRONG_LABELS, kind, codes))
    assert isinstance(found, Refused), f"{kind} was taken"


def weights(data, name):
    """Weights of any kind: an answer or a clear error; what cannot be a weight is refused."""
    codes = data.draw(hostile.codes())
    y = np.eye(4, dtype=int)[codes % 4] if name in MULTILABEL else codes
    X = rows(data, name, codes, "normal")
    table = data.draw(st.sampled_from([hostile.WEIGHTS, hostile.WRONG_WEIGHTS]))
    weight = contained(table, data.draw(hostile.kinds(table)), codes)
    found = fitted(name, X, y, weight)
    if isinstance(found, Refused):
        return
    assert table is hostile.WEIGHTS or name in PARTITIONERS or name in TRANSFORMERS
    answers(found, X)


def sizes(data, name):
    """Few rows or none, few features or none, classes with few samples or one."""
    n_samples = data.draw(st.integers(0, 6))
    shape = ALL[name].row_shape or (data.draw(st.integers(0, 3)),)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    X = positive(name, rng.normal(size=(n_samples, *shape)), None)
    codes = rng.integers(0, data.draw(st.integers(1, 4)), n_samples)
    y = np.eye(4, dtype=int)[codes] if name in MULTILABEL else codes
    found = fitted(name, X, y)
    if isinstance(found, Refused):
        return
    answers(found, X)
    if n_samples:
        answers(found, X[:1])
    wrongs = [X[:0], X[..., :0], X[..., :-1], np.concatenate([X, X], axis=-1), X[None]]
    for wrong in wrongs + ([X[0]] if n_samples and X.ndim == 2 else []):
        takes_any = name in TRANSFORMERS or name in PARTITIONERS
        said = answers(found, wrong) if n_samples and wrong.shape != X.shape else {}
        assert takes_any or not said or isinstance(said, Refused), f"took {wrong.shape}"


def frames(data, name):
    """Frames with the columns in another order, of other names, or fewer: refused."""
    assume("pandas" in hostile.FRAMES)
    codes = data.draw(hostile.codes())
    X = rows(data, name, codes, "normal")
    assume(X.shape[1] > 1)
    y = np.eye(4, dtype=int)[codes % 4] if name in MULTILABEL else codes
    frame = hostile.FRAMES[data.draw(st.sampled_from(["pandas", "polars"]))](X)
    found = fitted(name, frame, y)
    if isinstance(found, Refused):
        return
    assert not isinstance(answers(found, frame), Refused)
    if not any(hasattr(found, method) for method in ("predict", "transform")):
        return
    columns = list(frame.columns)
    renamed = (
        frame.rename(columns=dict.fromkeys(columns[:1], "other"))
        if hasattr(frame, "index")
        else frame.rename({columns[0]: "other"})
    )
    for wrong in (frame[columns[::-1]], frame[columns[:-1]], renamed):
        assert isinstance(answers(found, wrong), Refused), "other columns were taken"


def many(data, name):
    """Up to 2,000 classes, or one that is 10,000 times as frequent as another."""
    rng = np.random.default_rng(0)
    n_classes = data.draw(st.sampled_from([2, 3, 40, 200, 2000]))
    if n_classes < 40:
        counts = np.full(n_classes, 2)
        counts[-1] = data.draw(st.sampled_from([200, 20_000]))
    else:
        counts = np.full(n_classes, 2)
    codes = rng.permutation(np.repeat(np.arange(n_classes), counts))
    if name in MULTILABEL:
        width = min(n_classes, 200)
        y = np.zeros((len(codes), width), dtype=np.int8)
        y[np.arange(len(codes)), codes % width] = 1
    else:
        y = codes
    X = rows(data, name, codes, "normal")
    found = fitted(name, X, y)
    if not isinstance(found, Refused):
        answers(found, X[:50])
        assert n_rows(X)


PROPERTIES = {
    "anything": anything,
    "values": values,
    "containers": containers,
    "labels": labels,
    "wrong labels": wrong_labels,
    "weights": weights,
    "sizes": sizes,
    "frames": frames,
}


def applies(prop, name):
    """Tell whether a property can be expected of an estimator."""
    if prop == "frames":
        return ALL[name].row_shape is None
    if prop == "labels":
        return name in CLASSIFIERS and name not in MULTILABEL
    return prop != "wrong labels" or name in CLASSIFIERS


def those_of(table, prop):
    """Return the names in a table of estimators that a property is expected of."""
    return [name for name in table if applies(prop, name)]
