"""Do label embeddings learn sooner and rank better than a sigmoid for each label?

    python benchmarks/label_embedding.py --dataset delicious|bibtex --data DIR [--seeds 5]
        [--json FILE]

Two networks with the same hidden layers, batches and optimiser (AdamW at a constant learning rate,
or as --schedule says): one with sigmoid cross-entropy, one with label embeddings under the cosine
proximity loss. Labels of the second are ranked by cosine, as in the paper, and by Platt scaling of
the cosines for each label, fitted after every epoch on 500 rows taken from its training rows.

The learning rate of each network is the one of --rates with the best mAP@50 on held-out rows at any
epoch, with a seed that is not measured. Then both are trained with each seed; mAP@50 on
held-out rows is printed against epochs, the epochs to the sigmoid network's best, and the figures
on the test rows at the epoch that was best on held-out rows. Differences are paired by seed,
intervals are Student's. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import MaxAbsScaler
from skorch.callbacks import Callback

from hierlearn import LabelEmbeddingClassifier, TorchMLPClassifier
from hierlearn.confusion import multilabel_holdout
from hierlearn.controls import Comparison, Measurement
from hierlearn.datasets import load_bibtex, load_delicious
from hierlearn.embedding import fit_label_logits
from hierlearn.metrics import average_precision_at_k, precision_at_k
from hierlearn.networks.cosine_proximity import CosineScores

LOADERS = {"bibtex": load_bibtex, "delicious": load_delicious}
NETWORKS = ("sigmoid", "embedding")
RANKINGS = ("sigmoid", "cosine", "platt")
N_CALIBRATION = 500
SHOWN = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
TUNING_SEED = 1000
K = 50


class Curve(Callback):
    """Score held-out and test rows after every epoch."""

    def __init__(self, clf: Any, data: dict[str, Any], tests: bool) -> None:
        self.clf = clf
        self.data = data
        self.parts = ("held_out", "test") if tests else ("held_out",)
        self.records: list[dict[str, Any]] = []
        self.seconds = 0.0

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._started = time.process_time()

    @torch.inference_mode()
    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Stop the clock and score."""
        self.seconds += time.process_time() - self._started
        network = net.module_.eval()
        embeds = isinstance(self.clf, LabelEmbeddingClassifier)
        if embeds:
            layer = CosineScores(self.clf.embeddings_, self.clf._seen).float()
            network = torch.nn.Sequential(network, layer)
            rows, truth = self.data["calibration"]
            scale, offset = fit_label_logits(network(rows).numpy(), truth)
        record: dict[str, Any] = {"seconds": self.seconds}
        for part in self.parts:
            rows, truth = self.data[part]
            scores = network(rows).numpy()
            if not embeds:
                record[f"sigmoid_{part}"] = figures(truth, scores)
                continue
            record[f"cosine_{part}"] = figures(truth, scores)
            record[f"platt_{part}"] = figures(truth, scores * scale + offset)
        self.records.append(record)


def figures(truth: Any, scores: np.ndarray) -> dict[str, float]:
    """Return mAP@50 and P@1."""
    mean = average_precision_at_k(truth, scores, K)
    return {"map": float(mean), "p1": float(precision_at_k(truth, scores, 1))}


def curve(
    kind: str, lr: float, data: dict[str, Any], seed: int, args: Any, tests: bool = False
) -> list[dict[str, Any]]:
    """Train one network; return a record an epoch."""
    common = {
        "hidden_layer_sizes": tuple(args.hidden),
        "dropout": args.dropout,
        "max_epochs": args.epochs,
        "lr": lr,
        "lr_schedule": args.schedule,
        "batch_size": args.batch_size,
        "random_state": seed,
    }
    if kind == "sigmoid":
        clf = TorchMLPClassifier(**common)
    else:
        own = {"n_components": args.components, "variant": args.variant, "calibration": None}
        clf = LabelEmbeddingClassifier(**common, **own)
    watched = Curve(clf, data, tests)
    clf.set_params(callbacks=[watched]).fit(*data[kind])
    return watched.records


def values(records: list[dict[str, Any]], ranking: str, part: str = "held_out") -> np.ndarray:
    """Return mAP at every epoch."""
    return np.array([record[f"{ranking}_{part}"]["map"] for record in records])


def network_of(ranking: str) -> str:
    """Return which network has this ranking."""
    return "sigmoid" if ranking == "sigmoid" else "embedding"


def tune(kind: str, data: Any, args: Any) -> float:
    """Return the learning rate of the highest mAP on held-out rows, of any ranking and epoch."""
    found = {}
    for lr in args.rates:
        records = curve(kind, lr, data, TUNING_SEED, args)
        rankings = [ranking for ranking in RANKINGS if network_of(ranking) == kind]
        best = {ranking: values(records, ranking) for ranking in rankings}
        found[lr] = max(curve.max() for curve in best.values())
        text = ", ".join(f"{r} {v.max():.4f} at epoch {v.argmax() + 1}" for r, v in best.items())
        print(f"  {kind:<10} lr {lr:<7g} {text}", flush=True)
    return max(found, key=lambda lr: found[lr])


