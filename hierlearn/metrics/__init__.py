"""How well labels are ranked, and how near mistakes are in a taxonomy.

Average precision, precision, recall and coverage of the first k look at the k best-scored labels
of every sample. ``y_true`` is an indicator matrix (dense or sparse) or, where each sample has one
class, a vector of class codes; ``scores`` may be posteriors, logits or any other numbers of which
larger is better. Two rules hold for all of them:

- **Ties count against the ranking.** Of labels with equal scores those that are not relevant come
  first, so that constant scores earn no more than they must, and the order of the columns changes
  nothing. An entry that sparse scores do not store is a score of zero, and ties with the others.
- **Samples without a relevant label are left out**, of every mean. None of the orders of their
  labels is better than another. (``sklearn.metrics.label_ranking_average_precision_score`` counts
  them as 1, trec_eval leaves them out.)

Hierarchical precision, recall and F, and the depth and height of the lowest common ancestor,
compare predicted labels with true ones in a taxonomy; ``sklearn.metrics.make_scorer(function,
taxonomy=...)`` makes scorers of them.

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
from .common_ancestor import lowest_common_ancestor_depth, lowest_common_ancestor_height
from .hierarchical import (
    HierarchicalScores,
    hierarchical_fbeta_score,
    hierarchical_precision_recall_fscore,
    hierarchical_precision_score,
    hierarchical_recall_score,
)
from .scorers import RankingScorer, get_scorer

__all__ = [
    "HierarchicalScores",
    "RankingScorer",
    "average_precision_at_k",
    "coverage_at_k",
    "coverage_depth",
    "get_scorer",
    "hierarchical_fbeta_score",
    "hierarchical_precision_recall_fscore",
    "hierarchical_precision_score",
    "hierarchical_recall_score",
    "lowest_common_ancestor_depth",
    "lowest_common_ancestor_height",
    "precision_at_k",
    "recall_at_k",
]
