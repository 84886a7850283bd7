"""How much sooner do output layers for many classes learn and answer, and at what accuracy?

    python benchmarks/output_layers.py [--data DIR] [--sizes 1000 10000 100000] [--seeds 3]
                                       [--json FILE] [--figure FILE]

The flat softmax is TorchMLPClassifier. First a step of training (forward, backward, update) and a
prediction of 1,024 rows are timed at each number of classes; layers take turns, so that whatever
else the machine does hits all alike, and ratios are those of medians. Then all are trained on
10,000 planted classes, and with --data, the folder of downloads, on Omniglot's 1,623 characters,
with the seeds 0, 1, ...; differences from the flat softmax are paired by seed. Where a layer is
flat by default, for its few weights, it is also trained with clusters.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
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
# With clusters though the layer is small.
CLUSTERED: dict[str, Callable[..., Any]] = {
    "two-level, 40": partial(PartitionSoftmaxClassifier, n_clusters=40),
    "two-level, 160": partial(PartitionSoftmaxClassifier, n_clusters=160),
    "adaptive, 64 and 552": partial(AdaptiveSoftmaxClassifier, cutoffs=[64, 552], div_value=2),
}
HIDDEN = (200, 150)
# Dropout and epochs were chosen for the flat softmax.
PLANTED = {"hidden_layer_sizes": HIDDEN, "dropout": 0.1, "max_epochs": 8, "lr": 0.004}
OMNIGLOT = {"hidden_layer_sizes": (512, 256), "dropout": 0.3, "max_epochs": 20, "lr": 0.003}
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


def measure_accuracy(
    name: str, data: Any, settings: dict[str, Any], kinds: dict[str, Any], n_seeds: int
) -> list[dict[str, Any]]:
    """Train with every output layer and seed; return a record for each."""
    records = []
    for seed in range(n_seeds):
        for layer, kind in kinds.items():
            clf = kind(batch_size=BATCH, random_state=seed, **settings)
            start = time.process_time()
            clf.fit(data.data_train, data.target_train)
            seconds = time.process_time() - start
            record = {"data": name, "layer": layer, "seed": seed, "fit_seconds": seconds}
            record["accuracy"] = clf.score(data.data_test, data.target_test)
            records.append(record)
            print(
                f"{name:<9} seed {seed} {layer:<21} {record['accuracy']:7.2%}"
                f"  fitted in {seconds:6.1f} s",
                flush=True,
            )
    for layer in kinds:
        print(f"{name:<9} {layer:<21} {against_flat(records, layer)}", flush=True)
    return records


def against_flat(records: list[dict[str, Any]], layer: str) -> str:
    """Return the mean accuracy, and its difference from the flat softmax with its interval."""
    own, flat = (
        np.array([r["accuracy"] for r in records if r["layer"] == name]) for name in (layer, "flat")
    )
    text = f"{own.mean():7.2%}"
    if layer == "flat" or len(own) < 2:
        return text
    difference = 100 * (own - flat)
    margin = stats.t.ppf(0.975, len(own) - 1) * stats.sem(difference)
    return f"{text}  {difference.mean():+.2f} +/- {margin:.2f} points against flat"


def draw(speed: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of a training step and of a prediction over the number of classes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    titles = {"step_seconds": "training step", "predict_seconds": "prediction of 1,024 rows"}
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        for layer in KINDS:
            rows = [r for r in speed if r["layer"] == layer]
            axis.loglog([r["n_classes"] for r in rows], [1000 * r[key] for r in rows], "-o")
        axis.set(xlabel="classes", ylabel="milliseconds", title=title)
    axes[0].legend(KINDS)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder of downloads, for Omniglot")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--no-accuracy", action="store_true", help="time only")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    parser.add_argument("--figure", type=Path, help="picture to draw of the times")
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
        result["accuracy"] += measure_accuracy("planted", planted, PLANTED, KINDS, args.seeds)
        if args.data:
            omniglot = load_omniglot(args.data)
            kinds = {**KINDS, **CLUSTERED}
            result["accuracy"] += measure_accuracy(
                "Omniglot", omniglot, OMNIGLOT, kinds, args.seeds
            )
    if args.figure:
        draw(result["speed"], args.figure)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