def load(args: Any, seed: int) -> dict[str, Any]:
    """Return what each network is trained on, and what is scored."""
    bunch = LOADERS[args.dataset](args.data)
    X, Y = MaxAbsScaler().fit_transform(bunch.data_train).tocsr(), bunch.target_train
    train, held_out = multilabel_holdout(Y, 0.2, random_state=seed)
    fraction = N_CALIBRATION / len(train)
    part, calibration = (train[r] for r in multilabel_holdout(Y[train], fraction, seed))
    scored = {
        "calibration": (X[calibration], Y[calibration]),
        "held_out": (X[held_out], Y[held_out]),
        "test": (bunch.data_test, bunch.target_test),
    }
    dense = {
        name: (torch.as_tensor(rows.toarray(), dtype=torch.float32), truth)
        for name, (rows, truth) in scored.items()
    }
    return {"sigmoid": (X[train], Y[train]), "embedding": (X[part], Y[part]), **dense}


def measure(args: Any) -> dict[str, Any]:
    """Tune, train with every seed, and return everything that was measured."""
    print(f"{args.dataset}: learning rates, mAP@{K} on held-out rows", flush=True)
    data = load(args, TUNING_SEED)
    rates = {kind: tune(kind, data, args) for kind in NETWORKS}
    runs = []
    for seed in range(args.seeds):
        data = load(args, seed)
        records = {
            kind: curve(kind, rates[kind], data, seed, args, tests=True) for kind in NETWORKS
        }
        runs.append({"seed": seed, **records})
        print(f"  seed {seed} measured", flush=True)
    return {"dataset": args.dataset, "rates": rates, "runs": runs}


def report(found: dict[str, Any]) -> dict[str, Any]:
    """Print and return the summary."""
    runs = found["runs"]
    curves = {
        ranking: np.mean([values(run[network_of(ranking)], ranking) for run in runs], axis=0)
        for ranking in RANKINGS
    }
    print(f"\nmAP@{K} on held-out rows, mean of {len(runs)} seeds, rates {found['rates']}")
    print(f"{'epoch':>6}" + "".join(f"{ranking:>10}" for ranking in RANKINGS))
    for epoch in (e for e in SHOWN if e <= len(curves["sigmoid"])):
        row = "".join(f"{curves[ranking][epoch - 1]:>10.4f}" for ranking in RANKINGS)
        print(f"{epoch:>6}{row}")
    summary: dict[str, Any] = {}
    for target in RANKINGS:
        summary[f"epochs to best of {target}"] = rows = [_epochs(run, target) for run in runs]
        print(f"\nepochs to the best of {target} on held-out rows")
        for row in rows:
            print("  " + ", ".join(f"{name} {value}" for name, value in row.items()))
    for figure, part in (("map", "held_out"), ("map", "test"), ("p1", "test")):
        comparison = _comparison(runs, figure, part)
        for ranking in RANKINGS[1:]:
            gain = [100 * value for value in comparison.relative(ranking, "sigmoid")]
            means = [float(comparison.values(name).mean()) for name in ("sigmoid", ranking)]
            summary[f"{figure} {part} {ranking}"] = {"means": means, "relative_percent": gain}
            print(
                f"{figure:<4}{part:<9} sigmoid {means[0]:.4f}  {ranking:<7}{means[1]:.4f}"
                f"  relative {gain[0]:+.2f} % [{gain[1]:+.2f}, {gain[2]:+.2f}]"
            )
    seconds = {
        kind: float(np.mean([run[kind][-1]["seconds"] / len(run[kind]) for run in runs]))
        for kind in NETWORKS
    }
    print("processor seconds an epoch: " + ", ".join(f"{k} {s:.2f}" for k, s in seconds.items()))
    return {**summary, "seconds_an_epoch": seconds}


def _epochs(run: dict[str, Any], target: str) -> dict[str, Any]:
    """Return the first epoch, from 1, at which each ranking is as good as one's best."""
    level = values(run[network_of(target)], target).max()
    found: dict[str, Any] = {"seed": run["seed"]}
    for ranking in RANKINGS:
        reached = np.flatnonzero(values(run[network_of(ranking)], ranking) >= level)
        found[ranking] = int(reached[0]) + 1 if reached.size else "never"
    return found


def _comparison(runs: list[dict[str, Any]], figure: str, part: str) -> Comparison:
    """Return a figure of every run, at the epoch that was best on held-out rows."""
    nothing = dict.fromkeys(
        ("cluster_accuracy", "multiply_adds", "parameters", "fit_seconds", "predict_seconds"),
        float("nan"),
    )
    found = []
    for run in runs:
        for ranking in RANKINGS:
            records = run[network_of(ranking)]
            best = records[int(values(records, ranking).argmax())]
            score = best[f"{ranking}_{part}"][figure]
            found.append(Measurement(ranking, run["seed"], score, **nothing))
    return Comparison(tuple(found), scoring=figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--dataset", choices=sorted(LOADERS), required=True)
    parser.add_argument("--data", required=True, help="folder of downloads")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--hidden", type=int, nargs="+", default=[256])
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3, 1e-2])
    parser.add_argument("--components", type=int, default=300)
    parser.add_argument("--variant", default="npmi")
    parser.add_argument("--schedule", default="constant")
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
