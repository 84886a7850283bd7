"""From cosines to the logits of probabilities, on held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, softmax

from hierlearn._validation import check_class_codes, check_weights

__all__ = ["fit_label_logits", "fit_shared_logit", "fit_softmax_scale"]

# What is learnt per label is drawn to what holds for all, as if that had been observed: the
# penalty of a scale twice the shared one, or of odds e times as large.
_PRIOR = 1.0
_N_STEPS = 50
_TOLERANCE = 1e-8
# A mean gradient that counts as zero; what keeps curvatures from being none.
_FLAT = 1e-10
_TINY = 1e-15
_LARGEST_DAMPING = 1e8
_SMALLEST_SCALE = 1e-3
# A scale that turns the mean spread of a row into odds of e to this power changes nothing more.
_LARGEST_SPREAD = 100.0
# Cosines, of some labels or of some rows, that are looked at together: so many stay in a cache.
_BLOCK_ELEMENTS = 2**16


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
    scores = _as_floating(cosines)
    codes = check_class_codes(y_codes, scores.shape[1], n_samples=len(scores), name="y_codes")
    weights = check_weights(sample_weight, len(scores))
    weights = np.ones(len(scores)) if weights is None else weights
    highest = scores.max(axis=1).astype(np.float64) if len(scores) else np.zeros(0)
    lowest = scores.min(axis=1) if len(scores) else highest
    spread = float(weights @ (highest - lowest))
    if spread == 0:
        return 1.0
    unit = weights.sum() / spread
    own = (scores[np.arange(len(codes)), codes] - highest) * unit

    def derivative(log_sharpness: float) -> float:
        found = -float(weights @ own)
        for rows in _blocks(scores):
            below = (scores[rows] - highest[rows, None]) * unit
            posteriors = softmax(below * np.exp(log_sharpness), axis=1)
            found += float(weights[rows] @ np.einsum("nk,nk->n", posteriors, below))
        return found

    limit = np.log(_LARGEST_SPREAD)
    if derivative(limit) <= 0:
        sharpness = limit
    elif derivative(-limit) >= 0:
        sharpness = -limit
    else:
        sharpness = brentq(derivative, -limit, limit, xtol=1e-12)
    return float(np.exp(sharpness) * unit)


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
    middle = float(scores.mean(dtype=np.float64))
    squares = sum(float(((scores[rows] - middle) ** 2).sum()) for rows in _blocks(scores))
    spread = max((squares / scores.size) ** 0.5, 1e-6)
    of_ones = (scores[ones.coords].astype(np.float64) - middle) / spread
    weight_of_ones = weights[ones.coords[0]] * (high - low)
    gain = np.array([weight_of_ones @ of_ones, weight_of_ones.sum()])

    def loss(parameters: NDArray[np.float64]) -> _Loss:
        # Negative log-likelihood as if all were negatives, and what positives differ by.
        value, slopes, curvature = -float(gain @ parameters), -gain, np.zeros((2, 2))
        for rows in _blocks(scores):
            z = (scores[rows].astype(np.float64) - middle) / spread
            logits = parameters[0] * z + parameters[1]
            p = expit(logits)
            # log(1 + e^x) from what is known: max(x, 0) - log(max(p, 1 - p))
            softplus = np.maximum(logits, 0) - np.log(np.maximum(p, 1 - p))
            value += weights[rows] @ (softplus - low * logits).sum(axis=1)
            errors, curved = p - low, p * (1 - p)
            slopes = slopes + weights[rows] @ _moments(errors, z, 1)
            second = weights[rows] @ _moments(curved, z, 2)
            curvature += [[second[0], second[1]], [second[1], second[2]]]
        size = positives + negatives
        return _Loss(value / size, slopes / size, curvature / size)

    start = np.array([1.0, np.log((positives + 1) / (negatives + 1))])
    slope, level = _minimise(loss, start)
    scale = max(float(slope) / spread, _SMALLEST_SCALE)
    return scale, float(level) - scale * middle


class _Loss(NamedTuple):
    """A loss, its gradient and its second derivatives at a point."""

    value: float
    slopes: NDArray[np.float64]
    curvature: NDArray[np.float64]


def _moments(errors: NDArray[Any], z: NDArray[Any], degree: int) -> NDArray[np.float64]:
    """Return the sums of ``errors * z**degree, ..., errors`` of every row, (n, degree + 1)."""
    sums = [errors.sum(axis=1)]
    for _ in range(degree):
        errors = errors * z
        sums.append(errors.sum(axis=1))
    return np.stack(sums[::-1], axis=1)


def _minimise(loss: Callable[[Any], _Loss], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise a convex loss of a few parameters by damped Newton steps."""
    at, damping = start, 0.0
    here = loss(at)
    for _ in range(_N_STEPS):
        if np.abs(here.slopes).max() <= _FLAT:
            break
        damped = here.curvature + np.diag(damping * here.curvature.diagonal() + _TINY)
        ahead = at - np.linalg.solve(damped, here.slopes)
        there = loss(ahead)
        if there.value <= here.value:
            at, here, damping = ahead, there, damping / 10
        elif damping > _LARGEST_DAMPING:  # no lower than by rounding
            break
        else:
            damping = 10 * damping + 1e-3
    return at


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
    step = max(1, _BLOCK_ELEMENTS // max(len(scores), 1))
    by_column = truth.tocsc()
    parts = [
        _newton(
            scores[:, start : start + step].astype(np.float64),
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
    scores = _as_floating(cosines)
    truth = sp.csr_array(Y, dtype=np.float64)
    truth.eliminate_zeros()
    if scores.shape != truth.shape:
        raise ValueError(
            f"Y must have the shape of the cosines, {scores.shape}. Got {truth.shape} instead."
        )
    weights = check_weights(sample_weight, len(scores))
    return scores, truth, np.ones(len(scores)) if weights is None else weights


def _as_floating(cosines: ArrayLike) -> NDArray[Any]:
    """Return cosines as they are if they are in floating point: there may be very many."""
    scores = np.asarray(cosines)
    return scores if scores.dtype.kind == "f" else scores.astype(np.float64)


def _blocks(scores: NDArray[Any]) -> Iterator[slice]:
    """Cut the rows into blocks."""
    step = max(1, _BLOCK_ELEMENTS // max(scores.shape[1], 1))
    return (slice(start, start + step) for start in range(0, len(scores), step))


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
