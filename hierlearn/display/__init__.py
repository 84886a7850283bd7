"""Pictures of a partition and of the confusion it was learnt from.

Both displays follow scikit-learn's manner: they hold data, ``plot(ax=None)`` draws it,
``from_estimator`` and ``from_predictions`` collect the data first. Drawing needs matplotlib,
which ``pip install "hierlearn[plot]"`` brings; it is imported on the first plot.
"""

from hierlearn.display._order import leaf_order
from hierlearn.display.confusion_order import ConfusionOrderDisplay
from hierlearn.display.dendrogram import ClassDendrogramDisplay

__all__ = ["ClassDendrogramDisplay", "ConfusionOrderDisplay", "leaf_order"]
