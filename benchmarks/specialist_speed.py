"""How long the augmented forward pass takes beside the base's, in one run.

    python benchmarks/specialist_speed.py [--batch 256] [--repeats 31] [--json FILE]

Random data: only time is measured. Base and augmented network take turns, so that whatever else
the machine does hits both alike; the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _networks import deep_cnn
from sklearn.frozen import FrozenEstimator

from hierlearn import LabelPartition, SpecialistHeadAugmenter, TorchClassifier, TorchMLPClassifier

BUDGET = 1.03
N_CLASSES = 1000
SETTINGS: dict[str, dict[str, Any]] = {
    "13 heads, all evaluated": {"budget": BUDGET},
    "13 heads, 3 evaluated": {"budget": BUDGET, "evaluate": 3, "classifier": "keep"},
    "13 linear heads, 3 evaluated": {"head_sizes": (), "evaluate": 3, "classifier": "keep"},
}


def bases() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return a perceptron and a CNN of more than 50 M multiply-adds, and the shape of a row."""
    mlp = TorchMLPClassifier((4096, 4096, 4096), max_epochs=1, batch_size=256)
    cnn = TorchClassifier(deep_cnn, max_epochs=1, batch_size=256)
    return {"perceptron": (mlp, (3072,)), "CNN": (cnn, (3, 32, 32))}


def seconds(module: torch.nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        module(x)
    return time.perf_counter() - start


def measure(name: str, base: Any, shape: tuple[int, ...], args: argparse.Namespace) -> list[dict]:
    """Return a record for every setting."""
    random = np.random.RandomState(0)
    X = random.standard_normal((2 * N_CLASSES, *shape)).astype(np.float32)
    y = np.arange(len(X)) % N_CLASSES
    base.fit(X, y)
    partition = LabelPartition(np.arange(N_CLASSES), random.permutation(N_CLASSES) % 13)
    batch = torch.as_tensor(X[: args.batch])
    records = []
    for setting, params in SETTINGS.items():
        clf = SpecialistHeadAugmenter(
            FrozenEstimator(base), partition, head_epochs=1, cv="prefit", random_state=0, **params
        ).fit(X, y)
        pairs = [
            (seconds(base.module_, batch), seconds(clf.network_, batch))
            for _ in range(args.repeats + 3)
        ][3:]
        flat, augmented = np.median(np.array(pairs), axis=0)
        report = clf.cost_report(X[: args.batch])
        records.append(
            {
                "base": name,
                "heads": setting,
                "base_multiply_adds": report.flat.multiply_adds,
                "cost_ratio": report.ratio,
                "base_seconds": float(flat),
                "time_ratio": float(augmented / flat),
            }
        )
    return records


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256, help="rows at a time")
    parser.add_argument("--repeats", type=int, default=31, help="runs; the median counts")
    parser.add_argument("--json", help="file to write the records to")
    args = parser.parse_args()
    print(f"{'base':<12}{'heads':<30}{'M mult-adds':>12}{'cost':>8}{'base ms':>9}{'time':>8}")
    found = []
    for name, (base, shape) in bases().items():
        for row in measure(name, base, shape, args):
            found.append(row)
            print(
                f"{row['base']:<12}{row['heads']:<30}{row['base_multiply_adds'] / 1e6:>12.1f}"
                f"{row['cost_ratio']:>7.3f}x{1000 * row['base_seconds']:>9.1f}"
                f"{row['time_ratio']:>7.3f}x",
                flush=True,
            )
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
