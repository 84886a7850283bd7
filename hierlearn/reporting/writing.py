"""Writing a report to a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from hierlearn.reporting.gathering import gather
from hierlearn.reporting.rendering import render

__all__ = ["report"]


def report(
    estimator: Any,
    X: Any,
    y: Any,
    path: str | os.PathLike[str],
    *,
    comparison: Any = None,
    partition: Any = None,
    class_names: Any = None,
    cluster_names: ArrayLike | None = None,
    images: Any = None,
    image_shape: Sequence[int] | None = None,
    title: str | None = None,
    timestamp: object = None,
) -> Path:
    """Write what a fitted classifier confuses, groups, gains and costs as one HTML file.

    The file needs no network and no other file. It holds the dendrogram of the classes, the
    confusion in its order, the clusters with their most confused pairs, accuracy and cost, and the
    settings. The same input gives the same bytes.

    Parameters
    ----------
    estimator : classifier
        Fitted, with a ``partition_``: a :class:`HierarchicalDecompositionClassifier`, a
        :class:`SpecialistHeadAugmenter`, a :class:`PartitionSoftmaxClassifier`, a
        :class:`MultiLabelDecompositionClassifier`, or a Pipeline that ends in one. Any other
        classifier needs ``partition``.
    X : array-like of shape (n_samples, ...)
        Test samples, which nothing was fitted on. Samples of shape (n, channels, height, width),
        (n, height, width, channels) or (n, height, width) are shown as pictures.
    y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        Their labels. With several labels a sample, the report counts the labels that are detected
        beside those of a sample, instead of confusions.
    path : str or path-like
        File to write.
    comparison : Comparison or sequence of dict, default=None
        What :func:`hierlearn.controls.compare` returned, or its ``to_records()``: accuracy and cost
        beside the controls, with intervals. None holds the estimator against its own base only, and
        says what was not run.
    partition : LabelPartition or fitted partitioner, default=None
        Clusters to show the classes in; needed where the estimator has none.
    class_names : array-like of shape (n_classes,) or dict, default=None
        Names of the classes in the order of ``classes_``, or by label. None shows the labels.
    cluster_names : array-like of shape (n_clusters,), default=None
        Names of the clusters. None for those of the partition.
    images : array-like of shape (n_samples, ...), default=None
        Images of the samples, where X holds something else, such as features of them.
    image_shape : tuple of int, default=None
        Shape of an image, (channels, height, width) or (height, width), where rows are flat.
    title : str, default=None
        Title of the page. None names the estimator.
    timestamp : object, default=None
        A time to state, such as ``datetime.date.today()``. None states none.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is no classifier, or has no partition and none is given; if the path is none.
    OSError
        If the path is a folder, or lies in one that does not exist.
    ValueError
        If y does not fit, names are too many or too few, images have another shape, or there are
        more than 5,000 classes.
    MissingExtraError
        If Jinja2, or for pictures Pillow, is not installed (the extra ``report``).

    Examples
    --------
    >>> import tempfile
    >>> import hierlearn
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> base = hierlearn.TorchMLPClassifier((32,), max_epochs=3, random_state=0)
    >>> clf = hierlearn.HierarchicalDecompositionClassifier(base, random_state=0)
    >>> clf = clf.fit(X[:900], y[:900])
    >>> folder = tempfile.mkdtemp()
    >>> path = hierlearn.report(clf, X[900:], y[900:], f"{folder}/a.html", image_shape=(8, 8))
    >>> path.name
    'a.html'
    """
    written = _writable(path)  # before the work, which may take minutes
    data = gather(
        estimator,
        X,
        y,
        comparison=comparison,
        partition=partition,
        class_names=class_names,
        cluster_names=cluster_names,
        images=images,
        image_shape=image_shape,
        title=title,
        timestamp=timestamp,
    )
    written.write_text(render(data), encoding="utf-8", newline="\n")
    return written


def _writable(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            f"path must be a str or path-like. Got {type(path).__name__} instead; name the file to "
            "write, such as 'report.html'."
        )
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(
            f"path must be a file. Got the folder {str(path)!r} instead; add a name, such as "
            "report.html."
        )
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path must lie in a folder that exists. Got {str(path)!r} instead; make the folder "
            "first."
        )
    return target
