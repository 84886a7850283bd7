"""
What if a sample has several labels?
====================================

Two classifiers for samples of several labels, beside a flat network: a shallow tree, which asks
first which clusters of labels concern a sample, and label embeddings, which regress one vector for
all of a sample's labels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from hierlearn import (
    LabelEmbeddingClassifier,
    MultiLabelDecompositionClassifier,
    TorchMLPClassifier,
)
from hierlearn.cost import estimator_cost
from hierlearn.metrics import average_precision_at_k

# %%
# Pairs of digits
# ---------------
#
# Two handwritten digits side by side, and 33 labels: both digits, in any order, and what holds for
# their pair.

X, y = load_digits(return_X_y=True)
images = X.reshape(-1, 8, 8) / 16
rng = np.random.default_rng(0)


def pairs(rows, number):
    """Draw pairs of images, and the labels of each."""
    left, right = rng.choice(rows, (2, number))
    a, b = y[left], y[right]
    digits = np.maximum(np.eye(10)[a], np.eye(10)[b])
    sums = np.eye(19)[a + b]
    facts = np.column_stack([a == b, a < b, (a + b) % 2 == 0, a * b == 0])
    pixels = np.concatenate([images[left], images[right]], axis=2).reshape(number, -1)
    return pixels.astype(np.float32), np.hstack([digits, sums, facts]).astype(int)


names = np.array(
    [f"has {digit}" for digit in range(10)]
    + [f"sum {total}" for total in range(19)]
    + ["equal", "ascending", "even sum", "with a zero"]
)
X_train, Y_train = pairs(np.arange(1200), 3000)
X_test, Y_test = pairs(np.arange(1200, 1797), 800)
print(f"{Y_train.shape[1]} labels, {Y_train.sum(axis=1).mean():.1f} a sample")

# %%
# Learning curves
# ---------------
#
# The labels of a pair follow from each other, which embeddings know from the start: they are ahead
# at every number of epochs. On sets whose labels are looser they start faster, too, but sigmoids
# end higher (:doc:`/label-embeddings`).

epochs = [1, 2, 4, 8, 16]
classifiers = {
    "flat": TorchMLPClassifier((96,)),
    "tree": MultiLabelDecompositionClassifier((96,)),
    "embeddings": LabelEmbeddingClassifier((96,), variant="npmi", calibration="platt"),
}
curves = {name: [] for name in classifiers}
for name, classifier in classifiers.items():
    for number in epochs:
        classifier.set_params(
            max_epochs=number, lr=0.003, lr_schedule="constant", batch_size=128, random_state=0
        )
        classifier.fit(X_train, Y_train)
        scores = classifier.predict_proba(X_test)
        curves[name].append(average_precision_at_k(Y_test, scores, k=33))

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, values in curves.items():
    ax.plot(epochs, values, "o-", label=name)
ax.set_xscale("log", base=2)
ax.set_xticks(epochs, epochs)
ax.set(xlabel="epochs", ylabel="mean average precision, test")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %%
# The tree
# --------
#
# Labels that occur together share a cluster. ``rerouted`` asks fewer clusters and ranks all labels
# still.

tree = classifiers["tree"]
for cluster, members in enumerate(tree.partition_):
    print(f"cluster {cluster}: {', '.join(names[members])}")
for routing in ("soft", 3, 2, 1):
    other = tree.rerouted(routing)
    quality = average_precision_at_k(Y_test, other.predict_proba(X_test), k=33)
    cost = estimator_cost(other).multiply_adds
    print(f"{routing!s:>4}: mAP {quality:.3f}, {cost:,.0f} multiply-adds")

# %%
# The vectors
# -----------
#
# ``nearest_labels`` are those whose vectors point where the network's output does.

labels, cosines = classifiers["embeddings"].nearest_labels(X_test[:4], k=4)
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained")
for ax, pixels, row in zip(axes, X_test, labels, strict=False):
    ax.imshow(pixels.reshape(8, 16), cmap="gray_r")
    ax.set_title("\n".join(names[row]), fontsize=9)
    ax.axis("off")
