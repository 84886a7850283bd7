"""The report of a model of CIFAR-100, as one HTML file.

    python benchmarks/report.py --data DIR --out report.html [--compare] [--rows 10000]
    python benchmarks/report.py --planted 1000 --out report.html

Fits a hierarchy on a small convolutional network, on one thread, and writes the report of the test
images. With --compare its controls are fitted, too, over three seeds, and stand in the report.
With --planted, a model of so many classes that predicts as planted stands in for it: 20 samples a
class, two fifths of them taken for a class near by. Prints what each step takes, and the size of
the file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split

import hierlearn
from hierlearn import HierarchicalDecompositionClassifier, LabelPartition, TorchCNNClassifier
from hierlearn.controls import compare
from hierlearn.datasets import load_cifar100

NETWORK = ("conv 5x5|32 stride 2", "pool 2", "conv 3x3|64", "pool 2", "fc 256")


def hierarchy(epochs: int) -> HierarchicalDecompositionClassifier:
    """Return the hierarchy to fit."""
    base = TorchCNNClassifier(NETWORK, augment=("flip",), max_epochs=epochs, random_state=0)
    return HierarchicalDecompositionClassifier(base, branch_epochs=8, random_state=0)


class Told(ClassifierMixin, BaseEstimator):
    """Predicts the class whose code is the first feature."""

    def fit(self, X: object, y: np.ndarray) -> Told:
        """Learn the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return what X says."""
        return self.classes_[X[:, 0]]


def planted(n_classes: int, out: Path) -> Path:
    """Write the report of a model that confuses neighbours."""
    rng = np.random.default_rng(0)
    classes = np.arange(n_classes)
    true = rng.integers(n_classes, size=20 * n_classes)
    near = np.clip(true + rng.geometric(0.1, len(true)) * rng.choice([-1, 1], len(true)), 0, None)
    wrong = rng.random(len(true)) < 0.4
    predicted = np.where(wrong, np.minimum(near, n_classes - 1), true)
    clusters = LabelPartition(classes, classes * round(n_classes**0.5) // n_classes)
    model = Told().fit(None, classes)
    return hierlearn.report(model, predicted[:, None], true, out, partition=clusters)


def measured(start: float, path: Path) -> None:
    """Print what writing took."""
    seconds = time.perf_counter() - start
    print(f"report: {seconds:.1f} s, {path.stat().st_size / 1e6:.2f} MB, {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder of the CIFAR-100 download")
    parser.add_argument("--out", type=Path, default=Path("report.html"))
    parser.add_argument("--rows", type=int, default=10_000, help="rows to learn from")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3, help="seeds of --compare")
    parser.add_argument("--compare", action="store_true", help="fit the controls as well")
    parser.add_argument("--json", type=Path, help="where to keep what --compare measured")
    parser.add_argument("--planted", type=int, metavar="K", help="classes of a planted model")
    args = parser.parse_args()
    start = time.perf_counter()
    if args.planted is not None:
        measured(start, planted(args.planted, args.out))
        return
    if args.data is None:
        parser.error("give --data DIR or --planted K")

    bunch = load_cifar100(args.data, dtype="uint8")
    images = bunch.data_train.reshape(-1, *bunch.image_shape)
    X, _, y, _ = train_test_split(
        images,
        bunch.target_train,
        train_size=args.rows,
        stratify=bunch.target_train,
        random_state=0,
    )
    X_test, y_test = bunch.data_test.reshape(-1, *bunch.image_shape), bunch.target_test
    start = time.perf_counter()
    clf = hierarchy(args.epochs).fit(X, y)
    print(f"fit: {time.perf_counter() - start:.0f} s, accuracy {clf.score(X_test, y_test):.3f}")

    result = None
    if args.compare:
        seeds = range(args.seeds)
        result = compare(hierarchy(args.epochs), X, y, X_test, y_test, seeds=seeds, progress=print)
        print(result)
        if args.json is not None:
            args.json.write_text(json.dumps(result.to_records(), indent=1), encoding="utf-8")
    start = time.perf_counter()
    names = np.asarray(bunch.target_names)
    path = hierlearn.report(
        clf, X_test, y_test, args.out, comparison=result, class_names=names, title="CIFAR-100"
    )
    measured(start, path)


if __name__ == "__main__":
    main()
