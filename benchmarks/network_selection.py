"""Does a meta-model choose networks for clusters it has not seen as well as training them all?

    python benchmarks/network_selection.py --dataset glyphs --seeds 3 [--clusters 30] [--json FILE]
    python benchmarks/network_selection.py --data DIR --dataset cifar-100 --seeds 3

The classes are grouped by the confusions of the flat network [200, 150]. For every cluster every
candidate is trained on a part of the training rows and scored on the rest (what "exhaustive" goes
by), and trained on all of them and scored on the cluster's test rows (what counts). Clusters are
then dealt into folds of like sizes: the meta-models learn from one fold in ten, from one in four
(``explore=0.25``) or from three in four, and choose for the rest. Accuracy is that within the
cluster, averaged over test rows; cost is multiply-adds of training, backward passes left out, for
the clusters that the meta-model has not seen, and for all, those included that it learnt from.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _sets import Problem, load
from sklearn.base import clone

from hierlearn import ConfusionSpectralPartitioner, confusion_from_scores, held_out_scores
from hierlearn._validation import draw_seeds, safe_indexing
from hierlearn.hierarchy import ClusterTask, SelectionTable, cluster_statistics
from hierlearn.hierarchy.candidates import name_candidates
from hierlearn.hierarchy.competition import Rules, compare_all, train_one
from hierlearn.hierarchy.halving import halve
from hierlearn.hierarchy.meta_model import META_MODELS, fit_meta_model

RESULTS = Path(__file__).parent / "results"
SIZES = ((), (25, 10), (50,), (100,), (200,), (400,), (100, 50), (200, 150))
DESIGNS = ((10, 1), (4, 1), (4, 3))  # folds in all, and those that a meta-model learns from
EPOCHS = {"glyphs": 25, "digits": 40, "cifar-100": 8}


@dataclass
class Found:
    """What was measured of one seed's clusters: arrays of shape (n_clusters, n_candidates)."""

    table: SelectionTable
    test: np.ndarray  # accuracy within the cluster, trained on all rows
    n_test: np.ndarray  # (n_clusters,)
    compare_cost: np.ndarray
    final_cost: np.ndarray
    halved: np.ndarray  # (n_clusters,) candidate that halving keeps
    halving_cost: np.ndarray  # (n_clusters,) without the final training


def cluster_tasks(problem: Problem, seed: int, n_clusters: int) -> tuple[list[ClusterTask], list]:
    """Group the classes; return a task for each cluster and its test rows."""
    y, y_test = np.asarray(problem.y), np.asarray(problem.y_test)
    flat = clone(problem.network).set_params(random_state=seed)
    held_out = held_out_scores(flat, problem.X, y, random_state=seed)
    confusion = confusion_from_scores(held_out.scores, held_out.y, method="soft")
    spectral = ConfusionSpectralPartitioner(n_clusters=n_clusters, random_state=seed)
    partition = spectral.fit(confusion, classes=held_out.classes).partition_
    counts = np.array([(y == label).sum() for label in partition.classes])
    tasks, tests = [], []
    for cluster, task_seed in enumerate(draw_seeds(seed, partition.n_clusters).tolist()):
        codes = partition.members(cluster)
        if len(codes) < 2:
            continue
        rows, test_rows = (
            np.flatnonzero(np.isin(labels, partition.classes[codes])) for labels in (y, y_test)
        )
        statistics = cluster_statistics(confusion, codes, counts)
        part = safe_indexing(problem.X, rows)
        tasks.append(ClusterTask(y[rows], None, task_seed, statistics, partial(give, part)))
        tests.append((safe_indexing(problem.X_test, test_rows), y_test[test_rows]))
    return tasks, tests


def give(X: Any, source: Any) -> Any:
    """Return the rows, which every candidate reads as they are."""
    return X


