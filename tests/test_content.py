"""What counts as the same content."""

import enum
import functools
import io
import re
import subprocess
import sys
import types
from collections import defaultdict, namedtuple
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse, special
from sklearn import config_context
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
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
    "ufunc": lambda: np.exp,
    "other ufunc": lambda: special.expit,
    "pattern": lambda: re.compile("a"),
    "union": lambda: int | None,
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


def _written(source, name="Net", **known):
    """Return what a module of the user's defines."""
    module = {"__name__": "own", "nn": torch.nn, "functools": functools, **known}
    exec(source, module)
    return module[name]


def _helpers(constant):
    module = types.ModuleType("own_helpers")
    exec(f"def helper(x): return x + {constant}", module.__dict__)
    return module


READS = "class Net(nn.Module):\n  def forward(self, x): return {} + x"
EDITS = {
    "constant": ("class Net(nn.Module):\n  width = {}", "1", "2"),
    "base": ("class Net({}): pass", "nn.ReLU", "nn.Tanh"),
    "property": ("class Net:\n  f = property(None, lambda s, v: {})", "1", "2"),
    "inner class": ("class Net:\n  class A:\n    def f(s): return {}", "1", "2"),
    "arguments": ("class Net:\n  def f(s, a, {}b): return a", "", "*, "),
    "wrapped": ("class Net:\n  @functools.lru_cache\n  def f(s): return {}", "1", "2"),
    "cached": ("class Net:\n  @functools.cached_property\n  def f(s): return {}", "1", "2"),
    "static": ("class Net:\n  @staticmethod\n  def f(): return {}", "1", "2"),
    "name outside": (f"K = {{}}\n{READS.format('K')}", "1", "2"),
    "function outside": (f"def h(x): return {{}}\n{READS.format('h(x)')}", "1", "2"),
    "table outside": (f"T = {{{{0: lambda: {{}}}}}}\n{READS.format('T[0]()')}", "1", "2"),
    "tried": (
        "class Net:\n  def f(s):\n    try:\n      a()\n{}    except E:\n      c()\n{}",
        ("      b()\n", ""),
        ("", "    b()\n"),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_edited_classes_have_other_digests(name):
    source, one, other = EDITS[name]
    texts = [source.format(*([what] if isinstance(what, str) else what)) for what in (one, other)]
    digests = [content_digest(_written(text)) for text in (texts[0], texts[0], texts[1])]
    assert digests[0] == digests[1] != digests[2]


def test_functions_of_modules_of_the_user_count():
    source = READS.format("helpers.helper(x)")
    one, same, other = (
        content_digest(_written(source, helpers=_helpers(constant))) for constant in (1, 1, 2)
    )
    assert one == same != other


def test_what_classes_are_made_around_counts():
    source = "def make(act):\n  class Net:\n    def f(s, x): return act()(x)\n  return Net"
    make = _written(source, "make")
    kinds = torch.nn.ReLU, torch.nn.Tanh, torch.relu, torch.tanh, lambda: 1, lambda: 2
    assert len({content_digest(make(kind)) for kind in kinds}) == len(kinds)
    assert content_digest(make(kinds[0])) == content_digest(make(kinds[0]))


class _Texts(list):
    pass


class _Remembering(GaussianNB):
    def __init__(self, memory=None):
        self.memory = memory


@dataclass(eq=False)
class _Described(torch.nn.Module):
    n_inputs: int

    def __post_init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(self.n_inputs, 2)


def _with_attribute(value):
    made = _Texts(["a"])
    made.factor = value
    return made


def _tied(tie):
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    network[1].load_state_dict(network[0].state_dict())
    if tie:
        network[1].weight = network[0].weight
    return network


@pytest.mark.parametrize(
    "pair",
    [
        lambda: (_with_attribute(1), _with_attribute(2)),
        lambda: (defaultdict(int, a=1), defaultdict(float, a=1)),
        lambda: (namedtuple("P", "a b")(1, 2), namedtuple("P", "b a")(1, 2)),
        lambda: (enum.Enum("E", {"A": 1}).A, enum.Enum("E", {"A": 2}).A),
        lambda: (_Remembering(1), _Remembering(2)),
        lambda: (_Described(3), _Described(3)),
        lambda: (np.array([0.0]), np.array([-0.0])),
        lambda: (sparse.csr_array(([1, 0], ([0, 1], [0, 1]))), sparse.csr_array([[1, 0], [0, 0]])),
        lambda: (pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"b": [2], "a": [1]})),
        lambda: (pd.Categorical(["u"], ["u", "v"]), pd.Categorical(["u"], ["v", "u"])),
    ],
)
def test_what_is_almost_the_same_has_another_digest(pair):
    one, other = pair()
    assert content_digest(one) != content_digest(other)


def test_weights_that_are_shared_are_not_copies():
    torch_state = torch.random.get_rng_state()
    digests = []
    for tie in (True, True, False):
        torch.manual_seed(0)
        digests.append(content_digest(_tied(tie)))
    torch.random.set_rng_state(torch_state)
    assert digests[0] == digests[1] != digests[2]


SETTINGS = {
    "type": (torch.set_default_dtype, torch.float64, torch.float32),
    "deterministic": (torch.use_deterministic_algorithms, True, False),
    "products": (torch.set_float32_matmul_precision, "medium", "highest"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_torch_count(name):
    change, value, usual = SETTINGS[name]
    before = content_digest(1)
    try:
        change(value)
        assert content_digest(1) != before
    finally:
        change(usual)
    assert content_digest(1) == before


@pytest.mark.parametrize(
    "set_to", [{"transform_output": "pandas"}, {"enable_metadata_routing": True}]
)
def test_settings_of_sklearn_count(set_to):
    before = content_digest(1)
    with config_context(**set_to):
        assert content_digest(1) != before
    with config_context(assume_finite=True):
        assert content_digest(1) == before


def test_versions_count(monkeypatch):
    before = content_digest(1)
    content._versions.cache_clear()
    monkeypatch.setattr(content, "__version__", "another")
    assert content_digest(1) != before
    content._versions.cache_clear()


@pytest.mark.parametrize(
    "thing",
    [lambda: 0, io.BytesIO, iter, torch.eye(2).to_sparse(), np.frompyfunc(abs, 1, 1)],
    ids=["lambda", "stream", "iterator", "sparse tensor", "own ufunc"],
)
def test_what_has_no_content_is_refused(thing, tmp_path):
    if thing is io.BytesIO:
        thing = (tmp_path / "file").open("w")
    elif thing is iter:
        thing = (i for i in [1])
    with pytest.raises(UnknownContentError):
        content_digest({"param": [thing]})
    if isinstance(thing, io.IOBase):
        thing.close()


def test_endless_nesting_is_refused():
    nested = []
    for _ in range(3000):
        nested = [nested]
    with pytest.raises(UnknownContentError, match="cannot be looked at"):
        content_digest(nested)


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
