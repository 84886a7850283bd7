"""Our classifiers inside scikit-learn's own tools, as a user would put them there."""

import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    TorchMLPClassifier,
)

ROOT = Path(__file__).parents[1]

MLP = TorchMLPClassifier((16,), max_epochs=4, lr=0.05, random_state=0)
NB = GaussianNB(var_smoothing=0.05)
BRANCHES = HierarchicalDecompositionClassifier(
    MLP, ConfusionLinkagePartitioner(max_cluster_size=4), branch_epochs=1, random_state=0
)
BAYES = HierarchicalDecompositionClassifier(
    NB, ConfusionLinkagePartitioner(max_cluster_size=4), hierarchy_estimator=NB, random_state=0
)

every_classifier = pytest.mark.parametrize(
    "classifier", [MLP, BRANCHES, BAYES], ids=["mlp", "branches", "bayes"]
)
every_hierarchy = pytest.mark.parametrize("hierarchy", [BRANCHES, BAYES], ids=["branches", "bayes"])


@pytest.fixture(scope="module")
def digits():
    """Three hundred digits with pixels from 0 to 1, and their names as labels."""
    X, y = load_digits(return_X_y=True)
    names = np.array("zero one two three four five six seven eight nine".split())  # noqa: SIM905
    return X[:300] / 16, names[y[:300]]


# -- Pipelines ---------------------------------------------------------------------------------


@every_classifier
def test_last_step_of_a_pipeline(digits, classifier):
    X, y = digits
    pipeline = make_pipeline(StandardScaler(), PCA(20, random_state=0), classifier).fit(X, y)
    assert pipeline.score(X, y) > 0.7
    assert pipeline.classes_.tolist() == sorted(set(y))
    assert pipeline.predict_proba(X[:3]).shape == (3, 10)


@every_hierarchy
def test_transformer_in_a_pipeline(digits, hierarchy):
    X, y = digits
    clusters = clone(hierarchy).fit_transform(X, y)
    pipeline = make_pipeline(clone(hierarchy), FunctionTransformer(), NB).fit(X, y)
    assert pipeline[-1].n_features_in_ == clusters.shape[1]
    np.testing.assert_allclose(pipeline[0].transform(X), clusters)
    union = FeatureUnion([("raw", "passthrough"), ("clusters", hierarchy)]).fit(X, y)
    assert union.transform(X).shape[1] == 64 + clusters.shape[1]


@every_hierarchy
def test_transformer_in_a_column_transformer(digits, hierarchy):
    X = pd.DataFrame(digits[0], columns=[f"pixel{number}" for number in range(64)])
    upper = X.columns[:32].tolist()
    columns = make_column_transformer((hierarchy, upper), remainder="drop")
    found = columns.fit_transform(X, digits[1])
    direct = clone(hierarchy).fit(X[upper], digits[1])
    np.testing.assert_allclose(found, direct.transform(X[upper]))
    prefix = "hierarchicaldecompositionclassifier"
    names = [f"{prefix}__{prefix}{cluster}" for cluster in range(found.shape[1])]
    assert columns.get_feature_names_out().tolist() == names


@every_classifier
def test_behind_a_column_transformer_of_mixed_columns(digits, classifier):
    X, y = digits
    frame = pd.DataFrame(X).add_prefix("pixel").assign(unused="text")
    scaled = ColumnTransformer([("scaled", StandardScaler(), frame.columns[:64].tolist())])
    assert make_pipeline(scaled, classifier).fit(frame, y).score(frame, y) > 0.7


@every_hierarchy
@pytest.mark.parametrize("where", ["alone", "in a pipeline"])
def test_set_output_pandas(digits, hierarchy, where):
    X = pd.DataFrame(digits[0], index=np.arange(300) + 1000).add_prefix("pixel")
    transformer = clone(hierarchy) if where == "alone" else make_pipeline(clone(hierarchy))
    transformer.set_output(transform="pandas").fit(X, digits[1])
    found = transformer.transform(X)
    assert isinstance(found, pd.DataFrame)
    assert found.columns.tolist() == transformer.get_feature_names_out().tolist()
    assert found.index.equals(X.index)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    # Asking for frames changes nothing inside.
    plain = clone(hierarchy).fit(X, digits[1])
    np.testing.assert_allclose(found, plain.transform(X))


def test_global_output_setting(digits):
    X, y = digits
    with config_context(transform_output="pandas"):
        base = make_pipeline(StandardScaler(), MLP)
        clf = HierarchicalDecompositionClassifier(base, "linkage", branch_epochs=1, random_state=0)
        frame = clf.fit(X, y).transform(X)
        assert isinstance(frame, pd.DataFrame)
        assert clf.score(X, y) > 0.7


# -- searches and cross-validation -------------------------------------------------------------


