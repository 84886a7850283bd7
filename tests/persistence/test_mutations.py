"""Damaged and forged files: each loads, or is refused in one line; nothing runs, hangs or grows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
pytest.importorskip("skops", reason="skops stores the trees of model files")

HERE = Path(__file__).parent
NAMES = ("mlp", "family", "heads", "forest")
MODELS = [HERE / "fixtures" / f"{name}-1.hierlearn" for name in NAMES]


def mutated(count, seed, folder):
    """Load mutants in a process of their own, which may be killed, and return what it found."""
    if sys.platform == "win32":
        pytest.skip("limits of time and memory need a POSIX system")
    command = [sys.executable, HERE / "mutate.py", "--count", str(count), "--seed", str(seed)]
    paths = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [*command, "--folder", folder, *MODELS],
        capture_output=True,
        text=True,
        timeout=120 + count,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


def check(found):
    assert set(found["damaged"]) <= {"refused", "same"}  # no other answers, no other errors
    assert set(found["forged"]) <= {"refused", "loaded"}
    assert found["events"] == {}  # no code, no import, no process, no file written
    assert found["grown_mb"] < 100


def test_each_mutant_loads_right_or_is_refused(tmp_path):
    check(mutated(300, 0, tmp_path))


@pytest.mark.long
def test_ten_thousand_mutants_load_right_or_are_refused(tmp_path):
    found = mutated(10_000, 1, tmp_path)
    check(found)
    assert found["slowest_seconds"] < 5
