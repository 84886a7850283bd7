"""One partition a round, each complementary to those before."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn import LabelPartition
from hierlearn.partition import TrainingRows
from hierlearn.specialists import complementary, learn_partitions

FIRST = LabelPartition(list("abcd"), [0, 0, 1, 1])
OVERLAPPING = LabelPartition.from_groups([list("abc"), list("cd")], list("abcd"))


@pytest.mark.parametrize(
    ("partitions", "zeros"),
    [
        ([], []),
        ([FIRST], [(0, 1), (2, 3)]),
        ([OVERLAPPING], [(0, 1), (0, 2), (1, 2), (2, 3)]),
        ([FIRST, LabelPartition(list("abcd"), [0, 1, 0, 1])], [(0, 1), (2, 3), (0, 2), (1, 3)]),
    ],
)
@pytest.mark.parametrize("container", [np.array, sparse.csr_array])
def test_pairs_that_share_a_head_are_left_out(partitions, zeros, container):
    wanted = np.arange(1.0, 17).reshape(4, 4)
    given = container(wanted)
    for i, j in zeros:
        wanted[i, j] = wanted[j, i] = 0
    found = complementary(given, partitions)
    assert sparse.issparse(found) == sparse.issparse(given)
    np.testing.assert_array_equal(found.toarray() if sparse.issparse(found) else found, wanted)
    if sparse.issparse(found):
        assert found.nnz == np.count_nonzero(wanted)


def test_the_second_round_takes_the_confusions_that_the_first_left():
    # Within pairs (0,1) and (2,3) much is confused, across (0,2) and (1,3) a little.
    confusion = np.eye(4) * 5
    for i, j, mass in [(0, 1, 4), (2, 3, 4), (0, 2, 1), (1, 3, 1)]:
        confusion[i, j] = confusion[j, i] = mass
    from hierlearn import ConfusionLinkagePartitioner

    data = TrainingRows(np.zeros((8, 1)), np.arange(8) % 4, None)
    held_out = type("HeldOut", (), {"classes": np.arange(4)})()
    _, (first, second) = learn_partitions(
        ConfusionLinkagePartitioner(n_clusters=2),
        2,
        confusion,
        held_out,
        data,
        np.arange(4),
        [0, 1],
    )
    assert first.labels.tolist() == [0, 0, 1, 1]
    assert second.labels.tolist() == [0, 1, 0, 1]
