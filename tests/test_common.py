"""Every public estimator keeps scikit-learn's contract: all checks, none expected to fail."""

import re
from unittest import SkipTest

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import hierlearn

# A check may be skipped for want of an optional package, or of the environment variable that
# switches on scipy's array API (one job sets it), and for nothing else.
FORGIVABLE = re.compile(r"\bis not installed\b|SCIPY_ARRAY_API is not set")

# What an estimator is checked with where its defaults would take minutes.
SETTINGS = {
    "TorchCNNClassifier": {"network": ("conv 3x3|16",), "max_epochs": 30, "lr": 0.02},
}


def public_estimators():
    """Find the estimator classes among the public names."""
    names = set(hierlearn.__all__) - set(hierlearn._SUBMODULES)
    public = [getattr(hierlearn, name) for name in sorted(names)]
    return [
        value for value in public if isinstance(value, type) and issubclass(value, BaseEstimator)
    ]


def forgive(skip):
    """Let a forgivable skip pass as a skip, and make any other a failure."""
    if FORGIVABLE.search(str(skip)):
        pytest.skip(str(skip))
    raise AssertionError(f"a check was skipped: {skip}") from skip


# scikit-learn's own type_of_target casts infinite labels to integers before it refuses them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning:sklearn")
@parametrize_with_checks(
    [Estimator(**SETTINGS.get(Estimator.__name__, {})) for Estimator in public_estimators()]
)
def test_scikit_learn_checks(estimator, check):
    try:
        check(estimator)
    except SkipTest as skip:
        forgive(skip)


def test_estimators_are_found():
    names = {Estimator.__name__ for Estimator in public_estimators()}
    assert {
        "CentroidPartitioner",
        "ConfusionLinkagePartitioner",
        "ConfusionSpectralPartitioner",
        "HierarchicalDecompositionClassifier",
        "RandomPartitioner",
        "TaxonomyPartitioner",
        "TorchCNNClassifier",
        "TorchClassifier",
        "TorchMLPClassifier",
    } <= names


@pytest.mark.parametrize("Estimator", public_estimators())
def test_defaults_are_shown_as_nothing(Estimator):
    assert repr(Estimator()) == f"{Estimator.__name__}()"


def test_only_forgivable_skips_stay_skips():
    with pytest.raises(pytest.skip.Exception):
        forgive(SkipTest("pandas is not installed: not checking set output"))
    with pytest.raises(AssertionError, match="a check was skipped: too slow"):
        forgive(SkipTest("too slow"))
