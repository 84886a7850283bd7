"""What every partitioner promises, whatever it clusters and however."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    PARTITIONERS,
    CentroidPartitioner,
    ConfusionLinkagePartitioner,
    ConfusionSpectralPartitioner,
    LabelPartition,
    RandomPartitioner,
    TaxonomyPartitioner,
    partition_input,
    resolve_partitioner,
)

N_BLOCKS, BLOCK = 4, 5
N_CLASSES = N_BLOCKS * BLOCK
# Blocks of classes that are not neighbours, so that no order of the classes gives them away.
BLOCK_OF = np.arange(N_CLASSES) % N_BLOCKS
NAMES = np.array([f"class {code:02}" for code in range(N_CLASSES)])


def _confusion():
    rng = np.random.default_rng(0)
    within = BLOCK_OF[:, None] == BLOCK_OF
    return 5 * np.eye(N_CLASSES) + within * rng.random((N_CLASSES, N_CLASSES)) + 0.01


def _scores():
    """Posteriors that leak into the class's block, for eight samples a class."""
    y = np.repeat(np.arange(N_CLASSES), 8)
    rates = _confusion() / _confusion().sum(axis=1, keepdims=True)
    noise = np.random.default_rng(1).dirichlet(np.ones(N_CLASSES), size=y.size)
    return 0.9 * rates[y] + 0.1 * noise, y


def _features():
    """Class means near those of their block, three samples a class."""
    centres, _ = make_blobs(N_BLOCKS, 3, centers=N_BLOCKS, random_state=0)
    y = np.repeat(np.arange(N_CLASSES), 3)
    return centres[BLOCK_OF[y]] + 0.1 * np.random.default_rng(2).normal(size=(y.size, 3)), y


PLANTED = {
    "linkage by size": ConfusionLinkagePartitioner(max_cluster_size=BLOCK),
    "linkage by count": ConfusionLinkagePartitioner(n_clusters=N_BLOCKS),
    "linkage by distance": ConfusionLinkagePartitioner(distance_threshold=0.99),
    "linkage soft": ConfusionLinkagePartitioner(n_clusters=N_BLOCKS, affinity="soft"),
    "linkage top_k": ConfusionLinkagePartitioner(n_clusters=N_BLOCKS, affinity="top_k", k=BLOCK),
    "spectral": ConfusionSpectralPartitioner(N_BLOCKS, random_state=0),
    "spectral by gap": ConfusionSpectralPartitioner(random_state=0),
    "spectral soft": ConfusionSpectralPartitioner(N_BLOCKS, affinity="soft", random_state=0),
    "spectral co_detection": ConfusionSpectralPartitioner(
        N_BLOCKS, affinity="co_detection", k=BLOCK, random_state=0
    ),
    "centroid": CentroidPartitioner(N_BLOCKS, random_state=0),
    "centroid spectral": CentroidPartitioner(N_BLOCKS, method="spectral", random_state=0),
    "taxonomy": TaxonomyPartitioner(BLOCK_OF),
}
RANDOM = {
    f"random {name}": RandomPartitioner(PLANTED[name], random_state=0)
    for name in ("linkage by size", "spectral soft", "centroid", "taxonomy")
}
ALL = {**PLANTED, **RANDOM}


def _input(partitioner):
    data = {
        "confusion": (_confusion(), None),
        "scores": _scores(),
        "features": _features(),
        "taxonomy": (None, np.arange(N_CLASSES)),
    }
    return data[partition_input(partitioner)]


def _fit(partitioner, **fit_params):
    return clone(partitioner).fit(*_input(partitioner), **fit_params)


@pytest.fixture(params=ALL)
def partitioner(request):
    return clone(ALL[request.param])


# -- the contract ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANTED)
def test_finds_planted_blocks(name):
    assert adjusted_rand_score(BLOCK_OF, _fit(PLANTED[name]).labels_) == 1


@pytest.mark.parametrize("name", RANDOM)
def test_random_does_not_find_planted_blocks(name):
    assert adjusted_rand_score(BLOCK_OF, _fit(RANDOM[name]).labels_) < 0.5


