"""Specialist heads: a trained network grown where it is confused."""

from .allocation import ALLOCATIONS, BaseShape, capacity_shares, head_widths
from .augmenter import SpecialistHeadAugmenter
from .report import AugmentationReport
from .rounds import complementary, learn_partitions

__all__ = [
    "ALLOCATIONS",
    "AugmentationReport",
    "BaseShape",
    "SpecialistHeadAugmenter",
    "capacity_shares",
    "complementary",
    "head_widths",
    "learn_partitions",
]
