"""What an estimator with structure must beat: flat networks with the same means, chance partitions.

A hierarchy, or a network with specialist heads, is trained longer and costs more at prediction
than the flat network inside it; and a partition may help because it divides the work, whichever
way. So a gain counts only beside

- the flat network as it is,
- **trained as long**: with as many epochs as all the training was worth,
- **as expensive**: made as wide as the whole is expensive to evaluate,
- **permuted**: the same structure on a partition of the same sizes with the labels shuffled,

and what else could explain it (the classifier layer trained anew, one head for all labels), over
several seeds, paired. :func:`compare` measures all of them and says whether to bother.
"""

from .comparing import compare, compare_once
from .comparison import Comparison, Measurement
from .decomposition import GateAlone, permuted
from .distillation import DistillationReport, distillation_report
from .measuring import measure
from .specialists import one_head_for_all, permuted_plans, regrown
from .training import as_expensive, equal_epochs, trained_as_long

__all__ = [
    "Comparison",
    "DistillationReport",
    "GateAlone",
    "Measurement",
    "as_expensive",
    "compare",
    "compare_once",
    "distillation_report",
    "equal_epochs",
    "measure",
    "one_head_for_all",
    "permuted",
    "permuted_plans",
    "regrown",
    "trained_as_long",
]
