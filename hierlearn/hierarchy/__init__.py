"""Hierarchical decomposition: one large classification problem as a family of small ones."""

from .cluster_statistics import cluster_statistics, size_statistics
from .cluster_task import ClusterTask, Selection, Training
from .decomposition import HierarchicalDecompositionClassifier
from .family import Family, FamilyPlan, Member
from .family_training import fit_family
from .members import OnTrunk
from .meta_model import MetaModel, fit_meta_model
from .mixing import MixingChoice, choose_mixing
from .routing import combine, route
from .selection_table import SelectionRow, SelectionTable
from .selector import NetworkSelector

__all__ = [
    "ClusterTask",
    "Family",
    "FamilyPlan",
    "HierarchicalDecompositionClassifier",
    "Member",
    "MetaModel",
    "MixingChoice",
    "NetworkSelector",
    "OnTrunk",
    "Selection",
    "SelectionRow",
    "SelectionTable",
    "Training",
    "choose_mixing",
    "cluster_statistics",
    "combine",
    "fit_family",
    "fit_meta_model",
    "route",
    "size_statistics",
]
