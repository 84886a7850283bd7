"""Networks: torch modules as scikit-learn classifiers, and the surgery on them.

Everything that touches torch lies here, and everything that touches skorch in one file of it.
"""

from ._forward import forward
from .branch import BranchClassifier
from .classifier import TorchClassifier
from .mlp import TorchMLPClassifier, mlp
from .split import chain, copy_head, layer_multiply_adds, split_network, split_point

__all__ = [
    "BranchClassifier",
    "TorchClassifier",
    "TorchMLPClassifier",
    "chain",
    "copy_head",
    "forward",
    "layer_multiply_adds",
    "mlp",
    "split_network",
    "split_point",
]
