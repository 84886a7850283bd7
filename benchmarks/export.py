"""How much time does hard routing save in ONNX, and how close are its probabilities to ours?

    python benchmarks/export.py [--data DIR] [--rows 10000] [--clusters 20] [--json FILE]

A network, its hierarchy under several routings and its specialist heads are written with
``to_onnx`` and run in onnxruntime, on one thread. What is compared takes turns and times are
medians: of batches of 1,000 rows, and of single rows. ``predict_proba`` of the estimator stands
beside them. With --data, the folder of downloads, rows are images of CIFAR-100 (a convolutional
base, 100 classes); without, they are planted (a perceptron). Differences are of all probabilities
of all rows, none of them trained on. Networks are trained shortly: time does not depend on weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from hierlearn import (
    HierarchicalDecompositionClassifier,
    SpecialistHeadAugmenter,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.datasets import load_cifar100, make_class_hierarchy
from hierlearn.partition import resolve_partitioner

BATCH = 1000
LAYERS = ("conv 5x5|32 stride 2 pad 2", "pool 2", "conv 3x3|64 pad 1", "pool 2", "fc 256")
ROUTINGS = ("soft", 3, "hard")


def images(data: str, n_train: int, n_rows: int) -> tuple[Any, ...]:
    """Return training images of CIFAR-100 and their classes, test images, and an unfitted base."""
    bunch = load_cifar100(data)
    rows = np.random.default_rng(0).permutation(len(bunch.data_train))[:n_train]
    X, y = bunch.data_train.reshape(-1, 3, 32, 32)[rows], bunch.target_train[rows]
    base = TorchCNNClassifier(
        LAYERS, input_shape=(3, 32, 32), max_epochs=2, lr=0.003, random_state=0, device="cpu"
    )
    return X, y, bunch.data_test.reshape(-1, 3, 32, 32)[:n_rows], base


def planted(n_train: int, n_rows: int) -> tuple[Any, ...]:
    """Return the same of classes planted in a tree."""
    bunch = make_class_hierarchy(100, 2 * (n_train + n_rows), n_features=256)
    base = TorchMLPClassifier((512, 256), max_epochs=2, lr=0.003, random_state=0, device="cpu")
    X, y = bunch.data_train[:n_train], bunch.target_train[:n_train]
    return X, y, bunch.data_test[:n_rows], base


def session(path: Path) -> Any:
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def in_turns(actions: dict[str, Callable[[], Any]], repeats: int, calls: int) -> dict[str, float]:
    """Return the median processor seconds of a call of each; the first round warms up."""
    rounds = []
    for _ in range(repeats + 1):
        seconds = []
        for action in actions.values():
            start = time.process_time()
            for _ in range(calls):
                action()
            seconds.append((time.process_time() - start) / calls)
        rounds.append(seconds)
    return dict(zip(actions, np.median(rounds[1:], axis=0).tolist(), strict=True))


def fitted(X: Any, y: Any, base: Any, n_clusters: int) -> dict[str, Any]:
    """Return the estimators to be exported by name."""
    partitioner = resolve_partitioner("spectral").set_params(n_clusters=n_clusters)
    hierarchy = HierarchicalDecompositionClassifier(
        base, partitioner, branch_epochs=1, branch_views=1, mixing=0, random_state=0
    ).fit(X, y)
    # A second one whose branches have most of the layers of their own.
    apart = HierarchicalDecompositionClassifier(
        hierarchy.base_estimator_,
        hierarchy.partition_,
        fine_estimator=type(base)(**{**base.get_params(), "max_epochs": 1}),
        hierarchy_estimator=None,
        mixing=0,
        cv="prefit",
        random_state=0,
    ).fit(X, y)
    heads = SpecialistHeadAugmenter(
        hierarchy.base_estimator_,
        hierarchy.partition_,
        head_sizes=(64,),
        classifier="keep",
        cv="prefit",
        head_epochs=1,
        random_state=0,
    ).fit(X, y)
    found = {"flat": hierarchy.base_estimator_}
    found |= {f"branches, {routing}": hierarchy.rerouted(routing) for routing in ROUTINGS}
    found |= {f"whole networks, {routing}": apart.rerouted(routing) for routing in ROUTINGS}
    return found | {"heads, all": heads, "heads, 1": heads.rerouted(1)}


def measure(estimators: dict[str, Any], rows: Any, folder: Path, repeats: int) -> list[dict]:
    """Return a record for every estimator."""
    asked, sessions, records = rows.astype(np.float32), {}, []
    for number, (name, estimator) in enumerate(estimators.items()):
        path = folder / f"{number}.onnx"
        start = time.perf_counter()
        estimator.to_onnx(path)
        seconds = time.perf_counter() - start
        sessions[name] = session(path)
        parts = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]
        got = np.concatenate([sessions[name].run(None, {"rows": part})[0] for part in parts])
        expected = estimator.predict_proba(asked)
        difference = np.abs(got - expected).max(axis=1)
        records.append(
            {
                "name": name,
                "n_rows": len(asked),
                "largest_difference": float(difference.max()),
                "rows_beyond_1e-5": int((difference > 1e-5).sum()),
                "same_class": float((got.argmax(1) == expected.argmax(1)).mean()),
                "megabytes": path.stat().st_size / 1e6,
                "export_seconds": seconds,
            }
        )
    for case, part, turns, calls in (("batch", BATCH, repeats, 1), ("single", 1, repeats, 50)):
        given = np.ascontiguousarray(asked[:part])
        onnx = {name: partial(one.run, None, {"rows": given}) for name, one in sessions.items()}
        ours = {name: partial(clf.predict_proba, given) for name, clf in estimators.items()}
        for kind, actions in (("onnx", onnx), ("predict_proba", ours)):
            times = in_turns(actions, turns, calls)
            for record in records:
                record[f"{case}_{kind}_seconds"] = times[record["name"]]
    return records


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder of downloads, for the images of CIFAR-100")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--train", type=int, default=5_000)
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    source = images(args.data, args.train, args.rows) if args.data else None
    X, y, rows, base = source or planted(args.train, args.rows)
    with tempfile.TemporaryDirectory() as folder:
        records = measure(fitted(X, y, base, args.clusters), rows, Path(folder), args.repeats)
    print(f"{'':<22}{'largest':>10}{'> 1e-5':>8}{'MB':>7}", end="")
    print(f"{'1,000 rows':>13}{'ours':>10}{'one row':>12}{'ours':>11}")
    for one in records:
        print(
            f"{one['name']:<22}{one['largest_difference']:>10.1e}{one['rows_beyond_1e-5']:>8}"
            f"{one['megabytes']:>7.2f}{1e3 * one['batch_onnx_seconds']:>10.1f} ms"
            f"{1e3 * one['batch_predict_proba_seconds']:>7.1f} ms"
            f"{1e6 * one['single_onnx_seconds']:>9.0f} us"
            f"{1e6 * one['single_predict_proba_seconds']:>8.0f} us"
        )
    if args.json:
        args.json.write_text(json.dumps(records, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
