"""No public estimator is left out."""

from tests.hostile.estimators import ALL, public_estimators


def test_every_public_estimator_is_given_hostile_input():
    assert {type(subject.estimator).__name__ for subject in ALL.values()} == public_estimators()
