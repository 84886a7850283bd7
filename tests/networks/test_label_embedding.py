"""Networks that regress label embeddings: several labels a sample, and one."""

import pickle

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone

from hierlearn import LabelEmbeddingClassifier
from hierlearn.cost import estimator_cost
from hierlearn.exceptions import HoldOutError
from hierlearn.metrics import average_precision_at_k
from hierlearn.networks.cosine_proximity import CosineProximityLoss

N_TRAIN = 400


@pytest.fixture(scope="module")
def tagged():
    """Twenty labels that features tell, one that never occurs, some rows without any."""
    random = np.random.RandomState(0)
    X = random.standard_normal((600, 10)).astype(np.float32)
    Y = (X @ random.standard_normal((10, 20)) > 4).astype(int)
    return X, np.column_stack([Y, np.zeros(600, int)])


@pytest.fixture(scope="module")
def small():
    def build(**params):
        settings = {"max_epochs": 30, "lr": 0.01, "random_state": 0, **params}
        return LabelEmbeddingClassifier((32,), **settings)

    return build


@pytest.fixture(scope="module")
def fitted(small, tagged):
    X, Y = tagged
    return small().fit(X[:N_TRAIN], Y[:N_TRAIN])


def test_loss_is_one_minus_the_cosine():
    output = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 1.0]])
    target = torch.tensor([[0.6, 0.8], [-1.0, 0.0], [0.0, 0.0]])
    assert torch.allclose(CosineProximityLoss()(output, target), torch.tensor([0.0, 2.0, 1.0]))


@pytest.mark.parametrize("variant", ["ppmi", "shifted", "npmi"])
def test_labels_are_ranked_well(small, tagged, variant):
    X, Y = tagged
    clf = small(variant=variant, shift=1.0, calibration=None).fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert average_precision_at_k(Y[N_TRAIN:], clf.decision_function(X[N_TRAIN:]), 5) > 0.7


def test_cosines_are_those_of_the_output_with_every_label(fitted, tagged):
    X, _ = tagged
    found = fitted.cosines(X)
    with torch.inference_mode():
        output = fitted.module_[:-1](torch.as_tensor(X)).numpy()
    output /= np.linalg.norm(output, axis=1, keepdims=True)
    assert np.allclose(found[:, :-1], (output @ fitted.embeddings_.T)[:, :-1], atol=1e-6)
    scores = fitted.module_.cosines
    logits = found * scores.scale.numpy() + scores.offset.numpy()
    assert np.allclose(fitted.decision_function(X), logits, atol=1e-5)


def test_label_without_samples_comes_last(fitted, tagged):
    X, _ = tagged
    assert (fitted.cosines(X)[:, -1] == -1).all()
    assert (fitted.decision_function(X).argmin(axis=1) == 20).all()
    assert np.linalg.norm(fitted.embeddings_[-1]) == pytest.approx(1)
    labels, _ = fitted.nearest_labels(X, k=20)
    assert (labels != 20).all()
    with pytest.raises(ValueError, match=r"k must be a whole number from 1 to .* 20"):
        fitted.nearest_labels(X, k=21)


@pytest.mark.parametrize("calibration", ["temperature", "platt"])
def test_probabilities_are_as_frequent_as_they_say(small, tagged, calibration):
    X, Y = tagged
    clf = small(calibration=calibration).fit(X[:N_TRAIN], Y[:N_TRAIN])
    found = clf.predict_proba(X[N_TRAIN:])
    assert found.mean() == pytest.approx(Y[N_TRAIN:].mean(), abs=0.05)
    assert ((found > 0.5) == clf.predict(X[N_TRAIN:])).all()


def test_platt_scales_each_label(small, tagged):
    X, Y = tagged
    scores = small(calibration="platt").fit(X, Y).module_.cosines
    assert len(set(scores.scale.tolist())) > 10
    assert (scores.scale > 0).all()


def test_without_calibration_logits_are_cosines(small, tagged):
    X, Y = tagged
    clf = small(calibration=None).fit(X, Y)
    assert (clf.decision_function(X) == clf.cosines(X)).all()


def test_rows_without_labels_change_embedding_frequencies_only(small, tagged):
    X, Y = tagged
    bare = Y.sum(axis=1) == 0
    assert bare.any()
    found = small(max_epochs=2).fit(X, Y).predict_proba(X[bare])
    assert np.isfinite(found).all()


def test_sparse_and_dense_labels_are_alike(small, tagged):
    X, Y = tagged
    one, other = small(max_epochs=3).fit(X, Y), small(max_epochs=3).fit(X, sparse.csr_array(Y))
    assert np.allclose(one.predict_proba(X), other.predict_proba(X))


def test_embedding_is_that_of_the_transformer(fitted, tagged):
    from hierlearn import LabelEmbedder

    _, Y = tagged
    E = LabelEmbedder(random_state=0).fit(Y[:N_TRAIN]).embeddings_
    assert np.allclose(E @ E.T, fitted.embeddings_ @ fitted.embeddings_.T)


def test_classes_are_told_apart(small, digits):
    X, y = digits
    names = np.array([f"digit {code}" for code in range(10)])[y]
    clf = small().fit(X[:300], names[:300])
    assert clf.score(X[300:], names[300:]) > 0.8
    posteriors = clf.predict_proba(X[300:])
    assert np.allclose(posteriors.sum(axis=1), 1)
    assert (clf.classes_[posteriors.argmax(axis=1)] == clf.predict(X[300:])).all()
    assert posteriors.max(axis=1).mean() == pytest.approx(0.9, abs=0.1)
    assert clf.nearest_labels(X[:3], k=2)[0].dtype == names.dtype
    confused = clf.cooccurrence_.toarray()
    assert np.allclose(confused, confused.T)


