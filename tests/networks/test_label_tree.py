"""The tree of labels as an output layer: marginals, routing, price, loss."""

import numpy as np
import pytest
import torch
from scipy import sparse

from hierlearn.networks.label_tree import (
    LabelTree,
    LabelTreeLoss,
    check_routing,
    label_shares,
    visited,
)

LABELS = np.array([1, 0, 1, 2, 0, 1])
SHARES = np.linspace(0.1, 0.6, 6)


@pytest.fixture
def hidden():
    return torch.as_tensor(np.random.RandomState(0).standard_normal((7, 5)).astype(np.float32))


def tree_of(routing="soft", **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LabelTree(5, LABELS, SHARES, routing, **params)


def marginals(tree, hidden):
    """The definition, label by label."""
    gate, heads = torch.sigmoid(tree.gate(hidden)), torch.sigmoid(tree.heads(hidden))
    visits = visited(tree.gate(hidden), tree.routing)
    found = torch.empty(len(hidden), len(LABELS))
    for place, label in enumerate(tree.order.tolist()):
        cluster = LABELS[label]
        relevant = gate[:, cluster]
        seen = relevant + tree.negatives * (1 - relevant)
        alone = relevant * float(SHARES[label])
        found[:, label] = torch.where(visits[:, cluster], seen * heads[:, place], alone)
    return found


@pytest.mark.parametrize("routing", ["soft", 1, 2, 5, 0.3, 0.6])
@pytest.mark.parametrize("negatives", [0.0, 0.2, 1.0])
def test_probability_is_that_of_the_cluster_times_that_in_the_cluster(hidden, routing, negatives):
    tree = tree_of(routing, negatives=negatives)
    assert torch.allclose(torch.sigmoid(tree(hidden)), marginals(tree, hidden), atol=1e-6)
    exclusive = tree_of(routing, negatives=negatives, exclusive=True)
    assert torch.allclose(exclusive(hidden).exp(), marginals(tree, hidden), atol=1e-6)


def test_visiting_all_clusters_is_soft_routing(hidden):
    assert torch.allclose(tree_of(3)(hidden), tree_of()(hidden), atol=1e-6)


def test_sure_logits_stay_finite():
    tree = tree_of()
    with torch.no_grad():
        for bias, sign in ((tree.gate.bias, 1), (tree.heads.bias, 1)):
            bias.fill_(sign * 500.0)
    assert torch.isfinite(tree(torch.zeros(1, 5))).all()
    with torch.no_grad():
        tree.gate.bias.fill_(-500.0)
    assert torch.isfinite(tree(torch.zeros(1, 5))).all()


def test_price_counts_the_clusters_that_samples_visit(hidden):
    tree = tree_of(1)
    assert tree.multiply_adds() == 5 * (3 + 6)  # nothing is known yet
    tree.probe(hidden)
    shares = visited(tree.gate(hidden), 1).float().mean(dim=0).numpy()
    assert shares.sum() == pytest.approx(1)
    assert tree.multiply_adds() == pytest.approx(5 * (3 + shares @ [2, 3, 1]))
    tree.routing = "soft"
    assert tree.multiply_adds() == 5 * (3 + 6)


@pytest.mark.parametrize("negatives", [0.0, 0.25, 1.0])
def test_loss_is_the_cross_entropy_of_clusters_and_of_labels_in_relevant_ones(hidden, negatives):
    tree = tree_of(negatives=negatives)
    target = torch.as_tensor(np.random.RandomState(1).randint(0, 2, (7, 6)))
    target[0] = 0
    found = LabelTreeLoss(tree, 0.5)(tree.scores(hidden), target)
    gate = torch.sigmoid(tree.gate(hidden)).detach().numpy()
    heads = torch.sigmoid(tree.heads(hidden)).detach().numpy()
    for row, truth in enumerate(target.numpy()):
        total = 0.0
        relevant = [truth[cluster == LABELS].any() for cluster in range(3)]
        for cluster in range(3):
            total -= 0.5 * np.log(
                gate[row, cluster] if relevant[cluster] else 1 - gate[row, cluster]
            )
        for place, label in enumerate(tree.order.tolist()):
            likelihood = heads[row, place] if truth[label] else 1 - heads[row, place]
            total -= (1.0 if relevant[LABELS[label]] else negatives) * np.log(likelihood)
        assert found[row].item() == pytest.approx(total / 6, rel=1e-4)


def test_codes_are_indicators_of_one_label(hidden):
    tree = tree_of()
    codes = torch.arange(6)
    loss, scores = LabelTreeLoss(tree), tree.scores(hidden[:6])
    assert torch.allclose(loss(scores, codes), loss(scores, torch.eye(6)))


def test_shares_are_of_the_samples_to_which_the_cluster_is_relevant():
    target = np.array([[1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    labels, weight = np.array([0, 1, 0]), np.array([1.0, 2.0, 1.0, 5.0])
    expected = [3.5 / 4, 1.5 / 2, 1.5 / 4]
    assert np.allclose(label_shares(target, weight, labels), expected)
    assert np.allclose(label_shares(sparse.csr_array(target), weight, labels), expected)
    codes = np.array([0, 2, 1])
    assert np.allclose(label_shares(codes, np.ones(3), labels), [1.5 / 3, 1.5 / 2, 1.5 / 3])


@pytest.mark.parametrize("routing", ["hard", 0, -1, 1.0, 0.0, True, None, "2"])
def test_routings_that_are_none(routing):
    with pytest.raises(ValueError, match="routing must be 'soft', a number of clusters from 1"):
        check_routing(routing)


@pytest.mark.parametrize("routing", ["soft", 1, np.int64(3), 0.2, np.float32(0.5)])
def test_routings(routing):
    check_routing(routing)
