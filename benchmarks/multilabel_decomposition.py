"""What does a tree of labels gain over a flat network, and what does it cost?

    python benchmarks/multilabel_decomposition.py --dataset delicious|bibtex --data DIR [--seeds 5]
        [--tree-hidden WIDTH] [--visits K] [--plt PYTHON] [--json FILE]

Binary relevance (a logistic regression a label), a flat network with a sigmoid a label, and
MultiLabelDecompositionClassifier: all clusters asked ("tree, soft"), the K most probable ones
("tree, top"), and the same with labels permuted across clusters of the same sizes. With --plt also
napkinXC's probabilistic label tree, run by a Python that has napkinxc, in its own environment.

Learning rates of both networks, and how much negatives count in the tree, are those with the best
mean mAP@50 on fifths of the training rows, --tuning-seeds of them, with seeds that are not
measured. Then everything is trained on all training rows, with each seed, in a process of its own,
and scored on the test rows of the official split. Times are processor seconds; memory is what a
process grew by while it fitted and predicted. Differences are paired by seed, intervals are
Student's. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import pickle
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from hierlearn import LabelPartition, MultiLabelDecompositionClassifier, TorchMLPClassifier
from hierlearn.confusion import multilabel_holdout
from hierlearn.cost import estimator_cost
from hierlearn.datasets import load_bibtex, load_delicious
from hierlearn.metrics import average_precision_at_k, precision_at_k

LOADERS = {"bibtex": load_bibtex, "delicious": load_delicious}
TUNING_SEED = 1000
K = 50
COLUMNS = ("map50", "p1", "p3", "p5", "fit", "predict", "multiply_adds", "parameters", "memory")

PLT = """
import pickle, re, sys, tempfile, time
from napkinxc.models import PLT
def peak():  # of this program; getrusage's is also of the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
data = pickle.load(open(sys.argv[1], "rb"))
before = peak()
with tempfile.TemporaryDirectory() as folder:
    clf = PLT(folder, seed=data["seed"], threads=1)
    start = time.process_time()
    clf.fit(data["X"], data["labels"])
    fitted = time.process_time()
    clf.load()
    found = clf.predict_proba(data["X_test"], top_k=50)
    done = time.process_time()
grown = peak() - before
with open(sys.argv[2], "wb") as file:
    pickle.dump((found, fitted - start, done - fitted, grown), file)
"""


def ranked(truth: Any, scores: np.ndarray) -> dict[str, float]:
    """Return mAP@50 and the precisions."""
    found = {"map50": float(average_precision_at_k(truth, scores, K))}
    return {**found, **{f"p{k}": float(precision_at_k(truth, scores, k)) for k in (1, 3, 5)}}


def apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run something in a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=lambda: theirs.send(work(*arguments)))
    process.start()
    found = ours.recv()
    process.join()
    return found


def peak() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def figures(clf: Any, data: dict[str, Any], fit: float, before: float) -> dict[str, float]:
    """Score one fitted classifier."""
    start = time.process_time()
    scores = clf.predict_proba(data["X_test"])
    predict, grown, cost = time.process_time() - start, peak() - before, price(clf)
    return {
        **ranked(data["Y_test"], scores),
        "fit": fit,
        "predict": predict,
        "multiply_adds": cost.multiply_adds,
        "parameters": cost.parameters,
        "memory": grown,
    }


def price(clf: Any) -> Any:
    """Price a classifier; binary relevance is the sum of its parts."""
    if not isinstance(clf, OneVsRestClassifier):
        return estimator_cost(clf)
    costs = [estimator_cost(each) for each in clf.estimators_]
    return sum(costs[1:], start=costs[0])


def fitted_figures(
    clf: Any, data: dict[str, Any], visits: int | None = None
) -> tuple[dict[str, dict[str, float]], Any]:
    """Fit and score a classifier; a tree also with few clusters visited. Return the partition."""
    before, start = peak(), time.process_time()
    clf = clone(clf).fit(data["X"], data["Y"])
    fit = time.process_time() - start
    found = {"": figures(clf, data, fit, before)}
    if visits is not None:
        found["top"] = figures(clf.rerouted(visits), data, fit, before)
    return found, getattr(clf, "partition_", None)


def plt_figures(data: dict[str, Any], seed: int, python: str) -> dict[str, float]:
    """Fit and score napkinXC's tree by another Python."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "data.pkl"), Path(folder, "found.pkl")
        Y = sparse.csr_array(data["Y"])
        labels = [Y.indices[a:b].tolist() for a, b in zip(Y.indptr[:-1], Y.indptr[1:], strict=True)]
        matrices = {key: sparse.csr_matrix(data[key]) for key in ("X", "X_test")}
        given.write_bytes(pickle.dumps({**matrices, "labels": labels, "seed": seed}))
        subprocess.run(
            [python, "-c", PLT, str(given), str(found)], check=True, stdout=subprocess.DEVNULL
        )
        best, fit, predict, memory = pickle.loads(found.read_bytes())
    scores = np.zeros(data["Y_test"].shape)
    for row, pairs in enumerate(best):
        for label, probability in pairs:
            scores[row, label] = probability
    unknown = {"multiply_adds": float("nan"), "parameters": float("nan")}
    measured = {"fit": fit, "predict": predict, "memory": memory}
    return {**ranked(data["Y_test"], scores), **measured, **unknown}


