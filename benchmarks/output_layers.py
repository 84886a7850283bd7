"""How much sooner do output layers for many classes learn and answer, and at what accuracy?

    python benchmarks/output_layers.py [--data DIR] [--sizes 1000 10000 100000] [--json FILE]

The flat softmax is TorchMLPClassifier. First a step of training (forward, backward, update) and a
prediction of 1,024 rows are timed at each number of classes; layers take turns, so that whatever
else the machine does hits all alike, and ratios are those of medians. Then all are trained on
10,000 planted classes, and with --data, the folder of downloads, on Omniglot's 1,623 characters.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
    TorchMLPClassifier,
)
from hierlearn.datasets import load_omniglot, make_class_hierarchy
from hierlearn.networks.lazy_adam import LazyAdamW

KINDS: dict[str, Callable[..., Any]] = {
    "flat": TorchMLPClassifier,
    "two-level": PartitionSoftmaxClassifier,
    "adaptive": AdaptiveSoftmaxClassifier,
    "sampled": SampledSoftmaxClassifier,
}
HIDDEN = (200, 150)
BATCH = 256
N_PREDICTED = 1024
# A flat step costs the same at any weights; a gate must have learnt something to be sure.
N_STEPS = {"flat": 4, "sampled": 4, "two-level": 1200, "adaptive": 300}


def training_step(clf: Any, X: torch.Tensor, y: torch.Tensor) -> Callable[[], float]:
    """Return a function that trains one step and returns its seconds."""
    module = clf.module_.train()
    layer = module.output
    if isinstance(layer, nn.Linear):
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(module.parameters())
    else:
        optimizer = (LazyAdamW if layer.sparse else torch.optim.AdamW)(module.parameters())

    def step() -> float:
        rows = torch.randint(len(X), (BATCH,))
        start = time.perf_counter()
        if isinstance(layer, nn.Linear):
            loss = nn.functional.cross_entropy(module(X[rows]), y[rows])
        else:
            loss = layer.loss(module[:-1](X[rows]), y[rows]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - start

    return step


def prediction(clf: Any, X: np.ndarray) -> Callable[[], float]:
    """Return a function that predicts and returns its seconds."""

    def predict() -> float:
        start = time.perf_counter()
        clf.predict(X)
        return time.perf_counter() - start

    return predict


def measure_speed(n_classes: int, repeats: int) -> list[dict[str, Any]]:
    """Return a record for every output layer."""
    planted = make_class_hierarchy(n_classes, 3 * n_classes, n_features=64)
    X, y = planted.data_train, planted.target_train
    fitted = {}
    for name, kind in KINDS.items():
        clf = kind(HIDDEN, max_epochs=1, batch_size=BATCH, lr=0.004, random_state=0)
        # Rows without weight are not trained on, but all classes are known.
        weight = np.arange(len(X)) < N_STEPS[name] * BATCH
        fitted[name] = clf.fit(X, y, sample_weight=weight)
    rows_of = planted.data_test[:N_PREDICTED]
    predicts = {name: prediction(clf, rows_of) for name, clf in fitted.items()}
    predict_seconds = in_turns(predicts, repeats)
    tensors = torch.as_tensor(X), torch.as_tensor(y)
    steps = {name: training_step(clf, *tensors) for name, clf in fitted.items()}
    step_seconds = in_turns(steps, repeats)
    return [
        {
            "n_classes": n_classes,
            "layer": name,
            "step_seconds": step_seconds[name],
            "step_ratio": step_seconds["flat"] / step_seconds[name],
            "predict_seconds": predict_seconds[name],
            "predict_ratio": predict_seconds["flat"] / predict_seconds[name],
        }
        for name in KINDS
    ]


def in_turns(actions: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Return the median seconds of each action; the first round warms up."""
    rounds = [[action() for action in actions.values()] for _ in range(repeats + 1)][1:]
    return dict(zip(actions, np.median(rounds, axis=0).tolist(), strict=True))


def measure_accuracy(name: str, data: Any, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Train with every output layer; return a record for each."""
    records = []
    for layer, kind in KINDS.items():
        clf = kind(batch_size=BATCH, random_state=0, **settings)
        start = time.process_time()
        clf.fit(data.data_train, data.target_train)
        seconds = time.process_time() - start
        accuracy = clf.score(data.data_test, data.target_test)
        record = {"data": name, "layer": layer, "accuracy": accuracy, "fit_seconds": seconds}
        records.append(record)
        print(f"{name:<10} {layer:<10} {accuracy:7.2%}  fitted in {seconds:6.1f} s", flush=True)
    return records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder of downloads, for Omniglot")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-accuracy", action="store_true", help="time only")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"speed": [], "accuracy": []}
    for n_classes in args.sizes:
        records = measure_speed(n_classes, args.repeats)
        result["speed"] += records
        for r in records:
            print(
                f"{n_classes:>7,} classes  {r['layer']:<10}"
                f" step {1000 * r['step_seconds']:9.2f} ms {r['step_ratio']:6.1f}x"
                f"   predict {1000 * r['predict_seconds']:9.2f} ms {r['predict_ratio']:6.1f}x",
                flush=True,
            )
    if not args.no_accuracy:
        planted = make_class_hierarchy(10_000, 60_000, confusion=0.002, test_share=0.1)
        settings = {"hidden_layer_sizes": HIDDEN, "max_epochs": 8, "lr": 0.004}
        result["accuracy"] += measure_accuracy("planted", planted, settings)
        if args.data:
            settings = {"hidden_layer_sizes": (256,), "max_epochs": 15, "lr": 0.003}
            result["accuracy"] += measure_accuracy("Omniglot", load_omniglot(args.data), settings)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
