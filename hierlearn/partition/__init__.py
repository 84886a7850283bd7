"""From a confusion matrix, features or a taxonomy to a partition of the classes."""

from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.label_partition import LabelPartition

__all__ = [
    "ClassTree",
    "LabelPartition",
]