def test_many_classes_are_confused_sparsely(small, digits, monkeypatch):
    from hierlearn.networks import held_out_classes

    monkeypatch.setattr(held_out_classes, "SPARSE_ABOVE", 5)
    X, y = digits
    assert small().fit(X[:300], y[:300]).score(X[300:], y[300:]) > 0.8


@pytest.mark.parametrize("several", [True, False])
def test_approximate_search_predicts_nearly_the_same(small, tagged, digits, several):
    pytest.importorskip("usearch", reason="usearch is not installed")
    X, y = tagged if several else digits
    exact = small(max_epochs=5).fit(X, y)
    found = small(max_epochs=5, search="approximate").fit(X, y)
    predicted = found.predict(X)
    assert sparse.issparse(predicted) == several
    predicted = predicted.toarray() if several else predicted
    assert (predicted == exact.predict(X)).mean() > 0.99
    again = pickle.loads(pickle.dumps(found))
    assert (again.nearest_labels(X, 1)[0] == found.nearest_labels(X, 1)[0]).all()


def test_answers_do_not_depend_on_how_many_rows_fit(fitted, tagged, monkeypatch):
    from hierlearn.networks import label_embedding

    X, _ = tagged
    whole = fitted.predict_proba(X), fitted.predict(X)
    monkeypatch.setattr(label_embedding, "_MAX_SCORES", 21 * 7)
    assert np.allclose(fitted.predict_proba(X), whole[0], atol=1e-6)
    assert (fitted.predict(X) == whole[1]).all()


def test_same_seed_gives_the_same_model(fitted, tagged):
    X, Y = tagged
    again = clone(fitted).fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert (again.predict_proba(X) == fitted.predict_proba(X)).all()


def test_weight_of_zero_leaves_a_row_out(small, tagged):
    X, Y = tagged
    weight = np.zeros(600)
    weight[:N_TRAIN] = 1
    one = small(max_epochs=3).fit(X, Y, sample_weight=weight)
    other = small(max_epochs=3).fit(X[:N_TRAIN], Y[:N_TRAIN])
    assert np.allclose(one.predict_proba(X), other.predict_proba(X))


def test_held_out_rows_can_be_named(small, tagged):
    X, Y = tagged
    rows = np.arange(600)
    clf = small(max_epochs=3, cv=[(rows[:500], rows[500:])]).fit(X, Y)
    assert np.isfinite(clf.predict_proba(X)).all()


def test_warm_start_keeps_embedding_and_calibration(small, tagged):
    X, Y = tagged
    clf = small(max_epochs=3, warm_start=True).fit(X, Y)
    embedding, scale = clf.embeddings_, clf.module_.cosines.scale[0].item()
    loss = clf.history_[-1]["train_loss"]
    clf.fit(X, Y)
    assert clf.embeddings_ is embedding
    assert clf.module_.cosines.scale[0].item() == scale
    assert clf.history_[-1]["train_loss"] < loss


def test_early_stopping_keeps_the_best_weights(small, tagged):
    X, Y = tagged
    clf = small(max_epochs=200, early_stopping=True, n_iter_no_change=3).fit(X, Y)
    assert len(clf.history_) < 200


def test_cost_counts_the_comparison_with_all_labels(fitted):
    n_components = fitted.embeddings_.shape[1]
    expected = 10 * 32 + 32 * n_components + n_components * 21
    assert estimator_cost(fitted).multiply_adds == expected


@pytest.mark.parametrize(
    ("params", "several", "message"),
    [
        ({"class_weight": "balanced"}, True, "class_weight must be None where y is multi-label"),
        ({"calibration": "platt"}, False, "calibration must be 'temperature' or None"),
        ({"calibration": "isotonic"}, True, "'calibration' parameter"),
        ({"variant": "pmi"}, True, "'variant' parameter"),
        ({"n_components": 0}, True, "'n_components' parameter"),
        ({"cv": "some"}, True, "cv must be"),
        ({"cv": 2.5}, True, "cv must be"),
        ({"cv": "prefit"}, True, "cv must hold out rows.*Got 'prefit'"),
    ],
)
def test_errors_say_what_is_wrong(small, tagged, digits, params, several, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(*(tagged if several else digits))


@pytest.mark.parametrize("y", [np.linspace(0, 1, 600), np.full((600, 3), 2)])
def test_target_of_another_kind_is_refused(small, tagged, y):
    with pytest.raises(ValueError, match=r"y must|Unknown label type"):
        small().fit(tagged[0], y)


def test_rows_held_out_must_weigh_something(small, tagged):
    X, Y = tagged
    rows = np.arange(len(X))
    weight = (rows < 300).astype(float)
    with pytest.raises(HoldOutError, match="cv must name rows that weigh something"):
        small(cv=[(rows[:300], rows[300:])]).fit(X, Y, sample_weight=weight)


def test_nothing_to_hold_out_is_said(small):
    X = np.eye(4)
    with pytest.raises(HoldOutError, match="so that a row can be held out"):
        small().fit(X, [0, 1, 2, 3])
    with pytest.raises(HoldOutError, match="set calibration=None"):
        small().fit(X, np.eye(4, dtype=int))
    assert small(calibration=None).fit(X, np.eye(4, dtype=int)).predict(X).shape == (4, 4)
