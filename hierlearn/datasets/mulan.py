"""Mulan's data sets: many labels a sample, in ARFF files with an XML list of the labels."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.utils import Bunch

from hierlearn.datasets._arff import ArffTable, read_arff
from hierlearn.datasets._files import Folder, find_folder, missing_files

__all__ = ["load_bibtex", "load_delicious", "load_mulan"]

_SITE = "https://mulan.sourceforge.net/datasets-mlc.html"

_DESCR = """\
{name}: {n_train:,} + {n_test:,} samples of {n_features:,} features and {n_labels:,} labels,
{cardinality:.2f} labels a sample in the mean, read from files in the format of Mulan.

Tsoumakas, Spyromitros-Xioufis, Vilcek & Vlahavas (2011), Mulan: a Java library for multi-label
learning, Journal of Machine Learning Research 12.
"""

_BIBTEX_DESCR = """\
Bibtex: 7,395 BibTeX entries of the social bookmarking system Bibsonomy, as the words that occur in
them (1,836, yes or no), with the tags that users gave them: 159, 2.4 an entry. The split, 4,880
for training and 2,515 for testing, is that of Mulan.

Katakis, Tsoumakas & Vlahavas (2008), Multilabel text classification for automated tag suggestion,
ECML PKDD Discovery Challenge.
"""

_DELICIOUS_DESCR = """\
Delicious: 16,105 web pages that users of the social bookmarking site del.icio.us saved, as the
words that occur in them (500, yes or no), with the tags that they gave them: 983, 19 a page. The
split, 12,920 for training and 3,185 for testing, is that of Mulan. One tag occurs in the training
part only.