def test_fitted_attributes_agree(partitioner):
    fitted = _fit(partitioner)
    assert isinstance(fitted.partition_, LabelPartition)
    np.testing.assert_array_equal(fitted.labels_, fitted.partition_.labels)
    np.testing.assert_array_equal(fitted.classes_, np.arange(N_CLASSES))
    assert fitted.labels_.shape == (N_CLASSES,)
    assert fitted.n_clusters_ == fitted.partition_.n_clusters == np.unique(fitted.labels_).size
    assert not fitted.partition_.is_overlapping


def test_clusters_are_numbered_by_their_first_classes(partitioner):
    _, first = np.unique(_fit(partitioner).labels_, return_index=True)
    assert first.tolist() == sorted(first.tolist())


def test_same_random_state_same_partition(partitioner):
    assert _fit(partitioner).partition_ == _fit(partitioner).partition_


def test_global_random_state_is_neither_used_nor_moved(partitioner):
    parameters = partitioner.get_params()
    unseeded = {name: None for name in parameters if name.endswith("random_state")}
    np.random.seed(0)  # noqa: NPY002 - the global state is what this is about
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    _fit(partitioner.set_params(**unseeded))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_class_labels_come_back_as_given(partitioner):
    X, y = _input(partitioner)
    labelled = NAMES[y] if partition_input(partitioner) in ("features", "taxonomy") else y
    fitted = partitioner.fit(X, labelled, classes=NAMES)
    assert fitted.classes_.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(fitted.labels_, _fit(partitioner).labels_)


def test_input_is_left_as_it_is(partitioner):
    X, y = _input(partitioner)
    before = copy.deepcopy((X, y))
    partitioner.fit(X, y)
    np.testing.assert_equal((X, y), before)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array])
def test_sparse_input_gives_the_same(partitioner, container):
    X, y = _input(partitioner)
    given = None if X is None else container(X)
    np.testing.assert_array_equal(partitioner.fit(given, y).labels_, _fit(partitioner).labels_)


def test_pickles(partitioner):
    fitted = _fit(partitioner)
    assert pickle.loads(pickle.dumps(fitted)).partition_ == fitted.partition_


def test_transform_and_predict_follow_the_partition(partitioner):
    fitted = _fit(partitioner)
    scores, _ = _scores()
    if partition_input(partitioner) in ("features", "taxonomy"):
        for method in ("transform", "fit_transform", "predict", "get_feature_names_out"):
            assert not hasattr(fitted, method)
        return
    expected = np.stack(
        [scores[:, fitted.labels_ == c].sum(1) for c in range(fitted.n_clusters_)], 1
    )
    for given in (scores, sparse.csr_array(scores)):
        np.testing.assert_allclose(fitted.transform(given), expected)
        np.testing.assert_array_equal(fitted.predict(given), expected.argmax(axis=1))
    frame = fitted.set_output(transform="pandas").transform(scores)
    assert list(frame.columns) == list(fitted.get_feature_names_out())
    np.testing.assert_array_equal(fitted.predict(scores), expected.argmax(axis=1))


# -- awkward confusions ---------------------------------------------------------------------

ON_CONFUSION = {
    name: partitioner
    for name, partitioner in ALL.items()
    if partition_input(partitioner) == "confusion"
} | {
    "linkage default": ConfusionLinkagePartitioner(),
    "random default": RandomPartitioner(random_state=0),
}

SEPARATE = np.kron(np.eye(3), [[2, 1], [1, 2]])
AWKWARD = {
    "one class": np.ones((1, 1)),
    "two classes": np.array([[3, 1], [2, 4]]),
    "two classes, never confused": np.eye(2),
    "never confused": np.eye(7),
    "all confused alike": np.ones((7, 7)),
    "nothing at all": np.zeros((5, 5)),
    "never predicted": np.array([[3, 0, 1], [1, 0, 2], [0, 0, 3]]),
    "never true": np.array([[3, 1, 1], [0, 0, 0], [1, 2, 3]]),
    "neither": np.array([[3, 1, 0], [1, 3, 0], [0, 0, 0]]),
    "predicted as others only": 1 - np.eye(6),
    "identical classes": np.kron([[4, 1], [1, 4]], np.ones((3, 3))),
    "unconnected groups": SEPARATE,
    "one group and loners": np.block(
        [[np.ones((4, 4)), np.zeros((4, 3))], [np.zeros((3, 4)), np.eye(3)]]
    ),
    "tiny": 1e-200 * SEPARATE,
    "huge": 1e200 * SEPARATE,
}


