"""What specialist heads buy a converged network, beside what may buy as much.

    python benchmarks/specialists.py --data DIR --dataset bibtex [--seeds N] [--json FILE]

Data sets: delicious, bibtex, cifar-100, cifar-100-multilabel. Of the training rows a part is held
out: on half of it confusions are measured, on the other half designs are compared. Steps:

- ``--curve``: the base's validation score with half, with all and with twice the epochs, and stop
- choose the design that gains most on validation rows at no more than 1.03 times the expected
  multiply-adds (``--design NAME`` takes one without comparing)
- with every seed, on the test rows: the design beside the controls of ``hierlearn.controls``; the
  cheapest design compared, for the partition matters most where few heads are evaluated; and where
  samples have several labels the rows of the paper's table (6 heads by confusion, 13 by
  co-detection); all on the same base, each with labels permuted
- ``--questions``: the paper's open questions on the same base, too: allocation, attach point,
  maps, rounds, overlap, fine-tuning
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _networks import perceptron, small_cnn
from _sets import Problem, load
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from hierlearn import (
    ConfusionSpectralPartitioner,
    SpecialistHeadAugmenter,
    TorchClassifier,
)
from hierlearn.confusion import multilabel_holdout, seed_estimator, stratified_holdout
from hierlearn.controls import (
    Comparison,
    Measurement,
    compare_once,
    measure,
    permuted_plans,
    regrown,
)
from hierlearn.controls.measuring import resolve_scoring

RESULTS = Path(__file__).parent / "results"
BUDGET = 1.03
HELD_OUT = 0.15
# How many clusters, and how many of them evaluated, the candidates have: few, and about as many as
# linear heads within the budget allow.
CLUSTERS = {
    "bibtex": {13: (1, 4), 20: (3, 6)},
    "delicious": {60: (1, 2), 100: (1, 3)},
    "cifar-100": {10: (2,), 20: (3, 7)},
    "cifar-100-multilabel": {10: (3, 6), 20: (3, 6, 12)},
}
DATASETS = tuple(CLUSTERS)


def base_of(name: str) -> TorchClassifier:
    """Return the flat network of a data set; doubling its epochs changes little (``--curve``)."""
    shared = {"lr": 2e-3, "batch_size": 128}
    if name == "cifar-100":
        return TorchClassifier(
            small_cnn, module_params={"width": 16, "dropout": 0.1}, max_epochs=14, **shared
        )
    params, epochs, decay = {
        "bibtex": ({"dropout": 0.5, "input_dropout": 0.3}, 45, 0.1),
        "delicious": ({"dropout": 0.3}, 45, 0.01),
        "cifar-100-multilabel": ({"width": 256, "dropout": 0.2}, 16, 0.01),
    }[name]
    return TorchClassifier(
        perceptron, module_params=params, max_epochs=epochs, weight_decay=decay, **shared
    )


@dataclass(frozen=True)
class Rows:
    """Training rows, rows to measure confusions on, and rows to choose by."""

    train: tuple[Any, Any]
    evidence: tuple[Any, Any]
    valid: tuple[Any, Any]

    @classmethod
    def of(cls, problem: Problem, seed: int) -> Rows:
        """Hold out a stratified part of the training rows, and halve it."""
        train, rest = _split(problem.y, HELD_OUT, seed)
        first, second = _split(problem.y[rest], 0.5, seed)
        parts = (train, rest[first], rest[second])
        return cls(*((problem.X[rows], problem.y[rows]) for rows in parts))

    @property
    def held_out(self) -> tuple[Any, Any]:
        """All that was held out from training."""
        X, y = zip(self.evidence, self.valid, strict=True)
        return _stacked(X), _stacked(y)


def _split(y: Any, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    split = stratified_holdout if np.ndim(y) == 1 else multilabel_holdout
    return split(y, fraction, random_state=seed)


def _stacked(parts: Any) -> Any:
    return (
        sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)
    )


def spectral(n_clusters: int) -> ConfusionSpectralPartitioner:
    """Return the paper's partitioner."""
    return ConfusionSpectralPartitioner(n_clusters=n_clusters)


