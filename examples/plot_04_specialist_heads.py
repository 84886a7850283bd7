"""
Can I improve a trained network without touching it?
====================================================

Specialist heads read a trained network's inner features, one head for each cluster of classes that
it confuses, and add to its logits for those classes. The network's weights stay as they are, bit
for bit.
"""

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from hierlearn import SpecialistHeadAugmenter, TorchMLPClassifier
from hierlearn.datasets import load_glyphs
from hierlearn.display import RoutingDisplay

glyphs = load_glyphs(120, image_size=14, n_samples_per_class=40)
X, X_val, y, y_val = train_test_split(
    glyphs.data_train, glyphs.target_train, stratify=glyphs.target_train, random_state=0
)

# %%
# The network that is there already
# ---------------------------------

network = TorchMLPClassifier((128, 48), dropout=0.2, lr=0.005, max_epochs=15, random_state=0).fit(
    X, y
)
before = [weight.clone() for weight in network.module_.parameters()]
print(f"network: {network.score(glyphs.data_test, glyphs.target_test):.3f}")

# %%
# Heads
# -----
#
# ``FrozenEstimator`` says that the network is fitted and stays so. Its confusions are measured on
# the validation rows, which it has not seen. Linear heads (``head_sizes=()``) are the cheapest,
# and for a sample only those of the three most probable clusters are evaluated.

grown = SpecialistHeadAugmenter(
    FrozenEstimator(network),
    "spectral",
    head_sizes=(),
    classifier="keep",
    evaluate=3,
    head_epochs=15,
    random_state=0,
).fit(X, y, X_val=X_val, y_val=y_val)
print(f"with heads: {grown.score(glyphs.data_test, glyphs.target_test):.3f}")
assert all(
    bool((old == new).all()) for old, new in zip(before, network.module_.parameters(), strict=True)
)
print(grown.summary(max_clusters=6))

# %%
# What they cost
# --------------
#
# Multiply-adds are those that these rows need: each visits three heads.

print(grown.cost_report(glyphs.data_test))

# %%
# Which heads are asked about which classes? Mostly their own.

RoutingDisplay.from_estimator(grown, glyphs.data_test, glyphs.target_test)

# %%
# Fewer heads or all of them
# --------------------------
#
# ``rerouted`` evaluates otherwise without training again.

numbers = [1, 2, 3, 5, len(grown.partition_)]
scores, costs = [], []
for number in numbers:
    other = grown.rerouted(number)
    scores.append(other.score(glyphs.data_test, glyphs.target_test))
    costs.append(other.cost_report(glyphs.data_test).ratio)

fig, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
flat = network.score(glyphs.data_test, glyphs.target_test)
ax.axhline(flat, color="0.5", linestyle="--", label="network alone")
ax.plot(costs, scores, "o-", label="with heads")
for number, cost, score in zip(numbers, costs, scores, strict=True):
    ax.annotate(number, (cost, score), xytext=(0, 7), textcoords="offset points", ha="center")
ax.set(xlabel="multiply-adds, of the network's", ylabel="accuracy on test images")
ax.set_title("Heads evaluated for a sample")
ax.margins(y=0.2)
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)

# %%
# One network, one seed: whether heads earn their place is what :ref:`the controls
# <sphx_glr_auto_examples_plot_05_controls.py>` are for.

# sphinx_gallery_thumbnail_number = 2
