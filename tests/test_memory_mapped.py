"""A large X, memory-mapped or sparse: the same answers as from memory, and no copy of it."""

import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hierlearn as hl
from hierlearn import _rows
from hierlearn.confusion import held_out_scores

X, Y = load_digits(n_class=6, return_X_y=True)
X, Y = X[:180], Y[:180]
FAST = {"max_epochs": 1, "batch_size": 32, "random_state": 0}


def mlp(sizes=(12,), **more):
    return hl.TorchMLPClassifier(sizes, **FAST, **more)


def cnn(**more):
    network = ("conv 3x3|3", "pool 2", "fc 8")
    return hl.TorchCNNClassifier(network, input_shape=(1, 8, 8), augment=(), **FAST, **more)


def hierarchy(base=None, **more):
    more = {"partitioner": hl.ConfusionLinkagePartitioner(n_clusters=2), **more}
    return hl.HierarchicalDecompositionClassifier(base or mlp(), random_state=0, **more)


def transfer(**more):
    return hl.TransferClassifier(mlp().fit(X[Y < 3], Y[Y < 3]), **FAST, **more)


ON_ROWS = {
    "network": mlp(),
    "early-stopping": mlp(early_stopping=True),
    "linear": mlp(()),
    "any-module": hl.TorchClassifier(early_stopping=True, **FAST),
    "adaptive": hl.AdaptiveSoftmaxClassifier((12,), early_stopping=True, **FAST),
    "partition": hl.PartitionSoftmaxClassifier((12,), **FAST),
    "learnt-partition": hl.PartitionSoftmaxClassifier((12,), partitioner="linkage", **FAST),
    "sampled": hl.SampledSoftmaxClassifier((12,), **FAST),
    "transfer-frozen": transfer(),
    "transfer-tuned": transfer(tune="all", early_stopping=True),
    "hierarchy": hierarchy(),
    "hierarchy-cross-fitted": hierarchy(cv=3),
    "hierarchy-linear-base": hierarchy(mlp(())),
    "hierarchy-networks": hierarchy(fine_estimator=mlp((6,)), gamma=2.0),
    "hierarchy-others": hierarchy(
        fine_estimator=MultinomialNB(), hierarchy_estimator=MultinomialNB()
    ),
    "hierarchy-recursive": hierarchy(fine_estimator=mlp((6,)), max_depth=2),
    "hierarchy-tuned": hierarchy(fine_tune=True, fine_tune_epochs=1),
    "hierarchy-centroids": hierarchy(partitioner=hl.CentroidPartitioner(2)),
    "hierarchy-selector": hierarchy(
        fine_estimator=hl.NetworkSelector([mlp((6,)), MultinomialNB(), "branch"])
    ),
    "hierarchy-transfer": hierarchy(fine_estimator=transfer()),
    "hierarchy-of-no-network": hierarchy(MultinomialNB()),
    "selector": hl.NetworkSelector([mlp(), MultinomialNB()], random_state=0),
    "selector-halving": hl.NetworkSelector(
        [mlp(), mlp((6,)), mlp(())], strategy="halving", random_state=0
    ),
    "heads": hl.SpecialistHeadAugmenter(mlp(), random_state=0),
    "heads-cross-fitted": hl.SpecialistHeadAugmenter(mlp(), cv=2, evaluate=1, random_state=0),
    "centroids": hl.CentroidPartitioner(2, random_state=0),
}
# These take dense rows only.
ON_DENSE = {
    "images": cnn(early_stopping=True),
    "hierarchy-images": hierarchy(cnn()),
    "hierarchy-images-flat-members": hierarchy(cnn(), fine_estimator=mlp((6,))),
    "scaled": make_pipeline(StandardScaler(), mlp()),
    "hierarchy-scaled": hierarchy(make_pipeline(StandardScaler(), mlp())),
}


