"""One call for everything that an estimator with structure must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import singledispatch
from typing import Any

from numpy.typing import ArrayLike
from sklearn.frozen import FrozenEstimator

from .._input import last_step
from .._progress import advance, begin_stage, expect, reporting
from .._validation import num_samples
from ..networks.augmenting import is_network
from .comparison import Comparison, Measurement
from .measuring import Trial, check_k, resolve_scoring


@singledispatch
def run_variants(estimator: Any, trial: Trial) -> tuple[Any, list[Measurement]]:
    """Fit an estimator and its controls once; registered for every estimator that has controls."""
    known = sorted(cls.__name__ for cls in run_variants.registry if cls is not object)
    raise ValueError(
        f"estimator must be a {' or a '.join(known)}. Got {type(estimator).__name__} instead; "
        f"{_remedy(estimator)}."
    )


def _remedy(estimator: Any) -> str:
    """Say how something else is made an estimator that can be compared."""
    last = last_step(estimator)
    if type(last) in run_variants.registry:
        return "put the steps before it into its base_estimator"
    if is_network(last):
        return "wrap it, as SpecialistHeadAugmenter(model)"
    hierarchy = "HierarchicalDecompositionClassifier(model)"
    if not getattr(last, "_branchable", False):
        return f"wrap a classifier, as {hierarchy}"
    frozen = hasattr(last, "module_") and not isinstance(estimator, FrozenEstimator)
    heads = "(FrozenEstimator(model)), with X_val and y_val," if frozen else "(model)"
    return f"wrap it, as SpecialistHeadAugmenter{heads} or {hierarchy}"


def compare(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    scoring: Any = None,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    progress: Callable[[str], None] | None = None,
    verbose: int = 0,
) -> Comparison:
    """Measure an estimator with structure beside its controls.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        What to measure; cloned, and every ``random_state`` in it replaced according to the seed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
        Class labels, or for an augmenter a multi-label indicator.
    X_test, y_test : array-like
        Test data.
    seeds : sequence of int, default=(0, 1, 2)
        One paired run each. Take three or more: Student's interval of 95 % is the mean difference
        and 12.7 standard errors to either side with two, 4.3 with three and 2.8 with five; with
        one there is none.
    scoring : str, callable or None, default=None
        What counts: a metric at k that :func:`hierlearn.metrics.get_scorer` knows ("map@50",
        "precision@5"), a name that scikit-learn's knows, or a scorer. None is accuracy, and for a
        multi-label y the mean average precision at 50 (at the number of labels if fewer).
    X_val, y_val : array-like or None, default=None
        Handed to the ``fit`` of an augmenter: rows to measure confusions on.
    progress : callable or None, default=None
        Called with a line before each fit.
    verbose : int, default=0
        Shows each fit and the time left on the standard error when positive.

    Returns
    -------
    Comparison
        Print it for a table and a verdict. Variants of a hierarchy: ``"flat"``, ``"flat, trained as
        long"``, ``"flat, as expensive"``, ``"gate alone"`` (the base with its upper layers
        fine-tuned on all classes), ``"hierarchy"`` (as configured), ``"hierarchy, hard"``,
        ``"hierarchy, soft"`` (both without mixing) and ``"hierarchy, permuted"``.

        Variants of an augmenter: ``"base"`` (the network that the heads stand on), ``"base,
        classifier retrained"``, ``"base, fine-tuned"`` (with ``fine_tune=True``), ``"base, trained
        as long"``, ``"base, as expensive"``, ``"one head for all"`` (labels, always evaluated, at
        the heads' cost), ``"heads"`` (as configured), ``"heads, all evaluated"`` (unless they are;
        only with ``classifier="keep"``, as any other layer is trained for the routing) and
        ``"heads, permuted"`` (the same heads, each for other labels).

        Those that make no sense for the base are left out. Costs of heads are those expected under
        the routing of the test rows.

    Raises
    ------
    ValueError
        If ``estimator`` is neither of the two, ``seeds`` no sequence or empty, ``scoring``
        unknown, or test rows and labels differ in number.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
    >>> from hierlearn.controls import compare
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = HierarchicalDecompositionClassifier(TorchMLPClassifier((16,), max_epochs=3))
    >>> result = compare(clf, X[:900], y[:900], X[900:], y[900:], seeds=[0])
    >>> result.variants[:2]
    ['flat', 'flat, trained as long']
    >>> result.verdict().splitlines()[0]
    'One seed settles nothing: measure several to have intervals.'
    """
    found: list[Measurement] = []
    checked = _checked_seeds(seeds)
    with reporting("compare", verbose):
        expect(len(checked))
        for seed in checked:
            _, measurements = compare_once(
                estimator,
                X,
                y,
                X_test,
                y_test,
                seed=seed,
                scoring=scoring,
                X_val=X_val,
                y_val=y_val,
                progress=progress,
            )
            found += measurements
            advance(1.0)
    return Comparison(tuple(found), resolve_scoring(scoring, y).name)


def compare_once(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    seed: int = 0,
    scoring: Any = None,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[Any, list[Measurement]]:
    """Fit an estimator and its controls once, with one seed; see :func:`compare`.

    Parameters
    ----------
    estimator : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        What to measure; cloned, and every ``random_state`` in it replaced according to the
        seed.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training data.
    y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
        Their labels.
    X_test, y_test : array-like
        Test data.
    seed : int, default=0
        Random state of every fit.
    scoring : str, callable or None, default=None
        What counts, as in :func:`compare`.
    X_val, y_val : array-like or None, default=None
        Handed to the ``fit`` of an augmenter: rows to measure confusions on.
    progress : callable or None, default=None
        Called with a line before each fit.

    Returns
    -------
    fitted : HierarchicalDecompositionClassifier or SpecialistHeadAugmenter
        The fitted clone of ``estimator``.
    measurements : list of Measurement
        Every variant's.
    """
    scorer = resolve_scoring(scoring, y)
    check_k(scorer, y)
    n_rows, n_targets = num_samples(X_test), num_samples(y_test)
    if n_rows != n_targets:
        raise ValueError(
            "X_test and y_test must have the same number of samples. Got "
            f"{n_rows} and {n_targets} instead."
        )

    def say(line: str) -> None:
        begin_stage(line)
        if progress is not None:
            progress(line)

    trial = Trial(X, y, X_test, y_test, X_val, y_val, seed, scorer, say)
    return run_variants(estimator, trial)


def _checked_seeds(seeds: Any) -> list[int]:
    if not isinstance(seeds, Iterable):
        raise ValueError(
            f"seeds must be a sequence of integers. Got {seeds!r} instead; give range({seeds})."
        )
    checked = [int(seed) for seed in seeds]
    if not checked:
        raise ValueError("seeds must hold at least one integer. Got none instead; give range(3).")
    return checked
