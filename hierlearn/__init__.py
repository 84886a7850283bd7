"""Hierarchical decomposition of many-class classifiers, as scikit-learn estimators.

A classifier over many classes confuses some of them more than others. hierlearn reads
those confusions off held-out data, groups the classes by them, and builds on the groups::

    X, y --> base network --> held-out class scores --> confusion --> LabelPartition --+
             (any sklearn     (a hold-out split or      (hard, soft,   (clusters of    |
              classifier;      out-of-fold)              top-k, co-     classes, maybe |
              default: torch)                            detection)     overlapping,   |
                                                                        maybe a tree)  |
      +--------------------------------------------------------------------------------+
      |
      +--> HierarchicalDecompositionClassifier
           a hierarchy classifier names the cluster, one fine classifier per cluster
           names the class; the two posteriors are multiplied, and mixed with the base's

The listing of the package follows the flow: :mod:`hierlearn.confusion`,
:mod:`hierlearn.partition`, :mod:`hierlearn.networks`, :mod:`hierlearn.hierarchy`; beside
them :mod:`hierlearn.embedding` (vectors for labels), :mod:`hierlearn.metrics` (how well labels
are ranked), :mod:`hierlearn.cost` (what a decomposition costs), :mod:`hierlearn.controls` (what
it must beat), :mod:`hierlearn.datasets`, :mod:`hierlearn.display` and
:mod:`hierlearn.persistence` (files that can be opened without trusting their sender).

Names are imported on first use, so ``import hierlearn`` itself loads neither torch nor
scikit-learn.

Examples
--------
>>> import numpy as np
>>> import hierlearn
>>> confusion = np.array([[8, 2, 0, 0], [3, 7, 0, 0], [0, 0, 9, 1], [0, 0, 2, 8]])
>>> hierlearn.ConfusionLinkagePartitioner(n_clusters=2).fit(confusion).labels_
array([0, 0, 1, 1])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_SUBMODULES = (
    "confusion",
    "controls",
    "cost",
    "datasets",
    "display",
    "embedding",
    "exceptions",
    "hierarchy",
    "memory",
    "metrics",
    "networks",
    "partition",
    "persistence",
    "reporting",
    "specialists",
)

# Where each public name lives. `tests/test_public_api.py` holds this table, `__all__` and the
# imports below (which only type checkers read) together.
_HOMES = {
    "AdaptiveSoftmaxClassifier": "networks",
    "AuxiliaryHeads": "networks",
    "BackboneFeatures": "networks",
    "CentroidPartitioner": "partition",
    "ClassTree": "partition",
    "ConfusionLinkagePartitioner": "partition",
    "ConfusionSpectralPartitioner": "partition",
    "DistilledClassifier": "networks",
    "HierarchicalDecompositionClassifier": "hierarchy",
    "LabelEmbedder": "embedding",
    "LabelEmbeddingClassifier": "networks",
    "LabelPartition": "partition",
    "MultiLabelDecompositionClassifier": "networks",
    "NetworkSelector": "hierarchy",
    "OnTrunk": "hierarchy",
    "PartitionSoftmaxClassifier": "networks",
    "RandomPartitioner": "partition",
    "SampledSoftmaxClassifier": "networks",
    "SelectionTable": "hierarchy",
    "SpecialistHeadAugmenter": "specialists",
    "TaxonomyPartitioner": "partition",
    "TorchCNNClassifier": "networks",
    "TorchClassifier": "networks",
    "TorchMLPClassifier": "networks",
    "TransferClassifier": "networks",
    "class_scores": "confusion",
    "confusion_from_scores": "confusion",
    "held_out_scores": "confusion",
    "load": "persistence",
    "report": "reporting",
    "save": "persistence",
}

__all__ = [
    "AdaptiveSoftmaxClassifier",
    "AuxiliaryHeads",
    "BackboneFeatures",
    "CentroidPartitioner",
    "ClassTree",
    "ConfusionLinkagePartitioner",
    "ConfusionSpectralPartitioner",
    "DistilledClassifier",
    "HierarchicalDecompositionClassifier",
    "LabelEmbedder",
    "LabelEmbeddingClassifier",
    "LabelPartition",
    "MultiLabelDecompositionClassifier",
    "NetworkSelector",
    "OnTrunk",
    "PartitionSoftmaxClassifier",
    "RandomPartitioner",
    "SampledSoftmaxClassifier",
    "SelectionTable",
    "SpecialistHeadAugmenter",
    "TaxonomyPartitioner",
    "TorchCNNClassifier",
    "TorchClassifier",
    "TorchMLPClassifier",
    "TransferClassifier",
    "__version__",
    "class_scores",
    "confusion",
    "confusion_from_scores",
    "controls",
    "cost",
    "datasets",
    "display",
    "embedding",
    "exceptions",
    "held_out_scores",
    "hierarchy",
    "load",
    "memory",
    "metrics",
    "networks",
    "partition",
    "persistence",
    "report",
    "reporting",
    "save",
    "specialists",
]

if TYPE_CHECKING:
    from hierlearn import (
        confusion,
        controls,
        cost,
        datasets,
        display,
        embedding,
        exceptions,
        hierarchy,
        memory,
        metrics,
        networks,
        partition,
        persistence,
        reporting,
        specialists,
    )
    from hierlearn.confusion import class_scores, confusion_from_scores, held_out_scores
    from hierlearn.embedding import LabelEmbedder
    from hierlearn.hierarchy import (
        HierarchicalDecompositionClassifier,
        NetworkSelector,
        OnTrunk,
        SelectionTable,
    )
    from hierlearn.networks import (
        AdaptiveSoftmaxClassifier,
        AuxiliaryHeads,
        BackboneFeatures,
        DistilledClassifier,
        LabelEmbeddingClassifier,
        MultiLabelDecompositionClassifier,
        PartitionSoftmaxClassifier,
        SampledSoftmaxClassifier,
        TorchClassifier,
        TorchCNNClassifier,
        TorchMLPClassifier,
        TransferClassifier,
    )
    from hierlearn.partition import (
        CentroidPartitioner,
        ClassTree,
        ConfusionLinkagePartitioner,
        ConfusionSpectralPartitioner,
        LabelPartition,
        RandomPartitioner,
        TaxonomyPartitioner,
    )
    from hierlearn.persistence import load, save
    from hierlearn.reporting import report
    from hierlearn.specialists import SpecialistHeadAugmenter


def __getattr__(name: str) -> Any:
    """Import a public name or a submodule when it is first asked for."""
    if name in _SUBMODULES:
        return import_module(f"hierlearn.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"hierlearn.{_HOMES[name]}"), name)
        globals()[name] = value  # the next lookup does not come through here
        return value
    raise AttributeError(f"module 'hierlearn' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(set(globals()) | set(__all__))
