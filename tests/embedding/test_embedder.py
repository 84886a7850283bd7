"""Label indicators as vectors, and back."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn import LabelEmbedder


@pytest.fixture(scope="module")
def Y():
    """Samples of one of five groups of four labels, three of them each; the last label never."""
    random = np.random.RandomState(0)
    found = np.zeros((300, 21), dtype=int)
    for row in found:
        group = random.randint(5)
        row[4 * group + random.choice(4, 3, replace=False)] = 1
    found[0] = 0
    return found


@pytest.mark.parametrize("variant", ["ppmi", "shifted", "npmi"])
def test_labels_that_meet_point_the_same_way(Y, variant):
    E = LabelEmbedder(5, variant=variant, shift=1.5, random_state=0).fit(Y).embeddings_
    cosines = E[:20] @ E[:20].T
    same = np.kron(np.eye(5), np.ones((4, 4))) > 0
    assert cosines[same].min() > 0.9
    assert np.abs(cosines[~same]).max() < 0.3


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_vectors_are_normalised_sums(Y, container):
    embedder = LabelEmbedder(random_state=0).fit(container(Y))
    found = embedder.transform(container(Y))
    sums = Y @ embedder.embeddings_
    assert np.allclose(found[1:], sums[1:] / np.linalg.norm(sums[1:], axis=1, keepdims=True))
    assert not found[0].any()  # has no labels


def test_as_many_labels_come_back_as_went_in(Y):
    embedder = LabelEmbedder(random_state=0).fit(Y)
    back = embedder.inverse_transform(embedder.transform(Y), k=3)
    assert isinstance(back, sparse.csr_array)
    assert (back.toarray() == Y).mean() > 0.99
    assert back[[0]].nnz == 0


def test_threshold_and_number_both_limit(Y):
    embedder = LabelEmbedder(random_state=0).fit(Y)
    vectors = embedder.transform(Y)
    cosines = vectors @ embedder.embeddings_.T
    above = embedder.inverse_transform(vectors, threshold=0.3).toarray()
    assert (above[1:] == (cosines[1:] >= 0.3)).all()
    half = embedder.inverse_transform(vectors).toarray()
    assert (half[1:] == (cosines[1:] >= 0.5)).all()
    both = embedder.inverse_transform(vectors, k=1, threshold=0.9).toarray()
    assert both.sum(axis=1).max() <= 1
    assert not (both & (cosines < 0.9)).any()


def test_labels_never_seen_have_a_direction_of_their_own(Y):
    embedder = LabelEmbedder(random_state=0).fit(Y)
    assert embedder.counts_[-1] == 0
    assert np.linalg.norm(embedder.embeddings_[-1]) == pytest.approx(1)
    assert np.abs(embedder.embeddings_[:-1] @ embedder.embeddings_[-1]).max() < 1e-9


def test_components_above_the_rank_are_left_out(Y):
    assert LabelEmbedder(500).fit(Y).embeddings_.shape == (21, 21)


def test_degrees_count_relative_to_the_largest(Y):
    one, other = LabelEmbedder().fit(Y), LabelEmbedder().fit(7 * Y)
    assert np.allclose(one.embeddings_, other.embeddings_)


def test_weight_of_zero_leaves_a_row_out(Y):
    weight = np.ones(300)
    weight[100:] = 0
    one = LabelEmbedder().fit(Y, sample_weight=weight)
    assert np.allclose(one.embeddings_, LabelEmbedder().fit(Y[:100]).embeddings_)


def test_approximate_search_is_an_option(Y):
    pytest.importorskip("usearch", reason="usearch is not installed")
    exact = LabelEmbedder(random_state=0).fit(Y)
    found = LabelEmbedder(search="approximate", random_state=0).fit(Y)
    vectors = exact.transform(Y)
    one, other = (e.inverse_transform(vectors, k=3).toarray() for e in (found, exact))
    assert (one == other).mean() > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, Y: e.fit(-Y), "Negative values"),
        (lambda e, Y: e.inverse_transform(np.ones((2, 3))), "X must have one column for each"),
        (lambda e, Y: e.inverse_transform(e.transform(Y), k=99), "k must be a whole number"),
        (lambda e, Y: e.inverse_transform(e.transform(Y), k=True), "k must be a whole number"),
        (lambda e, Y: e.inverse_transform(e.transform(Y), threshold="a"), "must be a cosine"),
        (lambda e, Y: e.inverse_transform(e.transform(Y), threshold=np.nan), "must be a cosine"),
        (lambda e, Y: e.inverse_transform(e.transform(Y), threshold=2), "must be a cosine"),
        (lambda e, Y: e.fit(Y, sample_weight=np.zeros(300)), "at least one non-zero"),
        (lambda e, Y: e.set_params(variant="pmi").fit(Y), "'variant' parameter"),
    ],
)
def test_errors_say_what_is_wrong(Y, call, message):
    with pytest.raises(ValueError, match=message):
        call(LabelEmbedder().fit(Y), Y)