def measure(tasks: list[ClusterTask], tests: list, rules: Rules) -> Found:
    """Train every candidate for every cluster, in each of the ways."""
    names = [name for name, _ in rules.candidates]
    shape = len(tasks), len(names)
    test, compare_cost, final_cost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    halved, halving_cost = np.zeros(len(tasks), dtype=int), np.zeros(len(tasks))
    table = SelectionTable(tuple(names))
    for row, (task, (X, y)) in enumerate(zip(tasks, tests, strict=True)):
        compared = compare_all(task, rules)
        table = table.with_selection(task.statistics, compared)
        compare_cost[row] = [run.training_multiply_adds for run in compared.trained]
        for index in range(len(names)):
            final = train_one(task, rules, index)
            final_cost[row, index] = final.trained[0].training_multiply_adds
            test[row, index] = np.mean(final.estimator.predict(X) == y)
        raced = halve(task, rules)
        halved[row] = raced.index
        halving_cost[row] = sum(run.training_multiply_adds for run in raced.trained)
    n_test = np.array([len(y) for _, y in tests])
    return Found(table, test, n_test, compare_cost, final_cost, halved, halving_cost)


def fold_of_clusters(found: Found, n_folds: int) -> np.ndarray:
    """Deal the clusters into folds of like sizes."""
    sizes = [row.statistics["n_samples"] for row in found.table.rows]
    folds = np.empty(len(sizes), dtype=int)
    folds[np.argsort(sizes, kind="stable")] = np.arange(len(sizes)) % n_folds
    return folds


def evaluate(found: Found, candidates: list, seed: int) -> list[dict[str, Any]]:
    """Return accuracy and cost of every way to choose, the learnt ones on clusters not seen.

    Each fold is held back equally often, so that what is pooled over folds weighs all clusters
    alike, as the ways that learn nothing do.
    """
    scores = scores_of(found)
    best, everything = scores.argmax(axis=1), np.arange(len(scores))
    parts: dict[str, list[dict[str, float]]] = {}

    def exhaustive_cost(rows: np.ndarray) -> float:
        return float(found.compare_cost[rows].sum() + found.final_cost[rows, best[rows]].sum())

    def note(way: str, rows: np.ndarray, picks: np.ndarray, spent: float, learnt: Any = None):
        """Note picks for some clusters, and what was spent beyond their final training."""
        cost = found.final_cost[rows, picks].sum() + spent
        explored = np.nan if learnt is None else exhaustive_cost(learnt)
        parts.setdefault(way, []).append(
            {
                "correct": float((found.test[rows, picks] * found.n_test[rows]).sum()),
                "rows": float(found.n_test[rows].sum()),
                "cost": float(cost),
                "exhaustive_cost": exhaustive_cost(rows),
                "total_cost": float(cost + explored),
                "total_exhaustive_cost": exhaustive_cost(everything),
            }
        )

    for n_folds, n_learnt in DESIGNS:
        folds = fold_of_clusters(found, n_folds)
        for first in range(n_folds):
            is_learnt = np.isin(folds, (first + np.arange(n_learnt)) % n_folds)
            learnt, unseen = np.flatnonzero(is_learnt), np.flatnonzero(~is_learnt)
            if not len(learnt) or not len(unseen):  # fewer clusters than folds
                continue
            rows = tuple(found.table.rows[row] for row in learnt)
            known = SelectionTable(found.table.candidates, rows)
            for kind in META_MODELS:
                model = fit_meta_model(known, candidates, kind=kind)
                picks = [model.choose(found.table.rows[row].statistics) for row in unseen]
                way = f"meta, {kind}, {n_learnt / n_folds:.0%}"
                note(way, unseen, np.array(picks), 0, learnt)
            average = np.full(len(unseen), scores[learnt].mean(axis=0).argmax())
            note(f"best on average, {n_learnt / n_folds:.0%}", unseen, average, 0, learnt)
    note("exhaustive", everything, best, found.compare_cost.sum())
    note("halving", everything, found.halved, found.halving_cost.sum())
    note("best by test rows", everything, found.test.argmax(axis=1), np.nan)
    for index, name in enumerate(found.table.candidates):
        note(f"always {name}", everything, np.full(len(best), index), 0)
    return [summary(way, notes, seed) for way, notes in parts.items()]