def _with_at_most(n_clusters, partitioner):
    given = {
        name: min(value, n_clusters)
        for name, value in partitioner.get_params().items()
        if name.endswith("n_clusters") and value is not None
    }
    return clone(partitioner).set_params(**given)


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("name", ON_CONFUSION)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_awkward_confusion_gives_a_valid_partition(name, case, container):
    """The partition validates itself; here only that it is for these classes."""
    confusion = AWKWARD[case]
    fitted = _with_at_most(confusion.shape[0], ON_CONFUSION[name]).fit(container(confusion))
    assert fitted.partition_.n_classes == confusion.shape[0]
    assert fitted.partition_.primary_sizes.sum() == confusion.shape[0]


BAD = {
    "more clusters than classes": (
        np.eye(3),
        "n_clusters must not exceed the number of classes, 3",
    ),
    "negative": (np.array([[1.0, -1.0], [0.0, 1.0]]), "Negative values .* Got a minimum of -1 "),
    "NaN": (np.array([[1.0, np.nan], [0.0, 1.0]]), "must not contain NaN or inf.* Got NaN"),
    "infinite": (np.array([[1.0, np.inf], [0.0, 1.0]]), "must not contain NaN or inf.* Got inf"),
    "not square": (np.ones((4, 3)), r"needs a square confusion .*\(4, 3\)"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    "partitioner",
    [ConfusionLinkagePartitioner(n_clusters=4), ConfusionSpectralPartitioner(4)],
)
def test_bad_confusion_is_named_in_one_line(partitioner, container, case):
    confusion, message = BAD[case]
    with pytest.raises(ValueError, match=message) as caught:
        clone(partitioner).fit(container(confusion))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "partitioner",
    [ConfusionLinkagePartitioner(n_clusters=3), ConfusionSpectralPartitioner(3, random_state=0)],
)
@pytest.mark.parametrize("scale", [1, 1e-200, 1e200])
def test_unconnected_groups_are_kept_apart(partitioner, scale):
    assert partitioner.fit(scale * SEPARATE).labels_.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "partitioner", [ConfusionLinkagePartitioner(n_clusters=4), ConfusionLinkagePartitioner()]
)
def test_clusters_of_one_class(partitioner):
    confusion = np.block([[np.ones((3, 3)), np.zeros((3, 3))], [np.zeros((3, 3)), np.eye(3)]])
    fitted = partitioner.fit(confusion)
    assert sorted(fitted.partition_.sizes.tolist()) == [1, 1, 1, 3]


# -- scores ---------------------------------------------------------------------------------

SCORED = [ConfusionLinkagePartitioner, ConfusionSpectralPartitioner]


@pytest.mark.parametrize("Partitioner", SCORED)
@pytest.mark.parametrize("affinity", ["hard", "soft", "top_k"])
def test_scores_need_y(Partitioner, affinity):
    with pytest.raises(ValueError, match=r"requires y .* is None: give the true class of each"):
        Partitioner(affinity=affinity).fit(_scores()[0])


@pytest.mark.parametrize("Partitioner", SCORED)
def test_labels_of_another_dtype_are_encoded(Partitioner):
    scores, y = _scores()
    by_code = Partitioner(affinity="soft", n_clusters=4).fit(scores, y)
    by_label = Partitioner(affinity="soft", n_clusters=4).fit(scores, NAMES[y])
    assert by_label.classes_.tolist() == NAMES.tolist()
    if Partitioner is ConfusionLinkagePartitioner:
        np.testing.assert_array_equal(by_label.labels_, by_code.labels_)
    some = y < 12  # the others are columns without samples
    given = Partitioner(affinity="soft").fit(scores[some], NAMES[y[some]], classes=NAMES)
    assert given.classes_.tolist() == NAMES.tolist()
    with pytest.raises(PartitionError, match="classes must have one label for each of the 20"):
        Partitioner(affinity="soft").fit(scores[some], NAMES[y[some]])


