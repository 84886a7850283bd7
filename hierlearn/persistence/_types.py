"""Which types a file may name, and what the names stand for.

A name in a file is looked up here and nowhere else. Nothing is imported before its name was found
on one of the lists: ours, torch's layers, scikit-learn's public estimators, or what the caller
trusts.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection
from functools import cached_property
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator

# Classes of ours that fitted estimators, partitions and trees hold, as their module and names. They
# stay readable when they move: give the old name its line in `_MOVED`.
_OURS = {
    "embedding.embedder": "LabelEmbedder",
    "embedding.search": "ExactSearch ApproximateSearch",
    "hierarchy.cluster_task": "Selection Training",
    "hierarchy.decomposition": "HierarchicalDecompositionClassifier",
    "hierarchy.family": "Family Member",
    "hierarchy.members": "FlatMember OnTrunk",
    "hierarchy.meta_model": "MetaModel ScoreModel ShapeModel WinnerModel",
    "hierarchy.mixing": "MixingChoice",
    "hierarchy.selection_table": "SelectionRow SelectionTable",
    "hierarchy.selector": "NetworkSelector",
    "hierarchy.sources": "Ground",
    "controls.decomposition": "GateAlone",
    "cost": "Cost CostReport CostTable LayerRow",
    "memory": "MemoryRow MemoryTable",
    "metrics.scorers": "RankingScorer",
    "networks.adaptive_output": "AdaptiveOutput",
    "networks.adaptive_softmax": "AdaptiveSoftmaxClassifier",
    "networks.augmentation": "Augmentation",
    "networks.augmented": "AugmentedNetwork",
    "networks.augmenting": "OpenBase",
    "networks.auxiliary": "AuxiliaryHeads",
    "networks.backbone": "BackboneFeatures",
    "networks.branch": "BranchClassifier",
    "networks.branching": "Split _View",
    "networks.classifier": "TorchClassifier",
    "networks.cnn_classifier": "TorchCNNClassifier",
    "networks.cosine_proximity": "CosineProximityLoss CosineScores",
    "networks.cutting": "PartlyTuned",
    "networks.distillation": "DistilledClassifier",
    "networks.head_plan": "HeadLayer HeadPlan",
    "networks.heads": "LinearHeads SpecialistHeads StackedHeads",
    "networks.hierarchical": "EndToEnd HierarchicalNetwork",
    "networks.label_embedding": "LabelEmbeddingClassifier",
    "networks.label_tree": "LabelTree TreeScores",
    "networks.label_tree_classifier": "MultiLabelDecompositionClassifier",
    "networks.layer_text": "Conv FullyConnected Norm Pool",
    "networks.mlp": "TorchMLPClassifier",
    "networks.partition_softmax": "PartitionSoftmaxClassifier",
    "networks.reading": "GlobalPool ImageInput ReadLayer",
    "networks.sampled_output": "SampledOutput",
    "networks.sampled_softmax": "SampledSoftmaxClassifier",
    "networks.standardise": "Standardise",
    "networks.taps": "TapPoints TappedNetwork",
    "networks.transfer": "TransferClassifier",
    "networks.two_level_output": "TwoLevelOutput",
    "partition.centroids": "CentroidPartitioner",
    "partition.class_tree": "ClassTree",
    "partition.label_partition": "LabelPartition",
    "partition.linkage": "ConfusionLinkagePartitioner",
    "partition.random": "RandomPartitioner",
    "partition.spectral": "ConfusionSpectralPartitioner",
    "partition.taxonomy": "TaxonomyPartitioner",
    "specialists.augmenter": "SpecialistHeadAugmenter",
    "specialists.report": "AugmentationReport",
    "specialists.routing": "Routing",
    # The network of the extra hierlearn[transfer].
    "/efficientnet_lite_pytorch.model": "MBConvBlock",
    "/efficientnet_lite_pytorch.utils": "BlockArgs GlobalParams Conv2dStaticSamePadding Identity",
}
_MOVED: dict[str, str] = {}

OURS = frozenset(
    f"{room[1:] if room.startswith('/') else 'hierlearn.' + room}.{name}"
    for room, names in _OURS.items()
    for name in names.split()
)
# Functions of ours that are parameters.
FUNCTIONS = frozenset({"hierlearn.networks.convolutional.cnn", "hierlearn.networks.mlp.mlp"})

# Classes of ours that check their own parts are made by their constructors, of these attributes.
MADE = {
    "hierlearn.partition.label_partition.LabelPartition": (
        *("classes", "labels", "membership", "tree", "names"),
    ),
    "hierlearn.partition.class_tree.ClassTree": ("parents", "heights", "names"),
    # usearch's own bytes would be read by C++ that trusts them; the index is built anew.
    "hierlearn.embedding.search.ApproximateSearch": ("embeddings", "n_looked_at"),
}

_SKLEARN_NAMES = """
    calibration cluster compose covariance cross_decomposition decomposition discriminant_analysis
    dummy ensemble feature_extraction feature_extraction.image feature_extraction.text
    feature_selection frozen gaussian_process impute isotonic kernel_approximation kernel_ridge
    linear_model manifold mixture model_selection multiclass multioutput naive_bayes neighbors
    neural_network pipeline preprocessing random_projection semi_supervised svm tree
    """
_SKLEARN_MODULES = frozenset(f"sklearn.{name}" for name in _SKLEARN_NAMES.split())


def dotted(value: Any) -> str:
    """Return the module and qualified name of a class or function."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", repr(value))
    return f"{getattr(value, '__module__', None) or 'builtins'}.{name}"


