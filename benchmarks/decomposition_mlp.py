"""The MLP experiments of the hierarchical decomposition paper (its Tables 3, 5 and 7), and ours.

    python benchmarks/decomposition_mlp.py --data DIR --dataset cifar-100 --seeds 3

One table: the single network [200, 150]; the paper's hierarchy, whose hierarchy classifier and
class assignment networks are [25, 10], without overlap and with gamma 3, 5 and 8; then hierlearn's
defaults beside their controls. HC is the share of samples whose cluster is named right, FC
(accuracy) the share whose class is; differences are paired by seed, with Student's 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from _sets import NAMES, Problem, load
from sklearn.base import clone

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    confusion_from_scores,
    held_out_scores,
)
from hierlearn.controls import Comparison, Measurement, compare, measure
from hierlearn.partition import extend_by_confusion, permute_classes

GAMMAS = (None, 3, 5, 8)
SMALL = (25, 10)


def paper_variants(problem: Problem, seed: int, max_cluster_size: int) -> list[Measurement]:
    """Fit the paper's hierarchies: everything from scratch, hard routing, no mixing."""
    flat = clone(problem.network).set_params(random_state=seed)
    held_out = held_out_scores(flat, problem.X, problem.y, random_state=seed)
    confusion = confusion_from_scores(held_out.scores, held_out.y, method="hard")
    linkage = ConfusionLinkagePartitioner(max_cluster_size=max_cluster_size)
    primary = linkage.fit(confusion, classes=held_out.classes).partition_
    fitted = clone(flat).fit(problem.X, problem.y)
    small = clone(problem.network).set_params(hidden_layer_sizes=SMALL)
    partitions = {
        f"paper, gamma {gamma or 'none'}": extend_by_confusion(primary, confusion, gamma=gamma)
        for gamma in GAMMAS
    }
    partitions["paper, gamma none, permuted"] = permute_classes(primary, random_state=seed)
    found = []
    for variant, partition in partitions.items():
        print(f"seed {seed}: {variant} ({partition})", flush=True)
        hierarchy = HierarchicalDecompositionClassifier(
            fitted,
            partition,
            hierarchy_estimator=small,
            fine_estimator=small,
            routing="hard",
            mixing=0.0,
            cv="prefit",  # the partition is given and nothing is mixed: nothing is held out again
            random_state=seed,
        )
        start = time.perf_counter()
        hierarchy.fit(problem.X, problem.y)
        seconds = time.perf_counter() - start
        found.append(measure(variant, hierarchy, seed, seconds, problem.X_test, problem.y_test))
    return found


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds the usual downloads of the data sets")
    parser.add_argument("--dataset", choices=NAMES, default="digits")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--max-cluster-size", type=int, help="theta of Algorithm 1")
    parser.add_argument("--json", help="where to write the measurements")
    parser.add_argument("--skip-paper", action="store_true", help="hierlearn's defaults only")
    args = parser.parse_args()

    problem = load(args.dataset, args.data)
    n_classes = len(np.unique(problem.y))
    theta = args.max_cluster_size or max(2, round(0.8 * np.sqrt(n_classes)))
    seeds = list(range(args.seeds))
    ours = our_variants(problem, seeds)
    paper = []
    if not args.skip_paper:
        paper = [m for seed in seeds for m in paper_variants(problem, seed, theta)]
    result = Comparison((*ours.measurements, *paper))

    shape = f"{problem.X.shape[0]} + {problem.X_test.shape[0]} samples, {n_classes} classes"
    print(f"\n{args.dataset}: {shape}, {args.seeds} seeds\n\n{result}\n")
    for control in ("flat, trained as long", "flat, as expensive", "hierarchy, permuted"):
        if control in result.variants:
            mean, low, high = (100 * v for v in result.difference("hierarchy", control))
            print(f"hierarchy - {control}: {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]")
    worst = 100 * (result.values("hierarchy") - result.values("flat")).min()
    print(f"hierarchy - flat, worst seed: {worst:+.2f} points")
    path = Path(args.json or f"decomposition_mlp-{args.dataset}.json")
    path.write_text(json.dumps({"dataset": args.dataset, "runs": result.to_records()}, indent=1))
    print(f"measurements written to {path}")


if __name__ == "__main__":
    main()
