"""What survives of a hierarchy in one flat network that is distilled from it?

    python benchmarks/distillation.py --dataset cifar-100 --data DIR [--rows 20000] [--seeds 3]
                                      [--temperature 2] [--alpha 0.9] [--json FILE]
    python benchmarks/distillation.py --dataset glyphs [--classes 100]

The teacher is a HierarchicalDecompositionClassifier over the flat network that suits the data. Two
students learn from it: one like its base, and one with a quarter of the hidden units. Beside each
stands the same network without a teacher, from the same initial weights: trained for as many
epochs, and for as many more as all the training of the teacher was worth. For that many epochs the
students are trained, too.

Accuracy on test rows; differences are paired by seed.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from _sets import NAMES, Problem, load
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from hierlearn import DistilledClassifier, HierarchicalDecompositionClassifier
from hierlearn.controls import (
    Comparison,
    DistillationReport,
    Measurement,
    distillation_report,
    equal_epochs,
    measure,
)


def students(problem: Problem) -> dict[str, Any]:
    """Return the unfitted students by name."""
    sizes = tuple(size // 4 for size in problem.network.hidden_layer_sizes)
    small = clone(problem.network).set_params(hidden_layer_sizes=sizes)
    return {"same network": problem.network, "quarter of the units": small}


def run_seed(
    args: argparse.Namespace, seed: int, problem: Problem
) -> tuple[list[Measurement], dict[str, DistillationReport]]:
    """Fit and measure everything with one seed."""
    data = problem.X, problem.y, problem.X_test, problem.y_test
    start = time.perf_counter()
    teacher = HierarchicalDecompositionClassifier(problem.network, random_state=seed)
    teacher.fit(problem.X, problem.y)
    seconds = time.perf_counter() - start
    found = [measure("hierarchy, the teacher", teacher, seed, seconds, *data[2:])]
    reports = {}
    for name, student in students(problem).items():
        settings = {"temperature": args.temperature, "alpha": args.alpha, "random_state": seed}
        clf = DistilledClassifier(FrozenEstimator(teacher), student, **settings)
        start = time.perf_counter()
        clf.fit(problem.X, problem.y)
        seconds = time.perf_counter() - start
        report = reports[name] = distillation_report(clf, *data)
        found.append(measure(f"{name}, distilled", clf, seed, seconds, *data[2:]))
        found.append(replace(report.alone, variant=f"{name}, alone", seed=seed))
        longer = equal_epochs(teacher) + student.max_epochs
        network = clone(clf.student_).set_params(max_epochs=longer)
        taught = clone(clf).set_params(student=network)
        for kind, estimator in (("alone", network), ("distilled", taught)):
            start = time.perf_counter()
            estimator.fit(problem.X, problem.y)
            seconds = time.perf_counter() - start
            variant = f"{name}, {kind}, as long as both"
            found.append(measure(variant, estimator, seed, seconds, *data[2:]))
        print(f"\nseed {seed}, {name} ({longer} epochs are as long as both)\n{report}", flush=True)
    return found, reports


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", choices=NAMES, default="cifar-100")
    parser.add_argument("--classes", type=int, default=100, help="of the glyphs")
    parser.add_argument("--data", help="folder of downloads, for all but digits and glyphs")
    parser.add_argument("--rows", type=int, default=20_000, help="training rows, at most")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=2.0)
    parser.add_argument("--alpha", type=float, default=0.9)
    parser.add_argument("--json", type=Path, help="file to write the measurements to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    problem = load(args.dataset, args.data, n_glyphs=args.classes)
    problem = replace(problem, X=problem.X[: args.rows], y=problem.y[: args.rows])
    found: list[Measurement] = []
    agreements: dict[str, list[tuple[float, float]]] = {}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        measured, reports = run_seed(args, seed, problem)
        found += measured
        for name, report in reports.items():
            both = (report.agreement, report.agreement_alone)
            agreements.setdefault(name, []).append(both)
        if args.json:
            settings = {k: v for k, v in vars(args).items() if k not in ("json", "data")}
            record = {
                "settings": settings,
                "runs": Comparison(tuple(found)).to_records(),
                "agreement": agreements,
            }
            args.json.write_text(json.dumps(record, indent=1), encoding="utf-8")
    result = Comparison(tuple(found))
    print(f"\n{args.dataset}: {problem.X.shape[0]} training rows, {args.seeds} seeds\n")
    print(result.table())
    for name, shares in agreements.items():
        with_, without = (100 * sum(column) / len(column) for column in zip(*shares, strict=True))
        print(f"\n{name}: as the teacher {with_:.1f} % of rows, {without:.1f} % alone")
        student, alone = f"{name}, distilled", f"{name}, alone"
        long = ", as long as both"
        for one, other in (
            (student, alone),
            (student, alone + long),
            (student + long, alone + long),
        ):
            mean, low, high = (100 * value for value in result.difference(one, other))
            print(f"  {one} - {other}: {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]")


if __name__ == "__main__":
    main()
