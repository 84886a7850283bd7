"""
How much should clusters overlap? A search in a Pipeline
========================================================

``gamma`` lets a class belong to several clusters: the larger, the more classes are handed to a
second one, so that a wrong choice of cluster is not the end. It is a parameter like any other.
"""

import matplotlib.pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import ConfusionLinkagePartitioner, HierarchicalDecompositionClassifier
from hierlearn.datasets import load_digits
from hierlearn.display import PartitionDisplay

digits = load_digits()

# %%
# A hierarchy stands in a Pipeline as any classifier does. Hard routing, one cluster asked, is
# where overlap matters most; ``mixing=0`` leaves the flat network out of the answer.

hierarchy = HierarchicalDecompositionClassifier(
    LogisticRegression(C=0.05, max_iter=500),
    ConfusionLinkagePartitioner(n_clusters=4),
    fine_estimator=LogisticRegression(C=0.5, max_iter=500),
    confusion="soft",
    routing="hard",
    mixing=0,
    random_state=0,
)
pipeline = make_pipeline(StandardScaler(), hierarchy)

# %%
# Parameters of the hierarchy, and of what is in it, are reached by name.

gammas = [None, 0.5, 1, 2, 4, 8]
search = GridSearchCV(pipeline, {"hierarchicaldecompositionclassifier__gamma": gammas}, cv=3)
search.fit(digits.data_train, digits.target_train)
print(search.best_params_)
print(f"on test images: {search.score(digits.data_test, digits.target_test):.3f}")

# %%
# What overlap buys, and what it costs
# ------------------------------------
#
# The mean number of classes a cluster holds is what its classifier has to tell apart.

sizes = []
for gamma in gammas:
    name = "hierarchicaldecompositionclassifier__gamma"
    fitted = search.best_estimator_.set_params(**{name: gamma})
    fitted.fit(digits.data_train, digits.target_train)
    partition = fitted[-1].partition_
    sizes.append(partition.membership.sum() / partition.n_clusters)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
labels = ["none", *map(str, gammas[1:])]
results = search.cv_results_
left.errorbar(labels, results["mean_test_score"], results["std_test_score"], fmt="o-", capsize=3)
left.set(xlabel="gamma", ylabel="accuracy, 3 folds")
right.bar(labels, sizes, color="0.6")
right.set(xlabel="gamma", ylabel="classes a cluster")
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)

# %%
# The winner's clusters: how large they are, and what is confused inside and across them.

best = search.best_estimator_.set_params(**search.best_params_)
best.fit(digits.data_train, digits.target_train)
PartitionDisplay.from_estimator(best[-1], best[:-1].transform(digits.data_test), digits.target_test)
