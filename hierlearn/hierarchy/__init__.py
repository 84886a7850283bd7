"""Hierarchical decomposition: one large classification problem as a family of small ones."""

from .decomposition import HierarchicalDecompositionClassifier
from .family import Family, FamilyPlan, fit_family
from .mixing import MixingChoice, choose_mixing
from .routing import combine, route

__all__ = [
    "Family",
    "FamilyPlan",
    "HierarchicalDecompositionClassifier",
    "MixingChoice",
    "choose_mixing",
    "combine",
    "fit_family",
    "route",
]