def _sklearn_name(value: Any) -> str | None:
    """Return the public name of an estimator class of scikit-learn, or None."""
    if not (isinstance(value, type) and issubclass(value, BaseEstimator)):
        return None
    parts = value.__module__.split(".")
    public = [part for part in parts if not part.startswith("_")]
    for length in range(len(public), 1, -1):
        home = ".".join(public[:length])
        if home in _SKLEARN_MODULES and value.__name__ in _exported(home):
            return f"{home}.{value.__name__}"
    return None


def _exported(home: str) -> Collection[str]:
    """Return the names that a module of scikit-learn makes public."""
    module = import_module(home)
    own = (name for name, value in vars(module).items() if dotted(value) == f"{home}.{name}")
    return getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]


def _torch() -> Any:
    """Return what knows torch's names."""
    from ..networks import storing

    return storing


def name_of(value: Any) -> tuple[str, bool]:
    """Return the name of a class or function in files, and whether files may name it.

    Parameters
    ----------
    value : type or callable

    Returns
    -------
    name : str
    known : bool
    """
    name = dotted(value)
    if name in OURS or name in FUNCTIONS:
        return name, True
    if name.startswith("sklearn.") and (public := _sklearn_name(value)) is not None:
        return public, True
    if "torch" in sys.modules and (public := _torch().torch_name(value)) is not None:
        return public, True
    return name, False


class Types:
    """The types that one file may name.

    Parameters
    ----------
    trusted : collection of str
        Names, with their modules, that the caller trusts on top of the lists.
    """

    def __init__(self, trusted: Collection[str] = ()) -> None:
        self.trusted = frozenset(trusted)

    @cached_property
    def _layers(self) -> frozenset[str]:
        storing = _torch()
        return frozenset(storing.LAYERS | storing.REFERENCES)

    def knows(self, name: str) -> bool:
        """Tell whether a file may name this; imports nothing that is not on a list.

        Parameters
        ----------
        name : str

        Returns
        -------
        bool
        """
        name = _MOVED.get(name, name)
        if name in OURS or name in FUNCTIONS or name in self.trusted:
            return True
        home, _, simple = name.rpartition(".")
        if home in _SKLEARN_MODULES:
            return simple in _exported(home) and _is_estimator(home, simple)
        return name.startswith("torch.") and name in self._layers

    def resolve(self, name: str) -> Any:
        """Return what a name stands for.

        Parameters
        ----------
        name : str

        Returns
        -------
        type or callable

        Raises
        ------
        ValueError
            If a file may not name it, or it is not there.
        """
        name = _MOVED.get(name, name)
        if not self.knows(name):
            raise ValueError(f"types must be known or trusted. Got {name!r} instead.")
        if name.startswith("torch.") and name not in self.trusted:
            return _torch().torch_class(name)
        home, _, simple = name.rpartition(".")
        try:
            return getattr(import_module(home), simple)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{name!r} must be importable to be loaded: {error}.") from error


def _is_estimator(home: str, simple: str) -> bool:
    value = getattr(import_module(home), simple, None)
    return isinstance(value, type) and issubclass(value, BaseEstimator)


def may_hold(cls: type, attribute: Any) -> bool:
    """Tell whether an instance may be given an attribute: one that hides no method of its class.

    Parameters
    ----------
    cls : type
    attribute : object
        Of a file, so of any type.

    Returns
    -------
    bool
    """
    if not isinstance(attribute, str) or attribute.startswith("__"):
        return False
    hidden = inspect.getattr_static(cls, attribute, None)
    if isinstance(hidden, cached_property):
        return True
    behaves = hasattr(type(hidden), "__get__") or hasattr(type(hidden), "__set__")
    return hidden is None or not behaves
