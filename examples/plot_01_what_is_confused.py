"""
What does my classifier confuse?
================================

A classifier of 62 characters, digits and Latin letters, is right about most of them. Which ones
does it mix up? Nothing needs to be trained beyond the classifier itself: its scores on held-out
rows give a confusion matrix, and the matrix gives groups of characters that are taken for each
other.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from hierlearn import ConfusionLinkagePartitioner, confusion_from_scores, held_out_scores
from hierlearn.datasets import load_glyphs
from hierlearn.display import ClassDendrogramDisplay, ConfusionOrderDisplay

# %%
# The characters are drawn on the spot, in several faces. Training and test images differ in face.

glyphs = load_glyphs(62, image_size=14, n_samples_per_class=32, jitter=1.5)
X, y = glyphs.data_train, glyphs.target_train
print(X.shape, "training images,", glyphs.data_test.shape, "test images")

# %%
# Held-out scores
# ---------------
#
# A confusion that is measured on training rows shows what a classifier has learnt to avoid. So
# three copies are fitted, each on two thirds of the rows, and score the third that they have not
# seen.

held_out = held_out_scores(LogisticRegression(max_iter=200), X, y, cv=3, random_state=0)
confusion = confusion_from_scores(held_out.scores, held_out.y, method="soft")
names = held_out.classes

off_diagonal = confusion - np.diag(np.diag(confusion))
for row, column in zip(*np.unravel_index(np.argsort(-off_diagonal, None)[:6], confusion.shape)):
    print(f"{names[row]} is given {confusion[row, column]:.2f} as {names[column]}")

# %%
# Groups of characters
# --------------------
#
# Average linkage joins first what is confused most. Cut where no group has more than eight
# characters, the tree says which ones look alike to this classifier.

partition = (
    ConfusionLinkagePartitioner(max_cluster_size=8)
    .fit(confusion, classes=held_out.classes)
    .partition_
)
ClassDendrogramDisplay.from_confusion(confusion, partition=partition)

# %%
# The same on new images
# ----------------------
#
# The test images are in other faces, and the blocks that the training images gave are there again.

classifier = LogisticRegression(max_iter=200).fit(X, y)
predicted = classifier.predict(glyphs.data_test)
ConfusionOrderDisplay.from_predictions(glyphs.target_test, predicted, partition)
print(f"accuracy {np.mean(predicted == glyphs.target_test):.2f}")

# %%
# Look at them
# ------------
#
# Test images of the largest group, each below the character that it was taken for.

members = names[max(partition, key=len)]
wrong = predicted != glyphs.target_test
rows = [np.flatnonzero(wrong & (glyphs.target_test == member))[:2] for member in members]
rows = np.concatenate(rows)
fig, axes = plt.subplots(1, max(len(rows), 2), figsize=(9, 1.5), layout="constrained")
for ax in axes:
    ax.axis("off")
for ax, row in zip(axes, rows, strict=False):
    ax.imshow(glyphs.data_test[row].reshape(14, 14), cmap="gray_r")
    ax.set_title(f"“{predicted[row]}”", fontsize=11)
fig.suptitle(f"group of {' '.join(members)}", fontsize=11)
