"""The main job on real data: learn a hierarchy from confusions, beside the flat network.

    python benchmarks/demo.py [--data DIR] [--out DIR]

Digits and rendered characters need no download; with ``--data DIR`` CIFAR-100 and CLINC150 join in
where DIR holds them. For every set: one table, the clusters by class name, and two pictures.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from _sets import Problem, load

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition
from hierlearn.controls import Comparison, compare_once
from hierlearn.display import ClassDendrogramDisplay, ConfusionOrderDisplay

START = time.perf_counter()


def say(line: str) -> None:
    """Print a line of progress with the seconds since the start."""
    print(f"  [{time.perf_counter() - START:5.0f} s] {line}", flush=True)


def clusters_as_text(partition: LabelPartition, names: list[str], width: int = 96) -> str:
    """Return a line a cluster: its classes by name, cut where they would not fit."""
    lines = []
    for cluster in range(partition.n_clusters):
        members = [names[code] for code in partition.members(cluster)]
        line = "  ".join(members)
        if len(line) > width:
            shown = line[:width].rsplit("  ", 1)[0]
            line = f"{shown}  ... ({len(members)} in all)"
        lines.append(f"  {cluster:>3}: {line}")
    return "\n".join(lines)


def draw(
    hierarchy: HierarchicalDecompositionClassifier, names: list[str], stem: Path
) -> list[Path]:
    """Write the dendrogram and the reordered confusion; return their paths."""
    displays = {"dendrogram": ClassDendrogramDisplay, "confusion": ConfusionOrderDisplay}
    paths = []
    for kind, display in displays.items():
        path = stem.with_name(f"{stem.name}-{kind}.png")
        drawn = display.from_estimator(hierarchy, class_names=names)
        drawn.figure_.savefig(path, dpi=130, bbox_inches="tight")
        paths.append(path)
    return paths


def run(problem: Problem, out: Path, seed: int) -> None:
    """Fit, compare, print and draw one data set."""
    n_classes = len(problem.class_names)
    print(
        f"\n== {problem.name}: {n_classes} classes, {problem.X.shape[0]} training and "
        f"{problem.X_test.shape[0]} test samples ==",
        flush=True,
    )
    hierarchy, measurements = compare_once(
        HierarchicalDecompositionClassifier(problem.classifier),
        problem.X,
        problem.y,
        problem.X_test,
        problem.y_test,
        seed=seed,
        progress=say,
    )
    print(f"\n{Comparison(tuple(measurements))}\n")
    weight = hierarchy.mixing_
    print(f"mixing='auto' gave the flat network a weight of {weight:.1f}. Clusters:")
    print(clusters_as_text(hierarchy.partition_, problem.class_names))
    for path in draw(hierarchy, problem.class_names, out / problem.name):
        print(f"wrote {path}")


def main() -> None:
    """Run the sets that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with CIFAR-100 and CLINC150, as downloaded")
    parser.add_argument("--out", default="out", help="folder for the pictures (default: out)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    names = ["digits", "glyphs", *(["cifar-100", "clinc150"] if args.data else [])]
    for name in names:
        try:
            problem = load(name, args.data)
        except FileNotFoundError as error:
            print(f"\n== {name}: left out. {error}", flush=True)
            continue
        run(problem, out, args.seed)
    print(f"\ndone in {time.perf_counter() - START:.0f} s")


if __name__ == "__main__":
    main()
