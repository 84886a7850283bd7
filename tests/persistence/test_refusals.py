"""What cannot be saved, and what is not loaded, is said in one line that names it."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from hierlearn import LabelPartition, TorchClassifier, TorchMLPClassifier, load, save
from hierlearn.exceptions import MissingExtraError, ModelFileError

pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
pytest.importorskip("skops", reason="skops stores the trees of model files")

X = np.random.default_rng(0).normal(size=(30, 4))
y = np.arange(30) % 3


class Network(nn.Module):
    """A user's own."""

    def __init__(self, n_features=4, n_outputs=3):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.layer(x)


class Majority(ClassifierMixin, BaseEstimator):
    """A user's own."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


NETWORK, MAJORITY = f"{__name__}.Network", f"{__name__}.Majority"


@pytest.fixture
def importable(monkeypatch):
    """Make this file a module that can be imported by its name."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Network.__module__])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.hierlearn"


@pytest.fixture
def fitted():
    return TorchMLPClassifier((5,), max_epochs=1, random_state=0).fit(X, y)


def rewritten(path, change):
    """Change a file's parts, and put it together again with checksums that fit."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    document, manifest = json.loads(parts["model.json"]), json.loads(parts["manifest.json"])
    change(document, manifest)
    parts["model.json"] = json.dumps(document).encode()
    for name, entry in manifest["parts"].items():
        entry["size"], entry["sha256"] = len(parts[name]), hashlib.sha256(parts[name]).hexdigest()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        for name in manifest["parts"]:
            archive.writestr(name, parts[name])


def nodes_of(document, kind):
    return [node for node in document["nodes"] if node["kind"] == kind]


# -- saving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Network(), NETWORK),
        (Majority(), MAJORITY),
        (TorchClassifier(Network), NETWORK),
        (TorchClassifier(Network).set_params(callbacks=[print]), "builtins.print"),
        (KNeighborsClassifier(algorithm="kd_tree").fit(X, y), "sklearn.neighbors._kd_tree.KDTree"),
        (GradientBoostingClassifier(n_estimators=1).fit(X, y), "sklearn.tree._tree.Tree"),
        ([nn.Sequential(nn.LSTM(2, 2))], "torch.nn.modules.rnn.LSTM"),
        ({"a": np.array([Majority()])}, MAJORITY),
        (TorchClassifier(lambda *args: None), "<lambda>"),
        (io.StringIO(), "StringIO"),
    ],
)
def test_types_that_nobody_trusts_are_named(model, name, path):
    with pytest.raises(ValueError, match=r"can be saved. Got ") as caught:
        save(model, path)
    assert name in str(caught.value)
    assert "joblib.dump" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (lambda: TorchClassifier(Network, max_epochs=1).fit(X, y), [NETWORK]),
        (lambda: Majority().fit(X, y), [MAJORITY]),
        (
            lambda: HistGradientBoostingClassifier(max_iter=2).fit(X, y),
            ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
        ),
        (
            lambda: GradientBoostingClassifier(n_estimators=2).fit(X, y),
            ["sklearn.tree._tree.Tree"],
        ),
    ],
)
@pytest.mark.usefixtures("importable")
def test_types_are_saved_and_loaded_by_those_who_trust_them(model, names, path):
    model = model()
    save(model, path, trusted=names)
    np.testing.assert_array_equal(load(path, trusted=names).predict(X), model.predict(X))
    with pytest.raises(ModelFileError, match=r"must be known or trusted. Got ") as caught:
        load(path)
    assert all(name in str(caught.value) for name in names)


def test_hooks_and_overridden_methods_are_refused(fitted, path):
    fitted.module_[0].register_forward_hook(print)
    with pytest.raises(
        ValueError, match=r"without hooks to be saved. Got a Linear with forward_hooks"
    ):
        save(fitted, path)
    other = Majority()
    other.predict = None
    with pytest.raises(ValueError, match=r"must not hide a method. Got 'predict'"):
        save(other, path, trusted=[MAJORITY])


def test_models_that_hold_themselves_are_refused(path):
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="must not hold itself"):
        save(circle, path)


def test_trusted_names_must_be_names(path):
    for load_or_save in (
        lambda: save(1, path, trusted=["Network"]),
        lambda: load(path, trusted=[3]),
    ):
        with pytest.raises(ValueError, match="trusted must be names of types with their modules"):
            load_or_save()


def test_an_older_file_stays_where_the_new_one_fails(fitted, path, monkeypatch):
    save(fitted, path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *args: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        save([fitted], path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("package", ["safetensors", "skops"])
def test_missing_packages_are_named_with_their_extra(package, path, monkeypatch):
    model = DecisionTreeClassifier().fit(X, y)
    save(model, path)
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for load_or_save in (lambda: save(model, path), lambda: load(path)):
        with pytest.raises(
            MissingExtraError, match=rf"package {package}.*; install .*hierlearn\[safe\]"
        ):
            load_or_save()


# -- loading ---------------------------------------------------------------------------------------


def test_a_missing_file_is_an_error_of_the_system(path):
    with pytest.raises(FileNotFoundError):
        load(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", b"\x80\x04."])
def test_other_files_are_refused(content, path):
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"must name a model saved by hierlearn.save"):
        load(path)


def test_later_formats_are_refused_with_the_remedy(fitted, path):
    save(fitted, path)
    rewritten(path, lambda document, manifest: manifest.update(format=2))
    with pytest.raises(ModelFileError, match=r"format must be from 1 to 1. Got 2 instead; load"):
        load(path)


def test_damage_is_seen(fitted, path):
    save(fitted, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("arrays/0.safetensors").header_offset
    content[at + 500] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError):
        load(path)


def test_the_file_says_what_wrote_it(fitted, path):
    save(fitted, path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[0] == "manifest.json"
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == 1
    assert {"hierlearn", "numpy", "scikit-learn", "torch", "safetensors"} <= set(
        manifest["packages"]
    )


def test_equal_models_give_equal_files(fitted, path):
    save(fitted, path)
    other = path.with_name("other")
    save(load(path), other)
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "joblib.memory.Memory", NETWORK])
def test_classes_outside_the_lists_are_not_even_imported(name, fitted, path):
    save(fitted, path)

    def change(document, manifest):
        nodes_of(document, "object")[-1]["class"] = name

    rewritten(path, change)
    with pytest.raises(ModelFileError, match=r"must be known or trusted. Got ") as caught:
        load(path)
    assert name in str(caught.value)


@pytest.mark.parametrize("key", ["__class__", "__dict__", "predict", "fit", "get_params"])
def test_files_cannot_replace_methods(key, fitted, path):
    save(fitted, path)

    def change(document, manifest):
        nodes_of(document, "object")[-1]["state"].append([key, 1])

    rewritten(path, change)
    with pytest.raises(ModelFileError, match="must not hide a method"):
        load(path)


@pytest.mark.parametrize("key", ["_forward_hooks", "forward", "_modules", "weight", "__call__"])
def test_files_cannot_hang_anything_on_a_layer(key, fitted, path):
    save(fitted, path)

    def change(document, manifest):
        nodes_of(document, "module")[0]["attributes"].append([key, {}])

    rewritten(path, change)
    with pytest.raises(ModelFileError):
        load(path)


def test_layers_are_made_as_layers_only(path):
    save(nn.Linear(2, 2), path)

    def change(document, manifest):
        document["nodes"].append({"kind": "object", "class": "torch.nn.Linear", "state": []})
        document["root"] = {"ref": len(document["nodes"]) - 1}

    rewritten(path, change)
    with pytest.raises(ModelFileError, match="its own kind of node"):
        load(path)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("in_features", 7, "'weight' of a Linear must have shape"),
        ("out_features", 2, "'weight' of a Linear must have shape"),
    ],
)
def test_weights_must_fit_their_layer(attribute, value, message, fitted, path):
    save(fitted, path)

    def change(document, manifest):
        for pair in nodes_of(document, "module")[0]["attributes"]:
            if pair[0] == attribute:
                pair[1] = value

    rewritten(path, change)
    with pytest.raises(ModelFileError, match=message):
        load(path)


@pytest.mark.parametrize("broken", ["classes", "features", "rows"])
def test_parts_of_a_classifier_must_fit_each_other(broken, fitted, path):
    if broken == "classes":
        fitted.classes_ = np.arange(4)
    elif broken == "features":
        fitted._input_shape = (9,)
    else:
        fitted.classes_ = np.array([0, 1, 1])
    save(fitted, path)
    with pytest.raises(ModelFileError, match="must") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_partitions_check_themselves(path):
    save(LabelPartition(np.arange(3), np.array([0, 0, 1])), path)

    def change(document, manifest):
        made = nodes_of(document, "made")[0]
        state = dict(map(tuple, [[key, json.dumps(value)] for key, value in made["state"]]))
        made["state"] = [[key, json.loads(value)] for key, value in state.items()]
        made["state"][0], made["state"][1] = (
            ["classes", made["state"][1][1]],
            ["labels", made["state"][0][1]],
        )

    rewritten(path, change)
    with pytest.raises(ModelFileError):
        load(path)


def test_trees_must_lead_from_the_root_to_leaves(path, monkeypatch):
    model = DecisionTreeClassifier(max_depth=2).fit(X, y)
    model.tree_.children_left[0] = 0  # a circle: scikit-learn's predict would not end
    save(model, path)
    with pytest.raises(ModelFileError, match="must lead from its root to leaves"):
        load(path)


def test_nested_references_do_not_multiply(path):
    save([1], path)

    def change(document, manifest):
        nodes = [{"kind": "tuple", "items": [1, 2]}]
        for level in range(60):
            nodes.append({"kind": "tuple", "items": [{"ref": level}, {"ref": level}]})
        document["nodes"] = [*nodes, {"kind": "set", "items": [{"ref": 60}]}]
        document["root"] = {"ref": 61}

    rewritten(path, change)
    with pytest.raises(ModelFileError, match="must have at most"):
        load(path)


def test_compressed_parts_are_refused(fitted, path):
    save(fitted, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(ModelFileError, match="not of its form"):
        load(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "arrays/../../x", "extra.txt"])
def test_parts_of_other_names_are_refused(name, fitted, path):
    save(fitted, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(ModelFileError, match="not of its form"):
        load(path)


def test_a_part_must_not_come_twice(fitted, path):
    save(fitted, path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model.json", b"{}")
    with pytest.raises(ModelFileError, match="each be there once"):
        load(path)


def test_partitions_are_loaded_without_torch(path):
    save(LabelPartition(np.arange(3), np.array([0, 0, 1])), path)
    code = (
        f"import sys, hierlearn; hierlearn.load({str(path)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tensors_that_are_not_dense_are_refused(path):
    with pytest.raises(ValueError, match="must be dense"):
        save(torch.eye(3).to_sparse(), path)


def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("folder", "no/such/model"):
        path = tmp_path / name
        with pytest.raises(OSError, match="directory") as raised:
            save(LabelPartition([0, 1], [0, 1]), path)
        assert raised.value.filename == str(path)
        assert raised.value.filename2 is None
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
