"""Label indicators as vectors on the unit sphere, and back."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from hierlearn._given import validate_data
from hierlearn._validation import (
    Interval,
    StrOptions,
    check_any_weight,
    check_weights,
    fit_context,
)
from hierlearn.embedding.cooccurrence import label_cooccurrence
from hierlearn.embedding.factors import embed_labels
from hierlearn.embedding.information import PMI_VARIANTS, pmi
from hierlearn.embedding.search import check_n_labels, make_search
from hierlearn.embedding.sums import normalise_rows, sum_of_labels

__all__ = ["LabelEmbedder"]

_DEFAULT_THRESHOLD = 0.5
# Cosines computed at a time.
_MAX_ELEMENTS = 2**24


class LabelEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Vectors for samples of several labels, from how often the labels occur together.

    Each label gets a vector on the unit sphere: the truncated singular value decomposition of the
    labels' pointwise mutual information. A sample's vector is the normalised sum of its labels'.

    What is transformed are labels, so ``Y`` stands where other transformers have ``X``.

    Parameters
    ----------
    n_components : int, default=100
        Dimensions, at most; fewer where fewer hold all there is, see :func:`embed_labels
        <hierlearn.embedding.embed_labels>`.
    variant : {"ppmi", "shifted", "npmi"}, default="ppmi"
        Kind of mutual information, see :func:`pmi <hierlearn.embedding.pmi>`.
    shift : float, default=5.0
        For ``variant="shifted"``: how many times as often as by chance labels must meet.
    search : {"exact", "approximate"}, default="exact"
        How ``inverse_transform`` finds the ``k`` nearest labels. The approximate search needs the
        package usearch and pays above some 100,000 labels.
    random_state : int, RandomState instance or None, default=None
        Of the randomised decomposition, and of labels that occur with no other.

    Attributes
    ----------
    embeddings_ : ndarray of shape (n_labels, n_found)
        A unit vector for each label. A label that occurs with no other, or never, has a direction
        of its own, or a random one where dimensions have run out.
    counts_ : ndarray of shape (n_labels,)
        Weight of the samples that have each label.
    n_features_in_ : int
        Number of labels.
    feature_names_in_ : ndarray of shape (n_labels,)
        Names of the labels, when Y had string column names.

    See Also
    --------
    LabelEmbeddingClassifier : A network that learns these vectors.

    References
    ----------
    Chollet (2016), Information-theoretical label embeddings for large-scale image classification.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn import LabelEmbedder
    >>> Y = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    >>> embedder = LabelEmbedder(n_components=2).fit(Y)
    >>> (embedder.embeddings_ @ embedder.embeddings_.T).round(1) + 0.0
    array([[1., 1., 0., 0.],
           [1., 1., 0., 0.],
           [0., 0., 1., 1.],
           [0., 0., 1., 1.]])
    >>> embedder.inverse_transform(embedder.transform(Y[:1]), k=2).toarray()
    array([[1, 1, 0, 0]])
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "variant": [StrOptions(set(PMI_VARIANTS))],
        "shift": [Interval(Real, 0, None, closed="neither")],
        "search": [StrOptions({"exact", "approximate"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 100,
        *,
        variant: str = "ppmi",
        shift: float = 5.0,
        search: str = "exact",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.variant = variant
        self.shift = shift
        self.search = search
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn a vector for each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_labels)
            Label indicator ``Y``: 1 where the sample has the label. Other values that are not
            negative are degrees, relative to the largest.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the counts.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If Y has a negative entry, or is not a finite matrix.
        """
        indicator = self._check(X, reset=True)
        weight = check_weights(sample_weight, indicator.shape[0])
        if weight is None:
            weight = np.ones(indicator.shape[0])
        check_any_weight(weight)
        counted = indicator[weight > 0]
        largest = counted.data.max(initial=0.0)
        if largest > 0:
            counted.data /= largest  # not by its reciprocal, which may be infinite
        counts = label_cooccurrence(counted, sample_weight=weight[weight > 0])
        information = pmi(counts, self.variant, n_samples=weight.sum(), shift=self.shift)
        self.counts_ = counts.diagonal()
        self.embeddings_ = embed_labels(
            information, self.n_components, random_state=self.random_state
        )
        self._n_features_out = self.embeddings_.shape[1]
        self._search = make_search(self.search, self.embeddings_)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the normalised sum of the vectors of each sample's labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_labels)
            Label indicator ``Y``, or degrees.

        Returns
        -------
        vectors : ndarray of shape (n_samples, n_found), dtype float64
            Of length one; zeros for a sample without labels.
        """
        check_is_fitted(self)
        return sum_of_labels(self._check(X, reset=False), self.embeddings_)

    def inverse_transform(
        self, X: Any, *, k: int | None = None, threshold: float | None = None
    ) -> sp.csr_array:
        """Return the labels nearest to each vector.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_found)
            Vectors, such as a network's outputs; of any length.
        k : int, default=None
            Each vector gets its k nearest labels.
        threshold : float, default=None
            Each vector gets the labels whose cosine with it is as large; 0.5 where neither ``k``
            nor ``threshold`` is given. With both, the k nearest of those.

        Returns
        -------
        Y : csr_array of shape (n_samples, n_labels), dtype int64
            Label indicator. A vector of zeros has no labels.

        Raises
        ------
        ValueError
            If vectors have another number of columns, or ``k`` or ``threshold`` is out of range.
        """
        check_is_fitted(self)
        _check_threshold(threshold)
        vectors = check_array(X, dtype=np.float64)
        if vectors.shape[1] != self.embeddings_.shape[1]:
            raise ValueError(
                f"X must have one column for each of the {self.embeddings_.shape[1]} dimensions of "
                f"the embedding. Got shape {vectors.shape} instead; make it with transform."
            )
        if k is None:
            return self._above(vectors, _DEFAULT_THRESHOLD if threshold is None else threshold)
        check_n_labels(k, len(self.embeddings_))
        labels, cosines = self._search.nearest(vectors, k)
        least = -np.inf if threshold is None else threshold
        kept = vectors.any(axis=1, keepdims=True) & (cosines >= least)
        return _indicator(np.nonzero(kept)[0], labels[kept], (len(vectors), len(self.embeddings_)))

    def _above(self, vectors: NDArray[np.float64], threshold: float) -> sp.csr_array:
        units, n_labels = normalise_rows(vectors), len(self.embeddings_)
        step = max(1, _MAX_ELEMENTS // n_labels)
        found = []
        for start in range(0, len(units), step):
            part = units[start : start + step]
            near = (part @ self.embeddings_.T >= threshold) & part.any(axis=1, keepdims=True)
            rows, labels = np.nonzero(near)
            found.append(_indicator(rows, labels, near.shape))
        return sp.csr_array(sp.vstack(found, format="csr"))

    def _check(self, Y: Any, *, reset: bool) -> sp.csr_array:
        """Return degrees as a sparse array."""
        checked = validate_data(
            self,
            Y,
            accept_sparse="csr",
            dtype=np.float64,
            ensure_non_negative=True,
            reset=reset,
        )
        return sp.csr_array(checked)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_threshold(threshold: Any) -> None:
    if threshold is None:
        return
    if not (isinstance(threshold, Real) and -1 <= float(threshold) <= 1):
        raise ValueError(
            f"threshold must be a cosine, a number from -1 to 1. Got {threshold!r} instead."
        )


def _indicator(rows: NDArray[Any], labels: NDArray[Any], shape: tuple[int, int]) -> sp.csr_array:
    ones = np.ones(len(rows), dtype=np.int64)
    return sp.csr_array(sp.coo_array((ones, (rows, labels)), shape=shape))