def test_precomputed_equals_the_confusion_of_the_scores():
    from hierlearn.confusion import confusion_from_scores

    scores, y = _scores()
    for affinity in ("hard", "soft", "top_k", "co_detection"):
        confusion = confusion_from_scores(scores, y, method=affinity, k=3)
        direct = ConfusionLinkagePartitioner(affinity=affinity, k=3).fit(scores, y)
        assert direct.partition_ == ConfusionLinkagePartitioner().fit(confusion).partition_


def test_several_labels_a_sample_by_indicator():
    scores, y = _scores()
    single = ConfusionLinkagePartitioner(affinity="top_k", k=5).fit(scores, y)
    indicator = np.eye(N_CLASSES, dtype=int)[y]
    for given in (indicator, sparse.csr_array(indicator)):
        several = ConfusionLinkagePartitioner(affinity="top_k", k=5).fit(scores, given)
        assert several.partition_ == single.partition_


@pytest.mark.parametrize("Partitioner", SCORED)
def test_codes_out_of_range(Partitioner):
    scores, y = _scores()
    with pytest.raises(ValueError, match="codes from 0 to 19"):
        Partitioner(affinity="soft").fit(scores, y + 1)


@pytest.mark.parametrize("name", ON_CONFUSION)
def test_errors_on_confusion(name):
    partitioner = clone(ON_CONFUSION[name])
    with pytest.raises(ValueError, match=r"square confusion matrix.*set affinity='soft'"):
        partitioner.fit(np.ones((3, 4)))
    with pytest.raises(ValueError, match="Negative values in data"):
        partitioner.fit(-np.eye(3))
    with pytest.raises(ValueError, match="NaN"):
        partitioner.fit(np.full((3, 3), np.nan))
    with pytest.raises(PartitionError, match="one label for each of the 5 columns"):
        partitioner.fit(np.eye(5), classes=["a", "b"])
    with pytest.raises(PartitionError, match="classes must all be different"):
        partitioner.fit(np.eye(5), classes=list("aabcd"))


# -- names and scikit-learn's checks --------------------------------------------------------


@pytest.mark.parametrize("name", PARTITIONERS)
def test_names_stand_for_default_instances(name):
    partitioner = resolve_partitioner(name)
    assert type(partitioner) is PARTITIONERS[name]
    assert repr(partitioner) == f"{type(partitioner).__name__}()"


def test_resolve_takes_objects_and_partitions():
    linkage = ConfusionLinkagePartitioner(n_clusters=3)
    assert resolve_partitioner(linkage) is linkage
    assert isinstance(resolve_partitioner(None), ConfusionLinkagePartitioner)
    partition = LabelPartition(["a", "b", "c"], [0, 1, 0])
    assert resolve_partitioner(partition).fit(None, ["c", "b", "a"]).partition_ == partition
    assert resolve_partitioner({"x": ["a", "c"], "y": ["b"]}).fit().partition_ == partition


def test_resolve_errors():
    with pytest.raises(ValueError, match=r"'centroid', 'linkage', .*Got 'kmeans' instead"):
        resolve_partitioner("kmeans")
    with pytest.raises(TypeError, match=r"write RandomPartitioner\(\)"):
        resolve_partitioner(RandomPartitioner)
    with pytest.raises(TypeError, match=r"must cluster classes.*Got StandardScaler, whose fit"):
        resolve_partitioner(StandardScaler())
    with pytest.raises(TypeError, match=r"object with fit. Got 3 instead"):
        resolve_partitioner(3)


def test_partition_input_of_others():
    class Silent:
        pass

    class Telling:
        partition_input = "features"

    assert partition_input(Silent()) == "confusion"
    assert partition_input(Telling()) == "features"
    assert partition_input(RandomPartitioner(Telling())) == "features"
    assert {partition_input(partitioner) for partitioner in ALL.values()} == {
        *("confusion", "scores", "features", "taxonomy")
    }


@parametrize_with_checks(
    [
        ConfusionSpectralPartitioner(2, affinity="co_detection"),
        ConfusionLinkagePartitioner(affinity="co_detection", k=1),
        CentroidPartitioner(method="spectral"),
        RandomPartitioner(CentroidPartitioner()),
        RandomPartitioner(TaxonomyPartitioner()),
    ]
)
def test_scikit_learn_checks_of_variants(estimator, check):
    check(estimator)


# -- batch by batch -------------------------------------------------------------------------

