"""What counts as the same content."""

import io
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition, TorchMLPClassifier
from hierlearn import _content as content
from hierlearn._content import KnownDigests, UnknownContentError, content_digest
from hierlearn._rows import RowView


def _network(seed):
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    torch.random.set_rng_state(torch_state)
    return network


MAKERS = {
    "none": lambda: None,
    "texts": lambda: ["a", "b c"],
    "dict": lambda: {"a": 1, 2: (3.0, b"4")},
    "set": lambda: {"a", "b", "c"},
    "array": lambda: np.arange(6.0).reshape(2, 3),
    "Fortran": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "uint8": lambda: np.arange(6, dtype=np.uint8).reshape(2, 3),
    "objects": lambda: np.array(["a", 1, None], dtype=object),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "csr": lambda: sparse.csr_array(np.eye(3)),
    "coo": lambda: sparse.coo_array(np.eye(3)),
    "frame": lambda: pd.DataFrame({"a": ["x", "y"], "b": pd.Categorical(["u", "v"])}),
    "estimator": lambda: make_pipeline(TfidfVectorizer(), LogisticRegression(C=2.0)),
    "network": lambda: _network(0),
    "other network": lambda: _network(1),
    "partition": lambda: LabelPartition(["a", "b", "c"], [0, 0, 1]),
    "partial": lambda: partial(np.sum, axis=0),
    "class": lambda: torch.optim.Adam,
    "type": lambda: torch.float64,
    "random state": lambda: np.random.RandomState(3),
    "view": lambda: RowView(np.arange(6.0).reshape(3, 2))[1:],
    "bits": lambda: torch.ones(3, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("name", MAKERS)
def test_equal_objects_have_one_digest(name):
    assert content_digest(MAKERS[name]()) == content_digest(MAKERS[name]())


def test_different_objects_have_different_digests():
    digests = {content_digest(make()) for make in MAKERS.values()}
    assert len(digests) == len(MAKERS)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([[1], 2], [[1, 2]]),
        (1, 1.0),
        (1, True),
        ("1", 1),
        (0.1, np.nextafter(0.1, 1)),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(2, dtype=np.float32), np.zeros(1)),
        (LogisticRegression(C=1.0), LogisticRegression(C=2.0)),
        (TorchMLPClassifier(), TorchMLPClassifier((10,))),
        (TorchMLPClassifier(), TorchMLPClassifier(n_jobs=2)),  # threads change the rounding
    ],
)
def test_what_differs_has_another_digest(one, other):
    assert content_digest(one) != content_digest(other)


@pytest.mark.parametrize(
    "params", [{"n_jobs": 2}, {"verbose": 1}, {"memory": "somewhere"}], ids=lambda p: next(iter(p))
)
def test_what_changes_no_fit_does_not_count(params):
    base = LogisticRegression() if "memory" not in params else TorchMLPClassifier()
    one = HierarchicalDecompositionClassifier(base)
    other = HierarchicalDecompositionClassifier(base).set_params(**params)
    assert content_digest(one) == content_digest(other)


def test_a_memory_map_is_the_array_in_it(tmp_path):
    X = np.random.RandomState(0).standard_normal((50, 4))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert content_digest(mapped) == content_digest(X)
    assert content_digest(mapped[::2]) == content_digest(X[::2])


def test_large_arrays_are_looked_at_once(monkeypatch):
    seen = []
    feed = content._feed_array
    monkeypatch.setattr(content, "_feed_array", lambda d, a: (seen.append(a.shape), feed(d, a)))
    X, known = np.zeros((1000, 200)), KnownDigests()
    view = RowView(X)
    for start in range(3):
        content_digest(X, start, known=known)
        content_digest(view[start:], known=known)
    assert seen.count(X.shape) == 1
    X = view = None
    assert not known._found


def _helper(x):
    return x + 1


class _Layer(torch.nn.Module):
    def forward(self, x):
        return x * 2


def test_code_of_the_user_counts(monkeypatch):
    before = content_digest(_helper), content_digest(_Layer())
    monkeypatch.setattr(_helper, "__code__", (lambda x: x + 2).__code__)
    monkeypatch.setattr(_Layer, "forward", lambda self, x: x * 3)
    after = content_digest(_helper), content_digest(_Layer())
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_versions_count(monkeypatch):
    before = content_digest(1)
    content._versions.cache_clear()
    monkeypatch.setattr(content, "__version__", "another")
    assert content_digest(1) != before
    content._versions.cache_clear()


@pytest.mark.parametrize(
    "thing", [lambda: 0, io.BytesIO, iter], ids=["lambda", "stream", "iterator"]
)
def test_what_has_no_content_is_refused(thing, tmp_path):
    if thing is io.BytesIO:
        thing = (tmp_path / "file").open("w")
    elif thing is iter:
        thing = (i for i in [1])
    with pytest.raises(UnknownContentError):
        content_digest({"param": [thing]})
    if hasattr(thing, "close"):
        thing.close()


def test_what_holds_itself_has_a_digest():
    one, other = [1], [1]
    one.append(one)
    other.append(other)
    assert content_digest(one) == content_digest(other)


def test_other_processes_find_the_same():
    script = (
        "import numpy as np; from hierlearn import TorchMLPClassifier;"
        "from hierlearn._content import content_digest;"
        "print(content_digest({'a', 'b'}, np.arange(3), TorchMLPClassifier()))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
