"""What does ``memory`` spare a search over gamma, and what does it cost?

CIFAR-100 pixels, a multi-layer perceptron, hierarchies of about sqrt(K) clusters::

    python benchmarks/caching.py --data DIR [--rows 2000] [--epochs 5] [--json FILE]

Searches over five values of gamma, and over the middle one alone, three folds each, start with an
empty folder: values at which clusters overlap a little, and the paper's, at which they hold most
classes. Then the same hierarchy is fitted without ``memory``, with an empty folder and with a full
one, in turn. Times are those of the processor; set OMP_NUM_THREADS=1.
"""

import argparse
import collections
import json
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
from hierlearn._content import content_digest
from hierlearn.datasets import load_cifar100

GAMMAS = {"little overlap": [0.1, 0.2, 0.3, 0.4, 0.5], "the paper's": [3.0, 4.0, 5.0, 6.0, 8.0]}
N_ROUNDS = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder with CIFAR-100")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--hidden", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--fine", choices=["branch", "networks"], default="branch")
    parser.add_argument("--mixing", default="auto")
    parser.add_argument("--json", help="file to write the figures to")
    return parser.parse_args()


@contextmanager
def timed(seconds, name):
    start = time.process_time()
    yield
    seconds.setdefault(name, []).append(time.process_time() - start)


def kept(folder):
    """Count the files of each kind: every one is a fit that took place."""
    return dict(
        sorted(collections.Counter(p.parts[-3] for p in Path(folder).rglob("output.pkl")).items())
    )


def hierarchy(given):
    return HierarchicalDecompositionClassifier(
        TorchMLPClassifier(tuple(given.hidden), max_epochs=given.epochs),
        fine_estimator=None if given.fine == "branch" else TorchMLPClassifier((25, 10)),
        mixing=given.mixing if given.mixing == "auto" else float(given.mixing),
        gamma=0.3,
        random_state=0,
    )


def search(given, X, y, grid):
    with tempfile.TemporaryDirectory() as folder:
        found = GridSearchCV(
            hierarchy(given).set_params(memory=folder),
            grid,
            cv=StratifiedKFold(3, shuffle=True, random_state=0),
            refit=False,
        )
        start = time.process_time()
        found.fit(X, y)
        return time.process_time() - start, kept(folder)


def report(figures, name, seconds, one, fits):
    print(f"{name:48} {seconds:7.1f} s  x{seconds / one:.2f}  {fits}", flush=True)
    figures["searches"][name] = {"seconds": seconds, "ratio": seconds / one, "fits": fits}


def overhead(given, X, y):
    """Return medians of the seconds of fits in turn, and of looking at the rows."""
    seconds = {}
    for _ in range(N_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            with timed(seconds, "no memory"):
                hierarchy(given).fit(X, y)
            model = hierarchy(given).set_params(memory=folder)
            with timed(seconds, "empty folder"):
                clone(model).fit(X, y)
            with timed(seconds, "full folder"):
                clone(model).fit(X, y)
        with timed(seconds, "digest of X"):
            content_digest(X)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def main():
    given = arguments()
    torch.set_num_threads(1)
    data = load_cifar100(given.data)
    X, y = data.data_train[: given.rows], data.target_train[: given.rows]
    figures = {"rows": given.rows, "epochs": given.epochs, "searches": {}}
    print(f"{len(y)} rows, {len(np.unique(y))} classes, {given.epochs} epochs")
    hierarchy(given).fit(X[:300], y[:300] % 10)  # so that nothing is imported while time is taken
    for name, gammas in GAMMAS.items():
        one, fits = search(given, X, y, {"gamma": gammas[2:3]})
        report(figures, f"gamma {gammas[2]}", one, one, fits)
        five, fits = search(given, X, y, {"gamma": gammas})
        report(figures, f"{name}: {gammas}", five, one, fits)
    one, fits = search(given, X, y, {"routing": [3], "mixing": ["auto"]})
    grid = {"routing": ["hard", 3, "soft"], "mixing": ["auto", 0.0, 0.5]}
    nine, fits_of_nine = search(given, X, y, grid)
    report(figures, "one routing and mixing", one, one, fits)
    report(figures, "nine routings and mixings", nine, one, fits_of_nine)
    figures["one fit"] = overhead(given, X, y)
    plain = figures["one fit"]["no memory"]
    for name, seconds in figures["one fit"].items():
        print(f"one fit  {name:14}  {seconds:8.3f} s  x{seconds / plain:.3f}")
    if given.json:
        Path(given.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
