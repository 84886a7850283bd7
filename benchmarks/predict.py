"""How close do predictions come to the time of the network's own forward pass?

    python benchmarks/predict.py [--data DIR] [--rows 100000] [--only networks|hierarchy] [--json F]

Every classifier's ``predict_proba`` and ``predict`` stand beside the raw forward: torch in
inference mode, batches of 1,024 float32 rows, softmax, the result as one numpy array. Once over
100,000 rows and once for a single row. Of a hierarchy the reference is its flat base: the ratio of
the times stands beside the ratio of the multiply-adds that ``cost_report`` prices. What is compared
takes turns, on one thread, and ratios are those of medians; ``--clock cpu`` counts processor time,
for machines with other work to do. Networks are trained for a moment only, for time does not depend
on the weights; the classes are planted, so that routes spread over the clusters. With --data, the
folder of downloads, 3,072 features are the pixels of CIFAR-100.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    PartitionSoftmaxClassifier,
    SpecialistHeadAugmenter,
    TorchClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.datasets import load_cifar100

BATCH = 1024
N_CLASSES, N_CLUSTERS = 100, 20
N_TRAIN = 4000
HARD, TOP, SOFT = "hard", 3, "soft"
SETTINGS: dict[str, Any] = {"max_epochs": 1, "lr": 0.003, "random_state": 0, "device": "cpu"}

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Action = Callable[[], Any]
Clock = Callable[[], float]


def planted(n_rows: int, n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows around a centre for each class, and their classes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(N_CLASSES, n_features)).astype(np.float32)
    y = rng.integers(N_CLASSES, size=n_rows)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    X += centres[y]
    return X, y


def pixels(data: str, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return standardised pixels of CIFAR-100, repeated to the number of rows."""
    bunch = load_cifar100(data)
    rows = np.arange(n_rows) % len(bunch.data_train)
    X = bunch.data_train.reshape(len(bunch.data_train), -1).astype(np.float32)
    X -= X.mean(axis=0)
    X /= X.std(axis=0)
    return X[rows], bunch.target_train[rows]


def equal_clusters() -> LabelPartition:
    """Return clusters of as many classes each."""
    return LabelPartition(np.arange(N_CLASSES), np.arange(N_CLASSES) % N_CLUSTERS)


def raw_forward(module: nn.Module, X: np.ndarray, finish: Callable[[torch.Tensor], Any]) -> Action:
    """Return the forward pass that predictions are measured by."""

    def forward() -> np.ndarray:
        with torch.inference_mode():
            parts = [finish(module(rows)) for rows in torch.from_numpy(X).split(BATCH)]
            return torch.cat(parts).numpy()

    return forward


def softmax(logits: torch.Tensor) -> torch.Tensor:
    """Return the posteriors of logits."""
    return torch.softmax(logits, dim=1)


def in_turns(
    actions: dict[str, Action], clock: Clock, repeats: int, calls: int = 1
) -> dict[str, float]:
    """Return the median seconds of a call of each action; the first round warms up."""
    rounds = []
    for _ in range(repeats + 1):
        seconds = []
        for action in actions.values():
            start = clock()
            for _ in range(calls):
                action()
            seconds.append((clock() - start) / calls)
        rounds.append(seconds)
    return dict(zip(actions, np.median(rounds[1:], axis=0).tolist(), strict=True))


def shallow(n_features: int, n_outputs: int) -> nn.Sequential:
    """Return a network of the caller's own."""
    return nn.Sequential(nn.Linear(n_features, 256), nn.Tanh(), nn.Linear(256, n_outputs))


def networks(rows: dict[int, tuple[Any, Any]]) -> Iterator[tuple[str, int, Any, Any]]:
    """Yield the name, the number of features, the classifier and its last step, of each case."""
    mlp, partition = TorchMLPClassifier, equal_clusters()
    yield "MLP 64-200-150", 64, mlp((200, 150), **SETTINGS), softmax
    yield "MLP 784-200-150", 784, mlp((200, 150), **SETTINGS), softmax
    yield "MLP 3072-512-256", 3072, mlp((512, 256), **SETTINGS), softmax
    yield "TorchClassifier 784-256", 784, TorchClassifier(shallow, **SETTINGS), softmax
    layers = ("conv 3x3|8", "pool 2", "conv 3x3|16", "pool 2", "fc 64")
    cnn = TorchCNNClassifier(layers, input_shape=(1, 28, 28), **SETTINGS)
    yield "CNN 28x28, 3 layers", 784, cnn, softmax
    adaptive = AdaptiveSoftmaxClassifier((200, 150), cutoffs=[20, 60], **SETTINGS)
    yield "Adaptive 784-200-150", 784, adaptive, torch.exp
    two_level = PartitionSoftmaxClassifier((200, 150), partitioner=partition, **SETTINGS)
    yield "Partition 784-200-150", 784, two_level, torch.exp
    heads = SpecialistHeadAugmenter(
        mlp((200, 150), **SETTINGS), partitioner=partition, head_sizes=(16,), random_state=0
    )
    yield "Specialists 784-200-150", 784, heads, softmax


