"""From class scores to confusion: what a classifier mixes up on data it has not seen.

Pure functions over arrays. :func:`held_out_scores` is the only one that fits anything.
"""

from hierlearn.confusion.fitting import fit_with_weight, seed_estimator
from hierlearn.confusion.posteriors import (
    align_columns,
    class_scores,
    decision_columns,
    fit_temperature,
    label_codes,
)
from hierlearn.confusion.scores import Fold, HeldOutScores, held_out_scores
from hierlearn.confusion.splits import stratified_folds, stratified_holdout

__all__ = [
    "Fold",
    "HeldOutScores",
    "align_columns",
    "class_scores",
    "decision_columns",
    "fit_temperature",
    "fit_with_weight",
    "held_out_scores",
    "label_codes",
    "seed_estimator",
    "stratified_folds",
    "stratified_holdout",
]
