"""From which labels occur together to a vector for each label.

Labels that occur together get vectors that point the same way. Functions of arrays, and a
transformer on label indicators; the network that learns the vectors is
:class:`hierlearn.LabelEmbeddingClassifier`.
"""

from hierlearn.embedding.calibration import (
    fit_label_logits,
    fit_shared_logit,
    fit_softmax_scale,
)
from hierlearn.embedding.cooccurrence import confusion_cooccurrence, label_cooccurrence
from hierlearn.embedding.embedder import LabelEmbedder
from hierlearn.embedding.factors import embed_labels
from hierlearn.embedding.information import PMI_VARIANTS, pmi
from hierlearn.embedding.search import ApproximateSearch, ExactSearch, make_search
from hierlearn.embedding.sums import normalise_rows, sum_of_labels

__all__ = [
    "PMI_VARIANTS",
    "ApproximateSearch",
    "ExactSearch",
    "LabelEmbedder",
    "confusion_cooccurrence",
    "embed_labels",
    "fit_label_logits",
    "fit_shared_logit",
    "fit_softmax_scale",
    "label_cooccurrence",
    "make_search",
    "normalise_rows",
    "pmi",
    "sum_of_labels",
]
