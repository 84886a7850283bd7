"""From a confusion matrix, features or a taxonomy to a partition of the classes.

Every partitioner makes a :class:`LabelPartition`; everything downstream takes one and does not
ask how it was made.
"""

from hierlearn.partition._common import partition_input
from hierlearn.partition.centroids import (
    CentroidPartitioner,
    class_means,
    cluster_means_spectrally,
)
from hierlearn.partition.class_tree import ClassTree
from hierlearn.partition.label_partition import LabelPartition
from hierlearn.partition.learning import (
    TrainingRows,
    confusion_of,
    default_partitioner,
    learn_partition,
    with_fewer_clusters,
)
from hierlearn.partition.linkage import (
    ConfusionLinkagePartitioner,
    average_linkage,
    cut_by_count,
    cut_by_distance,
    cut_by_size,
)
from hierlearn.partition.overlap import OVERLAP_RULES, extend_by_confusion
from hierlearn.partition.random import RandomPartitioner, permute_classes
from hierlearn.partition.registry import PARTITIONERS, resolve_partitioner
from hierlearn.partition.spectral import (
    ConfusionSpectralPartitioner,
    cluster_rows,
    confusion_spectrum,
    similarity_spectrum,
    spectral_labels,
    widest_gap,
)
from hierlearn.partition.taxonomy import TaxonomyPartitioner, partition_from_groups

__all__ = [
    "OVERLAP_RULES",
    "PARTITIONERS",
    "CentroidPartitioner",
    "ClassTree",
    "ConfusionLinkagePartitioner",
    "ConfusionSpectralPartitioner",
    "LabelPartition",
    "RandomPartitioner",
    "TaxonomyPartitioner",
    "TrainingRows",
    "average_linkage",
    "class_means",
    "cluster_means_spectrally",
    "cluster_rows",
    "confusion_of",
    "confusion_spectrum",
    "cut_by_count",
    "cut_by_distance",
    "cut_by_size",
    "default_partitioner",
    "extend_by_confusion",
    "learn_partition",
    "partition_from_groups",
    "partition_input",
    "permute_classes",
    "resolve_partitioner",
    "similarity_spectrum",
    "spectral_labels",
    "widest_gap",
    "with_fewer_clusters",
]
