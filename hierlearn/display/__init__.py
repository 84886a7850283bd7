"""Pictures of a partition, of the confusion behind it, and of what it buys.

All displays follow scikit-learn's manner: they hold data, ``plot(ax=None)`` draws it,
``from_estimator`` and ``from_predictions`` collect the data first. Drawing needs matplotlib,
which ``pip install "hierlearn[plot]"`` brings; it is imported on the first plot.
"""

from hierlearn.display._order import leaf_order
from hierlearn.display.confusion_order import ConfusionOrderDisplay
from hierlearn.display.cost_accuracy import CostAccuracyDisplay
from hierlearn.display.dendrogram import ClassDendrogramDisplay
from hierlearn.display.partition import PartitionDisplay
from hierlearn.display.routing import RoutingDisplay

__all__ = [
    "ClassDendrogramDisplay",
    "ConfusionOrderDisplay",
    "CostAccuracyDisplay",
    "PartitionDisplay",
    "RoutingDisplay",
    "leaf_order",
]