@every_hierarchy
def test_grid_search(digits, hierarchy):
    X, y = digits
    grid = {
        "gamma": [None, 3],
        "partitioner__max_cluster_size": [3, 6],
        "routing": ["hard", 2],
    }
    search = GridSearchCV(hierarchy, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_score_ > 0.6
    best = search.best_estimator_
    assert (
        best.partition_.primary_sizes.max() <= search.best_params_["partitioner__max_cluster_size"]
    )
    # What the search says of a setting is what that setting gives.
    again = clone(hierarchy).set_params(**search.cv_results_["params"][5])
    scores = cross_validate(again, X, y, cv=2)["test_score"]
    assert scores.mean() == pytest.approx(search.cv_results_["mean_test_score"][5])


def test_search_over_estimators_and_their_parameters(digits):
    X, y = digits
    grid = [
        {"fine_estimator": [None, LogisticRegression(max_iter=500)], "mixing": [0.0, "auto"]},
        {"partitioner": ["linkage", "spectral", "random"], "base_estimator__var_smoothing": [0.1]},
    ]
    search = GridSearchCV(BAYES, grid, cv=2, scoring="neg_log_loss", error_score="raise")
    assert len(search.fit(X, y).cv_results_["params"]) == 7


@every_classifier
def test_randomised_search(digits, classifier):
    X, y = digits
    choices = {"max_epochs": [1, 6]} if classifier is MLP else {"max_depth": [1, 2]}
    search = RandomizedSearchCV(classifier, choices, n_iter=2, cv=2, random_state=0).fit(X, y)
    assert search.best_score_ > 0.5


@every_classifier
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_cross_val_predict(digits, classifier, method):
    X, y = digits
    cv = StratifiedKFold(2, shuffle=True, random_state=0)
    found = cross_val_predict(classifier, X, y, cv=cv, method=method)
    train, test = next(cv.split(X, y))
    expected = getattr(clone(classifier).fit(X[train], y[train]), method)(X[test])
    assert np.array_equal(found[test], expected)


@every_classifier
def test_scorers_and_importances(digits, classifier):
    X, y = digits
    scoring = ["accuracy", "neg_log_loss", "top_k_accuracy", "roc_auc_ovr", "f1_macro"]
    results = cross_validate(classifier, X, y, cv=2, scoring=scoring, error_score="raise")
    assert (results["test_top_k_accuracy"] >= results["test_accuracy"]).all()
    fitted = clone(classifier).fit(X, y)
    importances = permutation_importance(fitted, X[:80], y[:80], n_repeats=1, random_state=0)
    assert importances.importances_mean[0] == 0  # a corner that is always blank
    assert importances.importances_mean.max() > 0
    assert get_scorer("accuracy")(fitted, X, y) == fitted.score(X, y)


# -- ensembles ---------------------------------------------------------------------------------


@every_classifier
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(digits, classifier, method):
    X, y = digits
    calibrated = CalibratedClassifierCV(classifier, cv=2, method=method).fit(X, y)
    posteriors = calibrated.predict_proba(X)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    assert calibrated.score(X, y) > 0.7


@every_classifier
@pytest.mark.parametrize("passthrough", [False, True])
def test_stacking(digits, classifier, passthrough):
    X, y = digits
    members = [("ours", classifier), ("bayes", NB)]
    stack = StackingClassifier(members, NB, cv=2, passthrough=passthrough).fit(X, y)
    assert stack.score(X, y) > 0.7
    assert stack.stack_method_ == ["predict_proba", "predict_proba"]


@every_classifier
@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting(digits, classifier, voting):
    X, y = digits
    vote = VotingClassifier([("ours", classifier), ("bayes", NB)], voting=voting).fit(X, y)
    assert vote.score(X, y) > 0.7
    if voting == "soft":
        members = [clone(member).fit(X, y).predict_proba(X) for member in (classifier, NB)]
        np.testing.assert_allclose(vote.predict_proba(X), np.mean(members, axis=0), atol=1e-12)


@every_classifier
def test_bagging_and_boosting(digits, classifier):
    X, y = digits
    assert BaggingClassifier(classifier, 2, random_state=0).fit(X, y).score(X, y) > 0.7
    assert (
        AdaBoostClassifier(classifier, n_estimators=2, random_state=0).fit(X, y).score(X, y) > 0.7
    )


@every_classifier
def test_one_against_the_rest(digits, classifier):
    X, y = digits
    few = np.isin(y, ["one", "seven", "nine"])
    assert OneVsRestClassifier(classifier).fit(X[few], y[few]).score(X[few], y[few]) > 0.7


@pytest.mark.parametrize("slot", ["base_estimator", "fine_estimator"])
@pytest.mark.parametrize(
    "member",
    [
        CalibratedClassifierCV(NB, cv=2),
        VotingClassifier([("bayes", NB), ("linear", LogisticRegression(max_iter=500))]),
        GridSearchCV(NB, {"var_smoothing": [0.01, 0.1]}, cv=2),
        make_pipeline(SelectFromModel(LogisticRegression(max_iter=500)), NB),
    ],
    ids=lambda member: type(member).__name__,
)
def test_meta_estimators_in_our_slots(digits, slot, member):
    X, y = digits
    clf = clone(BAYES).set_params(**{slot: member, "mixing": 0.5})
    assert clf.fit(X, y).score(X, y) > 0.7


# -- clone, parameters, routing of weights -----------------------------------------------------


@every_classifier
def test_clone_is_unfitted_and_equal(digits, classifier):
    X, y = digits
    fitted = clone(classifier).fit(X, y)
    copy = clone(fitted)
    assert not [name for name in vars(copy) if name.endswith("_")]
    assert repr(copy) == repr(classifier)
    assert np.array_equal(copy.fit(X, y).predict_proba(X), fitted.predict_proba(X))


def test_nested_parameters():
    clf = HierarchicalDecompositionClassifier(make_pipeline(StandardScaler(), clone(MLP)))
    clf.set_params(base_estimator__torchmlpclassifier__max_epochs=3, routing="hard")
    assert clf.base_estimator[-1].max_epochs == 3
    assert clf.get_params()["base_estimator__torchmlpclassifier__lr"] == MLP.lr
    assert "base_estimator__torchmlpclassifier" in clf.get_params(deep=True)


@every_classifier
def test_repr_html(digits, classifier):
    assert type(classifier).__name__ in classifier._repr_html_()
    assert type(classifier).__name__ in clone(classifier).fit(*digits)._repr_html_()


def weighted(y):
    return np.where(np.isin(y, ["one", "eight"]), 3.0, 1.0)


@every_classifier
@pytest.mark.parametrize("inside", ["search", "pipeline", "pipeline in a search"])
def test_weights_routed_on_request(digits, classifier, inside):
    X, y = digits
    weight = weighted(y)
    with config_context(enable_metadata_routing=True):
        asking = clone(classifier).set_fit_request(sample_weight=True)
        outer = make_pipeline(FunctionTransformer(), asking) if "pipeline" in inside else asking
        if "search" in inside:
            accuracy = get_scorer("accuracy").set_score_request(sample_weight=False)
            outer = GridSearchCV(outer, [{}], cv=2, scoring=accuracy, error_score="raise")
        found = outer.fit(X, y, sample_weight=weight).predict_proba(X)
    direct = clone(classifier).fit(X, y, sample_weight=weight)
    assert np.array_equal(found, direct.predict_proba(X))
    assert not np.array_equal(found, clone(classifier).fit(X, y).predict_proba(X))


@every_classifier
def test_weights_refused_on_request_change_nothing(digits, classifier):
    X, y = digits
    with config_context(enable_metadata_routing=True):
        refusing = clone(classifier).set_fit_request(sample_weight=False)
        weighing = clone(NB).set_fit_request(sample_weight=True)
        vote = VotingClassifier([("ours", refusing), ("bayes", weighing)])
        vote.fit(X, y, sample_weight=weighted(y))
    direct = clone(classifier).fit(X, y)
    assert np.array_equal(vote.estimators_[0].predict_proba(X), direct.predict_proba(X))


@every_classifier
def test_weights_without_a_request_are_an_error(digits, classifier):
    X, y = digits
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(UnsetMetadataPassedError, match="sample_weight"),
    ):
        GridSearchCV(classifier, [{}], cv=2).fit(X, y, sample_weight=weighted(y))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_weights_reach_members_under_routing(digits, n_jobs):
    X, y = digits
    with config_context(enable_metadata_routing=True):
        asking = make_pipeline(StandardScaler(), clone(NB).set_fit_request(sample_weight=True))
        asking[0].set_fit_request(sample_weight=False)
        clf = clone(BAYES).set_params(base_estimator=asking, fine_estimator=asking, n_jobs=n_jobs)
        clf.fit(X, y, sample_weight=weighted(y))
    for cluster, member in enumerate(clf.fine_estimators_):
        if clf.partition_.sizes[cluster] > 1:
            rows = np.isin(y, clf.classes_[clf.partition_.members(cluster)])
            assert member[-1].class_count_.sum() == weighted(y)[rows].sum()


# -- saved and loaded --------------------------------------------------------------------------

LOAD = """
import sys
import joblib
import numpy as np

model, X, expected, shape = joblib.load(sys.argv[1])
assert np.array_equal(model.predict_proba(X), expected)
assert model.transform(X).shape == shape if shape else True
print(type(model).__name__)
"""


@every_classifier
def test_loaded_in_a_fresh_process(digits, classifier, tmp_path):
    X, y = digits
    fitted = clone(classifier).fit(X, y)
    shape = fitted.transform(X).shape if hasattr(fitted, "transform") else None
    path = tmp_path / "model.joblib"
    joblib.dump((fitted, X, fitted.predict_proba(X), shape), path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(LOAD), str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == type(classifier).__name__


def test_loaded_branches_still_share_their_trunk(digits, tmp_path):
    X, y = digits
    joblib.dump(clone(BRANCHES).fit(X, y), tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    trunk = next(loaded._family.split.trunk.parameters())
    assert trunk is next(loaded.base_estimator_.module_.parameters())
    assert torch.equal(trunk, loaded.base_estimator_.module_.hidden1.weight)
    assert loaded.rerouted("hard").score(X, y) > 0.7
    assert loaded.cost_report().flat.multiply_adds == 64 * 16 + 16 * 10
