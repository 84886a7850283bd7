"""What a fitted estimator has learnt, decided and costs, as text and as HTML.

:class:`SummaryMixin` gives an estimator its ``summary()`` and puts the partition under
scikit-learn's HTML diagram; :func:`summarise` does the reading, :class:`Summary` the writing.
"""

from .clusters import ClusterFigures, cluster_figures
from .estimators import summarise
from .representation import SummaryMixin
from .table import Names, Summary, Table

__all__ = [
    "ClusterFigures",
    "Names",
    "Summary",
    "SummaryMixin",
    "Table",
    "cluster_figures",
    "summarise",
]