def measure_networks(
    rows: dict[int, tuple[Any, Any]], clock: Clock, repeats: int
) -> list[dict[str, Any]]:
    """Return a record for every classifier that is one network."""
    records = []
    for name, n_features, clf, finish in networks(rows):
        X, y = rows[n_features]
        clf.fit(X[:N_TRAIN], y[:N_TRAIN])
        module = getattr(clf, "network_", None) or clf.module_
        as_read = X.reshape(-1, 1, 28, 28) if isinstance(clf, TorchCNNClassifier) else X
        record: dict[str, Any] = {"name": name}
        for case, part, turns, calls in (
            ("batch", slice(None), repeats, 1),
            ("single", slice(1), 5 * repeats, 50),
        ):
            given, raw = X[part], raw_forward(module.eval(), as_read[part], finish)
            np.testing.assert_allclose(clf.predict_proba(given[:BATCH]), raw()[:BATCH], atol=1e-5)
            actions = {
                "raw": raw,
                "predict_proba": lambda clf=clf, given=given: clf.predict_proba(given),
                "predict": lambda clf=clf, given=given: clf.predict(given),
            }
            seconds = in_turns(actions, clock, turns, calls)
            for which, value in seconds.items():
                record[f"{case}_{which}_seconds"] = value
                record[f"{case}_{which}_ratio"] = value / seconds["raw"]
        records.append(record)
        print(
            f"{name:<24} raw {1e3 * record['batch_raw_seconds']:8.1f} ms"
            f"  predict_proba {record['batch_predict_proba_ratio']:5.2f}x"
            f"  predict {record['batch_predict_ratio']:5.2f}x"
            f" | one row: raw {1e6 * record['single_raw_seconds']:6.1f} us"
            f"  predict_proba {record['single_predict_proba_ratio']:5.2f}x"
            f"  predict {record['single_predict_ratio']:5.2f}x",
            flush=True,
        )
    return records


def measure_hierarchies(
    rows: dict[int, tuple[Any, Any]], clock: Clock, repeats: int
) -> list[dict[str, Any]]:
    """Return a record for every trunk and routing."""
    records = []
    for sizes, n_features, at in (
        ((200, 150), 64, None),
        ((200, 150), 784, None),
        ((512, 256), 3072, None),
    ):
        X, y = rows[n_features]
        hierarchy = HierarchicalDecompositionClassifier(
            TorchMLPClassifier(sizes, **SETTINGS),
            partitioner=equal_clusters(),
            branch_at=at,
            branch_epochs=1,
            mixing=0,
            random_state=0,
        ).fit(X[:N_TRAIN], y[:N_TRAIN])
        name = "-".join(map(str, (n_features, *sizes)))
        for routing in (HARD, TOP, SOFT):
            records.append(measure_routing(name, hierarchy.rerouted(routing), X, clock, repeats))
    return records


def measure_routing(
    name: str, hierarchy: Any, X: np.ndarray, clock: Clock, repeats: int
) -> dict[str, Any]:
    """Return the times of one routing beside what it is priced at."""
    base = hierarchy.base_estimator_
    n_visits = float(hierarchy.decision_path(X[:N_TRAIN]).sum(axis=1).mean())
    spread = len(np.unique(hierarchy.transform(X[:N_TRAIN]).argmax(axis=1)))
    record: dict[str, Any] = {
        "name": name,
        "routing": str(hierarchy.routing),
        "clusters_visited": n_visits,
        "clusters_in_use": spread,
        "multiply_add_ratio": hierarchy.cost_report().ratio,
    }
    for case, rows, turns, calls in (
        ("batch", X, repeats, 1),
        ("single", X[:1], 5 * repeats, 20),
    ):
        for method in ("predict", "predict_proba"):
            actions: dict[str, Action] = {
                "base": lambda rows=rows, method=method: getattr(base, method)(rows),
                "hierarchy": lambda rows=rows, method=method: getattr(hierarchy, method)(rows),
            }
            seconds = in_turns(actions, clock, turns, calls)
            record[f"{case}_{method}_seconds"] = seconds
            record[f"{case}_{method}_ratio"] = seconds["hierarchy"] / seconds["base"]
    price = record["multiply_add_ratio"]
    print(
        f"{name:<14} {record['routing']:<5} multiply-adds {price:5.2f}x"
        f"  predict {record['batch_predict_ratio']:5.2f}x"
        f" ({record['batch_predict_ratio'] / price:4.2f} of its price)"
        f"  predict_proba {record['batch_predict_proba_ratio']:5.2f}x"
        f" ({record['batch_predict_proba_ratio'] / price:4.2f})"
        f" | one row: predict {record['single_predict_ratio']:5.2f}x"
        f"  {1e6 * record['single_predict_seconds']['hierarchy']:6.0f} us"
        f" | {spread} clusters in use",
        flush=True,
    )
    return record


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder of downloads, for the pixels of CIFAR-100")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", choices=("networks", "hierarchy"))
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = {n_features: planted(args.rows, n_features) for n_features in (64, 784)}
    rows[3072] = pixels(args.data, args.rows) if args.data else planted(args.rows, 3072)
    result = {}
    if args.only != "hierarchy":
        result["networks"] = measure_networks(rows, CLOCKS[args.clock], args.repeats)
    if args.only != "networks":
        result["hierarchy"] = measure_hierarchies(rows, CLOCKS[args.clock], args.repeats)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
