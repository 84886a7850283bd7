"""
Does it earn its place? A hierarchy beside its controls
=======================================================

A hierarchy is trained longer than the flat network in it, and costs more. So a gain counts only
beside a flat network that is trained as long, one that costs as much, and the same hierarchy with
its classes shuffled among the clusters. ``compare`` fits them all, over several seeds.
"""

import matplotlib.pyplot as plt

from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
from hierlearn.controls import compare
from hierlearn.datasets import load_glyphs
from hierlearn.display import CostAccuracyDisplay

glyphs = load_glyphs(100, image_size=14, n_samples_per_class=32)

# %%
# The comparison
# --------------

network = TorchMLPClassifier((64, 48), lr=0.005, max_epochs=8)
result = compare(
    HierarchicalDecompositionClassifier(network),
    glyphs.data_train,
    glyphs.target_train,
    glyphs.data_test,
    glyphs.target_test,
    seeds=[0, 1, 2],
)
print(result)

# %%
# How to read it
# --------------
#
# Brackets hold Student's 95 % interval of the difference to the flat network, paired by seed; with
# three seeds it is 4.3 standard errors to either side. Only an interval that leaves out zero says
# something. "HC" is the share of samples whose cluster is named right.
#
# * Over "flat, trained as long": what remains is not just more training.
# * Over "flat, as expensive": nor more multiply-adds.
# * Over "gate alone": nor the fine-tuned upper layers, without any clusters.
# * Over "permuted": nor dividing the classes, whichever way.

fig, ax = plt.subplots(figsize=(8, 5), layout="constrained")
CostAccuracyDisplay.from_comparison(result, relative_to="flat", ax=ax)

# %%
# One difference by itself: the mean and both ends of its interval.

for other in ("flat", "flat, trained as long", "hierarchy, permuted"):
    mean, low, high = result.difference("hierarchy", other)
    print(
        f"hierarchy minus {other}: {100 * mean:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    )
