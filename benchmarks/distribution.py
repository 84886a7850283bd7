"""How much faster is a fit on a Dask cluster, and is the model the same when a worker is lost?

CIFAR-100 pixels, a hierarchy whose class assignment networks differ, so that they cannot be trained
in one pass: for each cluster candidates of several architectures and kinds compete::

    python benchmarks/distribution.py --data DIR [--rows 3000] [--workers 2] [--json FILE]

Fits in one process and on a local cluster of separate processes, in turn; then one during which a
worker is killed. Times are those of the clock on the wall, since the work is done elsewhere: the
machine must have a core a worker to spare. Set OMP_NUM_THREADS=1.
"""

import argparse
import json
import os
import signal
import threading
import time
from pathlib import Path

import dask
import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier

from hierlearn import HierarchicalDecompositionClassifier, NetworkSelector, TorchMLPClassifier
from hierlearn.datasets import load_cifar100


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder with CIFAR-100")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", help="file to write the figures to")
    return parser.parse_args()


def pixels(given):
    """Return rows and labels, in single precision from 0 to 1."""
    if given.data is None:
        random = np.random.RandomState(0)
        return random.standard_normal((given.rows, 3072)).astype("f4"), np.arange(given.rows) % 100
    bunch = load_cifar100(given.data)
    X = bunch.data_train[: given.rows].reshape(given.rows, -1).astype(np.float32) / 255
    return X, bunch.target_train[: given.rows]


def hierarchy(given):
    """Return a hierarchy with four kinds of candidates for every cluster."""
    candidates = [
        TorchMLPClassifier((100, 50), max_epochs=given.epochs, early_stopping=True),
        TorchMLPClassifier((256, 128), max_epochs=given.epochs, early_stopping=True),
        TorchMLPClassifier((64,), max_epochs=given.epochs, activation="tanh"),
        ExtraTreesClassifier(100),
    ]
    return HierarchicalDecompositionClassifier(
        TorchMLPClassifier((200, 150), max_epochs=2),
        fine_estimator=NetworkSelector(candidates),
        mixing=0,
        random_state=0,
    )


def timed(model, X, y, backend):
    """Return the fitted model and its seconds."""
    start = time.perf_counter()
    with parallel_config(backend):
        fitted = clone(model).fit(X, y)
    return fitted, time.perf_counter() - start


def kill_one(client, after):
    """Kill a worker process after some seconds."""
    process = min(client.run(os.getpid).values())
    timer = threading.Timer(after, os.kill, (process, signal.SIGKILL))
    timer.start()
    return timer


def main():
    given = arguments()
    X, y = pixels(given)
    model = hierarchy(given)
    seconds = {"one process": [], "cluster": []}
    # Without Dask's own setting of malloc, which has every step of a training ask for memory anew.
    dask.config.set({"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}})
    with (
        LocalCluster(n_workers=given.workers, threads_per_worker=1, dashboard_address=":0") as here,
        Client(here) as client,
    ):
        timed(model, X[:1000], y[:1000], "dask")  # workers have loaded what they need
        for _ in range(given.repeats):
            alone, taken = timed(model, X, y, "sequential")
            seconds["one process"].append(taken)
            beside, taken = timed(model, X, y, "dask")
            seconds["cluster"].append(taken)
        timer = kill_one(client, after=0.6 * taken)
        bereft, with_loss = timed(model, X, y, "dask")
        timer.cancel()
    expected = alone.predict_proba(X)
    figures = {
        "seconds": seconds,
        "ratios": [a / b for a, b in zip(*seconds.values(), strict=True)],
        "ratio": float(np.median(seconds["one process"]) / np.median(seconds["cluster"])),
        "with a worker killed": with_loss,
        "same model": np.array_equal(beside.predict_proba(X), expected),
        "same model with a worker killed": np.array_equal(bereft.predict_proba(X), expected),
        "clusters": int(alone.partition_.n_clusters),
        "load": os.getloadavg()[0],
    }
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
