"""Networks: torch modules as scikit-learn classifiers, and the surgery on them.

Everything that touches torch lies here, and everything that touches skorch in one file of it.
"""

from ._forward import forward
from .adaptive_softmax import AdaptiveSoftmaxClassifier
from .augmentation import Augmentation
from .augmented import AugmentedNetwork, visited_clusters
from .auxiliary import AuxiliaryHeads
from .backbone import BackboneFeatures
from .branch import BranchClassifier
from .classifier import TorchClassifier
from .cnn_classifier import TorchCNNClassifier
from .convolutional import cnn
from .distillation import DistilledClassifier
from .export import as_module
from .head_plan import HeadPlan, maps_multiply_adds, stack_multiply_adds
from .heads import SpecialistHeads
from .label_embedding import LabelEmbeddingClassifier
from .label_tree_classifier import MultiLabelDecompositionClassifier
from .mlp import TorchMLPClassifier, mlp
from .partition_softmax import PartitionSoftmaxClassifier
from .sampled_softmax import SampledSoftmaxClassifier
from .split import chain, copy_head, layer_multiply_adds, split_network, split_point
from .taps import TappedNetwork, TapPoints, tap_points
from .transfer import TransferClassifier

__all__ = [
    "AdaptiveSoftmaxClassifier",
    "Augmentation",
    "AugmentedNetwork",
    "AuxiliaryHeads",
    "BackboneFeatures",
    "BranchClassifier",
    "DistilledClassifier",
    "HeadPlan",
    "LabelEmbeddingClassifier",
    "MultiLabelDecompositionClassifier",
    "PartitionSoftmaxClassifier",
    "SampledSoftmaxClassifier",
    "SpecialistHeads",
    "TapPoints",
    "TappedNetwork",
    "TorchCNNClassifier",
    "TorchClassifier",
    "TorchMLPClassifier",
    "TransferClassifier",
    "as_module",
    "chain",
    "cnn",
    "copy_head",
    "forward",
    "layer_multiply_adds",
    "maps_multiply_adds",
    "mlp",
    "split_network",
    "split_point",
    "stack_multiply_adds",
    "tap_points",
    "visited_clusters",
]
