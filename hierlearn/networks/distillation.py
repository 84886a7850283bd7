"""Distillation: one flat network that learns what a hierarchy, or any classifier, has learnt."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import nn

from .._caching import MEMORY_CONSTRAINT, as_cache
from .._given import validate_data
from .._input import as_read_by, check_rows, last_step, unfrozen
from .._log_proba import LogProbaMixin
from .._progress import CallbackSupportMixin, begin_stage, expect, part, reports
from .._validation import (
    HasMethods,
    Interval,
    as_random_state,
    check_any_weight,
    check_two_classes,
    check_weights,
    fit_context,
)
from ..confusion import fit_with_weight, seed_estimator
from ..summary import SummaryMixin
from ._base import BaseTorchClassifier
from ._target import encode_target
from .mlp import TorchMLPClassifier
from .soft_targets import SoftTargets, soften

# A student of a teacher's kind has the seeds that are drawn for it, not the teacher's.
_LARGEST_SEED = np.iinfo(np.int32).max


class DistilledClassifier(
    SummaryMixin,
    CallbackSupportMixin,
    LogProbaMixin,
    MetaEstimatorMixin,
    ClassifierMixin,
    BaseEstimator,
):
    """A network that learns from another classifier's posteriors beside the labels.

    The teacher, a hierarchy, a network with specialist heads or whatever else has
    ``predict_proba``, says of every training sample how probable each class is: which wrong classes
    are nearly right is what the labels do not say. The student learns those posteriors, softened by
    a temperature, and alone makes the predictions.

    Parameters
    ----------
    teacher : classifier, default=None
        With ``predict_proba``. Fitted first, on the same rows; one in a
        :class:`~sklearn.frozen.FrozenEstimator` is used as it is, and must know every class of y.
        Its posteriors of further classes are left out.
    student : TorchMLPClassifier, TorchCNNClassifier or TorchClassifier, default=None
        The network to train. None is one like the teacher's ``base_estimator``, if that is such a
        network, else ``TorchMLPClassifier()``.
    temperature : float, default=2.0
        T: posteriors p of the teacher become ``p ** (1 / T)``, normalised, and the student's logits
        are divided by T to be compared with them.
    alpha : float, default=0.9
        Weight of the teacher's posteriors in the loss, from 0 to 1; the labels have the rest.
    memory : None, str, path-like or joblib.Memory, default=None
        Where teacher and student are kept, and found again by this or any other fit that would
        train the same on the same rows. A teacher of several networks keeps each of them where it
        is given a ``memory`` itself. None keeps nothing.
    random_state : int, RandomState instance or None, default=None
        Seed of every part whose own ``random_state`` is None.
    verbose : int, default=0
        Shows stages and the time left on the standard error when positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given; label indices for a multi-label y.
    student_ : classifier
        The trained student, complete in itself: save this one to be rid of the teacher.
    teacher_ : classifier
        The fitted teacher.
    history_ : list of dict
        The student's record of each epoch. ``train_loss`` is the loss distilled.
    module_ : torch.nn.Module
        The student's network.
    multilabel_ : bool
        Whether y was a label indicator matrix.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.

    See Also
    --------
    hierlearn.controls.distillation_report : What survives, beside the student without a teacher.

    Notes
    -----
    The loss of a sample is ``alpha * T**2 * KL(teacher || student) + (1 - alpha) * cross-entropy``.
    A teacher that was trained on the same rows is surer of them than of others; where it has all
    but learnt them by heart, its posteriors say little more than the labels.

    References
    ----------
    Hinton, Vinyals & Dean, Distilling the knowledge in a neural network (2015), sec. 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import (
    ...     DistilledClassifier, HierarchicalDecompositionClassifier, TorchMLPClassifier
    ... )
    >>> X, y = load_digits(return_X_y=True)
    >>> hierarchy = HierarchicalDecompositionClassifier(TorchMLPClassifier((64,), max_epochs=10))
    >>> clf = DistilledClassifier(hierarchy, TorchMLPClassifier((32,), lr=0.01), random_state=0)
    >>> clf.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85
    True
    """

    _keeps_parts = True

    _parameter_constraints: dict = {
        "teacher": [HasMethods(["fit", "predict_proba"]), None],
        "student": [HasMethods(["fit", "predict_proba"]), None],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "memory": MEMORY_CONSTRAINT,
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        teacher: Any = None,
        student: Any = None,
        *,
        temperature: float = 2.0,
        alpha: float = 0.9,
        memory: Any = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.teacher = teacher
        self.student = student
        self.temperature = temperature
        self.alpha = alpha
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    @reports
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the teacher, unless it is frozen, and train the student on what it says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, as the student takes it.
        y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
            Class labels of any dtype; a multi-label indicator if the teacher takes one.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for teacher and student.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        ValueError
            If X, y or a parameter is malformed, there is no teacher, the student is no such
            network, or a frozen teacher does not know every class of y.
        """
        self.__dict__.pop("student_", None)  # a fit that fails leaves nothing half new
        teacher, student = self._checked_teacher(), clone(self._checked_student())
        rows, y = self._check_X_y(X, y, student)
        weight = check_weights(sample_weight, y.shape[0])
        codes, classes, multilabel = encode_target(y)
        if weight is not None:
            check_any_weight(weight)
        if not multilabel:
            check_two_classes(np.unique(codes if weight is None else codes[weight > 0]))

        cache = as_cache(self.memory)
        seeds = as_random_state(self.random_state).randint(_LARGEST_SEED, size=2)
        read = X if hasattr(X, "columns") else rows
        frozen = isinstance(teacher, FrozenEstimator)
        expect(1.0 if frozen else 2.0)
        if not frozen:
            begin_stage("teacher", 1.0)
            teacher = seed_estimator(clone(teacher), int(seeds[0]))
            teacher = fit_with_weight(teacher, read, y, weight, cache=cache)
        begin_stage("soft targets")
        posteriors = teacher_posteriors(teacher, read, classes, multilabel)
        soft = soften(posteriors, self.temperature, multilabel=multilabel)
        targets = SoftTargets(soft, self.temperature, self.alpha)
        student = seed_estimator(student, int(seeds[1]))
        given = student, rows, y, targets, weight
        begin_stage("student", 1.0)
        with part():
            if cache is None:
                train_student(*given)
            else:
                student = cache.part("student", given, lambda: _trained_student(*given))
        self.teacher_, self.student_ = teacher, student
        return self

    def _checked_teacher(self) -> Any:
        if self.teacher is None:
            raise ValueError(
                "teacher must be a classifier with predict_proba. Got None instead; give, for "
                "example, a HierarchicalDecompositionClassifier, or a fitted classifier in a "
                "sklearn.frozen.FrozenEstimator."
            )
        return self.teacher

    def _student(self) -> Any:
        """Return the student, or what None stands for."""
        if self.student is not None:
            return self.student
        own = last_step(getattr(unfrozen(self.teacher), "base_estimator", None))
        return own if _can_learn(own) else TorchMLPClassifier()

    def _checked_student(self) -> BaseTorchClassifier:
        """Refuse a student that cannot learn posteriors."""
        student = self._student()
        if not _can_learn(student):
            raise ValueError(
                "student must be a TorchMLPClassifier, a TorchCNNClassifier or a TorchClassifier. "
                f"Got {type(student).__name__} instead; put transformers in front of the whole, as "
                "in make_pipeline(StandardScaler(), DistilledClassifier(...))."
            )
        network: BaseTorchClassifier = student
        return network

    def _check_X_y(self, X: Any, y: Any, student: Any) -> tuple[Any, Any]:
        y = validate_data(self, y=y, multi_output=True)
        rows = check_rows(self, student, X, reset=True)
        check_consistent_length(rows, y)
        return rows, y

    # -- what the student says -----------------------------------------------------------------

    @property
    def classes_(self) -> NDArray[Any]:
        """The class labels."""
        return self.student_.classes_

    @property
    def multilabel_(self) -> bool:
        """Whether y was a label indicator matrix."""
        return self.student_.multilabel_

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The student's record of each epoch."""
        return self.student_.history_

    @property
    def module_(self) -> nn.Module:
        """The student's network."""
        return self.student_.module_

    @property
    def _input_shape(self) -> tuple[int, ...]:
        return self.student_._input_shape

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of every row, or the label indicator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        """
        return self._answer(X, "predict")

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the student's posteriors, at temperature 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        return self._answer(X, "predict_proba")

    def decision_function(self, X: Any) -> NDArray[Any]:
        """Return the student's logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            For several labels a sample, one of each label.
        """
        return self._answer(X, "decision_function")

    def _answer(self, X: Any, method: str) -> NDArray[Any]:
        check_is_fitted(self)
        answer: NDArray[Any] = getattr(self.student_, method)(check_rows(self, self.student_, X))
        return answer

    # -- what it costs -------------------------------------------------------------------------

    def _prices(self) -> list[tuple[str, float, float]]:
        """Return name, multiply-adds and parameters: the teacher's, where known, the student's."""
        teacher = unfrozen(self.teacher_)
        known: list[tuple[str, float, float]] = []
        if hasattr(teacher, "cost_report"):
            cost = teacher.cost_report().total
            known = [("teacher", cost.multiply_adds, cost.parameters)]
        elif hasattr(teacher, "_prices"):
            known = [("teacher", *price[1:]) for price in teacher._prices()[-1:]]
        return [*known, *(("student", *price[1:]) for price in self.student_._prices()[-1:])]

    # -- the rest of the contract --------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "student_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self._student()).input_tags
        if self.teacher is not None:
            teacher = get_tags(unfrozen(self.teacher))
            tags.input_tags.sparse &= teacher.input_tags.sparse
            tags.classifier_tags.multi_label = bool(
                teacher.classifier_tags and teacher.classifier_tags.multi_label
            )
        return tags

    @property
    def _reads_batches(self) -> bool:
        return True


def _trained_student(student: BaseTorchClassifier, *given: Any) -> BaseTorchClassifier:
    train_student(student, *given)
    return student


def _can_learn(network: Any) -> bool:
    """Tell whether a network's training is the one that takes soft targets."""
    if not isinstance(network, BaseTorchClassifier):
        return False
    kind = type(network)
    return kind._run is BaseTorchClassifier._run and kind._train is BaseTorchClassifier._train


