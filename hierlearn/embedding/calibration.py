"""From cosines to the logits of probabilities, on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize
from scipy.special import expit, softmax

from hierlearn._validation import check_class_codes, check_weights

__all__ = ["fit_label_logits", "fit_shared_logit", "fit_softmax_scale"]

# What is learnt per label is drawn to what holds for all, as if that had been observed: the
# penalty of a scale twice the shared one, or of odds e times as large.
_PRIOR = 1.0
_N_STEPS = 50
_TOLERANCE = 1e-8
_SMALLEST_SCALE = 1e-3
# A scale that turns the mean spread of a row into odds of e to this power changes nothing more.
_LARGEST_SPREAD = 100.0
# Labels fitted at a time.
_MAX_ELEMENTS = 2**22


def fit_softmax_scale(
    cosines: ArrayLike, y_codes: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Fit one temperature for the softmax over classes.

    Unlike :func:`hierlearn.confusion.fit_temperature` it looks for the zero of the derivative, so
    that rows repeated and rows weighted agree to the last digits.

    Parameters
    ----------
    cosines : array-like of shape (n_samples, n_classes)
        Of held-out samples to each class.
    y_codes : array-like of shape (n_samples,)
        Codes of the true classes.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    scale : float
        One over the temperature: posteriors are ``softmax(scale * cosines)``. Bounded where all
        samples are told apart, or none; 1.0 where there is nothing to learn from.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, sec. 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import fit_softmax_scale
    >>> cosines = np.array([[0.5, 0.0], [0.5, 0.0], [0.5, 0.0], [0.0, 0.5]])
    >>> scale = fit_softmax_scale(cosines, [0, 0, 1, 1])  # right three times in four: odds of 3
    >>> bool(np.isclose(scale, 2 * np.log(3)))
    True
    """
    scores = np.asarray(cosines, dtype=np.float64)
    codes = check_class_codes(y_codes, scores.shape[1], n_samples=len(scores), name="y_codes")
    weights = check_weights(sample_weight, len(scores))
    weights = np.ones(len(scores)) if weights is None else weights
    below = scores - scores.max(axis=1, keepdims=True) if len(scores) else scores
    spread = float(weights @ -below.min(axis=1)) if len(scores) else 0.0
    if spread == 0:
        return 1.0
    below = below * (weights.sum() / spread)
    own = below[np.arange(len(codes)), codes]

    def derivative(log_sharpness: float) -> float:
        posteriors = softmax(below * np.exp(log_sharpness), axis=1)
        return float(weights @ ((posteriors * below).sum(axis=1) - own))

    limit = np.log(_LARGEST_SPREAD)
    if derivative(limit) <= 0:
        sharpness = limit
    elif derivative(-limit) >= 0:
        sharpness = -limit
    else:
        sharpness = brentq(derivative, -limit, limit, xtol=1e-12)
    return float(np.exp(sharpness) * weights.sum() / spread)


def fit_shared_logit(
    cosines: ArrayLike, Y: Any, sample_weight: ArrayLike | None = None
) -> tuple[float, float]:
    """Fit one temperature and one threshold for all labels.

    Parameters
    ----------
    cosines : array-like of shape (n_samples, n_labels)
        Of held-out samples to each label.
    Y : array-like or sparse matrix of shape (n_samples, n_labels)
        Label indicator.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    scale, offset : float
        The probability of a label is the logistic function of ``scale * cosine + offset``, so the
        temperature is ``1 / scale``, always positive. Targets are Platt's, a little inside 0 and
        1, so that labels told apart perfectly have a finite scale.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines.

    Examples
    --------
    >>> from hierlearn.embedding import fit_shared_logit
    >>> scale, offset = fit_shared_logit([[0.9, 0.1], [0.8, 0.2]], [[1, 0], [1, 0]])
    >>> -offset / scale > 0.3  # between the cosines of the two labels
    True
    """
    scores, truth, weights = _checked(cosines, Y, sample_weight)
    positives = float((weights @ truth).sum())
    negatives = float(weights.sum()) * scores.shape[1] - positives
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    if positives + negatives == 0:
        return 1.0, 0.0
    ones = sp.coo_array(truth)
    of_ones = scores[ones.coords], weights[ones.coords[0]]
    middle, spread = float(scores.mean()), max(float(scores.std()), 1e-6)

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        # Negative log-likelihood as if all were negatives, and what positives differ by.
        slope, level = parameters
        logits = slope * (scores - middle) / spread + level
        mine = slope * (of_ones[0] - middle) / spread + level
        value = weights @ (np.logaddexp(0, logits) - low * logits).sum(axis=1)
        value -= (high - low) * (of_ones[1] @ mine)
        errors = weights[:, None] * (expit(logits) - low)
        up = (errors * (scores - middle)).sum() / spread
        up -= (high - low) * (of_ones[1] @ (of_ones[0] - middle)) / spread
        level_up = errors.sum() - (high - low) * of_ones[1].sum()
        size = positives + negatives
        return value / size, np.array([up, level_up]) / size

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    options = {"gtol": 1e-9}
    slope, level = minimize(loss, start, jac=True, method="BFGS", options=options).x
    scale = max(float(slope) / spread, _SMALLEST_SCALE)
    return scale, float(level) - scale * middle


