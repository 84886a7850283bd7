"""What is exported gives the estimator's probabilities, on a thousand scans of digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from hierlearn import (
    HierarchicalDecompositionClassifier,
    SpecialistHeadAugmenter,
    TorchMLPClassifier,
)

FLAT = TorchMLPClassifier((32, 24), lr=0.01, max_epochs=5, random_state=0)
HIERARCHY = HierarchicalDecompositionClassifier(FLAT, mixing=0.3, random_state=0)
HEADS = SpecialistHeadAugmenter(FLAT, head_epochs=3, random_state=0)


@pytest.mark.parametrize(
    ("clf", "routing"),
    [
        pytest.param(FLAT, (), id="flat"),
        pytest.param(HIERARCHY, ("soft",), id="hierarchy, soft"),
        pytest.param(HIERARCHY, ("hard",), id="hierarchy, hard"),
        pytest.param(HEADS, (), id="heads"),
    ],
)
def test_probabilities_are_equal_on_a_thousand_rows(clf, routing, onnx_probabilities):
    X, y = load_digits(return_X_y=True)
    clf.fit(X[:700] / 16, y[:700])
    rows = X[-1000:] / 16
    expected = (clf.rerouted(*routing) if routing else clf).predict_proba(rows)
    found = onnx_probabilities(clf, rows, *routing)
    assert expected.std() > 0.1  # so that equal is not equally blank
    np.testing.assert_allclose(found, expected, atol=1e-5)
