import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn.confusion import fit_with_weight, seed_estimator

RNG = np.random.RandomState(0)
X = RNG.randn(60, 3)
Y = RNG.randint(2, size=60)
WEIGHT = np.where(Y == 1, 5.0, 0.5)


def search_over(estimator, name):
    return GridSearchCV(estimator, {name: [1.0, 10.0]}, cv=2)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        Pipeline([("outer", make_pipeline(StandardScaler(), GaussianNB()))]),
        search_over(LogisticRegression(), "C"),
        search_over(make_pipeline(StandardScaler(), LogisticRegression()), "logisticregression__C"),
        VotingClassifier([("a", GaussianNB()), ("b", LogisticRegression())], voting="soft"),
        VotingClassifier([("a", GaussianNB()), ("b", "drop")], voting="soft"),
        CalibratedClassifierCV(GaussianNB(), cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_weights_arrive_wherever_the_estimator_takes_them(estimator):
    plain = fit_with_weight(clone(estimator), X, Y)
    weighted = fit_with_weight(clone(estimator), X, Y, WEIGHT)
    assert weighted.predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.1


def test_pipeline_result_equals_sklearns_own_spelling():
    ours = fit_with_weight(make_pipeline(StandardScaler(), LogisticRegression()), X, Y, WEIGHT)
    theirs = make_pipeline(StandardScaler(), LogisticRegression())
    theirs.fit(X, Y, logisticregression__sample_weight=WEIGHT)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


def test_weights_follow_metadata_routing_when_it_is_on():
    with config_context(enable_metadata_routing=True):
        first = StandardScaler().set_fit_request(sample_weight=False)
        last = LogisticRegression().set_fit_request(sample_weight=True)
        routed = fit_with_weight(make_pipeline(first, last), X, Y, WEIGHT)
    unrouted = make_pipeline(StandardScaler(), LogisticRegression())
    fit_with_weight(unrouted, X, Y, WEIGHT)
    np.testing.assert_array_equal(routed.predict_proba(X), unrouted.predict_proba(X))


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), KNeighborsClassifier()),
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": [1, 3]}),
        VotingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier())]),
        make_pipeline(StandardScaler(), "passthrough"),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_weights_that_nobody_takes_are_an_error(estimator):
    with pytest.raises(ValueError, match=r"sample_weight must be None for .* does not support"):
        fit_with_weight(estimator, X, Y, WEIGHT)


def test_without_weights_every_estimator_fits():
    assert fit_with_weight(KNeighborsClassifier(), X, Y).predict(X).shape == (60,)


def test_seeds_are_set_deep_and_only_where_none():
    model = make_pipeline(
        CalibratedClassifierCV(SGDClassifier()), RandomForestClassifier(random_state=3)
    )
    seed_estimator(model, 0)
    inner = model.get_params()["calibratedclassifiercv__estimator__random_state"]
    assert isinstance(inner, int)
    assert model[-1].random_state == 3


def test_seeds_differ_between_members_and_follow_the_seed():
    def seeds(seed):
        members = VotingClassifier([("a", SGDClassifier()), ("b", SGDClassifier())])
        seed_estimator(members, seed)
        return [member.random_state for _, member in members.estimators]

    assert seeds(0) == seeds(0)
    assert len({*seeds(0), *seeds(1)}) == 4


def test_an_estimator_without_random_state_is_left_alone():
    model = KNeighborsClassifier()
    before = model.get_params()
    assert seed_estimator(model, 0) is model
    assert model.get_params() == before
