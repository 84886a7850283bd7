"""Tiny copies of the standard downloads, and the folder of real ones where there is one."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest


def cifar_part(seed, n_samples=12):
    """Random pixels, three fine classes in two coarse ones."""
    rng = np.random.RandomState(seed)
    fine = np.arange(n_samples) % 3
    return {
        "data": rng.randint(256, size=(n_samples, 3072)).astype(np.uint8),
        "fine_labels": fine.tolist(),
        "coarse_labels": np.array([1, 0, 1])[fine].tolist(),
        "batch_label": "part",
        "filenames": [f"{i}.png" for i in range(n_samples)],
    }


CIFAR_META = {
    "fine_label_names": ["apple", "beaver", "pear"],
    "coarse_label_names": ["aquatic_mammals", "fruit_and_vegetables"],
}


@pytest.fixture
def cifar_dir(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    contents = {"train": cifar_part(0), "test": cifar_part(1, 6), "meta": CIFAR_META}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return tmp_path


CLINC_PARTS = {
    "train": [["say hello in french", "translate"], ["what is my balance", "balance"]],
    "val": [["how do i say no", "translate"]],
    "test": [["is there money left", "balance"]],
    "oos_train": [["how deep is the sea", "oos"]],
    "oos_test": [["who won", "oos"]],
}
CLINC_DOMAINS = {"banking": ["balance", "transfer"], "travel": ["translate"]}


@pytest.fixture
def clinc_dir(tmp_path):
    folder = tmp_path / "clinc150"
    folder.mkdir()
    (folder / "data_full.json").write_text(json.dumps(CLINC_PARTS), encoding="utf-8")
    (folder / "domains.json").write_text(json.dumps(CLINC_DOMAINS), encoding="utf-8")
    return tmp_path


def omniglot_arrays():
    """Three characters of two alphabets by 20 drawers; each image is filled with its drawer."""
    y, drawer = (grid.ravel() for grid in np.mgrid[0:3, 0:20])
    return {
        "x": np.repeat(drawer.astype(np.uint8), 28 * 28).reshape(-1, 28, 28),
        "y": y.astype(np.int16),
        "drawer": (drawer + 1).astype(np.uint8),
        "class_names": np.array(["Old/1", "Old/2", "New/1"]),
        "class_alphabet": np.array([0, 0, 1], dtype=np.uint8),
        "alphabet_names": np.array(["Old", "New"]),
    }


@pytest.fixture
def omniglot_dir(tmp_path):
    folder = tmp_path / "omniglot"
    folder.mkdir()
    np.savez(folder / "omniglot_28x28.npz", **omniglot_arrays())
    return tmp_path


@pytest.fixture(scope="session")
def real_data():
    """Return a function from the name of a download to the folder that holds it."""

    def locate(name, file):
        root = os.environ.get("HIERLEARN_DATA")
        if root is None:
            pytest.skip("HIERLEARN_DATA is not set: it names the folder of the real downloads")
        if not any((Path(root) / folder / file).is_file() for folder in ("", name)):
            pytest.skip(f"HIERLEARN_DATA holds no {name}")
        return root

    return locate
