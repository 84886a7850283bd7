"""CIFAR-100 from pickles of both Pythons, from shards, and from files that are neither."""

import io
import pickle
import pickletools
import struct
import sys

import numpy as np
import pytest
import scipy.sparse as sp

from hierlearn import TaxonomyPartitioner
from hierlearn.datasets import load_cifar100
from hierlearn.exceptions import MissingExtraError


def python2_pickle(content):
    """Pickle a dict of arrays and lists as Python 2 did: byte strings, and `align=0, copy=1`.

    That is how the files of the official download are written.
    """
    return b"\x80\x02}(" + b"".join(_python2(x) for kv in content.items() for x in kv) + b"u."


def _python2(value):
    if isinstance(value, str | bytes):
        raw = value.encode("latin1") if isinstance(value, str) else value
        return b"T" + struct.pack("<i", len(raw)) + raw
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    dtype = b"cnumpy\ndtype\n(" + b"".join(map(_python2, ["u1", 0, 1])) + b"tR("
    dtype += b"".join(map(_python2, [3, "|"])) + b"NNN" + b"".join(map(_python2, [-1, -1, 0]))
    dtype += b"tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nJ" + struct.pack("<i", 0)
    empty += b"\x85" + _python2("b") + b"tR("
    shape = b"(" + b"".join(map(_python2, value.shape)) + b"t"
    return empty + _python2(1) + shape + dtype + b"\x89" + _python2(value.tobytes()) + b"tb"


@pytest.fixture
def train_file(cifar_dir):
    return cifar_dir / "cifar-100-python" / "train"


def read(path):
    return pickle.loads(path.read_bytes())


def test_fine_and_coarse(cifar_dir, train_file):
    fine, coarse = load_cifar100(cifar_dir), load_cifar100(cifar_dir, coarse=True)
    stored = read(train_file)
    assert fine.target_train.tolist() == stored["fine_labels"]
    assert coarse.target_train.tolist() == stored["coarse_labels"]
    assert fine.target_names.tolist() == ["apple", "beaver", "pear"]
    assert coarse.target_names.tolist() == ["aquatic_mammals", "fruit_and_vegetables"]
    assert fine.groups == {
        0: "fruit_and_vegetables",
        1: "aquatic_mammals",
        2: "fruit_and_vegetables",
    }
    np.testing.assert_array_equal(fine.data_train, (stored["data"] / 255).astype(np.float32))


def test_multilabel_has_a_fine_and_a_coarse_label_an_image(cifar_dir):
    both, fine = load_cifar100(cifar_dir, multilabel=True), load_cifar100(cifar_dir)
    coarse = load_cifar100(cifar_dir, coarse=True)
    for part in ("train", "test"):
        target = both[f"target_{part}"]
        assert isinstance(target, sp.csr_array)
        assert target.dtype == np.int64
        expected = [np.eye(3, dtype=int)[fine[f"target_{part}"]]]
        expected.append(np.eye(2, dtype=int)[coarse[f"target_{part}"]])
        np.testing.assert_array_equal(target.toarray(), np.hstack(expected))
        np.testing.assert_array_equal(both[f"data_{part}"], fine[f"data_{part}"])
    assert both.target_names.tolist() == [*fine.target_names, *coarse.target_names]
    assert both.groups == fine.groups | {3: "aquatic_mammals", 4: "fruit_and_vegetables"}
    partition = TaxonomyPartitioner(both.groups).fit(np.eye(5), classes=np.arange(5)).partition_
    assert partition.n_clusters == 2


def test_coarse_and_multilabel_exclude_each_other(cifar_dir):
    with pytest.raises(ValueError, match=r"coarse must be False where multilabel is True.* Got"):
        load_cifar100(cifar_dir, coarse=True, multilabel=True)


def test_pickles_of_python_2(cifar_dir, train_file):
    expected = load_cifar100(cifar_dir, dtype="uint8")
    old = python2_pickle(read(train_file))
    assert "numpy.core.multiarray _reconstruct" in {op[1] for op in pickletools.genops(old)}
    train_file.write_bytes(old)
    found = load_cifar100(cifar_dir, dtype="uint8")
    np.testing.assert_array_equal(found.data_train, expected.data_train)
    np.testing.assert_array_equal(found.target_train, expected.target_train)


