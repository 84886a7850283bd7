"""Gathering what a report shows. Nothing here knows about HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import hierlearn
from hierlearn._names import readable_name
from hierlearn._validation import num_samples
from hierlearn.display._labels import check_names
from hierlearn.reporting.counting import Counts, count_classes, count_labels, encoded
from hierlearn.reporting.data import Level, ReportData
from hierlearn.reporting.headline import headline
from hierlearn.reporting.pictures import Pictures, as_images
from hierlearn.reporting.results import FLAT, THIS, as_comparison, compared, measured_here
from hierlearn.reporting.rows import class_rows, cluster_rows, mistakes
from hierlearn.reporting.settings import decisions_of, parameters_of
from hierlearn.reporting.subject import Subject, subject_of
from hierlearn.reporting.tree import draw_tree, tree_for

__all__ = ["gather"]

_MAX_CLASSES = 5000
_LONGEST_NAME = 200
_N_ACROSS = 12
_PICTURE_BYTES = 2_600_000


def gather(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    comparison: Any = None,
    partition: Any = None,
    class_names: Any = None,
    cluster_names: ArrayLike | None = None,
    images: Any = None,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
    timestamp: object = None,
) -> ReportData:
    """Collect everything that a report shows, as plain values.

    Parameters
    ----------
    estimator : classifier
        Fitted, with a ``partition_``, or any with ``partition``.
    X : array-like of shape (n_samples, ...)
        Test samples.
    y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        Their labels.
    comparison : Comparison or sequence of dict, default=None
        Measurements beside the controls.
    partition : LabelPartition or fitted partitioner, default=None
        Clusters to show the classes in.
    class_names : array-like of shape (n_classes,) or dict, default=None
        Names of the classes in the order of ``classes_``, or by label.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names of the clusters.
    images : array-like of shape (n_samples, ...), default=None
        Images of the samples.
    image_shape : tuple of int, default=None
        Shape of an image, where rows are flat.
    title : str, default=None
        Title of the page.
    timestamp : object, default=None
        A time to state.

    Returns
    -------
    ReportData
        What :func:`hierlearn.reporting.render` makes a page of.

    See Also
    --------
    hierlearn.report : Says more of each parameter, and what it raises.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
    >>> from hierlearn.reporting import gather
    >>> X, y = load_iris(return_X_y=True)
    >>> base = TorchMLPClassifier((8,), max_epochs=5, random_state=0)
    >>> clf = HierarchicalDecompositionClassifier(base, random_state=0).fit(X, y)
    >>> data = gather(clf, X, y, class_names=["setosa", "versicolor", "virginica"])
    >>> sorted(row.name for row in data.classes)
    ['setosa', 'versicolor', 'virginica']
    """
    subject = subject_of(estimator, partition)
    names, heads = _class_names(subject, class_names), _cluster_names(subject, cluster_names)
    _check_rows(subject, X, y)
    measured = as_comparison(comparison)
    pictures = Pictures(as_images(X, images, image_shape), _PICTURE_BYTES)
    counts = _counted(subject, X, y)

    tree, order = tree_for(subject.structured, subject.partition, counts.matrix)
    clusters, drawing = draw_tree(tree, order, subject.partition)
    classes = class_rows(counts, order, clusters, names, pictures)
    found = mistakes(counts, pictures)
    rows = cluster_rows(counts, order, clusters, heads, found)
    place = np.argsort(order)
    confusions = encoded(counts, order, clusters, counts.pairs(_N_ACROSS, place, found))

    flat = _flat_predictions(subject, X, counts)
    levels = _levels(subject, counts, flat)
    if measured is None:
        hits = None if flat is None else flat == counts.true
        results = measured_here(subject, X, y, counts, hits, levels)
    else:
        results = compared(measured, levels)
    return ReportData(
        title=readable_name(title or f"Report on {_kind(subject)}", _LONGEST_NAME),
        estimator=_kind(subject),
        timestamp="" if timestamp is None else readable_name(timestamp, _LONGEST_NAME),
        version=hierlearn.__version__,
        multilabel=counts.true is None,
        n_samples=num_samples(y),
        detected=counts.detected,
        figures=headline(results, counts, confusions.share_inside, compared=measured is not None),
        classes=classes,
        clusters=rows,
        tree=drawing,
        confusions=confusions,
        results=results,
        decisions=decisions_of(subject.structured),
        parameters=parameters_of(subject.structured),
    )


def _kind(subject: Subject) -> str:
    return type(subject.structured).__name__


# -- what comes in -------------------------------------------------------------------------------


def _class_names(subject: Subject, given: Any) -> list[str]:
    """Return a printable name for each class, in the order of ``classes_``."""
    classes = subject.partition.classes.tolist()
    if len(classes) > _MAX_CLASSES:
        raise ValueError(
            f"estimator must have at most {_MAX_CLASSES} classes for a report. Got "
            f"{len(classes)} instead; print its summary(), or draw a ConfusionOrderDisplay."
        )
    if isinstance(given, Mapping):
        given = [given.get(label, label) for label in classes]
    names = check_names(classes if given is None else given, len(classes), what="class_names")
    return [readable_name(name, _LONGEST_NAME) for name in names]


def _cluster_names(subject: Subject, given: ArrayLike | None) -> list[str]:
    found = subject.partition.cluster_names if given is None else given
    names = check_names(found, subject.partition.n_clusters, what="cluster_names")
    return [readable_name(name, _LONGEST_NAME) for name in names]


def _check_rows(subject: Subject, X: Any, y: Any) -> None:
    n_rows, n_targets = num_samples(X), num_samples(y)
    if n_rows != n_targets or not n_rows:
        raise ValueError(
            "X and y must have the same number of samples, one at least. "
            f"Got {n_rows} and {n_targets} instead."
        )
    n_sides = 2 if subject.multilabel else 1
    shape = y.shape if hasattr(y, "shape") else np.shape(y)
    if len(shape) != n_sides:
        wanted = "an indicator of labels" if subject.multilabel else "one label a sample"
        raise ValueError(
            f"y must be {wanted}, as in fit, with {n_sides} dimension{'s'[: n_sides - 1]}. "
            f"Got shape {tuple(shape)} instead."
        )


# -- what is predicted ---------------------------------------------------------------------------


def _counted(subject: Subject, X: Any, y: Any) -> Counts:
    if subject.multilabel:
        return count_labels(subject.partition, subject.model, X, y)
    return count_classes(subject.partition, y, subject.model.predict(X))


def _flat_predictions(subject: Subject, X: Any, counts: Counts) -> NDArray[np.int64] | None:
    """Return the codes that the flat network predicts; None without, or with several labels."""
    if subject.flat is None or counts.true is None:
        return None
    code_of = {label: code for code, label in enumerate(subject.partition.classes.tolist())}
    predicted = np.asarray(subject.flat.predict(subject.flat_input(X))).tolist()
    return np.array([code_of[label] for label in predicted], dtype=np.int64)


def _levels(subject: Subject, counts: Counts, flat: NDArray[np.int64] | None) -> tuple[Level, ...]:
    if counts.true is None or counts.predicted is None:
        return ()
    models = [(FLAT, flat), (THIS, counts.predicted)]
    labels = counts.partition.labels
    return tuple(
        _level(name, labels, counts.true, predicted)
        for name, predicted in models
        if predicted is not None
    )


def _level(
    name: str,
    labels: NDArray[np.int64],
    true: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> Level:
    cluster, final = labels[predicted] == labels[true], predicted == true
    within = float(final[cluster].mean()) if cluster.any() else float("nan")
    return Level(name, float(cluster.mean()), within, float(final.mean()))
