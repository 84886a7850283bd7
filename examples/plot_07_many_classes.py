"""
Ten thousand classes: which output layer?
=========================================

A flat softmax computes a score for every class in every step of training. Three output layers
compute fewer. Here they learn 10,000 classes that lie in a planted tree, a few of them frequent
and most rare.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
    TorchMLPClassifier,
)
from hierlearn.datasets import make_class_hierarchy

planted = make_class_hierarchy(10_000, 40_000, n_features=32)
X, y = planted.data_train, planted.target_train
counts = np.bincount(y, minlength=10_000)
print(X.shape, "rows;", counts.max(), "of the most frequent class, median", int(np.median(counts)))

# %%
# Four networks that differ in their output layer only. Below about a million weights the two-level
# and the adaptive softmax stay flat unless clusters or cutoffs are asked for.

common = {"lr": 0.01, "max_epochs": 2, "batch_size": 512, "random_state": 0}
networks = {
    "flat": TorchMLPClassifier((128,), **common),
    "two-level": PartitionSoftmaxClassifier((128,), **common),
    "adaptive": AdaptiveSoftmaxClassifier((128,), cutoffs=[1000, 4000], div_value=2, **common),
    "sampled": SampledSoftmaxClassifier((128,), n_negatives=512, **common),
}
rows = {}
for name, network in networks.items():
    start = time.process_time()
    network.fit(X, y)
    seconds = time.process_time() - start
    right = network.predict(planted.data_test) == planted.target_test
    often = counts[planted.target_test] > np.median(counts)
    rows[name] = seconds, right[often].mean(), right[~often].mean()
    print(f"{name:10} fit {seconds:4.1f} s, accuracy {right.mean():.3f}")

# %%
# What it depends on
# ------------------
#
# The two-level softmax needs classes with groups that the features tell apart, as planted ones
# have. The adaptive softmax gives rare classes narrow tails, and pays for it there. Times are of
# so few epochs on one core, the making of the clusters included, and vary from run to run;
# :doc:`/output-layers` has the measured ones, up to 100,000 classes.

fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
names = list(rows)
seconds, frequent, rare = map(np.array, zip(*rows.values(), strict=True))
axes[0].barh(names, seconds, color="0.65")
axes[0].set(xlabel="processor seconds of the fit")
place = np.arange(len(names))
axes[1].barh(place - 0.2, frequent, 0.4, label="frequent classes")
axes[1].barh(place + 0.2, rare, 0.4, label="rare classes")
axes[1].set_yticks(place, names)
axes[1].set(xlabel="accuracy")
axes[1].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
for ax in axes:
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)

# %%
# The best few classes
# --------------------
#
# ``predict_top_k`` is exact, and looks only into clusters that can still hold a better class.

labels, probabilities = networks["two-level"].predict_top_k(planted.data_test[:3], k=3)
for row in range(3):
    guesses = zip(labels[row], probabilities[row], strict=True)
    print(
        f"is {planted.target_names[planted.target_test[row]]:9}",
        ", ".join(f"{planted.target_names[label]} {share:.2f}" for label, share in guesses),
    )
