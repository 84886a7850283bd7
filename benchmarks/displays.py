"""The pictures of docs/displays.md, from scikit-learn's digits and from planted confusions.

    python benchmarks/displays.py --out docs/images

Takes about a minute on one core. Written are display-dendrogram.png (1,000 classes),
display-confusion.png, display-zoom.png (100 classes in 12 clusters), display-partition.png,
display-routing.png and display-cost.png (digits).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition, TorchMLPClassifier
from hierlearn.controls import compare
from hierlearn.display import (
    ClassDendrogramDisplay,
    ConfusionOrderDisplay,
    CostAccuracyDisplay,
    PartitionDisplay,
    RoutingDisplay,
)


def planted(n_classes: int, n_clusters: int) -> tuple[np.ndarray, LabelPartition]:
    """Return a confusion that is stronger within clusters, and the clusters."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(n_classes) % n_clusters)
    same = labels[:, None] == labels
    confusion = rng.random((n_classes, n_classes)) ** 3 * np.where(same, 1.0, 0.02)
    np.fill_diagonal(confusion, 2.0 * n_classes / n_clusters)
    names = [f"class_{code:03d}" for code in range(n_classes)]
    return confusion, LabelPartition(names, labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    mpl.use("Agg")

    pictures = {}
    confusion, partition = planted(1000, 30)
    pictures["dendrogram"] = ClassDendrogramDisplay.from_confusion(confusion, partition=partition)
    confusion, partition = planted(100, 12)
    pictures["confusion"] = ConfusionOrderDisplay(confusion, partition).plot(max_class_names=50)
    pictures["zoom"] = ConfusionOrderDisplay(confusion, partition).plot(cluster=4)

    X, y = load_digits(return_X_y=True)
    X = X / 16
    base = TorchMLPClassifier((32,), lr=0.01, max_epochs=20)
    clf = HierarchicalDecompositionClassifier(base, gamma=0.5, routing=1, random_state=0)
    clf.fit(X[:1200], y[:1200])
    pictures["partition"] = PartitionDisplay.from_estimator(clf, X[1200:], y[1200:])
    pictures["routing"] = RoutingDisplay.from_estimator(
        clf, X[1200:], y[1200:], classes=list(range(10))
    )
    seeds = range(args.seeds)
    result = compare(clf, X[:1200], y[:1200], X[1200:], y[1200:], seeds=seeds)
    print(result)
    pictures["cost"] = CostAccuracyDisplay.from_comparison(result, relative_to="flat")
    for name, display in pictures.items():
        display.figure_.savefig(args.out / f"display-{name}.png", dpi=80)


if __name__ == "__main__":
    main()
