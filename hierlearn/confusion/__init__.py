"""From class scores to confusion: what a classifier mixes up on data it has not seen.

Pure functions over arrays. :func:`held_out_scores` is the only one that fits anything.
"""

from hierlearn.confusion.detection import detect_top_k
from hierlearn.confusion.fitting import fit_with_weight, seed_estimator
from hierlearn.confusion.indicator import check_indicator
from hierlearn.confusion.label_scores import label_scores
from hierlearn.confusion.matrices import (
    CONFUSION_METHODS,
    SPARSE_ABOVE,
    co_detection,
    confusion_from_scores,
    default_k,
    hard_confusion,
    soft_confusion,
    top_k_confusion,
)
from hierlearn.confusion.multilabel_splits import multilabel_folds, multilabel_holdout
from hierlearn.confusion.normalise import (
    distance_from_confusion,
    normalise_columns,
    normalise_rows,
    similarity_from_confusion,
)
from hierlearn.confusion.posteriors import (
    align_columns,
    class_scores,
    decision_columns,
    fit_temperature,
    label_codes,
)
from hierlearn.confusion.scores import Fold, HeldOutScores, held_out_scores
from hierlearn.confusion.splits import HOLDOUT_FRACTION, stratified_folds, stratified_holdout
from hierlearn.confusion.streaming import StreamingConfusion

__all__ = [
    "CONFUSION_METHODS",
    "HOLDOUT_FRACTION",
    "SPARSE_ABOVE",
    "Fold",
    "HeldOutScores",
    "StreamingConfusion",
    "align_columns",
    "check_indicator",
    "class_scores",
    "co_detection",
    "confusion_from_scores",
    "decision_columns",
    "default_k",
    "detect_top_k",
    "distance_from_confusion",
    "fit_temperature",
    "fit_with_weight",
    "hard_confusion",
    "held_out_scores",
    "label_codes",
    "label_scores",
    "multilabel_folds",
    "multilabel_holdout",
    "normalise_columns",
    "normalise_rows",
    "seed_estimator",
    "similarity_from_confusion",
    "soft_confusion",
    "stratified_folds",
    "stratified_holdout",
    "top_k_confusion",
]
