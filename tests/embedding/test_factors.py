"""Label vectors: the decomposition, labels on their own, more components than there are."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn.embedding import embed_labels


def planted(n_groups, size, link=0.8):
    """Return the information of groups of labels that meet within their group only."""
    block = np.full((size, size), link) + (1 - link) * np.eye(size)
    return sparse.csr_array(sparse.block_diag([block] * n_groups))


def test_full_rank_gives_back_the_information():
    matrix = planted(3, 4).toarray()
    found = embed_labels(matrix, 12)
    assert np.allclose(found @ found.T, matrix)  # rows of this one have length one already


@pytest.mark.parametrize(("n_groups", "size"), [(5, 4), (40, 20)])  # exact, randomised
def test_few_components_keep_the_groups(n_groups, size):
    found = embed_labels(planted(n_groups, size, 0.99), n_groups, random_state=0)
    near = found @ found.T > 0.5
    assert found.shape == (n_groups * size, n_groups)
    assert (near == (planted(n_groups, size).toarray() > 0)).all()


def test_rows_have_length_one_and_are_the_same_again():
    random = sparse.random_array((700, 700), density=0.01, rng=0)
    matrix = random + random.T
    found = embed_labels(matrix, 30, random_state=3)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert (found == embed_labels(matrix, 30, random_state=3)).all()


def test_components_above_the_rank_are_left_out():
    assert embed_labels(np.ones((6, 6)), 50).shape == (6, 1)
    assert embed_labels(planted(2, 3), 50).shape == (6, 6)


def test_labels_on_their_own_get_dimensions_of_their_own():
    matrix = sparse.block_diag([planted(2, 3).toarray(), np.eye(2), np.zeros((1, 1))])
    found = embed_labels(matrix, 20)
    assert found.shape == (9, 9)
    assert np.allclose((found @ found.T)[6:], np.eye(9)[6:])


def test_labels_on_their_own_get_random_directions_where_dimensions_run_out():
    matrix = sparse.block_diag([planted(10, 10, 0.5).toarray(), np.eye(30)])
    found = embed_labels(matrix, 100, random_state=0)
    cosines = found @ found.T
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert np.abs(cosines - np.eye(130))[100:].max() < 0.5


def test_nothing_at_all_is_known():
    found = embed_labels(np.zeros((4, 4)), 2, random_state=0)
    assert found.shape == (4, 2)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


@pytest.mark.parametrize("n_components", [0, 1.5, "all"])
def test_number_of_components_is_checked(n_components):
    with pytest.raises(ValueError, match="n_components must be a positive whole number"):
        embed_labels(np.eye(3), n_components)