def paper_rows(n_labels: int) -> dict[str, dict[str, Any]]:
    """Return the configurations of the paper's table, within the budget."""
    k = max(2, n_labels // 10)
    shared = {"budget": BUDGET, "confusion_k": k}
    return {
        "6 heads, confusions": {"partitioner": spectral(6), "confusion": "top_k", **shared},
        "13 heads, co-detections": {
            "partitioner": spectral(13),
            "confusion": "co_detection",
            **shared,
        },
    }


def candidates(name: str) -> dict[str, dict[str, Any]]:
    """Return the designs that are compared on validation rows.

    Linear heads, and heads with two hidden layers as wide as the budget allows.
    """
    found = {}
    for n_clusters, visits in CLUSTERS[name].items():
        shared = {"partitioner": spectral(n_clusters), "classifier": "keep"}
        for k in visits:
            label = f"{n_clusters} linear heads, {k} evaluated"
            found[label] = {"head_sizes": (), "evaluate": k, **shared}
    found[f"{n_clusters} heads, 2 evaluated"] = {"budget": BUDGET, "evaluate": 2, **shared}
    return found


def augmenter(base: Any, name: str, **params: Any) -> SpecialistHeadAugmenter:
    """Return an augmenter with the settings that all rows share."""
    epochs = {"bibtex": 15, "delicious": 9}.get(name, 6)
    return SpecialistHeadAugmenter(base, head_epochs=epochs, head_lr=4e-3, random_state=0, **params)


def questions(name: str, design: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what the paper leaves open, as changes of one design each."""
    budget = {"head_sizes": None, "budget": BUDGET}
    found: dict[str, dict[str, Any]] = {
        f"allocation by {by}": {**design, **budget, "allocation": by}
        for by in ("equal", "cardinality", "data", "difficulty")
    }
    found["at the input"] = {**design, "attach_at": "input"}
    found["at the last hidden layer"] = {
        **design,
        "attach_at": "hidden" if name == "cifar-100" else "hidden2",
    }
    found["two rounds"] = {**design, "n_rounds": 2}
    found["overlap, gamma 3"] = {**design, "gamma": 3}
    found["classifier re-initialised"] = {**design, "classifier": "reinitialise"}
    found["base without dropout"] = {**design, "base_dropout": False}
    found["all evaluated, in training too"] = {**design, "evaluate": "all"}
    found["large, one evaluated"] = {**design, "head_sizes": (512,), "evaluate": 1}
    found["fine-tuned"] = {**design, "fine_tune": True, "fine_tune_lr": 5e-4}
    if name == "cifar-100":
        found["maps of its own"] = {
            **design,
            "attach_at": "pool1",
            "head_maps": (8,),
            "head_sizes": (),
        }
    return found


def choose(problem: Problem, scoring: Any) -> tuple[str, list[dict]]:
    """Compare the designs on validation rows; return the best within the budget.

    The smaller sets are split twice, for few validation rows say little.
    """
    n_splits = 2 if problem.X.shape[0] < 20_000 else 1
    found = [row for seed in range(n_splits) for row in _on_validation(problem, seed, scoring)]
    records = []
    for label in dict.fromkeys(row["design"] for row in found):
        own = [row for row in found if row["design"] == label]
        gain, ratio = (float(np.mean([row[key] for row in own])) for key in ("gain", "ratio"))
        records.append({"design": label, "gain": gain, "ratio": ratio})
        print(f"  {label:<34} {100 * gain:+6.2f} % at {ratio:.3f}x", flush=True)
    affordable = [row for row in records if row["ratio"] <= BUDGET]
    if not affordable:
        raise SystemExit(f"No design stays within {BUDGET} times the multiply-adds.")
    best = max(affordable, key=lambda row: row["gain"])["design"]
    print(f"chosen on validation rows: {best}\n", flush=True)
    return best, records


def _on_validation(problem: Problem, seed: int, scoring: Any) -> list[dict]:
    rows = Rows.of(problem, seed)
    base = seed_estimator(clone(base_of(problem.name)), seed).fit(*rows.train)
    flat = scoring.scorer(base, *rows.valid)
    print(f"validation, split {seed}: base {100 * flat:.2f}", flush=True)
    records = []
    for label, params in candidates(problem.name).items():
        clf = augmenter(FrozenEstimator(base), problem.name, **params)
        try:
            clf.fit(*rows.train, X_val=rows.evidence[0], y_val=rows.evidence[1])
        except ValueError as error:  # the budget does not pay for it
            print(f"  {label:<34} {error}", flush=True)
            continue
        ratio = clf.cost_report(rows.valid[0]).ratio
        gain = scoring.scorer(clf, *rows.valid) / flat - 1
        records.append({"design": label, "gain": gain, "ratio": ratio})
    return records


def _frugal(name: str, chosen: str, compared: list[dict]) -> dict[str, dict[str, Any]]:
    """Return the cheapest design that was compared, unless it is the chosen one."""
    cheapest = min(compared, key=lambda row: row["ratio"], default={"design": chosen})["design"]
    return {} if cheapest == chosen else {cheapest: candidates(name)[cheapest]}


def curve(problem: Problem, rows: Rows, scoring: Any) -> list[dict]:
    """Return the base's validation score with half, with all and with twice the epochs."""
    records = []
    for factor in (0.5, 1, 2):
        base = seed_estimator(clone(base_of(problem.name)), 0)
        base.set_params(max_epochs=round(factor * base.max_epochs)).fit(*rows.train)
        score = scoring.scorer(base, *rows.valid)
        records.append({"epochs": base.max_epochs, "score": score})
        print(f"{base.max_epochs:>4} epochs: {100 * score:.2f}", flush=True)
    return records


def beside(
    problem: Problem,
    rows: Rows,
    heads: SpecialistHeadAugmenter,
    seed: int,
    variants: dict[str, dict[str, Any]],
    *,
    permuted: bool,
) -> list[Measurement]:
    """Fit other heads on the base of fitted ones, and measure them on the test rows."""
    found = []
    base, (X_val, y_val) = FrozenEstimator(heads.base_estimator_), rows.held_out
    for label, params in variants.items():
        print(f"seed {seed}: {label}", flush=True)
        clf = seed_estimator(augmenter(base, problem.name, **params), seed)
        try:
            clf.fit(*rows.train, X_val=X_val, y_val=y_val)
        except ValueError as error:
            print(f"  left out: {error}", flush=True)
            continue
        found.append(measure(label, clf, seed, np.nan, problem.X_test, problem.y_test))
        if permuted:
            again = regrown(clf, *rows.train, *permuted_plans(clf, seed))
            label = f"{label}, permuted"
            found.append(measure(label, again, seed, np.nan, problem.X_test, problem.y_test))
    return found


def run(
    problem: Problem, seed: int, design: dict[str, Any], frugal: dict[str, Any], ask: bool
) -> list[Measurement]:
    """Measure every row of the table with one seed."""
    rows = Rows.of(problem, seed)
    X_val, y_val = rows.held_out
    heads, found = compare_once(
        augmenter(base_of(problem.name), problem.name, **design),
        *rows.train,
        problem.X_test,
        problem.y_test,
        seed=seed,
        X_val=X_val,
        y_val=y_val,
        progress=lambda line: print(line, flush=True),
    )
    found += beside(problem, rows, heads, seed, frugal, permuted=True)
    if np.ndim(problem.y) == 2:  # the paper's setting
        table = paper_rows(len(problem.class_names))
        found += beside(problem, rows, heads, seed, table, permuted=True)
    if ask:
        asked = questions(problem.name, design)
        found += beside(problem, rows, heads, seed, asked, permuted=False)
    return found


def write(path: Path, record: dict[str, Any]) -> None:
    """Write what was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1), encoding="utf-8")


def permuted_alone(
    problem: Problem, seed: int, design: dict[str, dict[str, Any]]
) -> list[Measurement]:
    """Measure the base, one design on it, and its randomised control."""
    rows = Rows.of(problem, seed)
    base = seed_estimator(clone(base_of(problem.name)), seed).fit(*rows.train)
    start = SpecialistHeadAugmenter(FrozenEstimator(base), n_rounds=0, classifier="keep")
    start.fit(*rows.train)
    found = [measure("base", base, seed, np.nan, problem.X_test, problem.y_test)]
    return found + beside(problem, rows, start, seed, design, permuted=True)


def main() -> None:
    """Parse the command line, choose, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the usual downloads")
    parser.add_argument("--dataset", choices=DATASETS, default="bibtex")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default 5)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--design", help="a candidate by name; by default they are compared")
    parser.add_argument("--questions", action="store_true", help="the paper's open questions, too")
    parser.add_argument(
        "--permuted-alone", action="store_true", help="only the design and its permuted control"
    )
    parser.add_argument("--curve", action="store_true", help="show that the base has converged")
    parser.add_argument("--json", help="where to write the measurements")
    args = parser.parse_args()

    problem = load(args.dataset, args.data)
    scoring = resolve_scoring(None, problem.y)
    kind = "curve" if args.curve else "permuted" if args.permuted_alone else "heads"
    path = Path(args.json or RESULTS / f"specialists-{args.dataset}-{kind}.json")
    record: dict[str, Any] = {"dataset": args.dataset}
    if args.curve:
        record["curve"] = curve(problem, Rows.of(problem, args.first_seed), scoring)
    else:
        chosen, compared = args.design, []
        if chosen is None:
            chosen, compared = choose(problem, scoring)
        design = candidates(args.dataset)[chosen]
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        frugal = _frugal(args.dataset, chosen, compared)
        record |= {"design": chosen, "compared": compared}
        found: list[Measurement] = []
        for seed in seeds:
            if args.permuted_alone:
                found += permuted_alone(problem, seed, {chosen: design})
            else:
                found += run(problem, seed, design, frugal, args.questions)
            result = Comparison(tuple(found), scoring.name)
            write(path, record | {"runs": result.to_records()})  # so far, in case of a long run
        print(f"\n{args.dataset}, {args.seeds} seeds, {chosen}\n\n{result}")
        record["runs"] = result.to_records()
    write(path, record)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