def fit_label_logits(
    cosines: ArrayLike, Y: Any, sample_weight: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a scale and an offset for each label: Platt's scaling, drawn to what holds for all.

    Rare labels have few held-out positives, or none: what these cannot tell is that of
    :func:`fit_shared_logit`, from which a label departs as far as its samples say.

    Parameters
    ----------
    cosines : array-like of shape (n_samples, n_labels)
        Of held-out samples to each label.
    Y : array-like or sparse matrix of shape (n_samples, n_labels)
        Label indicator.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples.

    Returns
    -------
    scale, offset : ndarray of shape (n_labels,), dtype float64
        The probability of label k is the logistic function of ``scale[k] * cosine + offset[k]``;
        scales are positive.

    References
    ----------
    Platt (1999), Probabilistic outputs for support vector machines.

    Examples
    --------
    >>> from hierlearn.embedding import fit_label_logits
    >>> cosines, Y = [[0.9, 0.4], [0.8, 0.5], [0.3, 0.1]], [[1, 1], [1, 1], [0, 0]]
    >>> scale, offset = fit_label_logits(cosines, Y)
    >>> bool(-offset[0] / scale[0] > -offset[1] / scale[1])  # the second asks for less
    True
    """
    scores, truth, weights = _checked(cosines, Y, sample_weight)
    shared = fit_shared_logit(scores, truth, weights)
    step = max(1, _MAX_ELEMENTS // max(len(scores), 1))
    by_column = truth.tocsc()
    parts = [
        _newton(
            scores[:, start : start + step],
            by_column[:, start : start + step].toarray(),
            weights[:, None],
            shared,
        )
        for start in range(0, scores.shape[1], step)
    ]
    scale = np.concatenate([part[0] for part in parts])
    offset = np.concatenate([part[1] for part in parts])
    return scale, offset


def _checked(
    cosines: ArrayLike, Y: Any, sample_weight: ArrayLike | None
) -> tuple[NDArray[np.float64], sp.csr_array, NDArray[np.float64]]:
    scores = np.asarray(cosines, dtype=np.float64)
    truth = sp.csr_array(Y, dtype=np.float64)
    truth.eliminate_zeros()
    if scores.shape != truth.shape:
        raise ValueError(
            f"Y must have the shape of the cosines, {scores.shape}. Got {truth.shape} instead."
        )
    weights = check_weights(sample_weight, len(scores))
    return scores, truth, np.ones(len(scores)) if weights is None else weights


def _newton(
    scores: NDArray[np.float64],
    truth: NDArray[np.float64],
    weights: NDArray[np.float64],
    shared: tuple[float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimise each label's penalised log-loss by damped Newton steps, all labels at once.

    ``a`` multiplies the shared scale, ``b`` is added to the shared logits: both know their prior.
    """
    base, level = shared[0] * scores, shared[1]
    a, b = np.ones(scores.shape[1]), np.zeros(scores.shape[1])

    def objective(a: Any, b: Any) -> NDArray[np.float64]:
        logits = a * base + level + b
        losses = (weights * (np.logaddexp(0, logits) - truth * logits)).sum(axis=0)
        return losses + _PRIOR / 2 * ((a - 1) ** 2 + b**2)

    damping, value = np.full(len(a), 1e-6), objective(a, b)
    for _ in range(_N_STEPS):
        p = expit(a * base + level + b)
        error, curvature = weights * (p - truth), weights * p * (1 - p)
        g_a = (error * base).sum(axis=0) + _PRIOR * (a - 1)
        g_b = error.sum(axis=0) + _PRIOR * b
        h_ab = (curvature * base).sum(axis=0)
        h_aa = ((curvature * base**2).sum(axis=0) + _PRIOR) * (1 + damping)
        h_bb = (curvature.sum(axis=0) + _PRIOR) * (1 + damping)
        determinant = h_aa * h_bb - h_ab**2
        new_a = a - (h_bb * g_a - h_ab * g_b) / determinant
        new_b = b - (h_aa * g_b - h_ab * g_a) / determinant
        new_value = objective(new_a, new_b)
        better = new_value < value
        a, b = np.where(better, new_a, a), np.where(better, new_b, b)
        gained = np.where(better, value - new_value, 0)
        value = np.where(better, new_value, value)
        damping = np.where(better, damping / 10, damping * 10 + 1e-3)
        if not better.any() or gained.max() < _TOLERANCE:
            break
    scale = np.maximum(a * shared[0], _SMALLEST_SCALE)
    return scale, level + b
