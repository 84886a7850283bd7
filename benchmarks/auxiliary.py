"""Do auxiliary heads help a deep plain CNN, and do they do better with coarser labels?

    python benchmarks/auxiliary.py --data DIR [--rows 6000] [--epochs 12] [--seeds 3]
                                   [--batch-norm] [--weight 0.3] [--side 16] [--json FILE]

CIFAR-100, by default at half its width and height, which a CPU can afford; a chain of nine
convolutions without skip connections, heads a third and two thirds of the way up, each on the mean
of every map:

- the network alone; trained for one epoch more, which is more than the heads' steps cost; and
  trained twice as long, for learnt clusters need a network to be learnt from;
- heads that learn the fine labels;
- heads that learn 20 clusters of the labels that the network alone confuses, on training images
  that none of these networks learns from; 20 clusters of the same sizes with the labels permuted;
  and the 20 groups that come with the data.

Accuracy on the 10,000 test images, differences paired by seed. Times are processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hierlearn import (
    ConfusionSpectralPartitioner,
    LabelPartition,
    TorchCNNClassifier,
    confusion_from_scores,
    datasets,
)
from hierlearn.controls import Comparison, Measurement, measure
from hierlearn.networks import AuxiliaryHeads

NETWORK = (
    *("conv 3x3|32 stride 2", "conv 3x3|32", "conv 3x3|32"),
    *("conv 3x3|64 stride 2", "conv 3x3|64", "conv 3x3|64"),
    *("conv 3x3|96", "conv 3x3|96", "conv 3x3|96", "pool 8"),
)
HEADS_AT = ("conv3", "conv6")
N_CLUSTERS = 20
# Rows for the confusions, as a share of those trained on.
HELD_OUT = 0.5
ALONE = "network alone"


def network(args: argparse.Namespace, seed: int, **params: Any) -> TorchCNNClassifier:
    """Return the network, with the training that all variants share."""
    settings = {
        "batch_norm": args.batch_norm,
        "augment": ("flip",),
        "batch_size": 128,
        "max_epochs": args.epochs,
        "lr": 2e-3,
        "mixed_precision": "always",
        "random_state": seed,
        **params,
    }
    return TorchCNNClassifier(NETWORK, **settings)


def learnt_clusters(fitted: Any, X: Any, y: Any, seed: int) -> LabelPartition:
    """Return clusters of the classes that a network confuses on rows it has not seen."""
    confusion = confusion_from_scores(fitted.predict_proba(X), y, method="soft")
    partitioner = ConfusionSpectralPartitioner(n_clusters=N_CLUSTERS, random_state=seed)
    return partitioner.fit(confusion, classes=fitted.classes_).partition_


def permuted(partition: LabelPartition, seed: int) -> LabelPartition:
    """Return clusters of the same sizes, the labels shuffled."""
    labels = np.random.RandomState(seed).permutation(partition.labels)
    return LabelPartition(partition.classes, labels)


def groups(bunch: Any) -> LabelPartition:
    """Return the data's own groups."""
    classes = np.array(sorted(bunch.groups))
    names, labels = np.unique([bunch.groups[label] for label in classes], return_inverse=True)
    return LabelPartition(classes, labels, names=names.tolist())


def variants(
    args: argparse.Namespace, seed: int, own: LabelPartition, held_out: tuple[Any, Any]
) -> Iterator[Any]:
    """Yield the variants, unfitted; the first is sent back fitted."""
    fitted = yield ALONE, network(args, seed)
    clusters = learnt_clusters(fitted, *held_out, seed)
    targets = {
        "heads, fine labels": "classes",
        "heads, learnt clusters": clusters,
        "heads, learnt clusters, permuted": permuted(clusters, seed),
        "heads, the data's groups": own,
    }
    for name, target in targets.items():
        heads = AuxiliaryHeads(HEADS_AT, target=target, weight=args.weight)
        yield name, network(args, seed, auxiliary=heads)
    yield "network alone, one epoch more", network(args, seed, max_epochs=args.epochs + 1)
    yield "network alone, twice as long", network(args, seed, max_epochs=2 * args.epochs)


def images(flat: Any, side: int) -> np.ndarray:
    """Return rows of pixels as images of this side, means of blocks of pixels."""
    block = 32 // side
    blocks = flat.reshape(len(flat), 3, side, block, side, block)
    return blocks.mean(axis=(3, 5), dtype=np.float32)


def run_seed(args: argparse.Namespace, seed: int, bunch: Any) -> list[Measurement]:
    """Fit and measure every variant on the rows of one seed."""
    X = images(bunch.data_train, args.side)
    n_held_out = int(HELD_OUT * args.rows)
    rows = np.random.RandomState(seed).permutation(len(X))[: args.rows + n_held_out]
    seen, unseen = np.split(rows, [args.rows])
    y = bunch.target_train
    X_test = images(bunch.data_test, args.side)
    found: list[Measurement] = []
    plan = variants(args, seed, groups(bunch), (X[unseen], y[unseen]))
    step = next(plan)
    while True:
        name, estimator = step
        start = time.process_time()
        estimator.fit(X[seen], y[seen])
        seconds = time.process_time() - start
        found.append(measure(name, estimator, seed, seconds, X_test, bunch.target_test))
        losses = {
            k: round(float(v), 3) for k, v in estimator.history_[-1].items() if k.endswith("loss")
        }
        print(
            f"seed {seed}  {name:<34} {found[-1].score:7.2%}  {seconds:6.1f} s  {losses}",
            flush=True,
        )
        try:
            step = plan.send(estimator)
        except StopIteration:
            return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", required=True, help="folder of downloads")
    parser.add_argument("--rows", type=int, default=6000, help="training images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--side", type=int, choices=(8, 16, 32), default=16, help="of the images")
    parser.add_argument("--weight", type=float, default=0.3, help="of the heads' losses")
    parser.add_argument("--batch-norm", action="store_true", help="normalise after convolutions")
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bunch = datasets.load_cifar100(args.data)
    found: list[Measurement] = []
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        found += run_seed(args, seed, bunch)
        if args.json:
            settings = {k: v for k, v in vars(args).items() if k not in ("json", "data")}
            record = {"settings": settings, "runs": Comparison(tuple(found)).to_records()}
            args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    result = Comparison(tuple(found))
    print(f"\n{args.rows} training images, {args.epochs} epochs, {args.seeds} seeds\n")
    print(result.table())
    for name in result.variants:
        if name.startswith("heads, ") and name != "heads, fine labels":
            mean, low, high = (100 * v for v in result.difference(name, "heads, fine labels"))
            print(f"{name} - fine labels: {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]")


if __name__ == "__main__":
    main()