@pytest.fixture
def large(monkeypatch):
    """Treat every X as one of which no copies may be made."""

    def begin():
        monkeypatch.setattr(_rows, "LARGE_BYTES", 0)

    return begin


def mapped(array, folder):
    np.save(folder / "X.npy", array)
    return np.load(folder / "X.npy", mmap_mode="r")


def assert_same(found, wanted):
    # Matrix products round in the last bits by how their inputs lie in memory.
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def answers(fitted, X):
    if hasattr(fitted, "predict_proba"):
        return fitted.predict_proba(X)
    return fitted.labels_


@pytest.mark.parametrize("name", [*ON_ROWS, *ON_DENSE])
def test_memory_map_gives_what_the_array_in_memory_does(name, tmp_path, large):
    estimator = {**ON_ROWS, **ON_DENSE}[name]
    pixels = X.astype(np.uint8 if "images" in name else np.float32)
    in_memory = clone(estimator).fit(pixels, Y)
    wanted = answers(in_memory, pixels)
    large()
    rows = mapped(pixels, tmp_path)
    fitted = clone(estimator).fit(rows, Y)
    assert_same(answers(fitted, rows), wanted)
    # Nothing of X is left in what was fitted.
    assert len(pickle.dumps(fitted)) <= len(pickle.dumps(in_memory)) + 2000


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.int16, ">f4"])
@pytest.mark.parametrize("name", ["early-stopping", "hierarchy-networks", "heads", "centroids"])
def test_any_type_in_a_memory_map(name, dtype, tmp_path, large):
    values = X.astype(dtype)
    wanted = answers(clone(ON_ROWS[name]).fit(values, Y), values)
    large()
    rows = mapped(values, tmp_path)
    assert_same(answers(clone(ON_ROWS[name]).fit(rows, Y), rows), wanted)


@pytest.mark.parametrize("name", ON_ROWS)
def test_sparse_rows_give_what_they_give_if_copied(name, large):
    rows = sparse.csr_matrix(X.astype(np.float32))
    wanted = answers(clone(ON_ROWS[name]).fit(rows, Y), rows)
    large()
    assert_same(answers(clone(ON_ROWS[name]).fit(rows, Y), rows), wanted)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("name", ["early-stopping", "hierarchy", "hierarchy-networks", "heads"])
def test_sparse_rows_give_what_dense_ones_do(name, make, large):
    large()
    values = X.astype(np.float32)
    wanted = answers(clone(ON_ROWS[name]).fit(values, Y), values)
    rows = make(values)
    found = answers(clone(ON_ROWS[name]).fit(rows, Y), rows)
    assert_same(found, wanted)


@pytest.mark.parametrize("name", ["early-stopping", "hierarchy-networks", "heads"])
def test_weights_of_zero_leave_rows_out(name, large):
    values, weight = X.astype(np.float32), (np.arange(len(X)) % 5 > 0).astype(float)
    wanted = answers(clone(ON_ROWS[name]).fit(values, Y, sample_weight=weight), values)
    large()
    found = answers(clone(ON_ROWS[name]).fit(values, Y, sample_weight=weight), values)
    assert_same(found, wanted)


@pytest.mark.parametrize("cv", [None, 3, "prefit"])
@pytest.mark.parametrize("estimator", [mlp(), MultinomialNB()], ids=["network", "other"])
def test_held_out_scores_of_a_memory_map(cv, estimator, tmp_path, large):
    values = X.astype(np.float32)
    estimator = clone(estimator).fit(values, Y) if cv == "prefit" else estimator
    wanted = held_out_scores(estimator, values, Y, cv=cv, random_state=0).scores
    large()
    rows = mapped(values, tmp_path)
    found = held_out_scores(estimator, rows, Y, cv=cv, random_state=0)
    assert_same(found.scores, wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["network", "images", "hierarchy", "selector", "heads", "scaled"])
