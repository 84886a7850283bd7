"""
Do auxiliary heads, or a teacher, help?
=======================================

Two ways to train a network differently and to end with a plain one: classifiers at inner layers
that are thrown away after the fit, and the softened posteriors of a larger teacher. Both are easy
to try, and neither is a gain by itself. This is how to find out.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

from hierlearn import (
    AuxiliaryHeads,
    DistilledClassifier,
    HierarchicalDecompositionClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.controls import distillation_report
from hierlearn.datasets import load_digits, load_glyphs

# %%
# Auxiliary heads
# ---------------
#
# A chain of eight convolutions without normalisation learns slowly at first: the gradient has a
# long way down. Heads at two inner layers add their losses, weighted by 0.3. The control costs as
# much and is simpler: one more epoch.

digits = load_digits()
layers = ("conv 3x3|8",) * 4 + ("pool 2",) + ("conv 3x3|16",) * 4 + ("pool 4",)
variants = {
    "alone": {},
    "with heads": {"auxiliary": AuxiliaryHeads(at=("conv3", "conv6"))},
    "one more epoch": {"max_epochs": 9},
}
fig, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for name, params in variants.items():
    losses, scores = [], []
    for seed in range(3):
        network = TorchCNNClassifier(
            layers, input_shape=(1, 8, 8), lr=0.004, max_epochs=8, random_state=seed
        )
        network.set_params(**params).fit(digits.data_train, digits.target_train)
        losses.append([row["train_loss"] for row in network.history_])
        scores.append(network.score(digits.data_test, digits.target_test))
    print(f"{name:15} on test images, three seeds:", *(f"{score:.3f}" for score in scores))
    mean = np.mean(losses, axis=0)
    (line,) = ax.plot(np.arange(1, len(mean) + 1), mean, "o-", label=name)
    ax.plot(np.arange(1, len(mean) + 1), np.transpose(losses), color=line.get_color(), lw=0.6)
ax.set(xlabel="epoch", ylabel="the network's own training loss")
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %%
# Seeds differ by more than the variants: with three of them nothing is shown for heads here. On
# CIFAR-100 they gained one to two points, with intervals that hold zero: :doc:`/auxiliary`.

# %%
# A teacher
# ---------
#
# A hierarchy says of every image which wrong characters are nearly right, and a network of a ninth
# of its multiply-adds learns from it. ``temperature`` softens what the teacher says, ``alpha`` is
# its share beside the labels.

glyphs = load_glyphs(100, image_size=14, n_samples_per_class=32)
train, test = (glyphs.data_train, glyphs.target_train), (glyphs.data_test, glyphs.target_test)
network = TorchMLPClassifier((192, 96), dropout=0.3, lr=0.004, max_epochs=20)
teacher = HierarchicalDecompositionClassifier(network, mixing=0, random_state=0).fit(*train)
small = TorchMLPClassifier((48,), lr=0.01, max_epochs=4)

accuracies = {}
for temperature, alpha in [(1, 0.3), (1, 0.7), (1, 0.9), (2, 0.7), (2, 0.9), (4, 0.9)]:
    student = DistilledClassifier(
        FrozenEstimator(teacher), small, temperature=temperature, alpha=alpha, random_state=0
    ).fit(*train)
    accuracies[f"T={temperature}, alpha={alpha}"] = student.score(*test)
alone = DistilledClassifier(FrozenEstimator(teacher), small, alpha=0.0, random_state=0).fit(*train)

fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.plot(list(accuracies.values()), list(accuracies), "o", label="student")
ax.axvline(alone.score(*test), color="k", linestyle="--", label="same network, no teacher")
ax.axvline(teacher.score(*test), color="0.5", label="teacher")
ax.set(xlabel="accuracy on test images")
ax.margins(y=0.15)
ax.invert_yaxis()
ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
ax.spines[["top", "right"]].set_visible(False)

# %%
# The report does the comparison for a setting: it trains the same network once more without the
# teacher, from the same weights and in the same batches.

print(distillation_report(student, *train, *test))

# %%
# The further the student is taken from the labels, the less it learns in so short a training. What
# survives of a teacher on CIFAR-100, and when it does not pay: :doc:`/distillation`.
