"""What a hierarchy accepts as X and y."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .._given import as_labels, plain_labels
from .._input import check_rows, last_step
from .._validation import check_any_weight, check_two_classes, check_weights, num_samples
from ..exceptions import UnsupportedTargetError
from ..partition import LabelPartition
from .choosing import candidates_of, selects
from .family_training import BRANCH, branches_from
from .sources import TRUNK, on_source, source_of


def check_training_input(
    estimator: Any, base: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """Validate X, y and the weights together; records the features on the estimator."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None. Pass the class label of every row of X."
        )
    X = check_rows(estimator, base, X, reset=True)
    y = check_labels(y)
    if num_samples(X) != len(y):
        raise ValueError(
            f"X and y must have the same number of samples. Got {num_samples(X)} and {len(y)} "
            "instead."
        )
    weight = check_weights(sample_weight, len(y))
    if weight is not None:
        check_any_weight(weight)
    return X, y, weight


def check_labels(y: ArrayLike) -> NDArray[Any]:
    """Return y as one class label a sample.

    Raises
    ------
    UnsupportedTargetError
        If y has several labels or outputs a sample, or is continuous.
    """
    y = plain_labels(as_labels(y))
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind.startswith("multilabel") or kind.endswith("multioutput"):
        raise UnsupportedTargetError(
            "y must hold one class label a sample. Got a multi-label or multi-output y instead; "
            "for a label indicator use TorchMLPClassifier, which is multi-label itself."
        )
    if kind.startswith("continuous"):
        raise UnsupportedTargetError(
            f"Unknown label type: y must hold class labels. Got {kind} values instead; bin them, "
            "or give whole numbers or strings."
        )
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels


def check_target(
    y: NDArray[Any], weight: NDArray[np.float64] | None, *, held_out: bool
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes and the code of every sample.

    Raises
    ------
    ValueError
        If there is one class only, or, with ``held_out``, a class has a single sample (of
        non-zero weight).
    """
    classes, codes = np.unique(y, return_inverse=True)
    counted = codes if weight is None else codes[weight > 0]
    counts = np.bincount(counted, minlength=len(classes))
    check_two_classes(classes[counts > 0])
    lonely = classes[counts == 1].tolist()
    if held_out and len(lonely):
        others = f" and of {len(lonely) - 1} other classes" if len(lonely) > 1 else ""
        raise ValueError(
            "y must hold at least two samples of every class, one to learn from and one to hold "
            f"out. Got a single sample of class {lonely[0]!r}{others} instead; add samples, or "
            "leave out or merge such classes."
        )
    return classes, codes.astype(np.int64)


def check_settings(estimator: Any, base: Any) -> None:
    """Check the parameters that depend on each other.

    Raises
    ------
    ValueError
        If branches are wanted of a base that has none, or a partition given beforehand is to be
        carried on below its clusters.
    """
    depth = estimator.max_depth
    for name in ("hierarchy_estimator", "fine_estimator"):
        value = getattr(estimator, name)
        if isinstance(value, str) and value == BRANCH and not branches_from(base):
            raise ValueError(
                f"{name}={value!r} needs one of our networks, or a Pipeline ending in one, as "
                f"base_estimator. Got {type(last_step(base)).__name__} instead; give a classifier, "
                "or None."
            )
    if estimator.fine_tune:
        _check_tunable(estimator)
    if depth > 1 and (estimator.fine_tune or selects(estimator.fine_estimator)):
        what = "fine_tune=True" if estimator.fine_tune else "a NetworkSelector as fine_estimator"
        raise ValueError(
            f"max_depth must be 1 with {what}, which works on one level. Got {depth} instead; "
            "give as fine_estimator another HierarchicalDecompositionClassifier."
        )
    if depth > 1 and isinstance(estimator.partitioner, LabelPartition):
        raise ValueError(
            "max_depth must be 1 with a ready LabelPartition, which does not divide its own "
            f"clusters. Got {depth} instead; give a partitioner, or as fine_estimator another "
            "HierarchicalDecompositionClassifier."
        )


def _check_tunable(estimator: Any) -> None:
    """Refuse members that cannot be trained together with the trunk, before anything is fitted."""
    gate, fine = estimator._gate_setting(), estimator._fine_setting()
    members = {"hierarchy_estimator": [gate]}
    members["fine_estimator"] = [] if fine is None else candidates_of(fine)
    for name, candidates in members.items():
        for candidate in candidates:
            if isinstance(candidate, str) and candidate == BRANCH:
                continue
            if source_of(candidate) != TRUNK or not branches_from(on_source(candidate)):
                raise ValueError(
                    "fine_tune=True trains members together with the trunk they read: each must be "
                    "'branch', or a torch classifier in OnTrunk, such as "
                    f"OnTrunk(TorchMLPClassifier()). Got {candidate!r} as {name} instead; choose "
                    "another, or leave fine_tune at False."
                )


def check_prefit(estimator: Any, base: Any, codes: NDArray[np.int64]) -> None:
    """Check that the caller's held-out samples can judge a base that came fitted.

    Raises
    ------
    ValueError
        If y lacks classes of the base, or has one sample a class where ``mixing="auto"`` has to
        train on one part of them and judge by the other.
    """
    present = set(estimator.classes_.tolist())
    known = getattr(base, "classes_", np.array([])).tolist()
    absent = [label for label in known if label not in present]
    if absent:
        raise ValueError(
            "y must hold samples of every class that the fitted base_estimator knows, with "
            f"cv='prefit'. Got none of class {absent[0]!r} instead; add some."
        )
    if estimator.mixing == "auto" and np.bincount(codes).max() < 2:
        raise ValueError(
            "mixing='auto' needs two samples of some class, one to learn from and one to judge by. "
            "Got one sample of every class instead; set mixing to a number from 0 to 1."
        )
