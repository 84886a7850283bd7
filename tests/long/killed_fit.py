"""Kill fits with ``memory`` at random moments, fit again, and print what came of it as JSON.

Run as ``killed_fit.py FOLDER KIND N_KILLS [N_ROWS]``; KIND is one of ``KINDS``. Every fit is a
process of its own, forked from this one, which has not trained anything. A moment is one between
two notes of what was trained, not one of the clock: how busy the machine is does not matter.
"""

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from hierlearn import HierarchicalDecompositionClassifier, OnTrunk, TorchMLPClassifier, _caching
from hierlearn.networks import _skorch, stacked

# Members that stop early are trained one by one; others in one pass.
KINDS = {
    "alone": {
        "fine_estimator": OnTrunk(TorchMLPClassifier((8,), max_epochs=8, early_stopping=True))
    },
    "stacked": {},
}


def model(kind, memory=None):
    base = TorchMLPClassifier((32, 16), max_epochs=8, dropout=0.2)
    given = {"hierarchy_estimator": "branch", "random_state": 0, **KINDS[kind]}
    return HierarchicalDecompositionClassifier(base, memory=memory, **given)


def data(n_samples, n_classes=6):
    draws = np.random.RandomState(0)
    y = draws.randint(n_classes, size=n_samples)
    return draws.standard_normal((n_samples, 16)) + 2 * np.eye(n_classes, 16)[y], y


def digest(fitted, X):
    """Return a digest of all weights and posteriors."""
    found = sha256(fitted.predict_proba(X).tobytes())
    networks = [fitted.base_estimator_, fitted.hierarchy_estimator_, *fitted.fine_estimators_]
    for network in networks:
        for name, tensor in sorted(network.module_.state_dict().items()):
            found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()


def watch(log):
    """Note every epoch of a network, and every stack, when it ends."""
    epoch_ends, stack_ends = _skorch._StopOnNonFinite.on_epoch_end, stacked.train_together

    def note(line):
        with log.open("a") as file:
            file.write(f"{line}\n")

    def on_epoch_end(self, net, **kwargs):
        epoch_ends(self, net, **kwargs)
        # A network goes by the seed of its batch order.
        note(f"network {net.iterator_train__generator.initial_seed()} epoch {len(net.history)}")

    def train_together(runs):
        histories = stack_ends(runs)
        note(f"stack {[run.plan.seed for run in runs]}")
        return histories

    _skorch._StopOnNonFinite.on_epoch_end = on_epoch_end
    stacked.train_together = train_together


def child(folder, kind, n_rows):
    """Fit in this process, and leave the result in the folder."""
    watch(folder / "log")
    _caching.CHECKPOINT_SECONDS = 0.0  # after every epoch
    _skorch._CHECKPOINT_SHARE = float("inf")
    X, y = data(n_rows)
    fitted = model(kind, folder / "memory").fit(X, y)
    (folder / "result").write_text(digest(fitted, X))


def run(folder, kind, n_rows, kill_after=None):
    """Fit in a new process; tell whether it was killed, after some notes and a share of the next.

    The share is of the time between this note and the one before.
    """
    folder.mkdir(exist_ok=True)
    number = os.fork()
    if not number:
        try:
            child(folder, kind, n_rows)
        finally:
            os._exit(0 if (folder / "result").exists() else 1)
    if kill_after is not None:
        wait_for(folder, *kill_after, number)
        os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    return os.WIFSIGNALED(status)


def wait_for(folder, n_notes, share, number):
    """Sleep until a process has noted so much, or has ended."""
    before = noted = time.monotonic()
    for wanted in range(1, n_notes + 1):
        while sum(notes(folder).values()) < wanted and not has_ended(number):
            time.sleep(0.001)
        before, noted = noted, time.monotonic()
    time.sleep(share * (noted - before))


def has_ended(number):
    """Tell whether a child has ended, which leaves it there to be waited for."""
    return os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def notes(folder):
    log = folder / "log"
    return Counter(log.read_text().splitlines()) if log.exists() else Counter()


def main(folder, kind, n_kills, n_rows=1000):
    torch.set_num_threads(1)
    whole = folder / "whole"
    run(whole, kind, n_rows)
    wanted = (whole / "result").read_text()
    n_notes = sum(notes(whole).values())
    moments = random.Random(0)
    outcomes = []
    while len(outcomes) < n_kills:
        place = folder / f"killed-{time.monotonic_ns()}"
        moment = moments.randrange(n_notes), moments.random()
        if not run(place, kind, n_rows, kill_after=moment):  # the last part was faster this time
            continue
        before = notes(place)
        run(place, kind, n_rows)
        outcomes.append(
            {
                "noted before": sum(before.values()),
                "same": (place / "result").read_text() == wanted,
                "missing": sum((notes(whole) - notes(place)).values()),
                "twice": sum((notes(place) - notes(whole)).values()),
                "checkpoints left": len(list(place.glob("memory/**/checkpoint/*/*"))),
            }
        )
    print(json.dumps({"noted in all": n_notes, "kills": outcomes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