def summary(way: str, notes: list[dict[str, float]], seed: int) -> dict[str, Any]:
    """Pool the folds."""
    total = {key: sum(note[key] for note in notes) for key in notes[0]}
    return {
        "way": way,
        "seed": seed,
        "accuracy": total["correct"] / total["rows"],
        "cost_ratio": total["cost"] / total["exhaustive_cost"],
        "total_cost_ratio": total["total_cost"] / total["total_exhaustive_cost"],
    }


def scores_of(found: Found) -> np.ndarray:
    """Return held-out scores, shape (n_clusters, n_candidates)."""
    names = found.table.candidates
    return np.array([[row.scores[name] for name in names] for row in found.table.rows])


def print_table(records: list[dict[str, Any]]) -> None:
    """Print the mean over seeds, beside exhaustive search."""
    ways = list(dict.fromkeys(record["way"] for record in records))
    by_way = {way: [r for r in records if r["way"] == way] for way in ways}
    reference = np.array([r["accuracy"] for r in by_way["exhaustive"]])
    alone = [way for way in ways if way.startswith("always ")]
    guess = [np.mean([by_way[way][i]["accuracy"] for way in alone]) for i in range(len(reference))]
    print(
        f"{'':<26} {'accuracy %':>10} {'against exhaustive':>22} {'cost':>6} {'with explored':>14}"
    )
    for way, found in by_way.items():
        accuracy = np.array([r["accuracy"] for r in found])
        gap = 100 * (accuracy - reference)
        cost, total = (np.mean([r[k] for r in found]) for k in ("cost_ratio", "total_cost_ratio"))
        each = " ".join(f"{value:+.2f}" for value in gap)
        print(
            f"{way:<26} {100 * accuracy.mean():>10.2f} {gap.mean():>+7.2f} ({each}) {cost:>6.3f} "
            f"{total:>10.3f}"
        )
    print(f"{'at random':<26} {100 * np.mean(guess):>10.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of downloads; not needed for glyphs and digits")
    parser.add_argument("--dataset", default="glyphs", choices=sorted(EPOCHS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clusters", type=int, default=30)
    parser.add_argument("--json", help="where to write the measurements")
    args = parser.parse_args()
    problem = load(args.dataset, args.data)
    network = clone(problem.network).set_params(max_epochs=EPOCHS[args.dataset])
    named = [clone(network).set_params(hidden_layer_sizes=sizes) for sizes in SIZES]
    candidates = name_candidates(named)
    # What is kept is trained by `train_one`, for each candidate.
    rules = Rules(candidates, None, validation_fraction=0.2, cost_weight=0.0, refit=False)
    records, tables = [], []
    for seed in range(args.seeds):
        tasks, tests = cluster_tasks(problem, seed, args.clusters)
        sizes = sorted(len(np.unique(task.y)) for task in tasks)
        print(
            f"seed {seed}: {len(tasks)} clusters of {sizes[0]} to {sizes[-1]} classes", flush=True
        )
        found = measure(tasks, tests, rules)
        tables.append(found)
        records += evaluate(found, candidates, seed)
        print_table(records)
    path = Path(args.json or RESULTS / f"network_selection-{args.dataset}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    clusters = [
        {"seed": seed, "n_test": int(n), "test": dict(zip(found.table.candidates, t, strict=True))}
        | {"held_out": dict(row.scores), "statistics": dict(row.statistics)}
        for seed, found in enumerate(tables)
        for row, n, t in zip(found.table.rows, found.n_test, found.test.tolist(), strict=True)
    ]
    content = {"dataset": args.dataset, "runs": records, "clusters": clusters}
    path.write_text(json.dumps(content, indent=1).replace("NaN", "null"), encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
