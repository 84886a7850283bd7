"""
I have a taxonomy: how do I use it, and how do I get one out?
=============================================================

A taxonomy that is known can take the place of a learnt partition, and a learnt one can go to other
programs. Scores that know the taxonomy tell near mistakes from far ones.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TaxonomyPartitioner,
)
from hierlearn.datasets import load_glyphs
from hierlearn.display import ConfusionOrderDisplay
from hierlearn.metrics import hierarchical_fbeta_score, lowest_common_ancestor_height

glyphs = load_glyphs(62, image_size=14, n_samples_per_class=32, noise=0.2)
X, y, X_test, y_test = glyphs.data_train, glyphs.target_train, glyphs.data_test, glyphs.target_test

# %%
# In
# --
#
# Digits, capitals and small letters are what anybody would write down. A mapping from class to
# group will do, as will nested dicts, networkx graphs, Newick text and tables of paths.

kinds = {
    character: "digit" if character.isdigit() else "capital" if character.isupper() else "small"
    for character in np.unique(y)
}
base = LogisticRegression(max_iter=200)
given = HierarchicalDecompositionClassifier(
    base, TaxonomyPartitioner(kinds), routing="hard", mixing=0, random_state=0
).fit(X, y)
learnt = HierarchicalDecompositionClassifier(
    base,
    ConfusionLinkagePartitioner(max_cluster_size=12),
    routing="hard",
    mixing=0,
    random_state=0,
).fit(X, y)
print(given.partition_)
print(learnt.partition_)

# %%
# Which suits the classifier better? What matters is whether the cluster can be told: a given group
# that cuts through look-alikes, such as ``0`` and ``O``, makes the first step hard.

for name, model in (("given", given), ("learnt", learnt)):
    truth = model.partition_.labels[np.searchsorted(model.classes_, y_test)]
    right = np.mean(model.transform(X_test).argmax(axis=1) == truth)
    print(f"{name:6} groups: cluster {right:.3f}, class {model.score(X_test, y_test):.3f}")
print(f"no groups:     class {given.base_estimator_.score(X_test, y_test):.3f}")

# %%
# The same confusions of the flat classifier, in the given order and in the learnt one. What lies
# outside the outlined blocks is lost once the wrong cluster is named.

flat = given.base_estimator_.predict(X_test)
ConfusionOrderDisplay.from_predictions(y_test, flat, given.partition_)

# %%
ConfusionOrderDisplay.from_predictions(y_test, flat, learnt.partition_)

# %%
# Near and far mistakes
# ---------------------
#
# On one taxonomy for all: hierarchical F counts the groups that are right, and the height of the
# lowest common ancestor how far one has to climb until prediction and truth meet.

for name, model in (("given", given), ("learnt", learnt), ("flat", given.base_estimator_)):
    predicted = model.predict(X_test)
    f = hierarchical_fbeta_score(y_test, predicted, taxonomy=kinds)
    height = lowest_common_ancestor_height(y_test, predicted, taxonomy=kinds)
    print(f"{name:6} hierarchical F {f:.3f}, height {height:.3f}")

# %%
# Out
# ---
#
# Newick keeps the dendrogram with its heights; reading it back gives an equal partition.

newick = learnt.partition_.to_newick()
print(newick[:150], "...")
assert LabelPartition.from_newick(newick, learnt.partition_.classes) == learnt.partition_
print(learnt.partition_.to_table()[:3])
