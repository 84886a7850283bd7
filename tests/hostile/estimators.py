"""Every public estimator, as small as it can be, and what it looks at."""

from dataclasses import dataclass, field
from typing import Any

import torch
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

import hierlearn
from hierlearn import (
    AdaptiveSoftmaxClassifier,
    AuxiliaryHeads,
    BackboneFeatures,
    CentroidPartitioner,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    LabelEmbedder,
    LabelEmbeddingClassifier,
    MultiLabelDecompositionClassifier,
    NetworkSelector,
    OnTrunk,
    PartitionSoftmaxClassifier,
    RandomPartitioner,
    SampledSoftmaxClassifier,
    SpecialistHeadAugmenter,
    TaxonomyPartitioner,
    TorchClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)


def backbone():
    """A network that takes rows of any length."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.AdaptiveAvgPool1d(4), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))


def mlp(**params):
    return TorchMLPClassifier((4,), max_epochs=2, **{"random_state": 0, **params})


@dataclass(frozen=True)
class Subject:
    """An estimator, and the shape of the rows it is given; None is any number of features."""

    estimator: Any
    row_shape: tuple[int, ...] | None = None
    tags: frozenset = field(default_factory=frozenset)

    def new(self):
        return clone(self.estimator)


TINY = {"max_epochs": 2, "random_state": 0}
NETWORKS = {
    "TorchClassifier": Subject(TorchClassifier(**TINY)),
    "TorchMLPClassifier": Subject(mlp()),
    "TorchMLPClassifier, single": Subject(mlp(dtype="float32", batch_size=4)),
    "TorchMLPClassifier, stopping": Subject(mlp(early_stopping=True, class_weight="balanced")),
    "TorchMLPClassifier, heads": Subject(mlp(auxiliary=AuxiliaryHeads())),
    "TorchCNNClassifier": Subject(TorchCNNClassifier(("conv 3x3|2",), **TINY), (1, 4, 4)),
    "TorchCNNClassifier, flat": Subject(
        TorchCNNClassifier(("conv 3x3|2",), input_shape=(1, 4, 4), batch_norm=True, **TINY), (16,)
    ),
    "AdaptiveSoftmaxClassifier": Subject(AdaptiveSoftmaxClassifier((4,), **TINY)),
    "PartitionSoftmaxClassifier": Subject(PartitionSoftmaxClassifier((4,), **TINY)),
    "SampledSoftmaxClassifier": Subject(SampledSoftmaxClassifier((4,), n_negatives=2, **TINY)),
    "LabelEmbeddingClassifier": Subject(LabelEmbeddingClassifier((4,), n_components=3, **TINY)),
    "MultiLabelDecompositionClassifier": Subject(MultiLabelDecompositionClassifier((4,), **TINY)),
    "TransferClassifier": Subject(TransferClassifier(backbone(), **TINY)),
    "TransferClassifier, tuned": Subject(TransferClassifier(backbone(), tune="all", **TINY)),
    "DistilledClassifier": Subject(DistilledClassifier(GaussianNB(), mlp())),
    "DistilledClassifier of a network": Subject(DistilledClassifier(mlp(), mlp(), random_state=0)),
}
DECOMPOSITIONS = {
    "HierarchicalDecompositionClassifier": Subject(
        HierarchicalDecompositionClassifier(mlp(), branch_epochs=1, random_state=0)
    ),
    "HierarchicalDecompositionClassifier, linear": Subject(
        HierarchicalDecompositionClassifier(
            LogisticRegression(max_iter=5), "linkage", routing="soft", gamma=2.0, random_state=0
        )
    ),
    "HierarchicalDecompositionClassifier, centroids": Subject(
        HierarchicalDecompositionClassifier(
            GaussianNB(), "centroid", mixing=0, cv=2, max_depth=2, random_state=0
        )
    ),
    "HierarchicalDecompositionClassifier, tuned": Subject(
        HierarchicalDecompositionClassifier(
            mlp(), fine_tune=True, fine_tune_epochs=1, branch_epochs=1, random_state=0
        )
    ),
    "SpecialistHeadAugmenter": Subject(
        SpecialistHeadAugmenter(mlp(), head_sizes=(3,), head_epochs=1, random_state=0)
    ),
    "SpecialistHeadAugmenter, routed": Subject(
        SpecialistHeadAugmenter(
            mlp(), classifier="keep", evaluate=1, head_epochs=1, cv=2, random_state=0
        )
    ),
    "NetworkSelector": Subject(
        NetworkSelector([mlp(), GaussianNB()], random_state=0, validation_fraction=0.5)
    ),
    "NetworkSelector, halving": Subject(
        NetworkSelector([mlp(), mlp(lr=0.1)], strategy="halving", random_state=0)
    ),
    "OnTrunk": Subject(OnTrunk(GaussianNB())),
    "OnTrunk of a network": Subject(OnTrunk(mlp())),
}
# Partitioners of class scores, with y, or of confusions.
PARTITIONERS = {
    "ConfusionLinkagePartitioner": Subject(ConfusionLinkagePartitioner()),
    "ConfusionLinkagePartitioner, soft": Subject(ConfusionLinkagePartitioner(affinity="soft")),
    "ConfusionLinkagePartitioner, top k": Subject(
        ConfusionLinkagePartitioner(affinity="top_k", k=1, max_cluster_size=2)
    ),
    "ConfusionSpectralPartitioner": Subject(ConfusionSpectralPartitioner(random_state=0)),
    "ConfusionSpectralPartitioner, hard": Subject(
        ConfusionSpectralPartitioner(affinity="hard", random_state=0)
    ),
    "ConfusionSpectralPartitioner, detection": Subject(
        ConfusionSpectralPartitioner(affinity="co_detection", k=1, random_state=0)
    ),
    "CentroidPartitioner": Subject(CentroidPartitioner(random_state=0)),
    "CentroidPartitioner, spectral": Subject(
        CentroidPartitioner(method="spectral", random_state=0)
    ),
    "RandomPartitioner": Subject(RandomPartitioner(random_state=0)),
    "RandomPartitioner of centroids": Subject(
        RandomPartitioner(CentroidPartitioner(random_state=0), random_state=0)
    ),
    "TaxonomyPartitioner": Subject(TaxonomyPartitioner()),
}
TRANSFORMERS = {
    "BackboneFeatures": Subject(BackboneFeatures(backbone())),
    "LabelEmbedder": Subject(LabelEmbedder(3, random_state=0)),
    "LabelEmbedder, npmi": Subject(LabelEmbedder(2, variant="npmi", random_state=0)),
    "LabelEmbedder, shifted": Subject(LabelEmbedder(2, variant="shifted", random_state=0)),
}
CLASSIFIERS = NETWORKS | DECOMPOSITIONS
ALL = CLASSIFIERS | PARTITIONERS | TRANSFORMERS


def public_estimators():
    """Find the estimator classes among the public names."""
    names = set(hierlearn.__all__) - set(hierlearn._SUBMODULES)
    public = [getattr(hierlearn, name) for name in sorted(names)]
    return {
        value.__name__
        for value in public
        if isinstance(value, type) and issubclass(value, BaseEstimator) and hasattr(value, "fit")
    }