def teacher_posteriors(
    teacher: Any, X: Any, classes: NDArray[Any], multilabel: bool
) -> NDArray[np.float64]:
    """Return a teacher's posteriors of these classes, in their order.

    Parameters
    ----------
    teacher : fitted classifier
        It may know more classes.
    X : array-like of shape (n_samples, ...)
    classes : ndarray of shape (n_classes,)
        Labels, or label indices.
    multilabel : bool

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Rows sum to one, unless ``multilabel``.

    Raises
    ------
    ValueError
        If the teacher does not know a class, or of several labels knows another number.
    """
    given = teacher.predict_proba(as_read_by(teacher, X))
    if isinstance(given, list):  # scikit-learn's forests: an array of (n, 2) a label
        given = np.column_stack([label[:, 1] for label in given])
    posteriors = np.asarray(given, dtype=np.float64)
    if multilabel:
        if posteriors.shape[1] != len(classes):
            raise ValueError(
                f"teacher must know the {len(classes)} labels of y. Got one of "
                f"{posteriors.shape[1]} instead; fit it on the same labels."
            )
        return posteriors
    column_of = {label: column for column, label in enumerate(teacher.classes_.tolist())}
    missing = [label for label in classes.tolist() if label not in column_of]
    if missing:
        raise ValueError(
            f"teacher must know every class of y. Got one that does not know {missing[:5]} instead;"
            " fit it on rows of all classes."
        )
    wanted = posteriors[:, [column_of[label] for label in classes.tolist()]]
    # A row that the teacher takes for classes unknown to the student says nothing about the others.
    wanted = np.where(wanted.any(axis=1, keepdims=True), wanted, 1.0)
    normalised: NDArray[np.float64] = wanted / wanted.sum(axis=1, keepdims=True)
    return normalised


def train_student(
    student: BaseTorchClassifier, X: Any, y: Any, soft: SoftTargets, sample_weight: Any = None
) -> None:
    """Train a network, in place, on soft targets beside its labels.

    Parameters
    ----------
    student : TorchMLPClassifier, TorchCNNClassifier or TorchClassifier
        Unfitted.
    X : array-like of shape (n_samples, ...)
    y : ndarray of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
    soft : SoftTargets
        A row a sample.
    sample_weight : array-like of shape (n_samples,), default=None
    """
    student._validate_params()
    # Rows without weight are left out of the training, so out of the soft targets, too.
    kept = student._weights(*encode_target(y), sample_weight) > 0
    student._soft = soft.of_rows(kept)
    try:
        student._train(*student._learnt_from(X, y, sample_weight))
    finally:
        del student._soft
