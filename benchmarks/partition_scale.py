"""Partitions of a thousand to a million classes: time and memory beside scipy and scikit-learn.

    python benchmarks/partition_scale.py [--most N] [--data DIR] [--json FILE] [--figure FILE]

Confusions are planted: 23 entries a row, of which some fall together, most of them within a cluster
of classes. Every fit runs in a process of its own; its memory is the peak above what the process
held before. ``--most`` limits the number of classes (default: a million for linkage, 100,000 for
spectral clustering); scipy and scikit-learn stop where their square of classes would take more
than ``--gigabytes``.
scipy's distances of all pairs are made before its time is taken, and count in its memory only.
Seconds are of the processor, as a shared machine makes those on the clock too long; both are
written down. With ``--data``, the folder of downloads, the clusters of Omniglot's 1,623 characters
by a perceptron's confusions are compared with those of scikit-learn's dense method.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from hierlearn import TorchMLPClassifier
from hierlearn.confusion import top_k_confusion
from hierlearn.datasets import load_omniglot
from hierlearn.partition import ConfusionLinkagePartitioner, ConfusionSpectralPartitioner
from hierlearn.partition.sparse_linkage import similarities_of_confusion

PER_ROW = 23
SIZES = [1_000, 2_000, 4_000, 8_000, 17_000, 100_000, 1_000_000]
N_SPECTRAL = 100
# Bytes per pair of classes, seen on small sizes; and the largest size of each of ours.
OTHERS = {"scipy linkage": 16, "scikit-learn spectral": 40}
OURS = {"linkage": 1_000_000, "linkage, one hub": 100_000, "spectral": 100_000}


def planted(
    n_classes: int, n_clusters: int, within: float = 0.8, seed: int = 0
) -> tuple[sparse.csr_array, np.ndarray]:
    """Return confusions that stay within a cluster with probability ``within``, and the clusters.

    Clusters are of equal sizes, their classes in random order.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(n_classes)
    size = n_classes // n_clusters
    rows = np.repeat(np.arange(n_classes), PER_ROW)
    near = np.minimum(rows // size * size + rng.integers(0, size, rows.size), n_classes - 1)
    anywhere = rng.integers(0, n_classes, rows.size)
    columns = np.where(rng.random(rows.size) < within, near, anywhere)
    entries = (rng.random(rows.size), (order[rows], order[columns]))
    confusion = sparse.coo_array(entries, shape=(n_classes, n_classes)).tocsr()
    truth = np.empty(n_classes, dtype=np.int64)
    truth[order] = np.minimum(np.arange(n_classes) // size, n_clusters - 1)
    return confusion, truth


def with_hub(confusion: sparse.csr_array) -> sparse.csr_array:
    """Confuse every class mostly with the first one, as if it had most of the rows."""
    n_classes = confusion.shape[0]
    entries = (np.full(n_classes, 20.0), (np.arange(n_classes), np.zeros(n_classes, dtype=int)))
    return sparse.csr_array(confusion + sparse.coo_array(entries, shape=confusion.shape).tocsr())


def all_distances(confusion: sparse.csr_array) -> np.ndarray:
    """Return the distances of all pairs, as scipy takes them; most are 1."""
    pairs = similarities_of_confusion(confusion).tocoo()
    n_classes = confusion.shape[0]
    rows, columns = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
    distances = np.ones(n_classes * (n_classes - 1) // 2)
    distances[n_classes * rows - rows * (rows + 1) // 2 + columns - rows - 1] -= pairs.data
    return distances


def scipy_linkage(distances: np.ndarray, n_clusters: int) -> None:
    """Link by scipy."""
    linkage(distances, "average")


def sklearn_spectral(confusion: sparse.csr_array, n_clusters: int) -> np.ndarray:
    """Cluster by scikit-learn, from the square of similarities."""
    similarity = (confusion @ confusion.T).toarray()
    np.fill_diagonal(similarity, 0)
    clusters = SpectralClustering(n_clusters, affinity="precomputed", random_state=0)
    return clusters.fit(similarity).labels_


def our_linkage(confusion: sparse.csr_array, n_clusters: int) -> None:
    """Fit the partitioner, tree and clusters included."""
    ConfusionLinkagePartitioner().fit(confusion)


def our_spectral(confusion: sparse.csr_array, n_clusters: int) -> np.ndarray:
    """Fit the partitioner."""
    return ConfusionSpectralPartitioner(n_clusters, random_state=0).fit(confusion).labels_


METHODS: dict[str, Callable[[Any, int], Any]] = {
    "linkage": our_linkage,
    "linkage, one hub": our_linkage,
    "scipy linkage": scipy_linkage,
    "spectral": our_spectral,
    "scikit-learn spectral": sklearn_spectral,
}


def resident(key: str) -> int:
    """Return the resident memory of this process in kilobytes: now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def reset_peak() -> int:
    """Forget the peak of making the confusion, and hand back what it left free."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return resident("VmRSS")


def measure(method: str, n_classes: int) -> dict[str, Any]:
    """Fit once in this process."""
    # Spectral clustering is for about a hundred large clusters, linkage for many of about 50.
    n_clusters = min(N_SPECTRAL, n_classes // 20) if "spectral" in method else n_classes // 50
    confusion, truth = planted(n_classes, n_clusters)
    if "hub" in method:
        confusion = with_hub(confusion)
    before = reset_peak()
    given: Any = all_distances(confusion) if method == "scipy linkage" else confusion
    wall, processor = time.perf_counter(), time.process_time()
    labels = METHODS[method](given, n_clusters)
    seconds = {"seconds": time.process_time() - processor, "wall": time.perf_counter() - wall}
    peak = resident("VmHWM")
    entry = {"method": method, "n_classes": n_classes, "nnz": int(confusion.nnz), **seconds}
    entry |= {"megabytes": (peak - before) / 1024, "process_megabytes": peak / 1024}
    if labels is not None:
        entry["ari"] = float(adjusted_rand_score(truth, labels))
    return entry


def measure_apart(method: str, n_classes: int) -> dict[str, Any]:
    """Fit once in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", method, str(n_classes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def sizes_of(method: str, most: int | None, gigabytes: float) -> list[int]:
    """Return the sizes that a method is run on."""
    limit = most or max(SIZES)
    if method in OTHERS:
        limit = min(limit, int((gigabytes * 1e9 / OTHERS[method]) ** 0.5))
    else:
        limit = min(limit, OURS[method])
    return [size for size in SIZES if size <= limit]


def agreement(folder: str) -> dict[str, Any]:
    """Compare the clusters of Omniglot's characters with those of scikit-learn, and its own."""
    characters = load_omniglot(folder)
    settings = {"dropout": 0.3, "max_epochs": 10, "lr": 0.003, "batch_size": 256}
    network = TorchMLPClassifier((512, 256), random_state=0, **settings)
    network.fit(characters.data_train, characters.target_train)
    scores = network.predict_proba(characters.data_test)
    confusion = sparse.csr_array(top_k_confusion(scores, characters.target_test, k=5))
    similarity = (confusion @ confusion.T).toarray()
    np.fill_diagonal(similarity, 0)
    labels = {
        f"{name} seed {seed}": fit(seed)
        for seed in (0, 1)
        for name, fit in (
            ("ours", lambda s: ConfusionSpectralPartitioner(50, random_state=s).fit(confusion)),
            (
                "scikit-learn",
                lambda s: SpectralClustering(50, affinity="precomputed", random_state=s).fit(
                    similarity
                ),
            ),
        )
    }
    found = {name: fitted.labels_ for name, fitted in labels.items()}
    cuts = {name: normalised_cut(similarity, own) for name, own in found.items()}
    pairs = combinations(found, 2)
    rand = {f"{a}, {b}": float(adjusted_rand_score(found[a], found[b])) for a, b in pairs}
    return {"normalised_cut": cuts, "adjusted_rand": rand}


def normalised_cut(similarity: np.ndarray, labels: np.ndarray) -> float:
    """Return the sum over clusters of the share of their similarity that leaves them."""
    inside = np.eye(labels.max() + 1)[labels]
    total = similarity.sum(axis=1) @ inside
    within = np.einsum("ic,ij,jc->c", inside, similarity, inside, optimize=True)
    return float((1 - within[total > 0] / total[total > 0]).sum())


def slope(entries: list[dict[str, Any]], key: str) -> float:
    """Return by which power a quantity grows, over the larger half of the sizes."""
    entries = entries[len(entries) // 2 - 1 :] if len(entries) > 2 else entries
    sizes, values = ([entry[name] for entry in entries] for name in ("n_classes", key))
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def ratios(ours: list[dict[str, Any]], others: list[dict[str, Any]], size: int) -> str:
    """Compare at ``size``, the other extrapolated by its own slope."""
    mine = next((entry for entry in ours if entry["n_classes"] == size), None)
    if mine is None or len(others) < 2:
        return ""
    parts = []
    for key, unit in (("seconds", "s"), ("megabytes", "MB")):
        last = others[-1]
        expected = last[key] * (size / last["n_classes"]) ** slope(others, key)
        parts.append(f"{mine[key]:.3g} {unit} against {expected:.3g} {unit}")
    return f"at {size} classes: {', '.join(parts)} (from {others[-1]['n_classes']} by its slope)"


def draw(entries: list[dict[str, Any]], path: Path) -> None:
    """Draw time and memory over the number of classes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, key, label in zip(axes, ("seconds", "megabytes"), ("seconds", "MB"), strict=True):
        for method in METHODS:
            rows = [entry for entry in entries if entry["method"] == method]
            style = "--" if method in OTHERS else "-"
            axis.loglog([e["n_classes"] for e in rows], [e[key] for e in rows], style + "o")
        axis.set(xlabel="classes", ylabel=label)
    axes[0].legend(METHODS)
    figure.savefig(path, dpi=130)


def main() -> None:
    """Measure all methods on all sizes that they manage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=None)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--data", help="folder of downloads, for Omniglot")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], int(given.one[1]))))
        return
    by_method: dict[str, list[dict[str, Any]]] = {}
    for method in given.methods:
        entries = by_method[method] = []
        for size in sizes_of(method, given.most, given.gigabytes):
            entries.append(measure_apart(method, size))
            last = entries[-1]
            ari = f"  ARI {last['ari']:.4f}" if "ari" in last else ""
            print(
                f"{method:22} {size:>9} classes {last['nnz']:>10} non-zeros "
                f"{last['seconds']:>8.2f} s {last['megabytes']:>7.0f} MB{ari}",
                flush=True,
            )
        if len(entries) > 1:
            time_power, memory_power = slope(entries, "seconds"), slope(entries, "megabytes")
            print(
                f"{method:22} grows with the classes to the power of {time_power:.2f} in time and "
                f"{memory_power:.2f} in memory",
                flush=True,
            )
    for mine, other in (("linkage", "scipy linkage"), ("spectral", "scikit-learn spectral")):
        if mine in by_method and other in by_method:
            print(f"{mine} and {other} {ratios(by_method[mine], by_method[other], 17_000)}")
    everything = [entry for entries in by_method.values() for entry in entries]
    result: dict[str, Any] = {"fits": everything}
    if given.data:
        result["Omniglot"] = agreement(given.data)
        for title, values in result["Omniglot"].items():
            print(f"Omniglot, {title}: {', '.join(f'{k} {v:.3f}' for k, v in values.items())}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(result, indent=1))
    if given.figure:
        draw(everything, given.figure)


if __name__ == "__main__":
    main()
