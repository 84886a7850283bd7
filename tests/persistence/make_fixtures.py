"""Write the models that every later version must be able to load, and what they say.

    python tests/persistence/make_fixtures.py

Run once a format; the files of older formats stay as they are.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hierlearn
from hierlearn.persistence._container import FORMAT

FOLDER = Path(__file__).parent / "fixtures"
NAMES = np.array(["ant", "bee", "cow", "dog", "eel", "fox"])


def rows():
    """Return the rows that all models are asked about, (40, 5), and their classes."""
    draw = np.random.default_rng(0)
    classes = np.arange(40) % 6
    centres = draw.normal(size=(6, 5))
    return (centres[classes] + 0.5 * draw.normal(size=(40, 5))).round(3), NAMES[classes]


def images(X):
    """Return rows as images of 4 x 4 pixels."""
    return np.hstack([X, X, X, X[:, :1]]).reshape(-1, 4, 4)


def models():
    """Return one fitted model for each way in which things are stored."""
    X, y = rows()
    settings = {"max_epochs": 5, "lr": 0.05, "random_state": 0, "device": "cpu"}
    mlp = hierlearn.TorchMLPClassifier((6,), **settings)
    cnn = hierlearn.TorchCNNClassifier(("conv 2x2|4", "norm"), **settings)
    forest = RandomForestClassifier(3, max_depth=3, random_state=0)
    family = hierlearn.HierarchicalDecompositionClassifier
    return {
        "mlp": clone(mlp).fit(X, y),
        "cnn": cnn.fit(images(X), y),
        "pipeline": make_pipeline(StandardScaler(), mlp).fit(X, y),
        "family": family(mlp, random_state=0).fit(X, y),
        "forest": family(forest, fine_estimator=forest, random_state=0).fit(X, y),
        "heads": hierlearn.SpecialistHeadAugmenter(mlp, head_sizes=(4,), random_state=0).fit(X, y),
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    X, _ = rows()
    said = {"rows": X.tolist()}
    for name, model in models().items():
        hierlearn.save(model, FOLDER / f"{name}-{FORMAT}.hierlearn")
        said[name] = model.predict_proba(images(X) if name == "cnn" else X).tolist()
    (FOLDER / f"said-{FORMAT}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
