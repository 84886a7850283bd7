"""A network that accelerate trains in several processes becomes the base of a hierarchy."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from hierlearn import HierarchicalDecompositionClassifier, TorchClassifier

pytest.importorskip("accelerate", reason="accelerate trains in several processes")
pytestmark = pytest.mark.long
SCRIPT = Path(__file__).parents[2] / "examples" / "train_with_accelerate.py"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Train in two processes on the CPU, as docs/distributed.md says."""
    path = tmp_path_factory.mktemp("accelerate") / "base.pt"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc_per_node", "2", str(SCRIPT), str(path)],
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "trained by 2 processes" in done.stdout
    return torch.load(path)


@pytest.fixture(scope="module")
def network():
    """Return the script's function that builds the network."""
    spec = importlib.util.spec_from_file_location("train_with_accelerate", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.network


def test_the_network_is_the_base_of_a_hierarchy(weights, network):
    X, y = load_digits(return_X_y=True)
    clf = TorchClassifier(network, max_epochs=1, dtype="float32", random_state=0)
    clf.fit(X[:200], y[:200])
    clf.module_.load_state_dict(weights)
    assert clf.score(X[1500:], y[1500:]) > 0.85
    model = HierarchicalDecompositionClassifier(FrozenEstimator(clf), cv="prefit", random_state=0)
    model.fit(X[1500:], y[1500:])
    assert model.partition_.n_clusters > 1
    base = model.base_estimator_.estimator
    for name, tensor in base.module_.state_dict().items():
        assert_array_equal(tensor, weights[name])
