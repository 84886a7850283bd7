"""How well labels are ranked: average precision, precision, recall and coverage of the first k.

All of these look at the k best-scored labels of every sample. ``y_true`` is an indicator matrix
(dense or sparse) or, where each sample has one class, a vector of class codes; ``scores`` may be
posteriors, logits or any other numbers of which larger is better.

Two rules hold throughout:

- **Ties count against the ranking.** Of labels with equal scores those that are not relevant come
  first, so that constant scores earn no more than they must, and the order of the columns changes
  nothing. An entry that sparse scores do not store is a score of zero, and ties with the others.
- **Samples without a relevant label are left out**, of every mean. None of the orders of their
  labels is better than another. (``sklearn.metrics.label_ranking_average_precision_score`` counts
  them as 1, trec_eval leaves them out.)

:func:`get_scorer` makes a scorer for ``GridSearchCV`` and ``cross_val_score`` from a name such as
``"map@50"``.
"""

from .at_k import (
    average_precision_at_k,
    coverage_at_k,
    coverage_depth,
    precision_at_k,
    recall_at_k,
)
from .scorers import RankingScorer, get_scorer

__all__ = [
    "RankingScorer",
    "average_precision_at_k",
    "coverage_at_k",
    "coverage_depth",
    "get_scorer",
    "precision_at_k",
    "recall_at_k",
]
