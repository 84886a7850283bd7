"""
Which network for which cluster? Selection and transfer
=======================================================

Clusters differ. ``NetworkSelector`` lets candidates compete for each one on held-out rows: small
and large networks, the flat network itself, a copy of its upper layers, and one on the features of
a network that was trained on something else.
"""

from collections import Counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from hierlearn import (
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    OnTrunk,
    SelectionTable,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.datasets import load_glyphs

# %%
# A pre-trained network
# ---------------------
#
# It has learnt 200 characters. The problem to solve is 60 others, with few images each.

many = load_glyphs(260, image_size=14, n_samples_per_class=32)
order = np.unique(many.target)
new = np.isin(many.target_train, order[::4][:60])
new_test = np.isin(many.target_test, order[::4][:60])
source = TorchMLPClassifier((192, 96), lr=0.004, max_epochs=12, random_state=0)
source.fit(many.data_train[~new], many.target_train[~new])

few = np.flatnonzero(new)
few = few[np.argsort(many.target_train[few], kind="stable")].reshape(60, -1)[:, :12].ravel()
X, y = many.data_train[few], many.target_train[few]
X_test, y_test = many.data_test[new_test], many.target_test[new_test]
print(X.shape, "rows of", len(np.unique(y)), "new characters")

# %%
# Transfer
# --------
#
# Frozen features with a new classifier on them, and the last layers tuned as well, beside a
# network from scratch.

networks = {
    "from scratch": TorchMLPClassifier((192, 96), lr=0.004, max_epochs=25, random_state=0),
    "frozen": TransferClassifier(source, lr=0.01, max_epochs=25, random_state=0),
    "last layer tuned": TransferClassifier(source, tune=1, lr=0.01, max_epochs=25, random_state=0),
}
for name, network in networks.items():
    print(f"{name:17} {network.fit(X, y).score(X_test, y_test):.3f}")

# %%
# Selection
# ---------

candidates = {
    "flat": "flat",
    "branch": "branch",
    "linear": LogisticRegression(C=5, max_iter=300),
    "small": OnTrunk(TorchMLPClassifier((24,), lr=0.01, max_epochs=15)),
    "transfer": TransferClassifier(source, lr=0.02, max_epochs=15),
}
model = HierarchicalDecompositionClassifier(
    TorchMLPClassifier((96, 64), lr=0.005, max_epochs=20),
    hierarchy_estimator=TransferClassifier(source, lr=0.02, max_epochs=15),
    fine_estimator=NetworkSelector(candidates),
    mixing=0,
    random_state=0,
).fit(X, y)
table = SelectionTable.from_hierarchy(model, dataset="glyphs")
print(table)
print(Counter(member.best_name_ for member in model.fine_estimators_))
print(f"flat {model.base_estimator_.score(X_test, y_test):.3f}")
print(f"hierarchy {model.score(X_test, y_test):.3f}")

# %%
# How close was it? On a few held-out rows a cluster, the winner is partly luck; a :doc:`meta-model
# </network-selection>` that learns from several clusters averages that out.

names = list(candidates)
scores = np.array([[member.scores_[name] for name in names] for member in model.fine_estimators_])
fig, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
image = ax.imshow(scores, cmap="Blues", vmin=np.nanmin(scores) - 0.1, vmax=1, aspect="auto")
for row, member in enumerate(model.fine_estimators_):
    for column, name in enumerate(names):
        value = scores[row, column]
        ax.text(
            column,
            row,
            f"{value:.2f}",
            ha="center",
            va="center",
            color="white" if value > 0.8 else "black",
            weight="bold" if name == member.best_name_ else "normal",
        )
ax.set_xticks(range(len(names)), names)
ax.set_yticks(
    range(len(scores)),
    [" ".join(map(str, model.classes_[members][:9])) for members in model.partition_],
)
ax.set(title="Held-out score by cluster and candidate (bold: chosen)")
