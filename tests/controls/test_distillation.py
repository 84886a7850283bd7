"""Reports on students: the same network without a teacher, agreement, what is kept."""

import math
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError

from hierlearn import DistilledClassifier, TorchMLPClassifier
from hierlearn.controls import DistillationReport, Measurement, distillation_report


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300], X[300:900], y[300:900]


@pytest.fixture(scope="module")
def distilled(data):
    teacher = RandomForestClassifier(n_estimators=20)
    student = TorchMLPClassifier((8,), max_epochs=10, lr=0.01)
    return DistilledClassifier(teacher, student, random_state=0).fit(*data[:2])


def row(variant, score, size=math.nan):
    return Measurement(variant, 0, score, math.nan, size, size, math.nan, 0.1)


def report(teacher, student, alone):
    rows = [row("teacher", teacher, 10), row("student", student, 5), row("alone", alone, 5)]
    return DistillationReport(*rows, agreement=0.9, agreement_alone=0.8)


def test_figures_are_those_of_the_parts(distilled, data):
    found = distillation_report(distilled, *data)
    X_test, y_test = data[2:]
    assert found.teacher.score == distilled.teacher_.score(X_test, y_test)
    assert found.student.score == distilled.score(X_test, y_test)
    same = distilled.predict(X_test) == distilled.teacher_.predict(X_test)
    assert found.agreement == same.mean()
    assert found.student.multiply_adds == found.alone.multiply_adds == 64 * 8 + 8 * 10
    assert math.isnan(found.cost_ratio)
    assert "unknown" in str(found)


def test_the_network_alone_starts_as_the_student_does(distilled, data):
    X, y, X_test, y_test = data
    own = TorchMLPClassifier(
        (8,), max_epochs=10, lr=0.01, random_state=distilled.student_.random_state
    )
    assert distillation_report(distilled, *data).alone.score == own.fit(X, y).score(X_test, y_test)


def test_other_scores(distilled, data):
    found = distillation_report(distilled, *data, scoring="neg_log_loss")
    assert found.scoring == "neg_log_loss"
    assert found.student.score < 0


def test_multilabel(data):
    X, y, X_test, y_test = data
    tags, tags_test = (np.stack([t % 2, t > 4], axis=1).astype(int) for t in (y, y_test))
    teacher = TorchMLPClassifier((16,), max_epochs=5, lr=0.01)
    clf = DistilledClassifier(teacher, random_state=0).fit(X, tags)
    found = distillation_report(clf, X, tags, X_test, tags_test)
    assert found.scoring == "map@2"
    assert 0.5 < found.agreement <= 1
    assert_array_equal(clf.classes_, [0, 1])


@pytest.mark.parametrize(
    ("scores", "kept", "sentence"),
    [
        ((0.9, 0.85, 0.8), 0.5, "keeps 50 % of the teacher's lead at 0.50 times"),
        ((0.9, 0.7, 0.8), -1.0, "keeps nothing of the teacher's lead: it is 10.00 points below"),
        (
            (0.8, 0.85, 0.8),
            math.nan,
            r"does not lead the network alone; the student is \+5.00 points",
        ),
    ],
)
def test_what_is_kept(scores, kept, sentence):
    found = report(*scores)
    assert found.kept == pytest.approx(kept, nan_ok=True)
    assert re.search(sentence, str(found))


def test_unfitted_students_are_refused(data):
    with pytest.raises(NotFittedError):
        distillation_report(DistilledClassifier(RandomForestClassifier()), *data)
