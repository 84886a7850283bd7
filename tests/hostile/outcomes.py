"""What may come of any input: a right answer, or an error that says what is wrong."""

import linecache
import signal
import sys
import traceback
import warnings
from contextlib import contextmanager

import numpy as np
import torch
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

# Far more than anything takes alone: a machine may be busy.
LIMIT_S = 600
# Warnings that tell the user something about their data, from whoever can tell.
DOCUMENTED = (ConvergenceWarning, DataConversionWarning)
# scikit-learn's own type_of_target casts infinite labels to integers before it refuses them.
NOT_OURS = ("invalid value encountered in cast",)


class Refused:
    """An input that was refused as it should be."""

    def __init__(self, error):
        self.error = error


def outcome(action, *inputs):
    """Return what an action gives, or Refused; fail where it leaves any other trace."""
    before, state = [fingerprint(value) for value in inputs], global_state()
    caught = []
    with warnings.catch_warnings(), time_limit(LIMIT_S):
        warnings.simplefilter("always")
        warnings.showwarning = lambda *warning: caught.append((warning, modules_of_stack()))
        try:
            result = action()
        except Exception as error:
            check_error(error)
            result = Refused(error)
    for (message, category, filename, line, *_), modules in caught:
        check_warning(message, category, f"{filename}:{line}", modules)
    assert global_state() == state, "global state was changed"
    for value, as_was in zip(inputs, before, strict=True):
        assert fingerprint(value) == as_was, "an input was modified"
    return result


def check_error(error):
    """Fail unless an error is a clear one, raised by our own checks or scikit-learn's."""
    frames = list(traceback.walk_tb(error.__traceback__))
    frame, line = frames[-1]
    module = frame.f_globals.get("__name__", "")
    package = module.partition(".")[0]
    told = "".join(traceback.format_exception(error))
    assert isinstance(error, ValueError | TypeError), f"{type(error).__name__} escaped:\n{told}"
    checked_by_sklearn = any(
        frame.f_globals.get("__name__", "").startswith("sklearn.utils.") for frame, _ in frames
    )
    from_container = package in ("pandas", "polars", "scipy", "numpy")
    ours_or_sklearns = package in ("hierlearn", "sklearn")
    assert ours_or_sklearns or (from_container and checked_by_sklearn), (
        f"raised in {module}:\n{told}"
    )
    if package == "hierlearn":
        source = linecache.getline(frame.f_code.co_filename, line).strip()
        assert source.startswith("raise"), f"no check of ours, but {source!r}:\n{told}"
        assert "\n" not in str(error), f"more than one line:\n{told}"
        assert any(word in str(error) for word in ("Got", "instead", "requires")), (
            f"says little: {told}"
        )


def modules_of_stack():
    """Return the modules whose code runs, from the inside out."""
    frame, names = sys._getframe(2), []
    while frame is not None:
        names.append(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return names


def check_warning(message, category, place, modules):
    """Fail on a warning that says nothing about the data, unless it is a foreign member's own."""
    known = issubclass(category, DOCUMENTED) or category is UserWarning
    if known or str(message) in NOT_OURS:
        return
    ours = (i for i, name in enumerate(modules) if name.startswith("hierlearn"))
    within = modules[: next(ours, None)]
    members = ("sklearn.linear_model", "sklearn.naive_bayes")
    assert any(name.startswith(members) for name in within), (
        f"{category.__name__}, {place}: {message}"
    )


def global_state():
    """Return what of numpy's and torch's a call must leave as it was."""
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return (
        (name, keys.tobytes(), position, has_gauss, cached),
        torch.get_rng_state().numpy().tobytes(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        tuple(np.geterr().items()),
    )


def fingerprint(value):
    """Return what is in a container, in a form that can be compared."""
    if sparse.issparse(value):
        parts = vars(value if value.format != "dok" else value.tocoo())
        arrays = sorted((k, v) for k, v in parts.items() if isinstance(v, np.ndarray))
        return type(value).__name__, value.shape, [(k, fingerprint(v)) for k, v in arrays]
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()) if value.dtype == object else value.tobytes()
        return value.dtype.str, value.shape, value.strides, value.flags.writeable, content
    if hasattr(value, "to_dict"):
        if hasattr(value, "columns") and hasattr(value, "index"):
            value = value.set_axis(range(value.shape[1]), axis=1)  # names may not be unique
        kinds = getattr(value, "dtypes", getattr(value, "dtype", None))
        return str(kinds), repr(value.to_dict() if hasattr(value, "index") else value)
    return repr(value)


@contextmanager
def time_limit(seconds):
    """Fail what hangs. Only the main thread can be stopped so."""

    def stop(*_):
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# -- right answers -------------------------------------------------------------------------------


def n_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def check_answers(estimator, X):
    """Check what a fitted estimator says of rows; return it, or Refused."""
    found = {}
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        if hasattr(estimator, method):
            found[method] = outcome(lambda m=method: getattr(estimator, m)(X), X)
    refused = [answer for answer in found.values() if isinstance(answer, Refused)]
    if refused:
        # Labels may be told where numbers are at the end of their range and posteriors are not.
        too_large = "can add up" in str(refused[0].error)
        assert len(refused) == len(found) or too_large, f"refused by some methods only: {found}"
        return refused[0]
    for method, answer in found.items():
        assert answer.shape[0] == n_rows(X), method
        if method != "predict":
            values = answer.data if sparse.issparse(answer) else answer
            assert np.isfinite(values).all(), f"{method} is not finite"
    if "predict_proba" in found:
        check_probabilities(estimator, found["predict"], found["predict_proba"])
    elif "predict" in found and hasattr(estimator, "predict_proba"):
        check_labels(estimator.classes_, found["predict"])
    return found


def check_probabilities(estimator, predicted, posteriors):
    """Check that posteriors are such, and that the label predicted is the most probable."""
    classes = estimator.classes_
    assert posteriors.shape == (len(predicted), len(classes))
    assert ((posteriors >= 0) & (posteriors <= 1 + 1e-6)).all()
    if predicted.ndim == 2:
        assert predicted.shape == posteriors.shape
        assert np.isin(predicted, [0, 1]).all()
        return
    np.testing.assert_allclose(posteriors.sum(axis=1), 1, atol=1e-5)
    check_labels(classes, predicted)
    places = {label: place for place, label in enumerate(classes.tolist())}
    codes = [places[label] for label in predicted.tolist()]
    own = posteriors[np.arange(len(codes)), codes]
    assert (own >= posteriors.max(axis=1) - 1e-5).all(), "predict and predict_proba disagree"


def check_labels(classes, predicted):
    assert predicted.dtype == classes.dtype, (predicted.dtype, classes.dtype)
    assert set(predicted.tolist()) <= set(classes.tolist())
