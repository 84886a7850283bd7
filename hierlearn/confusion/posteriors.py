"""Class posteriors from any fitted classifier, over one fixed set of columns."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.pipeline import Pipeline

from hierlearn._input import as_read_by
from hierlearn._validation import check_class_codes, check_scores, check_weights
from hierlearn.exceptions import UnsupportedTargetError

__all__ = ["align_columns", "class_scores", "decision_columns", "fit_temperature", "label_codes"]

# A temperature further than this from the typical spread of the decision values changes nothing:
# the posteriors are then one-hot or uniform to within rounding.
_TEMPERATURE_SPAN = 100.0


def class_scores(estimator: Any, X: Any, *, temperature: float = 1.0) -> NDArray[np.float64]:
    """Score every class for every sample, by the best means that the classifier offers.

    Parameters
    ----------
    estimator : fitted classifier
        Asked for ``predict_proba``; failing that ``softmax(decision_function / temperature)``;
        failing that its prediction, as a one-hot row.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples, in whatever form the classifier accepts.
    temperature : float, default=1.0
        Divides decision values before the softmax, see :func:`fit_temperature`. Without effect on
        the other two ways.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes), dtype float64
        Non-negative, rows sum to 1, columns in the order of ``estimator.classes_``. A binary
        classifier gives two columns, one that has seen a single class a column of ones.
        Probabilities that do not sum to 1 in a row, such as those of a multi-label classifier,
        are divided by their sum; a row of zeros becomes uniform.

    Raises
    ------
    ValueError
        If ``temperature`` is not positive, or the decision values are not one column per class.
    UnsupportedTargetError
        If ``predict_proba`` returns one array per output.

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> from hierlearn.confusion import class_scores
    >>> model = LinearSVC(random_state=0).fit([[0.0], [1.0], [3.0], [4.0]], ["a", "a", "b", "b"])
    >>> class_scores(model, [[0.0], [4.0]]).argmax(axis=1).tolist()
    [0, 1]
    """
    if not (isinstance(temperature, Real) and 0 < temperature < np.inf):
        raise ValueError(
            f"temperature must be a positive, finite number. Got {temperature!r} instead."
        )
    X = as_read_by(estimator, X)
    if hasattr(estimator, "predict_proba"):
        return _rows_to_one(estimator.predict_proba(X))
    if hasattr(estimator, "decision_function"):
        return softmax(decision_columns(estimator, X) / temperature, axis=1)
    return _one_hot(estimator, X)


def align_columns(
    scores: ArrayLike, from_classes: ArrayLike, to_classes: ArrayLike
) -> NDArray[np.float64]:
    """Move score columns to the places of their classes in a larger set of classes.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_from)
        Scores of a classifier that may have seen some of the classes only.
    from_classes : array-like of shape (n_from,)
        The class of each column of ``scores``.
    to_classes : array-like of shape (n_to,)
        The class of each column of the result, without repeats, in any order.

    Returns
    -------
    aligned : ndarray of shape (n_samples, n_to), dtype float64
        Zero in the columns of classes that ``from_classes`` lacks.

    Raises
    ------
    ValueError
        If ``scores`` has not one column per class, or a class is not among ``to_classes``.

    Examples
    --------
    >>> from hierlearn.confusion import align_columns
    >>> align_columns([[0.25, 0.75]], ["a", "c"], ["a", "b", "c"]).tolist()
    [[0.25, 0.0, 0.75]]
    """
    scores = np.asarray(scores, dtype=np.float64)
    source, target = np.asarray(from_classes), np.asarray(to_classes)
    if scores.ndim != 2 or scores.shape[1] != source.shape[0]:
        raise ValueError(
            f"scores must have one column for each of the {source.shape[0]} classes. "
            f"Got shape {scores.shape} instead."
        )
    if np.array_equal(source, target):
        return scores
    aligned = np.zeros((scores.shape[0], target.shape[0]))
    aligned[:, label_codes(source, target, name="from_classes")] = scores
    return aligned


def label_codes(labels: ArrayLike, classes: ArrayLike, *, name: str = "y") -> NDArray[np.int64]:
    """Look up the position of each label in ``classes``.

    Parameters
    ----------
    labels : array-like of shape (n_labels,)
        Labels of any comparable dtype.
    classes : array-like of shape (n_classes,)
        The known labels, without repeats, in any order.
    name : str, default="y"
        Name of the parameter, for the message.

    Returns
    -------
    codes : ndarray of shape (n_labels,), dtype int64
        Position of each label in ``classes``.

    Raises
    ------
    ValueError
        If a label is not among ``classes``.

    Examples
    --------
    >>> from hierlearn.confusion import label_codes
    >>> label_codes(["b", "a", "b"], ["a", "b", "c"]).tolist()
    [1, 0, 1]
    """
    wanted, known = np.asarray(labels), np.asarray(classes)
    order = np.argsort(known, kind="stable")
    try:
        places = np.searchsorted(known, wanted, sorter=order)
    except TypeError:  # labels that cannot be compared, such as str and int as objects
        raise ValueError(
            f"{name} must hold labels of the same type as the classes. Got {wanted.dtype} beside "
            f"{known.dtype} instead."
        ) from None
    codes = order[np.minimum(places, known.shape[0] - 1)]
    unknown = known[codes] != wanted
    if np.any(unknown):
        listed = ", ".join(repr(label) for label in np.unique(wanted[unknown])[:5].tolist())
        raise ValueError(
            f"{name} must hold only known classes: give all of them as classes. "
            f"Got unknown {listed} instead."
        )
    return codes.astype(np.int64)


def decision_columns(estimator: Any, X: Any) -> NDArray[np.float64]:
    """Compute the decision values of a classifier, one column per class even for two classes.

    Parameters
    ----------
    estimator : fitted classifier
        With ``decision_function`` and ``classes_``.
    X : array-like or sparse matrix of shape (n_samples, ...)
        Samples.

    Returns
    -------
    decision : ndarray of shape (n_samples, n_classes), dtype float64
        For two classes the columns are 0 and the decision value, whose softmax is the logistic
        function of the value.

    Raises
    ------
    ValueError
        If the decision values are not one column per class.

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> from hierlearn.confusion import decision_columns
    >>> model = LinearSVC(random_state=0).fit([[0.0], [1.0], [3.0], [4.0]], [0, 0, 1, 1])
    >>> decision_columns(model, [[0.0], [4.0]]).shape
    (2, 2)
    """
    values = np.asarray(estimator.decision_function(X), dtype=np.float64)
    classes = getattr(estimator, "classes_", None)
    n_classes = None if classes is None else len(classes)
    if n_classes == 1:
        return np.zeros((values.shape[0], 1))
    if values.ndim == 1:
        values = np.column_stack([np.zeros_like(values), values])
    # Values of pairs of classes can be as many as the classes (three): their number is no proof.
    by_pair = getattr(_last_step(estimator), "decision_function_shape", None) == "ovo"
    pairwise = by_pair and n_classes is not None and n_classes > 2
    if values.ndim != 2 or pairwise or n_classes not in (None, values.shape[1]):
        raise ValueError(
            f"estimator must have a decision_function with one column for each of its {n_classes} "
            f"classes: set decision_function_shape='ovr' or wrap it in OneVsRestClassifier. Got "
            f"shape {values.shape} instead."
        )
    return values


def fit_temperature(
    decision: ArrayLike, y_codes: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Find the temperature that turns decision values into the likeliest posteriors.

    Minimises the negative log-likelihood of ``softmax(decision / temperature)`` over held-out
    samples, by a bounded search over the logarithm of the temperature.

    Parameters
    ----------
    decision : array-like of shape (n_samples, n_classes) or (n_samples,)
        Decision values of held-out samples; one-dimensional for two classes.
    y_codes : array-like of shape (n_samples,)
        Class codes, the columns of the true classes.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    temperature : float
        Within a factor of 100 of the mean spread of the decision values in a row. 1.0 where there
        is nothing to learn from: no sample, no weight, or decision values that are all equal.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, sec. 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.confusion import fit_temperature
    >>> decision = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    >>> y_codes = [0, 0, 1, 1]  # right three times in four: odds of 3
    >>> bool(np.isclose(fit_temperature(decision, y_codes), 3 / np.log(3), rtol=1e-3))
    True
    """
    values = np.asarray(decision, dtype=np.float64)
    if values.ndim == 1:
        values = np.column_stack([np.zeros_like(values), values])
    codes = check_class_codes(y_codes, values.shape[1], n_samples=values.shape[0], name="y_codes")
    weights = check_weights(sample_weight, codes.size)
    if codes.size == 0 or (weights is not None and weights.sum() == 0):
        return 1.0
    below_best = values - values.max(axis=1, keepdims=True)
    spread = float(-below_best.min(axis=1).mean())
    if spread == 0:
        return 1.0
    below_best /= spread
    own = below_best[np.arange(codes.size), codes]

    def negative_log_likelihood(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        losses = logsumexp(below_best * sharpness, axis=1) - own * sharpness
        return float(np.average(losses, weights=weights))

    limit = np.log(_TEMPERATURE_SPAN)
    found = minimize_scalar(negative_log_likelihood, bounds=(-limit, limit), method="bounded")
    return spread * float(np.exp(found.x))


def _last_step(estimator: Any) -> Any:
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator


def _rows_to_one(probabilities: Any) -> NDArray[np.float64]:
    """Check the output of ``predict_proba`` and scale its rows to sum 1."""
    if isinstance(probabilities, list):
        raise UnsupportedTargetError(
            "estimator must return one array from predict_proba. Got a list of "
            f"{len(probabilities)} arrays instead, one per output; for several labels a sample "
            "wrap the estimator in OneVsRestClassifier."
        )
    scores = check_scores(probabilities, name="predict_proba")
    sums = scores.sum(axis=1, keepdims=True)
    empty = sums[:, 0] == 0
    if empty.any():
        scores = np.where(empty[:, None], 1.0, scores)
        sums = scores.sum(axis=1, keepdims=True)
    return scores / sums


def _one_hot(estimator: Any, X: Any) -> NDArray[np.float64]:
    """One-hot rows of the predictions, for a classifier that offers nothing better."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise ValueError(
            "estimator must have predict_proba, decision_function or classes_. Got "
            f"{type(estimator).__name__} without any; fit it first, or use a classifier."
        )
    codes = label_codes(estimator.predict(X), classes, name="predict(X)")
    return np.eye(len(classes))[codes]
