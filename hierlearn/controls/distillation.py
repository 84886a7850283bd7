"""What survives of a teacher in the network distilled from it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..confusion import fit_with_weight
from .comparison import Measurement
from .measuring import measure, resolve_scoring


@dataclass(frozen=True)
class DistillationReport:
    """A teacher, its student and the same network without a teacher, side by side; print it.

    Parameters
    ----------
    teacher, student, alone : Measurement
        On test rows; ``alone`` is the student trained on the labels only, from the same initial
        weights, in the same batches, for as many epochs. ``fit_seconds`` is known of ``alone``
        only, else NaN.
    agreement, agreement_alone : float
        Share of the test rows (of several labels: of all decisions) that are classified as the
        teacher does, by the student and without a teacher.
    scoring : str, default="accuracy"
        Name of the scorer.

    Examples
    --------
    >>> from hierlearn.controls import DistillationReport, Measurement
    >>> nan = float("nan")
    >>> def row(variant, score, size):
    ...     return Measurement(variant, 0, score, nan, size, size, nan, 0.1)
    >>> report = DistillationReport(
    ...     row("teacher", 0.84, 500), row("student", 0.83, 100), row("alone", 0.80, 100),
    ...     agreement=0.93, agreement_alone=0.88, scoring="accuracy",
    ... )
    >>> round(report.kept, 2)
    0.75
    >>> print(report)
                accuracy %  as teacher %  multiply-adds  parameters
    teacher          84.00        100.00            500         500
    student          83.00         93.00            100         100
    alone            80.00         88.00            100         100
    The student keeps 75 % of the teacher's lead at 0.20 times its multiply-adds.
    """

    teacher: Measurement
    student: Measurement
    alone: Measurement
    agreement: float
    agreement_alone: float
    scoring: str = "accuracy"

    @property
    def kept(self) -> float:
        """Share of the teacher's lead over the network alone that the student has.

        NaN where the teacher does not lead; negative where the teacher has done harm.
        """
        lead = self.teacher.score - self.alone.score
        return (self.student.score - self.alone.score) / lead if lead > 0 else math.nan

    @property
    def cost_ratio(self) -> float:
        """Multiply-adds of the student over the teacher's; NaN where unknown."""
        whole = self.teacher.multiply_adds
        return self.student.multiply_adds / whole if whole > 0 else math.nan

    def __str__(self) -> str:
        head = f"{'':<8}{self.scoring + ' %':>14}{'as teacher %':>14}"
        lines = [f"{head}{'multiply-adds':>15}{'parameters':>12}"]
        agreed = (1.0, self.agreement, self.agreement_alone)
        for row, share in zip((self.teacher, self.student, self.alone), agreed, strict=True):
            lines.append(
                f"{row.variant:<8}{100 * row.score:>14.2f}{100 * share:>14.2f}"
                f"{_count(row.multiply_adds):>15}{_count(row.parameters):>12}"
            )
        return "\n".join([*lines, self._sentence()])

    def _sentence(self) -> str:
        ratio = self.cost_ratio
        cost = "" if math.isnan(ratio) else f" at {ratio:.2f} times its multiply-adds"
        if math.isnan(self.kept):
            gain = 100 * (self.student.score - self.alone.score)
            return (
                f"The teacher does not lead the network alone; the student is {gain:+.2f} points "
                "from that."
            )
        if self.kept < 0:
            loss = 100 * (self.alone.score - self.student.score)
            return (
                f"The student keeps nothing of the teacher's lead: it is {loss:.2f} points below "
                "the network alone."
            )
        return f"The student keeps {100 * self.kept:.0f} % of the teacher's lead{cost}."


def distillation_report(
    distilled: Any,
    X: Any,
    y: ArrayLike,
    X_test: Any,
    y_test: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    scoring: Any = None,
) -> DistillationReport:
    """Hold a student against its teacher and against itself without one.

    Parameters
    ----------
    distilled : DistilledClassifier
        Fitted.
    X, y : array-like
        What it was fitted on; the network without a teacher is trained on the same.
    X_test, y_test : array-like
        Rows to score.
    sample_weight : array-like of shape (n_samples,), default=None
        As in its fit.
    scoring : str, callable or None, default=None
        See :func:`compare`.

    Returns
    -------
    DistillationReport
        Print it for a table.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from hierlearn import DistilledClassifier, TorchMLPClassifier
    >>> from hierlearn.controls import distillation_report
    >>> X, y = load_digits(return_X_y=True)
    >>> student = TorchMLPClassifier((16,), lr=0.01)
    >>> clf = DistilledClassifier(RandomForestClassifier(), student, random_state=0)
    >>> report = distillation_report(clf.fit(X[:900], y[:900]), X[:900], y[:900], X[900:], y[900:])
    >>> report.teacher.score > 0.9, report.agreement > 0.8
    (True, True)
    """
    check_is_fitted(distilled)
    scorer = resolve_scoring(scoring, y)
    start = time.perf_counter()
    alone = fit_with_weight(clone(distilled.student_), X, y, sample_weight)
    seconds = time.perf_counter() - start
    named = {"teacher": distilled.teacher_, "student": distilled, "alone": alone}
    rows = {
        name: measure(
            *(name, estimator, 0, seconds if name == "alone" else math.nan),
            *(X_test, y_test, scorer),
        )
        for name, estimator in named.items()
    }
    answers = {name: _dense(estimator.predict(X_test)) for name, estimator in named.items()}
    return DistillationReport(
        **rows,
        agreement=float(np.mean(answers["student"] == answers["teacher"])),
        agreement_alone=float(np.mean(answers["alone"] == answers["teacher"])),
        scoring=scorer.name,
    )


def _dense(answers: Any) -> Any:
    return answers.toarray() if sparse.issparse(answers) else np.asarray(answers)


def _count(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{round(value):,}"
