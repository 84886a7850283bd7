"""Every public estimator keeps scikit-learn's contract: all checks, none expected to fail."""

import re
from unittest import SkipTest

import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import hierlearn

# A check may be skipped for want of an optional package, or of the environment variable that
# switches on scipy's array API (one job sets it), and for nothing else.
FORGIVABLE = re.compile(r"\bis not installed\b|SCIPY_ARRAY_API is not set")


class RandomBackbone(nn.Sequential):
    """A network with weights for rows of any length.

    Its state is kept as arrays: torch writes a tensor and a copy of it as different bytes, and the
    checks compare parameters by their bytes.
    """

    def __reduce__(self):
        return random_backbone, ([value.numpy() for value in self.state_dict().values()],)


def random_backbone(weights=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.AdaptiveAvgPool1d(8), nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16)]
        network = RandomBackbone(*layers, nn.Tanh(), nn.Linear(16, 3)).double()
    if weights is not None:
        names = network.state_dict()
        network.load_state_dict(dict(zip(names, map(torch.as_tensor, weights), strict=True)))
    return network


# What an estimator is checked with that cannot do without, or would take minutes.
SETTINGS = {
    "BackboneFeatures": {"backbone": random_backbone()},
    "DistilledClassifier": {"teacher": GaussianNB()},
    "NetworkSelector": {"candidates": [LogisticRegression(), GaussianNB()]},
    "OnTrunk": {"estimator": LogisticRegression()},
    "TorchCNNClassifier": {"network": ("conv 3x3|16",), "max_epochs": 30, "lr": 0.02},
    "TransferClassifier": {"backbone": random_backbone(), "lr": 0.1},
}


def public_estimators():
    """Find the estimator classes among the public names."""
    names = set(hierlearn.__all__) - set(hierlearn._SUBMODULES)
    public = [getattr(hierlearn, name) for name in sorted(names)]
    return [
        value
        for value in public
        if isinstance(value, type) and issubclass(value, BaseEstimator) and hasattr(value, "fit")
    ]


def forgive(skip):
    """Let a forgivable skip pass as a skip, and make any other a failure."""
    if FORGIVABLE.search(str(skip)):
        pytest.skip(str(skip))
    raise AssertionError(f"a check was skipped: {skip}") from skip


def run(check, estimator):
    """Run a check, unless it is one that scikit-learn's later releases do not ask for."""
    name = getattr(check, "func", check).__name__
    if name.endswith("_on_sparse_data") and not get_tags(estimator).input_tags.sparse:
        return  # scikit-learn 1.6 asks whatever the tags say, see its issue 30139
    try:
        check(estimator)
    except SkipTest as skip:
        forgive(skip)


# scikit-learn's own type_of_target casts infinite labels to integers before it refuses them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning:sklearn")
@parametrize_with_checks(
    [Estimator(**SETTINGS.get(Estimator.__name__, {})) for Estimator in public_estimators()]
)
def test_scikit_learn_checks(estimator, check):
    run(check, estimator)


@parametrize_with_checks(
    [
        hierlearn.NetworkSelector([LogisticRegression(), GaussianNB()], strategy=strategy)
        for strategy in ("halving", "meta")
    ]
)
def test_scikit_learn_checks_of_every_strategy(estimator, check):
    run(check, estimator)


def test_estimators_are_found():
    names = {Estimator.__name__ for Estimator in public_estimators()}
    assert {
        "AdaptiveSoftmaxClassifier",
        "BackboneFeatures",
        "CentroidPartitioner",
        "ConfusionLinkagePartitioner",
        "ConfusionSpectralPartitioner",
        "DistilledClassifier",
        "HierarchicalDecompositionClassifier",
        "LabelEmbedder",
        "LabelEmbeddingClassifier",
        "MultiLabelDecompositionClassifier",
        "NetworkSelector",
        "OnTrunk",
        "PartitionSoftmaxClassifier",
        "RandomPartitioner",
        "SampledSoftmaxClassifier",
        "TaxonomyPartitioner",
        "TorchCNNClassifier",
        "TorchClassifier",
        "TorchMLPClassifier",
        "TransferClassifier",
    } <= names


@pytest.mark.parametrize("Estimator", public_estimators())
def test_defaults_are_shown_as_nothing(Estimator):
    assert repr(Estimator()) == f"{Estimator.__name__}()"


def test_only_forgivable_skips_stay_skips():
    with pytest.raises(pytest.skip.Exception):
        forgive(SkipTest("pandas is not installed: not checking set output"))
    with pytest.raises(AssertionError, match="a check was skipped: too slow"):
        forgive(SkipTest("too slow"))