class Payload:
    """Unpickled by running code."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


def test_pickle_cannot_run_code(cifar_dir, train_file, tmp_path):
    marker = tmp_path / "ran"
    train_file.write_bytes(pickle.dumps({**read(train_file), "data": Payload(marker)}, protocol=2))
    with pytest.raises(ValueError, match=r"train must be a pickle .*exec is not allowed"):
        load_cifar100(cifar_dir)
    assert not marker.exists()
    read(train_file)  # the payload is live: the ordinary unpickler runs it
    assert marker.exists()


def _cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def _objects(path):
    content = read(path)
    content["data"] = content["data"].astype(object)
    path.write_bytes(pickle.dumps(content, protocol=2))


def _list(path):
    path.write_bytes(pickle.dumps([1, 2], protocol=2))


def _without_labels(path):
    content = read(path)
    del content["fine_labels"]
    path.write_bytes(pickle.dumps(content, protocol=2))


def _few_labels(path):
    content = read(path)
    content["fine_labels"].pop()
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "must be a pickle of plain containers"),
        (_objects, "dtype object is not allowed"),
        (_list, "must hold a dict with data, .* Got list instead"),
        (_without_labels, "must hold a dict with data, fine_labels"),
        (_few_labels, r"Got shape \(12, 3072\) in uint8, with 11 labels"),
    ],
)
def test_damaged_files(cifar_dir, train_file, damage, message):
    damage(train_file)
    with pytest.raises(ValueError, match=message) as caught:
        load_cifar100(cifar_dir)
    assert str(train_file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def shards(tmp_path):
    """Write shards of three classes, four training and two test tiles each; return the tiles."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.RandomState(0)
    tiles = {}
    for name, first, n_classes, grid in [
        ("train-0", 0, 2, (2, 2)),
        ("train-1", 2, 1, (2, 2)),
        ("test", 0, 3, (1, 2)),
    ]:
        images = rng.randint(256, size=(n_classes, *grid, 32, 32, 3)).astype(np.uint8)
        mosaics = []
        for one in images:
            picture = one.transpose(0, 2, 1, 3, 4).reshape(grid[0] * 32, grid[1] * 32, 3)
            stream = io.BytesIO()
            image.fromarray(picture).save(stream, "WEBP", lossless=True)
            mosaics.append(stream.getvalue())
        np.savez(
            tmp_path / f"{name}.npz",
            webp=np.frombuffer(b"".join(mosaics), dtype=np.uint8),
            offsets=np.cumsum([0, *map(len, mosaics)]),
            first_class=np.int64(first),
            grid=np.array(grid),
            fine_names=np.array(["apple", "beaver", "pear"]),
            coarse_names=np.array(["aquatic_mammals", "fruit_and_vegetables"]),
            fine_to_coarse=np.array([1, 0, 1]),
        )
        flat = images.transpose(0, 1, 2, 5, 3, 4).reshape(n_classes, -1, 3072)
        tiles |= {(name.partition("-")[0], first + i): flat[i] for i in range(n_classes)}
    return tmp_path, tiles


def test_webp_shards(shards):
    folder, tiles = shards
    cifar = load_cifar100(folder, dtype="uint8")
    assert cifar.data_train.shape == (12, 3072)
    for (part, code), expected in tiles.items():
        found = cifar[f"data_{part}"][cifar[f"target_{part}"] == code]
        assert sorted(map(bytes, found)) == sorted(map(bytes, expected))
    assert cifar.groups[1] == "aquatic_mammals"
    assert (np.diff(cifar.target_train) < 0).any(), "the classes come one after the other"


def test_webp_shards_need_pillow(shards, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"hierlearn\[demo\]"):
        load_cifar100(shards[0])


def test_real_cifar100(real_data):
    cifar = load_cifar100(real_data("cifar-100-python", "meta"), dtype="uint8")
    assert cifar.data_train.shape == (50000, 3072)
    assert cifar.data_test.shape == (10000, 3072)
    assert np.bincount(cifar.target_train).tolist() == [500] * 100
    assert len(set(cifar.groups.values())) == 20
    assert cifar.groups[cifar.target_names.tolist().index("beaver")] == "aquatic_mammals"


def test_real_cifar100_with_two_labels_an_image(real_data):
    root = real_data("cifar-100-python", "meta")
    cifar = load_cifar100(root, multilabel=True, dtype="uint8")
    assert cifar.target_train.shape == (50000, 120)
    assert cifar.target_test.shape == (10000, 120)
    assert cifar.target_test.sum(axis=0).tolist() == [100] * 100 + [500] * 20
