"""Transfer from ImageNet to CIFAR-100: frozen and tuned features beside a CNN from scratch.

    python benchmarks/transfer.py --data DIR --subset 5000 --seeds 3

The images are brought to ``--side`` pixels. The features of the frozen EfficientNet-Lite0 are
computed once and shared by all that read them: linear and MLP classifiers, and a hierarchy with its
controls. What is tuned reads the images. Needs the extra ``hierlearn[transfer]``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from _networks import small_cnn
from sklearn.base import clone

from hierlearn import (
    BackboneFeatures,
    HierarchicalDecompositionClassifier,
    TorchClassifier,
    TorchMLPClassifier,
    TransferClassifier,
    datasets,
)
from hierlearn.controls import Comparison, Measurement, compare, measure

RESULTS = Path(__file__).parent / "results"
# The loader gives values from 0 to 1, and the network was trained on (x - 127) / 128 of bytes.
SCALE = (127 / 255, 128 / 255)


def load(data: str, n_train: int, n_test: int) -> tuple[np.ndarray, ...]:
    """Return a random part of CIFAR-100 as images and labels."""
    bunch = datasets.load_cifar100(data)
    rng = np.random.RandomState(0)
    train = rng.permutation(len(bunch.target_train))[:n_train]
    test = rng.permutation(len(bunch.target_test))[:n_test]
    X, X_test = bunch.data_train[train], bunch.data_test[test]
    images = (part.reshape(-1, 3, 32, 32) for part in (X, X_test))
    return (*images, bunch.target_train[train], bunch.target_test[test])


def fit(variant: str, estimator: Any, seed: int, parts: tuple) -> Measurement:
    """Fit one classifier and measure it."""
    X, X_test, y, y_test = parts
    print(f"seed {seed}: {variant}", flush=True)
    estimator = clone(estimator).set_params(random_state=seed)
    start = time.perf_counter()
    estimator.fit(X, y)
    return measure(variant, estimator, seed, time.perf_counter() - start, X_test, y_test)


def candidates(side: int, with_all: bool) -> dict[str, Any]:
    """Return what reads images."""
    reading = {"resize": side, "scale": SCALE}
    found = {
        "CNN from scratch": TorchClassifier(small_cnn, max_epochs=20, lr=3e-3),
        "last 2 layers tuned": TransferClassifier(
            "efficientnet_lite0", tune=2, max_epochs=10, **reading
        ),
    }
    if with_all:
        found["all layers tuned"] = TransferClassifier(
            "efficientnet_lite0", tune="all", max_epochs=5, **reading
        )
    return found


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the usual download")
    parser.add_argument("--subset", type=int, default=50_000, help="training images")
    parser.add_argument("--test-subset", type=int, default=10_000, help="test images")
    parser.add_argument("--side", type=int, default=96, help="pixels a side (default 96)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--all", action="store_true", help="tune all layers, too (slow)")
    parser.add_argument("--json", help="where to write the measurements")
    args = parser.parse_args()

    X, X_test, y, y_test = load(args.data, args.subset, args.test_subset)
    features = BackboneFeatures("efficientnet_lite0", resize=args.side, scale=SCALE)
    start = time.perf_counter()
    read = (features.fit_transform(X), features.transform(X_test), y, y_test)
    seconds = (time.perf_counter() - start) / (len(X) + len(X_test))
    print(f"features: {1000 * seconds:.1f} ms an image")

    linear = TorchMLPClassifier(())
    mlp = TorchMLPClassifier((512,), dropout=0.5)
    seeds = range(args.seeds)
    result = compare(
        HierarchicalDecompositionClassifier(mlp),
        read[0],
        y,
        read[1],
        y_test,
        seeds=seeds,
        progress=lambda line: print(line, flush=True),
    )
    found = list(result.measurements)
    found += [fit("frozen, linear", linear, seed, read) for seed in seeds]
    path = Path(args.json or RESULTS / "transfer-cifar-100.json")
    settings = {**vars(args), "features_seconds_an_image": seconds}
    del settings["data"], settings["json"]
    report(found, settings, path)
    flat = (X.reshape(len(X), -1), X_test.reshape(len(X_test), -1), y, y_test)
    for name, estimator in candidates(args.side, args.all).items():
        parts = flat if name == "CNN from scratch" else (X, X_test, y, y_test)
        found += [fit(name, estimator, seed, parts) for seed in seeds]
        report(found, settings, path)  # what is slow comes last; the rest is safe by then


def report(found: list[Measurement], settings: dict[str, Any], path: Path) -> None:
    """Print what was measured so far and write it."""
    result = Comparison(tuple(found))
    print(f"\ncifar-100, {settings}\n\n{result}\n", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"settings": settings, "runs": result.to_records()}, indent=1))


if __name__ == "__main__":
    main()