def load(args: Any) -> dict[str, Any]:
    """Return the rows of the official split; both sets hold zeros and ones."""
    bunch = LOADERS[args.dataset](args.data)
    as_rows = {"X": bunch.data_train, "X_test": bunch.data_test}
    rows = {key: sparse.csr_array(X, dtype=np.float32) for key, X in as_rows.items()}
    # scikit-learn numbers the labels of an indicator in its own type: bytes end at 255.
    truths = {"Y": bunch.target_train, "Y_test": bunch.target_test}
    return {**rows, **{key: sparse.csr_array(Y, dtype=np.int64) for key, Y in truths.items()}}


def networks(args: Any, seed: int) -> dict[str, Any]:
    """Return both networks before they are tuned."""
    common = {"dropout": args.dropout, "max_epochs": args.epochs, "batch_size": args.batch_size}
    common["random_state"] = seed
    tree = {"n_clusters": args.clusters, "cluster_weight": args.cluster_weight}
    width = args.tree_hidden or args.hidden
    return {
        "flat": TorchMLPClassifier((args.hidden,), **common),
        "tree": MultiLabelDecompositionClassifier((width,), **tree, **common),
    }


def tune(args: Any, data: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the settings of the highest mean mAP on held-out rows."""
    best = {}
    for name in networks(args, TUNING_SEED):
        grid = [{"lr": lr} for lr in args.rates]
        if name == "tree":
            grid = [{**each, "negatives": value} for each in grid for value in args.negatives]
        found = []
        for settings in grid:
            seeds = range(TUNING_SEED, TUNING_SEED + args.tuning_seeds)
            maps = np.mean([held_out_maps(args, data, name, settings, seed) for seed in seeds], 0)
            found.append(maps[-1])
            print(f"  {name:<5} {settings} " + ", ".join(f"{m:.4f}" for m in maps), flush=True)
        best[name] = grid[int(np.argmax(found))]
    return best


def held_out_maps(
    args: Any, data: dict[str, Any], name: str, settings: dict[str, float], seed: int
) -> list[float]:
    """Return the mAP on a fifth of the training rows; of a tree, asked whole and in part."""
    train, test = multilabel_holdout(data["Y"], 0.2, random_state=seed)
    clf = networks(args, seed)[name].set_params(**settings)
    clf.fit(data["X"][train], data["Y"][train])
    asked = [clf] if name == "flat" else [clf, clf.rerouted(args.visits)]
    scores = [each.predict_proba(data["X"][test]) for each in asked]
    return [float(average_precision_at_k(data["Y"][test], each, K)) for each in scores]


def permuted(partition: LabelPartition, seed: int) -> LabelPartition:
    """Return clusters of the same sizes with other labels in them."""
    labels = np.random.RandomState(seed).permutation(partition.labels)
    return LabelPartition(partition.classes, labels)


def measure(args: Any) -> dict[str, Any]:
    """Tune, then fit everything with every seed."""
    data = load(args)
    print(f"{args.dataset}: mAP@{K} on held-out rows (the tree soft, and top)", flush=True)
    settings = tune(args, data)
    runs: list[dict[str, Any]] = []
    relevance = None
    if not args.no_relevance:
        one = OneVsRestClassifier(LogisticRegression(solver="liblinear"))
        relevance = apart(fitted_figures, one, data)[0][""]
        print(f"  binary relevance mAP {relevance['map50']:.4f}", flush=True)
    for seed in range(args.seeds):
        models = networks(args, seed)
        flat, tree = (models[name].set_params(**settings[name]) for name in ("flat", "tree"))
        run: dict[str, Any] = {"seed": seed}
        if relevance is not None:
            run["binary relevance"] = relevance
        run["flat"] = apart(fitted_figures, flat, data)[0][""]
        if args.tree_hidden:
            wide = clone(flat).set_params(hidden_layer_sizes=(args.tree_hidden,))
            run["flat, as wide"] = apart(fitted_figures, wide, data)[0][""]
        found, partition = apart(fitted_figures, tree, data, args.visits)
        run["tree, soft"], run["tree, top"] = found[""], found["top"]
        tree.set_params(partitioner=permuted(partition, seed))
        found, _ = apart(fitted_figures, tree, data, args.visits)
        run["permuted, soft"], run["permuted, top"] = found[""], found["top"]
        if args.plt:
            run["napkinXC PLT"] = plt_figures(data, seed, args.plt)
        runs.append(run)
        maps = {name: round(each["map50"], 4) for name, each in run.items() if name != "seed"}
        print(f"  seed {seed} {maps}", flush=True)
    return {"dataset": args.dataset, "settings": settings, "runs": runs}


def report(found: dict[str, Any]) -> dict[str, Any]:
    """Print and return means, and differences to the flat network."""
    runs = found["runs"]
    names = [name for name in runs[0] if name != "seed"]
    table = {
        name: {key: float(np.mean([run[name][key] for run in runs])) for key in COLUMNS}
        for name in names
    }
    print(f"\n{found['dataset']}, {len(runs)} seeds, {found['settings']}")
    print(f"{'':<18}" + "".join(f"{column:>14}" for column in COLUMNS))
    for name, row in table.items():
        shown = [f"{100 * row[c]:.2f}" for c in COLUMNS[:4]] + [
            f"{row[c]:.2f}" for c in COLUMNS[4:6]
        ]
        shown += [f"{row[c]:,.0f}" for c in COLUMNS[6:]]
        print(f"{name:<18}" + "".join(f"{value:>14}" for value in shown))
    differences: dict[str, Any] = {}
    pairs = [(name, "flat") for name in names if name != "flat"]
    pairs += [("tree, top", name) for name in ("permuted, top", "napkinXC PLT") if name in names]
    for one, other in pairs:
        for key in ("map50", "p1"):
            mean, low, high = paired(runs, one, other, key)
            differences[f"{one} - {other} {key}"] = [mean, low, high]
            print(f"{one} - {other}, {key}: {mean:+.2f} [{low:+.2f}, {high:+.2f}] points")
    return {"means": table, "differences": differences}


def paired(runs: list[dict[str, Any]], one: str, other: str, key: str) -> tuple[float, ...]:
    """Return the mean difference in points, and Student's 95 % interval."""
    values = np.array([100 * (run[one][key] - run[other][key]) for run in runs])
    if len(values) < 2:
        return float(values.mean()), float("nan"), float("nan")
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def main() -> None:
    """Parse arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", choices=sorted(LOADERS), required=True)
    parser.add_argument("--data", required=True, help="folder of downloads")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--tree-hidden", type=int, help="width of the tree's hidden layer")
    parser.add_argument("--clusters", type=int, help="clusters; else the default")
    parser.add_argument("--visits", type=int, default=8, help="clusters visited by 'tree, top'")
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-3, 1e-2])
    parser.add_argument("--negatives", type=float, nargs="+", default=[0.0, 0.3])
    parser.add_argument("--tuning-seeds", type=int, default=1, help="held-out parts to tune by")
    parser.add_argument("--cluster-weight", type=float, default=0.2)
    parser.add_argument("--no-relevance", action="store_true", help="leave binary relevance out")
    parser.add_argument("--plt", metavar="PYTHON", help="a Python that has napkinxc")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(args)
    found["summary"] = report(found)
    found["arguments"] = {**vars(args), "json": None}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
