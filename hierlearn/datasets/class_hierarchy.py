"""Classes planted in a tree: as many as wanted, as frequent and as confused as told."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.utils import Bunch

from hierlearn._validation import Interval, as_random_state, validate_parameter_constraints
from hierlearn.partition import ClassTree

__all__ = ["make_class_hierarchy"]

# Rows that noise is drawn for at a time: noise is drawn in double precision.
_BATCH = 4096

_CONSTRAINTS = {
    "n_classes": [Interval(Integral, 2, None, closed="left")],
    "n_samples": [Interval(Integral, 2, None, closed="left")],
    "n_features": [Interval(Integral, 1, None, closed="left")],
    "depth": [Interval(Integral, 1, 32, closed="both")],
    "branching": [Interval(Integral, 2, None, closed="left"), None],
    "spread": [Interval(Real, 1, None, closed="left")],
    "zipf": [Interval(Real, 0, None, closed="left")],
    "confusion": [Interval(Real, 0, 0.5, closed="left")],
    "min_samples": [Interval(Integral, 1, None, closed="left")],
    "test_share": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
}

_DESCR = """\
{n_classes} classes planted in a tree of {depth} levels, {n_train} training and {n_test} test
samples of {n_features} features.

A class is a Gaussian around its centre. Centres of classes that part further down the tree lie
closer together, each level {spread:g} times as close as the level above it. A sample is nearer to
the centre of a given class of the same parent than to its own with probability {confusion:g}.
Frequencies of classes fall as rank to the power of -{zipf:g}; ranks have nothing to do with the
tree.
"""


def make_class_hierarchy(
    n_classes: int = 1000,
    n_samples: int = 20_000,
    *,
    n_features: int = 64,
    depth: int = 3,
    branching: int | None = None,
    spread: float = 2.0,
    zipf: float = 1.0,
    confusion: float = 0.02,
    min_samples: int = 2,
    test_share: float = 0.25,
    random_state: Any = 0,
) -> Bunch:
    """Draw samples of classes that lie in a tree and are confused the more, the closer they are.

    The number of classes may be large: 100,000 classes of 64 features take as much memory as their
    samples and their centres, and a few numbers a class.

    Parameters
    ----------
    n_classes : int, default=1000
        Number of classes, the leaves of the tree.
    n_samples : int, default=20000
        Number of training samples.
    n_features : int, default=64
        Number of features.
    depth : int, default=3
        Levels below the root; the last one holds the classes. 1 plants no tree.
    branching : int or None, default=None
        Children of each inner node, at most; every level has as many groups as that allows, but no
        more than the level below it. None takes the smallest number with which ``depth`` levels
        hold all classes.
    spread : float, default=2.0
        How much closer together centres are at each level than at the level above.
    zipf : float, default=1.0
        Exponent of the frequencies: the class of rank r has a share that falls as ``r**-zipf``,
        beside the ``min_samples`` that each class has. 0 makes all classes as frequent.
    confusion : float, default=0.02
        Probability that a sample lies nearer to the centre of another class with the same parent,
        chosen at random, than to its own; below 0.5. 0 has no noise.
    min_samples : int, default=2
        Training samples that each class has at least.
    test_share : float, default=0.25
        Test samples beside a training sample. Test classes are drawn with the training frequencies.
    random_state : int, RandomState instance or None, default=0
        Draws centres, ranks and samples.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : ndarray of shape (n, n_features), dtype float32
            Samples in random order. All centres together have variance about one a feature.
        target_train, target_test : ndarray of shape (n,), dtype int64
            Class codes, 0 to ``n_classes - 1``. They tell nothing of tree or frequency.
        target_names : ndarray of shape (n_classes,), dtype str
            The path of each class down the tree, such as "2/13/104".
        groups : dict
            From class code to the name of its group in the level above the classes, such as "2/13".
        levels : ndarray of shape (depth - 1, n_classes), dtype int64
            Group of each class at each level, from the top; without the classes themselves.
        tree : ClassTree
            The planted tree.
        centers : ndarray of shape (n_classes, n_features), dtype float32
            The centre of each class.
        frequencies : ndarray of shape (n_classes,), dtype int64
            Training samples of each class.
        DESCR : str
            Description of the set.

    Raises
    ------
    ValueError
        If a parameter is out of range, there are fewer samples than classes need, or a tree of
        these levels has fewer leaves than classes.

    Examples
    --------
    >>> from hierlearn.datasets import make_class_hierarchy
    >>> planted = make_class_hierarchy(50, 500, n_features=8, depth=2, branching=10)
    >>> planted.data_train.shape, planted.data_test.shape, planted.frequencies.sum()
    ((500, 8), (125, 8), np.int64(500))
    >>> planted.levels.shape, len(set(planted.groups.values())), planted.tree
    ((1, 50), 10, ClassTree(n_classes=50, n_nodes=61))
    """
    validate_parameter_constraints(_CONSTRAINTS, dict(locals()), caller_name="make_class_hierarchy")
    _check_sizes(n_classes, n_samples, depth, branching, min_samples)
    rng = as_random_state(random_state)
    levels = _plant(n_classes, depth, branching, rng)
    centers, noise = _draw_centers(levels, n_classes, n_features, spread, confusion, rng)
    frequencies = _zipf_counts(n_classes, n_samples, zipf, min_samples, rng)
    n_test = max(1, round(n_samples * test_share))
    train = np.repeat(np.arange(n_classes), frequencies)
    rng.shuffle(train)
    test = train[rng.randint(n_samples, size=n_test)]
    names = _paths(levels, n_classes)
    return Bunch(
        data_train=_draw_samples(centers, train, noise, rng),
        target_train=train,
        data_test=_draw_samples(centers, test, noise, rng),
        target_test=test,
        target_names=np.array(names),
        groups={code: name.rpartition("/")[0] or "all" for code, name in enumerate(names)},
        levels=levels,
        tree=_tree(levels, n_classes),
        centers=centers,
        frequencies=frequencies,
        DESCR=_DESCR.format(
            n_classes=n_classes,
            depth=depth,
            n_train=n_samples,
            n_test=n_test,
            n_features=n_features,
            spread=spread,
            confusion=confusion,
            zipf=zipf,
        ),
    )


def _check_sizes(
    n_classes: int, n_samples: int, depth: int, branching: int | None, min_samples: int
) -> None:
    if n_samples < n_classes * min_samples:
        raise ValueError(
            f"n_samples must be at least n_classes * min_samples, {n_classes * min_samples}. Got "
            f"{n_samples} instead; draw more samples or lower min_samples."
        )
    if branching is not None and branching**depth < n_classes:
        raise ValueError(
            f"branching**depth must be at least n_classes, {n_classes}. Got {branching}**{depth} "
            "instead; raise either, or leave branching out."
        )


def _plant(
    n_classes: int, depth: int, branching: int | None, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """Return the group of every class at every level, groups of a level of like size."""
    if branching is None:
        branching = int(np.ceil(n_classes ** (1 / depth) - 1e-9))
    place = rng.permutation(n_classes)  # where a class stands among the leaves, from the left
    sizes = [min(branching**level, n_classes) for level in range(1, depth)]
    levels = np.empty((depth - 1, n_classes), dtype=np.int64)
    below, n_below = place, n_classes
    for row in range(depth - 2, -1, -1):
        below = below * sizes[row] // n_below
        levels[row], n_below = below, sizes[row]
    return levels


def _draw_centers(
    levels: NDArray[np.int64],
    n_classes: int,
    n_features: int,
    spread: float,
    confusion: float,
    rng: np.random.RandomState,
) -> tuple[NDArray[np.float32], float]:
    """Add up an offset for each level; return the centres and the deviation of the noise."""
    scales = spread ** -np.arange(len(levels) + 1, dtype=float)
    scales /= np.sqrt((scales**2).sum())
    centers = np.zeros((n_classes, n_features), dtype=np.float32)
    for groups, scale in zip([*levels, np.arange(n_classes)], scales, strict=True):
        offsets = _gaussian((int(groups.max()) + 1, n_features), scale, rng)
        centers += offsets[groups]
    if confusion == 0:
        return centers, 0.0
    # Two centres of one parent lie about sqrt(2 * n_features) * scale apart, and the noise along
    # the line between them must pass its middle with the probability asked for.
    apart = np.sqrt(2 * n_features) * scales[-1]
    return centers, float(apart / (2 * norm.isf(confusion)))


def _gaussian(
    shape: tuple[int, int], scale: float, rng: np.random.RandomState
) -> NDArray[np.float32]:
    """Draw in single precision, which RandomState cannot, without a double copy of the whole."""
    drawn = np.empty(shape, dtype=np.float32)
    for start in range(0, shape[0], _BATCH):
        rows = drawn[start : start + _BATCH]
        rows[:] = rng.standard_normal(rows.shape)
        rows *= np.float32(scale)
    return drawn


def _zipf_counts(
    n_classes: int, n_samples: int, zipf: float, min_samples: int, rng: np.random.RandomState
) -> NDArray[np.int64]:
    """Share out the samples, ``min_samples`` to each class and the rest by its rank."""
    shares = np.arange(1, n_classes + 1, dtype=float) ** -zipf
    wanted = shares / shares.sum() * (n_samples - n_classes * min_samples)
    counts = np.floor(wanted).astype(np.int64)
    missing = n_samples - n_classes * min_samples - counts.sum()
    counts[np.argsort(counts - wanted, kind="stable")[:missing]] += 1  # the largest remainders
    return (counts + min_samples)[rng.permutation(n_classes)]


def _draw_samples(
    centers: NDArray[np.float32],
    target: NDArray[np.int64],
    noise: float,
    rng: np.random.RandomState,
) -> NDArray[np.float32]:
    data = centers[target]
    if noise:
        for start in range(0, len(data), _BATCH):
            rows = data[start : start + _BATCH]
            rows += rng.standard_normal(rows.shape) * noise
    return data


def _paths(levels: NDArray[np.int64], n_classes: int) -> list[str]:
    columns = [*levels.tolist(), range(n_classes)]
    return ["/".join(map(str, path)) for path in zip(*columns, strict=True)]


def _tree(levels: NDArray[np.int64], n_classes: int) -> ClassTree:
    """Return the tree: classes first, then the groups from the lowest level up, then the root."""
    parents, first = [], n_classes
    below = np.arange(n_classes)  # a class of each node of the level below
    for groups in levels[::-1]:
        parents.append(first + groups[below])
        _, below = np.unique(groups, return_index=True)
        first += len(below)
    parents.append(np.full(len(below), first))
    return ClassTree(np.concatenate([*parents, [-1]]))