STREAMED = {
    name: partitioner
    for name, partitioner in PLANTED.items()
    if hasattr(partitioner, "partial_fit")
}


@pytest.mark.parametrize("name", STREAMED)
def test_batches_give_the_partition_of_all_rows(name):
    partitioner = clone(STREAMED[name])
    X, y = _input(partitioner)
    if partition_input(partitioner) == "confusion":
        for share in (0.25, 0.75):
            partitioner.partial_fit(share * X)
    else:
        for start in range(0, y.size, 33):
            partitioner.partial_fit(X[start : start + 33], y[start : start + 33])
    assert partitioner.partition_ == _fit(STREAMED[name]).partition_ or (
        adjusted_rand_score(partitioner.labels_, BLOCK_OF) == 1
    )
    assert partitioner.predict(X).shape == (X.shape[0],)


def test_batches_of_the_highest_scores():
    scores, y = _scores()
    order = np.argsort(-scores, axis=1)[:, :BLOCK]
    kept = np.zeros_like(scores)
    np.put_along_axis(kept, order, np.take_along_axis(scores, order, axis=1), axis=1)
    partitioner = clone(PLANTED["linkage top_k"])
    for start in range(0, y.size, 40):
        rows = slice(start, start + 40)
        partitioner.partial_fit(sparse.csr_array(kept[rows]), y[rows])
    np.testing.assert_array_equal(partitioner.labels_, _fit(PLANTED["linkage top_k"]).labels_)


def test_batches_keep_the_labels_of_the_first_call():
    scores, y = _scores()
    partitioner = clone(PLANTED["linkage soft"])
    with pytest.raises(PartitionError, match="pass classes= where y lacks some of them"):
        partitioner.partial_fit(scores[:40], NAMES[y[:40]])
    partitioner.partial_fit(scores[:40], NAMES[y[:40]], classes=NAMES)
    partitioner.partial_fit(scores[40:], NAMES[y[40:]])
    assert partitioner.classes_.tolist() == NAMES.tolist()
    np.testing.assert_array_equal(partitioner.labels_, _fit(PLANTED["linkage soft"]).labels_)


def test_fit_forgets_batches():
    scores, y = _scores()
    partitioner = clone(PLANTED["linkage soft"])
    partitioner.partial_fit(scores[:40, :10].copy() + 1, y[:40] % 10)
    np.testing.assert_array_equal(
        partitioner.fit(scores, y).labels_, _fit(PLANTED["linkage soft"]).labels_
    )
    assert partitioner.partial_fit(scores, y).n_features_in_ == N_CLASSES


def test_batches_have_the_same_columns():
    scores, y = _scores()
    partitioner = clone(PLANTED["linkage soft"]).partial_fit(scores, y)
    with pytest.raises(ValueError, match=r"19 features.*expecting 20"):
        partitioner.partial_fit(scores[:, 1:], y)


def test_a_batch_that_fails_leaves_no_trace():
    rng = np.random.default_rng(0)
    scores, y = rng.dirichlet(np.ones(4), size=12), np.arange(12) % 4
    partitioner = ConfusionSpectralPartitioner(2, affinity="soft", random_state=0)
    partitioner.partial_fit(scores[:6], y[:6])
    with pytest.raises(ValueError, match="n_clusters must not exceed"):
        partitioner.set_params(n_clusters=5).partial_fit(scores[6:], y[6:])
    partitioner.set_params(n_clusters=2).partial_fit(scores[6:], y[6:])
    expected = ConfusionSpectralPartitioner(2, affinity="soft", random_state=0).fit(scores, y)
    np.testing.assert_allclose(partitioner._stream.n_samples_seen_, 12)
    assert partitioner.partition_ == expected.partition_


@pytest.mark.parametrize("changed", [{"affinity": "soft"}, {"k": 2}, {"affinity": "precomputed"}])
def test_batches_of_another_kind_are_refused(changed):
    rng = np.random.default_rng(0)
    scores, y = rng.dirichlet(np.ones(4), size=8), np.arange(8) % 4
    partitioner = ConfusionSpectralPartitioner(2, affinity="top_k", k=1, random_state=0)
    partitioner.partial_fit(scores, y).set_params(**changed)
    with pytest.raises(ValueError, match="affinity and k must stay as in the first call"):
        partitioner.partial_fit(scores, y)
