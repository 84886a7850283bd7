"""The CNN experiments of the hierarchical decomposition paper (its Tables 8, 9, 10, 13), and ours.

    python benchmarks/decomposition_cnn.py --data DIR --dataset cifar-100 --seeds 3

One table, paired by seed, test rows: flat CNN_1 beside it trained as long and made as expensive;
the paper's hierarchy (CNN_2 names the cluster, CNN_3 the class) and its adaptive selection among
CNN_2 to CNN_5, on the learnt partition and on CIFAR's own 20 groups; the joint model; HD-CNN; and
branches that share CNN_1's lower layers: slim ones and copies of its upper layers, beside the same
sizes permuted, the 20 groups, and one branch of the same cost for all classes.

``--parts`` runs some of it, ``--subset`` and ``--epochs`` make it small enough for a CPU.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from hierlearn import (
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    NetworkSelector,
    OnTrunk,
    TorchCNNClassifier,
    TorchMLPClassifier,
    datasets,
)
from hierlearn.controls import (
    Comparison,
    GateAlone,
    Measurement,
    measure,
    permuted,
    trained_as_long,
)
from hierlearn.controls.training import as_expensive

RESULTS = Path(__file__).parent / "results"
PARTS = ("gated", "shared", "copied", "paper", "adaptive", "taxonomy", "joint", "hd-cnn")
# The paper's linkage gives 30 clusters of CIFAR-100's classes.
PAPER_CLUSTERS = 30
TRUNK = "pool2"


class Remembered(TorchCNNClassifier):
    """A network that is trained once for all hierarchies that stand on it."""

    _known: dict[str, dict[str, Any]] = {}

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Remembered:
        """Train, unless the same was trained on the same rows before."""
        key = joblib.hash((self.get_params(), X, y, sample_weight))
        if key not in self._known:
            self._known[key] = dict(vars(super().fit(X, y, sample_weight)))
        self.__dict__.update(self._known[key])
        return self


def network(name: str, args: argparse.Namespace) -> TorchCNNClassifier:
    """Return one of the paper's networks, with the training that suits a CPU's patience."""
    return TorchCNNClassifier(name, **training(args))


def training(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that all convolutional networks share."""
    return {
        "augment": ("flip",),
        "max_epochs": args.epochs,
        "lr": 2e-3,
        "batch_size": 128,
        "mixed_precision": "always",
    }


def slim(args: argparse.Namespace, *widths: int, names: str = "clusters") -> OnTrunk:
    """Return a branch of fully connected layers on the shared maps; without widths it is linear."""
    perceptron = TorchMLPClassifier(
        widths, dropout=0.2, input_dropout=0.2, max_epochs=args.branch_epochs, batch_size=32
    )
    return OnTrunk(perceptron, names=names)


def undivided(groups: LabelPartition) -> LabelPartition:
    """Return one cluster of all classes."""
    return LabelPartition(groups.classes, np.zeros(groups.n_classes, dtype=int))


def hierarchy(args: argparse.Namespace, seed: int, **params: Any) -> Any:
    """Return a hierarchy on CNN_1."""
    settings = {
        "base_estimator": Remembered("cnn_1", **training(args)),
        "partitioner": ConfusionSpectralPartitioner(n_clusters=10),
        "hierarchy_estimator": None,
        "branch_at": TRUNK,
        "mixing": 0.0,
        "cv": 0.1,
        "random_state": seed,
        **params,
    }
    return HierarchicalDecompositionClassifier(**settings)


