"""The MLP experiments of the hierarchical decomposition paper (its Tables 3, 5 and 7), and ours.

    python benchmarks/decomposition_mlp.py --data DIR --dataset cifar-100 --seeds 3

One table: the single network [200, 150]; the paper's hierarchy, whose hierarchy classifier and
class assignment networks are [25, 10], without overlap and with gamma 3, 5 and 8; and hierlearn's
defaults beside their controls. HC is the share of samples whose cluster is named right, FC
(accuracy) the share whose class is; differences are paired by seed, with Student's 95 % interval.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _sets import NAMES, Problem, load
from sklearn.base import clone

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    confusion_from_scores,
    held_out_scores,
)
from hierlearn.controls import Comparison, Measurement, compare, measure
from hierlearn.partition import extend_by_confusion, permute_classes

GAMMAS = (None, 3, 5, 8)
SMALL = (25, 10)
RESULTS = Path(__file__).parent / "results"


def paper_variants(problem: Problem, seed: int, max_cluster_size: int) -> list[Measurement]:
    """Fit the paper's hierarchies: everything from scratch, hard routing, no mixing."""
    flat = clone(problem.network).set_params(random_state=seed)
    held_out = held_out_scores(flat, problem.X, problem.y, random_state=seed)
    confusion = confusion_from_scores(held_out.scores, held_out.y, method="hard")
    linkage = ConfusionLinkagePartitioner(max_cluster_size=max_cluster_size)
    primary = linkage.fit(confusion, classes=held_out.classes).partition_
    found = [fit_and_measure("flat", flat, problem, seed)]
    # As small as they are, these networks are hurt by dropout.
    small = clone(problem.network).set_params(hidden_layer_sizes=SMALL, dropout=0.0)
    hierarchy = HierarchicalDecompositionClassifier(
        flat,
        hierarchy_estimator=small,
        fine_estimator=small,
        routing="hard",
        mixing=0.0,
        cv="prefit",  # the partition is given and nothing is mixed: nothing is held out again
        random_state=seed,
    )

    def run(variant: str, partition: LabelPartition, gate: Any = small) -> Measurement:
        print(f"seed {seed}: {variant} ({partition})", flush=True)
        estimator = copy.copy(hierarchy).set_params(partitioner=partition, hierarchy_estimator=gate)
        return fit_and_measure(variant, estimator, problem, seed)

    extended: list[tuple[LabelPartition, Measurement]] = []
    for gamma in GAMMAS:
        partition, variant = extend_by_confusion(primary, confusion, gamma=gamma), f"gamma {gamma}"
        same = [m for known, m in extended if known == partition]  # same clusters, same model
        measured = replace(same[0], variant=variant) if same else run(variant, partition)
        extended.append((partition, measured))
    found += [measured for _, measured in extended]
    found.append(run("gamma None, permuted", permute_classes(primary, random_state=seed)))
    return [*found, run("gamma None, gate: flat's sums", primary, gate=None)]


def fit_and_measure(variant: str, estimator: Any, problem: Problem, seed: int) -> Measurement:
    """Fit one classifier and measure it on the test set."""
    start = time.perf_counter()
    estimator.fit(problem.X, problem.y)
    seconds = time.perf_counter() - start
    return measure(variant, estimator, seed, seconds, problem.X_test, problem.y_test)


def our_variants(problem: Problem, seeds: list[int]) -> Comparison:
    """Fit hierlearn's defaults, and what they must beat."""
    return compare(
        HierarchicalDecompositionClassifier(problem.classifier),
        problem.X,
        problem.y,
        problem.X_test,
        problem.y_test,
        seeds=seeds,
        progress=lambda line: print(line, flush=True),
    )


def longer_flat(problem: Problem, seed: int, epochs: int) -> Measurement:
    """Fit the flat network for a number of epochs."""
    flat = clone(problem.network).set_params(random_state=seed, max_epochs=epochs)
    print(f"seed {seed}: flat, {epochs} epochs", flush=True)
    return fit_and_measure(f"flat, {epochs} epochs", flat, problem, seed)


def verdict(result: Comparison) -> str:
    """Return the paired differences that the claims rest on."""
    lines = []
    for control in result.variants:
        if control.startswith(("flat", "gate")) or control == "hierarchy, permuted":
            mean, low, high = (100 * v for v in result.difference("hierarchy", control))
            lines.append(
                f"hierarchy - {control}: {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]"
            )
    worst = 100 * (result.values("hierarchy") - result.values("flat")).min()
    seconds = [np.median(result.values(v, "fit_seconds")) for v in ("hierarchy", "flat")]
    lines.append(f"hierarchy - flat, worst seed: {worst:+.2f} points")
    lines.append(f"hierarchy / flat, fit seconds: {seconds[0] / seconds[1]:.2f}")
    return "\n".join(lines)


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the usual downloads of the data sets")
    parser.add_argument("--dataset", choices=NAMES, default="digits")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--only", choices=("paper", "defaults"), help="one half of the table")
    parser.add_argument("--flat-epochs", type=int, help="one more control: flat, so many epochs")
    parser.add_argument("--max-cluster-size", type=int, help="theta of Algorithm 1")
    parser.add_argument("--json", help="where to write the measurements")
    args = parser.parse_args()

    problem = load(args.dataset, args.data)
    n_classes = len(np.unique(problem.y))
    theta = args.max_cluster_size or max(2, round(0.8 * np.sqrt(n_classes)))
    seeds = list(range(args.seeds))
    found: list[Measurement] = []
    if args.only != "paper":
        found += our_variants(problem, seeds).measurements
        if args.flat_epochs:
            found += [longer_flat(problem, seed, args.flat_epochs) for seed in seeds]
    if args.only != "defaults":
        paper = [m for seed in seeds for m in paper_variants(problem, seed, theta)]
        known = {m.variant for m in found}
        found += [m for m in paper if m.variant not in known]
    result = Comparison(tuple(found))

    shape = f"{problem.X.shape[0]} + {problem.X_test.shape[0]} samples, {n_classes} classes"
    print(f"\n{args.dataset}: {shape}, {args.seeds} seeds\n\n{result}\n")
    if args.only != "paper":
        print(verdict(result))
    path = Path(args.json or RESULTS / f"decomposition_mlp-{args.dataset}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"dataset": args.dataset, "runs": result.to_records()}, indent=1))
    print(f"measurements written to {path}")


if __name__ == "__main__":
    main()
