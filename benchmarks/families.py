"""How long families of networks take, trained in one pass and in turn, beside a flat network.

    python benchmarks/families.py [--only grid|hierarchy] [--data DIR] [--repeats 3] [--json FILE]

The grid: that many networks of two hidden layers on rows of their own, of random numbers: only
time is measured. Both ways are timed in turn in one process and medians are taken; of many
networks a few are trained in turn, and their time is multiplied. Times are those of the
processor (``--clock wall`` for the clock on the wall), which other programs disturb less; set
OMP_NUM_THREADS=1.

The hierarchy: CIFAR-100 pixels (those of --data, or as many random ones), flat network and
hierarchy around it with all that it trains, in one run.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from hierlearn import HierarchicalDecompositionClassifier, OnTrunk, TorchMLPClassifier
from hierlearn.networks.stacked import fit_stacked

COUNTS = (8, 44, 104, 300)
SIZES = ((25, 10), (100, 50), (256, 128))
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


def family(n_members: int, args: argparse.Namespace) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return rows and labels of every network, of unequal numbers."""
    random = np.random.RandomState(0)
    found = []
    for number in range(n_members):
        n_classes = 4 + number % 3
        X = random.standard_normal((args.rows // 5 * n_classes, args.features)).astype(np.float32)
        found.append((X, np.arange(len(X)) % n_classes))
    return found


def measure(n_members: int, sizes: tuple[int, ...], args: argparse.Namespace) -> dict[str, Any]:
    """Return the record of one cell of the grid."""
    clock = CLOCKS[args.clock]
    datasets = family(n_members, args)
    template = TorchMLPClassifier(sizes, max_epochs=args.epochs, device=args.device)
    sample = range(0, n_members, max(1, n_members // args.sample))
    in_turn, stacked = [], []
    for _ in range(args.repeats):
        start = clock()
        for number in sample:
            clone(template).set_params(random_state=number).fit(*datasets[number])
        in_turn.append((clock() - start) / len(sample) * n_members)
        members = [clone(template).set_params(random_state=n) for n in range(n_members)]
        start = clock()
        fit_stacked(members, datasets)
        stacked.append(clock() - start)
    loop, one_pass = float(np.median(in_turn)), float(np.median(stacked))
    record = {"members": n_members, "sizes": list(sizes), "loop_s": loop, "one_pass_s": one_pass}
    return {**record, "ratio": loop / one_pass}


def grid(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure all cells and print a line each."""
    warm = family(2, args)
    fit_stacked([TorchMLPClassifier((8,), max_epochs=1, device=args.device) for _ in warm], warm)
    TorchMLPClassifier((8,), max_epochs=1, device=args.device).fit(*warm[0])
    print(f"{'networks':>9}{'hidden layers':>16}{'loop s':>9}{'one pass s':>12}{'ratio':>8}")
    records = []
    for sizes in SIZES:
        for n_members in args.counts:
            row = measure(n_members, sizes, args)
            records.append(row)
            print(
                f"{n_members:>9}{sizes!s:>16}{row['loop_s']:>9.2f}{row['one_pass_s']:>12.2f}"
                f"{row['ratio']:>7.2f}x",
                flush=True,
            )
    return records


def pixels(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Return CIFAR-100's training pixels from 0 to 1, or random ones, and their labels."""
    if args.data is None:
        random = np.random.RandomState(0)
        X = random.standard_normal((args.subset, 3072)).astype(np.float32)
        return X, np.arange(args.subset) % 100
    from hierlearn.datasets import load_cifar100

    found = load_cifar100(args.data)
    kept = np.random.RandomState(0).permutation(len(found.target_train))[: args.subset]
    return found.data_train[kept], found.target_train[kept]


def hierarchy(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the flat fit and hierarchies around it."""
    clock = CLOCKS[args.clock]
    X, y = pixels(args)
    flat = TorchMLPClassifier(args.flat, max_epochs=args.flat_epochs, random_state=0)
    small = OnTrunk(TorchMLPClassifier((25, 10), max_epochs=args.flat_epochs))
    fits: dict[str, Any] = {"flat": flat}
    for name, fine in (("branches", None), ("[25, 10] on the trunk", small)):
        for mixing, refit in product((0.0, "auto"), (True, False)):
            fits[f"{name}, mixing={mixing}, refit={refit}"] = HierarchicalDecompositionClassifier(
                flat, fine_estimator=fine, mixing=mixing, refit=refit, random_state=0
            )
    records = []
    for name, estimator in fits.items():
        start = clock()
        clone(estimator).fit(X, y)
        seconds = clock() - start
        ratio = seconds / (records[0]["seconds"] if records else seconds)
        records.append({"fit": name, "rows": len(y), "seconds": seconds, "ratio": ratio})
        print(f"{name:<40}{seconds:>9.1f} s{ratio:>7.2f}x", flush=True)
    return records


def draw(grid: list[dict[str, Any]], path: Path) -> None:
    """Draw the ratios over the number of networks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(6, 4), layout="constrained")
    for sizes in SIZES:
        rows = [row for row in grid if row["sizes"] == list(sizes)]
        label = f"[{', '.join(map(str, sizes))}]"
        axis.semilogx([r["members"] for r in rows], [r["ratio"] for r in rows], "-o", label=label)
    axis.axhline(1, color="grey", linestyle="--")
    axis.set(xlabel="networks", ylabel="time in turn over time in one pass", ylim=(0, None))
    axis.legend(title="hidden layers")
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("grid", "hierarchy"), help="half of the measurements")
    parser.add_argument("--data", help="folder of data sets, for CIFAR-100; none is random pixels")
    parser.add_argument("--subset", type=int, default=50_000, help="rows of CIFAR-100")
    parser.add_argument("--flat", type=int, nargs="+", default=[512, 256], help="flat network")
    parser.add_argument("--flat-epochs", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS), help="networks")
    parser.add_argument("--rows", type=int, default=250, help="rows of a network of 5 classes")
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--sample", type=int, default=8, help="networks trained in turn")
    parser.add_argument("--repeats", type=int, default=3, help="runs; the median counts")
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="cpu")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", help="file to write the records to")
    parser.add_argument("--figure", type=Path, help="picture to draw of the grid")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {"settings": {name: str(value) for name, value in vars(args).items()}}
    if args.only != "hierarchy":
        found["grid"] = grid(args)
        if args.figure:
            draw(found["grid"], args.figure)
    if args.only != "grid":
        found["hierarchy"] = hierarchy(args)
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
