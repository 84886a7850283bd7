"""
How many experts should be asked? Cost against accuracy
=======================================================

Asking the expert of one cluster is cheap, asking all is the most accurate, and in between there is
a choice that needs no further training: ``rerouted`` gives the same members another routing.
"""

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
from hierlearn.datasets import load_glyphs
from hierlearn.display import RoutingDisplay

glyphs = load_glyphs(
    150, image_size=14, n_samples_per_class=40, noise=0.2, jitter=2, unseen_faces=False
)
X_choose, X_test, y_choose, y_test = train_test_split(
    glyphs.data_test, glyphs.target_test, test_size=0.5, stratify=glyphs.target_test, random_state=0
)

# %%
# One fit
# -------

network = TorchMLPClassifier((96, 48), dropout=0.2, lr=0.005, max_epochs=15)
model = HierarchicalDecompositionClassifier(network, mixing=0, random_state=0)
model.fit(glyphs.data_train, glyphs.target_train)
print(model.partition_)
print(f"flat network: {model.base_estimator_.score(X_choose, y_choose):.3f}")

# %%
# Many routings
# -------------
#
# A whole number asks the most probable clusters. A fraction is a threshold: clusters below that
# probability are skipped, so that easy samples cost less than hard ones.

points = {}
for routing in ("hard", 2, 3, 5, "soft", 0.1, 0.03, 0.01):
    other = model.rerouted(routing)
    points[routing] = other.cost_report().total.multiply_adds, other.score(X_choose, y_choose)

fig, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
for label, marker, chosen in (
    ("a number of clusters", "o-", ["hard", 2, 3, 5, "soft"]),
    ("clusters above a probability", "s--", [0.1, 0.03, 0.01]),
):
    ax.plot(*zip(*(points[routing] for routing in chosen), strict=True), marker, label=label)
    below = marker == "s--"
    for routing in chosen:
        ax.annotate(
            str(routing),
            points[routing],
            xytext=(0, -14 if below else 8),
            textcoords="offset points",
            ha="center",
        )
flat = model.cost_report().flat.multiply_adds, model.base_estimator_.score(X_choose, y_choose)
ax.plot(*flat, "k*", markersize=12, label="flat network")
ax.set(xlabel="multiply-adds a sample", ylabel="accuracy")
ax.margins(0.08, 0.15)
ax.legend(frameon=False, loc="lower right")
ax.spines[["top", "right"]].set_visible(False)

# %%
# Choose on some rows, report on others
# -------------------------------------
#
# The cheapest routing within half a point of the best one, on the rows above, and what it does on
# rows that had no say.

best = max(score for _, score in points.values())
chosen = min(
    (routing for routing, (_, score) in points.items() if score >= best - 0.005),
    key=lambda routing: points[routing][0],
)
model = model.rerouted(chosen)
print(f"routing {chosen!r}: {model.score(X_test, y_test):.3f}")
print(f"flat network: {model.base_estimator_.score(X_test, y_test):.3f}")
print(model.cost_report())

# %%
# Where samples go
# ----------------

RoutingDisplay.from_estimator(model, X_test, y_test)
