"""Fits that are killed at random moments end in the model that was never killed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]
SCRIPT = Path(__file__).parent / "killed_fit.py"


@pytest.mark.parametrize("kind", ["alone", "stacked"])
def test_killed_fits_end_in_the_same_model(kind, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(tmp_path), kind, "10"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    print(json.dumps(found, indent=1))
    assert len(found["kills"]) == 10
    for kill in found["kills"]:
        assert kill["same"]
        assert kill["missing"] == 0
        # What had just ended when the process was killed, before it was written.
        assert kill["twice"] <= 1
        assert kill["checkpoints left"] == 0