Tsoumakas, Katakis & Vlahavas (2008), Effective and efficient multilabel classification in domains
with large number of labels, ECML/PKDD Workshop on Mining Multidimensional Data.
"""


def load_bibtex(data_dir: Folder) -> Bunch:
    """Load Bibtex, bibliographic entries with 159 tags, from Mulan's files.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds ``bibtex-train.arff``, ``bibtex-test.arff`` and ``bibtex.xml``, itself or
        in ``bibtex/`` or ``mulan/``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`load_mulan`: 4,880 + 2,515 samples, 1,836 features (sparse, 0 and 1), 159
        labels.

    Raises
    ------
    FileNotFoundError
        If the files are not there; the message says what to download.
    ValueError
        If the files are damaged, or hold another split of the set.

    Examples
    --------
    >>> from hierlearn.datasets import load_bibtex
    >>> bibtex = load_bibtex("downloads")  # doctest: +SKIP
    >>> bibtex.target_train.shape  # doctest: +SKIP
    (4880, 159)
    """
    return _load_official(data_dir, "bibtex", _BIBTEX_DESCR, (4880, 2515, 1836, 159))


def load_delicious(data_dir: Folder) -> Bunch:
    """Load Delicious, web pages with 983 tags, from Mulan's files.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds ``delicious-train.arff``, ``delicious-test.arff`` and ``delicious.xml``,
        itself or in ``delicious/`` or ``mulan/``.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As of :func:`load_mulan`: 12,920 + 3,185 samples, 500 features (sparse, 0 and 1), 983
        labels.

    Raises
    ------
    FileNotFoundError
        If the files are not there; the message says what to download.
    ValueError
        If the files are damaged, or hold another split of the set.

    Examples
    --------
    >>> from hierlearn.datasets import load_delicious
    >>> delicious = load_delicious("downloads")  # doctest: +SKIP
    >>> delicious.target_train.shape  # doctest: +SKIP
    (12920, 983)
    """
    return _load_official(data_dir, "delicious", _DELICIOUS_DESCR, (12920, 3185, 500, 983))


def load_mulan(data_dir: Folder, name: str) -> Bunch:
    """Load a multi-label data set in Mulan's format: two ARFF files, and an XML list of labels.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds ``NAME-train.arff``, ``NAME-test.arff`` and ``NAME.xml``, itself or in
        ``NAME/`` or ``mulan/``.
    name : str
        The name that the files begin with, such as "bibtex" or "Corel5k".

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : csr_array or ndarray of shape (n, n_features), dtype float32
            The attributes that are no labels, in the order of the file. Sparse where more than
            half of the training part is zero, however the file writes it. Of nominal attributes
            the position of the value in its declaration; NaN where a value is missing.
        target_train, target_test : csr_array of shape (n, n_labels), dtype int64
            Label indicator, 1 where the sample has the label. A row may be empty.
        target_names : ndarray of shape (n_labels,), dtype str
            Name of each label, in the order of the XML file, which is that of the columns.
        feature_names : ndarray of shape (n_features,), dtype str
            Name of each feature.
        groups : None
            No taxonomy of the labels is known.
        DESCR : str
            Description of the set.

    Raises
    ------
    FileNotFoundError
        If the files are not there.
    ValueError
        If the files are damaged, or do not fit each other.

    Examples
    --------
    >>> from hierlearn.datasets import load_mulan
    >>> scene = load_mulan("downloads", "scene")  # doctest: +SKIP
    """
    folder, files = _find(data_dir, name)
    train_file, test_file, labels_file = (folder / file for file in files)
    labels = _read_labels(labels_file)
    train, test = read_arff(train_file), read_arff(test_file)
    if (test.names, test.categories) != (train.names, train.categories):
        raise ValueError(
            f"{test_file} must have the attributes of {train_file.name}, in the same order: "
            f"download both again. Got {len(test.names)} beside {len(train.names)} instead."
        )
    places = _label_places(train, labels, train_file)
    others = np.setdiff1d(np.arange(len(train.names)), places)
    X, X_test = (sp.csr_array(part.values[:, others], dtype=np.float32) for part in (train, test))
    sparse = X.nnz < np.prod(X.shape) / 2
    y, y_test = _indicator(train, places, train_file), _indicator(test, places, test_file)
    return Bunch(
        data_train=X if sparse else X.toarray(),
        target_train=y,
        data_test=X_test if sparse else X_test.toarray(),
        target_test=y_test,
        target_names=np.array(labels, dtype=str),
        feature_names=np.array([train.names[place] for place in others], dtype=str),
        groups=None,
        DESCR=_describe(name, X, y, X_test),
    )


def _load_official(
    data_dir: Folder, name: str, description: str, expected: tuple[int, int, int, int]
) -> Bunch:
    """Load a set whose shape is known: a file cut off between two rows shows in nothing else."""
    bunch = load_mulan(data_dir, name)
    n_samples = bunch.data_train.shape[0], bunch.data_test.shape[0]
    found = (*n_samples, bunch.data_train.shape[1], bunch.target_train.shape[1])
    if found != expected:
        raise ValueError(
            f"data_dir must hold Mulan's own split of {name}, {_count(expected)}: download it "
            f"again, or read another split with load_mulan. Got {_count(found)} in "
            f"{os.fspath(data_dir)!r} instead."
        )
    bunch.DESCR = description
    return bunch


def _count(shape: tuple[int, ...]) -> str:
    n_train, n_test, n_features, n_labels = (f"{count:,}" for count in shape)
    return f"{n_train} + {n_test} samples of {n_features} features and {n_labels} labels"


def _find(data_dir: Folder, name: str) -> tuple[Path, tuple[str, str, str]]:
    """Find the three files of a set."""
    files = f"{name}-train.arff", f"{name}-test.arff", f"{name}.xml"
    folder = find_folder(data_dir, [name, "mulan"], files)
    if folder is None:
        wanted = f"Mulan's {name}, that is {', '.join(files)}, in itself or in {name}/ or mulan/"
        raise missing_files(data_dir, wanted, f"download it from {_SITE} and unpack it there")
    return folder, files


def _read_labels(path: Path) -> list[str]:
    """Read the names of the labels, those of a hierarchy in the order of the file."""
    try:
        elements = ElementTree.parse(path).iter()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} must be XML: download it again. Got {error} instead.") from error
    # The namespace in braces before the tag has changed from file to file.
    labels = [e.get("name", "") for e in elements if e.tag.rpartition("}")[2] == "label"]
    if not labels or "" in labels or len(set(labels)) < len(labels):
        raise ValueError(
            f'{path} must name every label once, as <label name="...">: download it again. '
            f"Got {len(labels)} labels with {len(set(labels) - {''})} names instead."
        )
    return labels


def _label_places(table: ArffTable, labels: list[str], path: Path) -> NDArray[np.int64]:
    """Return the attribute of each label."""
    known = {name: place for place, name in enumerate(table.names)}
    absent = [label for label in labels if label not in known]
    if absent or len(known) < len(table.names):
        found = f"none for {absent[0]!r}" if absent else "attributes of the same name"
        raise ValueError(
            f"{path} must have one attribute for every label of the XML file: download both again. "
            f"Got {found} instead."
        )
    return np.array([known[label] for label in labels])


def _indicator(table: ArffTable, places: NDArray[np.int64], path: Path) -> sp.csr_array:
    """Return the labels as an indicator; they are declared as {0, 1} or are numbers."""
    for place in places:
        if table.categories[place] not in (None, ["0", "1"]):
            raise ValueError(
                f"{path} must declare every label as {{0,1}}. "
                f"Got {table.categories[place]} for {table.names[place]!r} instead."
            )
    chosen = table.values[:, places]
    if not (chosen.data == 1).all():
        other = chosen.data[chosen.data != 1][0]
        raise ValueError(f"{path} must hold 0 or 1 for every label. Got {other} instead.")
    # In bytes, scikit-learn's OneVsRestClassifier would miscount from the 256th label on.
    return sp.csr_array(chosen, dtype=np.int64)


def _describe(name: str, X: sp.csr_array, y: sp.csr_array, X_test: Any) -> str:
    return _DESCR.format(
        name=name,
        n_train=X.shape[0],
        n_test=X_test.shape[0],
        n_features=X.shape[1],
        n_labels=y.shape[1],
        cardinality=y.nnz / y.shape[0],
    )