def test_what_is_not_finite_in_a_memory_map_is_refused(name, bad, tmp_path, large):
    estimator = clone({**ON_ROWS, **ON_DENSE}[name])
    values = X.astype(np.float32)
    large()
    fitted = clone(estimator).fit(values, Y)
    values[-1, -1] = bad
    rows = mapped(values, tmp_path)
    with pytest.raises(ValueError, match=r"X must|NaN|infinity") as error:
        estimator.fit(rows, Y)
    assert "Traceback" not in str(error.value)
    with pytest.raises(ValueError, match=r"X must|NaN|infinity"):
        fitted.predict_proba(rows)


# -- memory ----------------------------------------------------------------------------------------

ROWS, FEATURES = 32_000, 800
MEASURE = """
import gc, os, sys
import numpy as np
from scipy import sparse
import hierlearn as hl

fast = {"max_epochs": 1, "batch_size": 512, "random_state": 0}
def mlp(sizes=(16,), **more):
    return hl.TorchMLPClassifier(sizes, **fast, **more)
def hierarchy(**more):
    return hl.HierarchicalDecompositionClassifier(mlp(), random_state=0, **more)

X = np.load(sys.argv[1], mmap_mode="r")
y = np.arange(len(X)) % 8
if sys.argv[2] == "csr":
    columns = np.tile(np.arange(0, 800, 2, dtype=np.int32), len(X))
    starts = np.arange(0, columns.size + 1, 400, dtype=np.int32)
    X = sparse.csr_matrix((np.ones(columns.size, np.float32), columns, starts), X.shape)
    print("size", X.data.nbytes + X.indices.nbytes, flush=True)
else:
    print("size", X.nbytes, flush=True)
mlp().fit(X[:600], y[:600]).predict(X[:600])  # imports, and buffers that stay
hierarchy(fine_estimator=mlp((8,))).fit(X[:600], y[:600])
for name, estimator in {
    "network": mlp(early_stopping=True),
    "hierarchy": hierarchy(fine_estimator=mlp((8,)), gamma=3.0, mixing=0.0),
    "centroids": hl.CentroidPartitioner(4, random_state=0),
}.items():
    gc.collect()
    print("begin", name, flush=True)
    estimator.fit(X, y)
    if name != "centroids":
        estimator.predict(X)
    print("end", name, flush=True)
"""


def anonymous_bytes(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def peaks_of(path, kind):
    """Return the size of X, and by estimator how far memory rose; sampled from outside."""
    # A fixed threshold hands large arrays back as they are freed, so that none hides in the heap.
    settings = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, str(path), kind]
    state, lowest, peaks, size = {"phase": None}, {}, {}, []

    def listen(lines):
        for line in lines:
            word, value = line.split()
            if word == "size":
                size.append(int(value))
            state["phase"] = value if word == "begin" else None

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        listener = threading.Thread(target=listen, args=(process.stdout,))
        listener.start()
        while process.poll() is None:
            phase = state["phase"]
            if phase is not None:
                used = anonymous_bytes(process.pid)
                lowest[phase] = min(lowest.get(phase, used), used)
                peaks[phase] = max(peaks.get(phase, 0), used - lowest[phase])
            time.sleep(0.002)
        listener.join()
    assert process.returncode == 0
    return size[0], peaks


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("kind", ["memory-map", "csr"])
def test_no_copy_of_x_is_made(kind, tmp_path):
    rows = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.float32, (ROWS, FEATURES))
    pattern = np.random.default_rng(0).normal(size=(800, FEATURES)).astype(np.float32)
    for start in range(0, ROWS, 800):
        rows[start : start + 800] = pattern
    rows.flush()
    size, peaks = peaks_of(tmp_path / "X.npy", kind)
    assert set(peaks) == {"network", "hierarchy", "centroids"}
    shares = {name: round(peak / size, 2) for name, peak in peaks.items()}
    assert max(shares.values()) < 0.4, shares
