"""Models of every format that there was keep loading, and say what they said."""

import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import InconsistentVersionWarning

from hierlearn import load

pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
pytest.importorskip("skops", reason="skops stores the trees of model files")

FOLDER = Path(__file__).parent / "fixtures"
FILES = sorted(FOLDER.glob("*.hierlearn"))


def images(X):
    return np.hstack([X, X, X, X[:, :1]]).reshape(-1, 4, 4)


def test_there_are_models_of_format_one():
    assert {"mlp-1", "cnn-1", "family-1", "forest-1", "heads-1"} <= {file.stem for file in FILES}
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 300_000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_models_say_what_they_said(file):
    name, _, number = file.stem.rpartition("-")
    with zipfile.ZipFile(file) as archive:
        written = json.loads(archive.read("manifest.json"))["packages"]["scikit-learn"]
    if name == "forest" and written.split(".")[:2] != sklearn.__version__.split(".")[:2]:
        pytest.skip("scikit-learn's own trees are for the version of scikit-learn that grew them")
    said = json.loads((FOLDER / f"said-{number}.json").read_text())
    rows = np.array(said["rows"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        model = load(file)
    found = model.predict_proba(images(rows) if name == "cnn" else rows)
    # Sums are taken in another order on other processors.
    np.testing.assert_allclose(found, said[name], rtol=1e-5, atol=1e-7)
