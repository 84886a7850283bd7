"""Hierarchical decomposition: one large classification problem as a family of small ones."""

from .decomposition import HierarchicalDecompositionClassifier
from .family import Family, FamilyPlan, TrainingRows, fit_family
from .learning import default_partitioner, learn_partition
from .mixing import MixingChoice, choose_mixing
from .routing import combine, route

__all__ = [
    "Family",
    "FamilyPlan",
    "HierarchicalDecompositionClassifier",
    "MixingChoice",
    "TrainingRows",
    "choose_mixing",
    "combine",
    "default_partitioner",
    "fit_family",
    "learn_partition",
    "route",
]
