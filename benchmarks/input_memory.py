"""How much memory do fit and predict take beside an X that is large?

    python benchmarks/input_memory.py [--rows 50000] [--only NAME ...] [--json FILE]

Every measurement is a process of its own that opens X, then fits, then predicts. X is a memory map
(float32, float16 or uint8, opened read-only) or a csr matrix in memory. What is measured is how far
the process's anonymous memory (RssAnon of /proc/<pid>/status, sampled by the parent every two
milliseconds) rises above what it is once X is open and all is imported. Unlike ru_maxrss it leaves
out pages of the mapped file, which the kernel may drop at any time; unlike tracemalloc it has
torch's tensors in it. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

import hierlearn as hl

N_CLASSES, N_FEATURES = 20, 1000
WIDE, PER_ROW = 4_000, 500
KINDS = ("float32", "float16", "uint8", "csr")
DENSE_ONLY = ("TorchCNNClassifier",)


def fast(**more: Any) -> dict[str, Any]:
    """Return settings with which a fit takes seconds."""
    return {"max_epochs": 1, "batch_size": 512, "random_state": 0, **more}


def mlp(**more: Any) -> Any:
    """Return a small perceptron."""
    return hl.TorchMLPClassifier((32,), **fast(**more))


def transfer(X: Any, y: np.ndarray, **more: Any) -> Any:
    """Return a transfer classifier on a perceptron that knows some of the rows."""
    return hl.TransferClassifier(mlp().fit(X[:2000], y[:2000]), **fast(**more))


def hierarchy(**more: Any) -> Any:
    """Return a hierarchy on a small perceptron."""
    return hl.HierarchicalDecompositionClassifier(mlp(), random_state=0, **more)


def cnn(**more: Any) -> Any:
    """Return a small convolutional network for images of 25 x 40 pixels."""
    network = ("pool 5", "conv 3x3|2", "fc 16")
    return hl.TorchCNNClassifier(network, input_shape=(1, 25, 40), **fast(**more))


def selector() -> Any:
    """Return a choice between two networks."""
    return hl.NetworkSelector([mlp(), hl.TorchMLPClassifier((8,), **fast())], random_state=0)


CASES: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "TorchMLPClassifier": lambda X, y: mlp(),
    "TorchMLPClassifier, early stopping": lambda X, y: mlp(early_stopping=True),
    "TorchClassifier": lambda X, y: hl.TorchClassifier(**fast()),
    "TorchCNNClassifier": lambda X, y: cnn(early_stopping=True),
    "AdaptiveSoftmaxClassifier": lambda X, y: hl.AdaptiveSoftmaxClassifier((32,), **fast()),
    "PartitionSoftmaxClassifier": lambda X, y: hl.PartitionSoftmaxClassifier((32,), **fast()),
    "SampledSoftmaxClassifier": lambda X, y: hl.SampledSoftmaxClassifier((32,), **fast()),
    "TransferClassifier, frozen": lambda X, y: transfer(X, y),
    "TransferClassifier, all tuned": lambda X, y: transfer(X, y, tune="all", early_stopping=True),
    "HierarchicalDecomposition": lambda X, y: hierarchy(),
    "... one network a cluster": lambda X, y: hierarchy(fine_estimator=mlp()),
    "... overlapping, gamma=3": lambda X, y: hierarchy(fine_estimator=mlp(), gamma=3.0),
    "... cross-fitted, cv=3": lambda X, y: hierarchy(cv=3),
    "... NetworkSelector": lambda X, y: hierarchy(fine_estimator=selector()),
    "... CentroidPartitioner": lambda X, y: hierarchy(partitioner=hl.CentroidPartitioner(4)),
    "NetworkSelector": lambda X, y: selector(),
    "SpecialistHeadAugmenter": lambda X, y: hl.SpecialistHeadAugmenter(mlp(), random_state=0),
    "CentroidPartitioner": lambda X, y: hl.CentroidPartitioner(4, random_state=0),
}


def write_data(folder: Path, n_rows: int) -> None:
    """Write the matrices, block by block."""
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=n_rows)
    np.save(folder / "y.npy", y)
    centres = rng.uniform(60, 200, size=(N_CLASSES, N_FEATURES)).astype(np.float32)
    maps = {
        kind: np.lib.format.open_memmap(folder / f"{kind}.npy", "w+", kind, (n_rows, N_FEATURES))
        for kind in KINDS[:3]
    }
    for start in range(0, n_rows, 10_000):
        codes = y[start : start + 10_000]
        noise = rng.integers(-50, 50, size=(len(codes), N_FEATURES), dtype=np.int8)
        pixels = centres[codes] + noise
        maps["uint8"][start : start + len(codes)] = pixels.astype(np.uint8)
        for kind in ("float32", "float16"):
            maps[kind][start : start + len(codes)] = pixels / 255
    step = WIDE // PER_ROW
    places = rng.integers(step, size=(n_rows, PER_ROW), dtype=np.int32)
    np.save(folder / "indices.npy", places + np.arange(0, WIDE, step, dtype=np.int32))
    np.save(folder / "data.npy", rng.uniform(size=(n_rows, PER_ROW)).astype(np.float32))


def open_data(folder: Path, kind: str) -> tuple[Any, np.ndarray]:
    """Return X, and y in memory."""
    y = np.load(folder / "y.npy")
    if kind != "csr":
        return np.load(folder / f"{kind}.npy", mmap_mode="r"), y
    data, indices = np.load(folder / "data.npy"), np.load(folder / "indices.npy")
    starts = np.arange(0, data.size + 1, PER_ROW, dtype=np.int32)
    return sparse.csr_matrix((data.ravel(), indices.ravel(), starts), (len(y), WIDE)), y


def size_of(X: Any) -> int:
    """Return the bytes of X."""
    return X.data.nbytes + X.indices.nbytes if sparse.issparse(X) else X.nbytes


def work(folder: Path, kind: str, name: str) -> None:
    """Fit and predict, saying on the standard output where each begins and ends."""
    X, y = open_data(folder, kind)
    estimator = CASES[name](X, y)
    mlp().fit(X[:1000], y[:1000]).predict(X[:1000])  # imports, and torch's own buffers
    for phase in ("fit", "predict"):
        if not hasattr(estimator, phase) or (phase == "predict" and "Partitioner" in name[:19]):
            continue
        gc.collect()
        _say(f"{phase} {anonymous_bytes(os.getpid())}")
        found = estimator.fit(X, y) if phase == "fit" else estimator.predict(X)
        _say("end 0")
        del found
    _say(f"X {size_of(X)}")


def _say(line: str) -> None:
    print(line, flush=True)


def anonymous_bytes(pid: int) -> int:
    """Return a process's memory that is not of a file."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(folder: Path, kind: str, name: str) -> dict[str, Any]:
    """Return X's megabytes, and peaks and seconds of fit and predict."""
    command = [sys.executable, __file__, "--work", str(folder), kind, name]
    # A fixed threshold hands large arrays back as they are freed, so that none hides in the heap.
    settings = {"MALLOC_MMAP_THRESHOLD_": str(2**20), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as process:
        watch = _Watch(process.pid)
        threading.Thread(target=watch.listen, args=(process.stdout,), daemon=True).start()
        while process.poll() is None:
            watch.sample()
            time.sleep(0.002)
    if process.returncode:
        raise RuntimeError(f"{name} failed on {kind}")
    return {"estimator": name, "input": kind, **watch.found}


class _Watch:
    """Peaks of another process's memory, in the phases that it names."""

    def __init__(self, pid: int) -> None:
        self.pid, self.phase, self.start, self.begun = pid, "", 0, 0.0
        self.found: dict[str, Any] = {}

    def listen(self, stream: Any) -> None:
        for line in stream:
            word, value = line.split()
            if word == "X":
                self.found["x_mb"] = int(value) / 2**20
            elif word == "end":
                self.found[f"{self.phase}_seconds"] = time.perf_counter() - self.begun
                self.phase = ""
            else:
                self.start, self.begun = int(value), time.perf_counter()
                self.found[f"{word}_mb"] = 0.0
                self.phase = word

    def sample(self) -> None:
        phase = self.phase
        if not phase:
            return
        try:
            above = (anonymous_bytes(self.pid) - self.start) / 2**20
        except OSError:  # it has just ended
            return
        self.found[f"{phase}_mb"] = max(self.found[f"{phase}_mb"], above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--only", nargs="*", default=list(CASES))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        folder, kind, name = args.work
        work(Path(folder), kind, name)
        return
    records = []
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), args.rows)
        print(f"{'estimator':36}{'X':>9}{'X MB':>7}{'fit MB':>8}{'predict MB':>11}{'seconds':>9}")
        for name in args.only:
            for kind in args.kinds:
                if kind == "csr" and name in DENSE_ONLY:
                    continue
                record = measure(Path(folder), kind, name)
                records.append(record)
                seconds = record["fit_seconds"] + record.get("predict_seconds", 0.0)
                predict = f"{record['predict_mb']:11.0f}" if "predict_mb" in record else " " * 11
                print(
                    f"{name:36}{kind:>9}{record['x_mb']:7.0f}{record['fit_mb']:8.0f}{predict}"
                    f"{seconds:9.1f}",
                    flush=True,
                )
    if args.json:
        args.json.write_text(json.dumps(records, indent=1) + "\n")


if __name__ == "__main__":
    main()