def shared(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield the hierarchies whose members share the lower layers, and what they must beat."""
    width = args.width
    design = hierarchy(args, seed, fine_estimator=slim(args, width), routing=2, mixing="auto")
    fitted = yield "slim branches", design
    yield "slim branches, hard", fitted.rerouted("hard")
    yield "slim branches, soft", fitted.rerouted("soft")
    yield "slim branches, permuted", permuted(fitted, seed)
    yield "slim branches, CIFAR's groups", clone(design).set_params(partitioner=groups)
    yield "flat, trained as long", trained_as_long(fitted)
    yield "flat, as expensive", as_expensive(fitted)
    one = undivided(groups)
    for name, units in (("one branch for all", 2 * width), ("one slim branch for all", width)):
        wide = slim(args, units)
        yield name, clone(design).set_params(partitioner=one, fine_estimator=wide, routing="hard")


def gated(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield slim branches behind a slim gate: the flat network's upper layers are never run."""
    width = args.width
    gate, wide_gate = (slim(args, units, names="classes") for units in (width, 3 * width))
    design = hierarchy(
        args, seed, hierarchy_estimator=gate, fine_estimator=slim(args, width), routing=2
    )
    fitted = yield "slim gate and branches", design
    yield "slim gate alone", GateAlone(fitted)
    yield "slim gate and branches, permuted", permuted(fitted, seed)
    yield "slim gate and branches, CIFAR's groups", clone(design).set_params(partitioner=groups)
    twenty = ConfusionSpectralPartitioner(n_clusters=groups.n_clusters)
    yield "slim gate and branches, 20 clusters", clone(design).set_params(partitioner=twenty)
    wide = yield (
        "wide gate, one cluster asked",
        clone(fitted).set_params(
            partitioner=fitted.partition_, hierarchy_estimator=wide_gate, routing="hard"
        ),
    )
    yield "wide gate alone", GateAlone(wide)
    yield "flat, trained as long", trained_as_long(fitted)


def copied(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield branches that copy the upper layers, convolutions included, and the same permuted."""
    fitted = yield "copied branches", hierarchy(args, seed, routing=2, branch_at="conv2")
    yield "copied branches, permuted", permuted(fitted, seed)


def paper(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield the paper's hierarchy: everything from scratch, hard routing, nothing mixed."""
    yield "hierarchical model", from_scratch(args, seed, network("cnn_3", args))


def adaptive(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield the paper's adaptive network selection."""
    yield "adaptive network selection", from_scratch(args, seed, selector(args))


def taxonomy(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield both on CIFAR's own groups."""
    fine = network("cnn_3", args)
    yield "CIFAR hierarchical model", from_scratch(args, seed, fine, groups)
    yield "CIFAR adaptive selection", from_scratch(args, seed, selector(args), groups)


def joint(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield the joint model: networks of several kinds, and the flat one, for every cluster."""
    candidates = {
        "flat": "flat",
        "cnn_3": network("cnn_3", args),
        "branch": "branch",
        "slim": slim(args, args.width),
        "linear": slim(args),
    }
    yield "joint model", hierarchy(args, seed, fine_estimator=NetworkSelector(candidates))


def hd_cnn(args: argparse.Namespace, seed: int, groups: LabelPartition) -> Iterator[Any]:
    """Yield HD-CNN: copied branches, averaged, trained end to end; and with few of them run."""
    tuned = hierarchy(
        args,
        seed,
        hierarchy_estimator="branch",
        branch_at="conv2",
        routing="soft",
        fine_tune=True,
        fine_tune_lr=5e-4,
    )
    fitted = yield "HD-CNN", tuned
    yield "HD-CNN, conditional", fitted.rerouted(0.1)


def selector(args: argparse.Namespace) -> NetworkSelector:
    """Return the selection among the paper's CNN_2 to CNN_5."""
    return NetworkSelector([network(f"cnn_{number}", args) for number in (2, 3, 4, 5)])


def from_scratch(args: argparse.Namespace, seed: int, fine: Any, partition: Any = None) -> Any:
    """Return a hierarchy whose hierarchy classifier is CNN_2."""
    linkage = ConfusionLinkagePartitioner(n_clusters=PAPER_CLUSTERS)
    return hierarchy(
        args,
        seed,
        partitioner=linkage if partition is None else partition,
        hierarchy_estimator=network("cnn_2", args),
        fine_estimator=fine,
        branch_at=None,
        routing="hard",
    )


GENERATORS: dict[str, Callable[..., Iterator[Any]]] = {
    "gated": gated,
    "shared": shared,
    "copied": copied,
    "paper": paper,
    "adaptive": adaptive,
    "taxonomy": taxonomy,
    "joint": joint,
    "hd-cnn": hd_cnn,
}


def load(args: argparse.Namespace) -> tuple[Any, ...]:
    """Return training and test images and CIFAR's own groups."""
    bunch = datasets.load_cifar100(args.data)
    shape = (-1, 3, 32, 32)
    X, y = bunch.data_train.reshape(shape), np.asarray(bunch.target_train)
    X_test, y_test = bunch.data_test.reshape(shape), np.asarray(bunch.target_test)
    if args.subset and args.subset < len(y):
        X, _, y, _ = train_test_split(X, y, train_size=args.subset, stratify=y, random_state=0)
    coarse = np.unique([bunch.groups[label] for label in np.unique(y)], return_inverse=True)[1]
    return X, y, X_test, y_test, LabelPartition(np.unique(y), coarse)


def run(args: argparse.Namespace, part: str, seed: int, data: tuple[Any, ...]) -> list[Measurement]:
    """Fit and measure the variants of one part."""
    X, y, X_test, y_test, groups = data
    variants, found, fitted = GENERATORS[part](args, seed, groups), [], None
    while True:
        try:
            name, estimator = variants.send(fitted)
        except StopIteration:
            return found
        if estimator is None:
            continue
        start = time.perf_counter()
        if not hasattr(estimator, "classes_"):
            estimator.fit(X, y)
        fitted = estimator
        seconds = time.perf_counter() - start
        found.append(measure(name, fitted, seed, seconds, X_test, y_test))
        print(f"seed {seed}: {name} {found[-1].score:.4f} {seconds:.0f} s", flush=True)


def flat(args: argparse.Namespace, seed: int, data: tuple[Any, ...]) -> Measurement:
    """Measure the flat network that all hierarchies of a seed stand on."""
    X, y, X_test, y_test, groups = data
    # A hierarchy of one cluster, whose only member is the flat network: nothing but it is trained.
    alone = hierarchy(
        args, seed, partitioner=undivided(groups), fine_estimator=NetworkSelector(["flat"])
    )
    start = time.perf_counter()
    base = alone.fit(X, y).base_estimator_
    return measure("flat", base, seed, time.perf_counter() - start, X_test, y_test)


def main() -> None:
    """Parse the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with the usual downloads")
    parser.add_argument("--dataset", choices=("cifar-100",), default="cifar-100")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default 3)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--subset", type=int, help="training images (default all)")
    parser.add_argument("--epochs", type=int, default=16, help="of every network (default 16)")
    parser.add_argument(
        "--branch-epochs", type=int, default=5, help="of slim branches, twice the images each"
    )
    parser.add_argument("--width", type=int, default=256, help="hidden units of a slim branch")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--json", help="where to write the measurements")
    args = parser.parse_args()

    data = load(args)
    found: list[Measurement] = []
    path = Path(args.json or RESULTS / f"decomposition_cnn-{args.dataset}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        found.append(flat(args, seed, data))
        for part in args.parts:
            found += run(args, part, seed, data)
            record = {"settings": vars(args), "runs": Comparison(tuple(found)).to_records()}
            path.write_text(json.dumps(record, indent=1))
        Remembered._known.clear()
    result = Comparison(tuple(found))
    print(f"\n{args.dataset}: {len(data[0])} training images, {args.seeds} seeds\n\n{result}\n")
    best = next(name for name in result.variants if name != "flat")
    for control in result.variants:
        if control != best:
            mean, low, high = (100 * value for value in result.difference(best, control))
            print(f"{best} - {control}: {mean:+.2f} points, 95 % [{low:+.2f}, {high:+.2f}]")
    print(f"measurements written to {path}")


if __name__ == "__main__":
    main()
