"""
How do I serve it? An ONNX file
===============================

``to_onnx`` writes a fitted network, hierarchy or augmented network into one file that any ONNX
runtime runs without Python, torch or hierlearn. With hard routing each branch is an ``If``: what
no row visits is not computed.
"""

import json
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime

from hierlearn import (
    ConfusionSpectralPartitioner,
    HierarchicalDecompositionClassifier,
    TorchMLPClassifier,
)
from hierlearn.datasets import load_glyphs

glyphs = load_glyphs(100, image_size=14, n_samples_per_class=32)
network = TorchMLPClassifier((256, 256), lr=0.003, max_epochs=5)
model = HierarchicalDecompositionClassifier(
    network,
    ConfusionSpectralPartitioner(n_clusters=16),
    branch_at="hidden1",
    mixing=0,
    random_state=0,
).fit(glyphs.data_train, glyphs.target_train)

# %%
# Write, load, compare
# --------------------

folder = Path(tempfile.mkdtemp())
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
sessions = {}
for routing in ("soft", 3, "hard"):
    path = folder / f"glyphs-{routing}.onnx"
    model.to_onnx(path, routing=routing)
    session = onnxruntime.InferenceSession(path, options)
    (probabilities,) = session.run(None, {"rows": glyphs.data_test})
    expected = model.rerouted(routing).predict_proba(glyphs.data_test)
    difference = np.abs(probabilities - expected).max()
    print(
        f"{routing!s:>4}: {path.stat().st_size / 2**20:.2f} MB, largest difference {difference:.1e}"
    )
    sessions[routing] = session

# %%
# The file says which column is which class.

facts = sessions["hard"].get_modelmeta().custom_metadata_map
classes = np.array(json.loads(facts["classes"]))
(probabilities,) = sessions["hard"].run(None, {"rows": glyphs.data_test[:8]})
print("predicted", *classes[probabilities.argmax(axis=1)])
print("true     ", *glyphs.target_test[:8])

# %%
# What is left out takes no time
# ------------------------------
#
# One row at a time, medians of 200; a busy machine moves them, so read their order.

seconds = {}
for routing, session in sessions.items():
    times = []
    for row in range(200):
        start = time.perf_counter()
        session.run(None, {"rows": glyphs.data_test[row : row + 1]})
        times.append(time.perf_counter() - start)
    seconds[str(routing)] = 1e6 * np.median(times)

fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
bars = ax.barh(list(seconds), list(seconds.values()), color="#0072b2")
ax.bar_label(bars, fmt="%.0f", padding=4)
ax.set(xlabel="microseconds a row", ylabel="routing")
ax.margins(x=0.12)
ax.spines[["top", "right"]].set_visible(False)
