"""Output layers for many classes against the plain computation of what they stand for."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn
from torch.nn import functional as F

from hierlearn.networks.adaptive_output import AdaptiveOutput
from hierlearn.networks.class_clusters import (
    automatic_cutoffs,
    balanced_clusters,
    check_cutoffs,
    clusters_of_means,
    default_n_clusters,
    frequency_ranks,
)
from hierlearn.networks.lazy_adam import LazyAdamW
from hierlearn.networks.output_layers import routed_top_k
from hierlearn.networks.pricing import network_cost
from hierlearn.networks.sampled_output import SampledOutput
from hierlearn.networks.two_level_output import TwoLevelOutput

WIDTH, N_CLASSES, N_ROWS = 12, 90, 64
# From one cluster for all to a cluster for each class, and sizes from 1 to 40.
PARTITIONS = {
    "balanced": np.arange(N_CLASSES) % 9,
    "one cluster": np.zeros(N_CLASSES, dtype=int),
    "a cluster each": np.random.RandomState(0).permutation(N_CLASSES),
    "unequal": np.random.RandomState(1).permutation(
        np.repeat(np.arange(7), [1, 2, 3, 7, 15, 22, 40])
    ),
}
LAYERS = {
    **{
        name: lambda labels=labels: TwoLevelOutput(WIDTH, labels)
        for name, labels in PARTITIONS.items()
    },
    "adaptive": lambda: AdaptiveOutput(WIDTH, N_CLASSES, (20, 50), ranks(), div_value=2),
    "adaptive, flat": lambda: AdaptiveOutput(WIDTH, N_CLASSES, (), ranks()),
    "sampled": lambda: SampledOutput(WIDTH, N_CLASSES, N_CLASSES),
}


def ranks():
    return np.random.RandomState(2).permutation(N_CLASSES)


@pytest.fixture(params=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return LAYERS[request.param]().double()


@pytest.fixture
def hidden():
    return 3 * torch.randn(N_ROWS, WIDTH, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def target():
    # Classes that occur once, twice and many times.
    return torch.as_tensor(np.random.RandomState(3).zipf(1.5, N_ROWS) % N_CLASSES)


def test_probabilities_sum_to_one(layer, hidden):
    found = layer(hidden).exp()
    assert found.shape == (N_ROWS, N_CLASSES)
    assert torch.allclose(found.sum(dim=1), torch.ones(N_ROWS).double())


def test_loss_is_that_of_all_probabilities(layer, hidden, target):
    expected = F.nll_loss(layer(hidden), target, reduction="none")
    assert torch.allclose(layer.loss(hidden, target), expected)


def test_gradients_are_those_of_all_probabilities(layer, hidden, target):
    hidden.requires_grad_()
    inputs = [hidden, *layer.parameters()]
    losses = layer.loss(hidden, target), F.nll_loss(layer(hidden), target, reduction="none")
    weight = torch.linspace(0, 2, N_ROWS).double()
    found, expected = (
        torch.autograd.grad(
            (loss * weight).sum(), inputs, allow_unused=True, materialize_grads=True
        )
        for loss in losses
    )
    assert all(torch.allclose(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("k", [1, 5, N_CLASSES])
def test_top_k_is_exact(layer, hidden, k):
    values, codes, _ = layer.top_k(hidden, k)
    expected = layer(hidden).topk(k, dim=1)
    assert torch.allclose(values, expected.values)
    assert torch.equal(codes, expected.indices)


def test_price_is_that_of_the_weights_where_all_are_used(layer):
    cost, n_weights = network_cost(nn.Sequential(layer), (WIDTH,))
    assert n_weights == sum(weight.numel() for weight in layer.parameters())
    if not isinstance(layer, TwoLevelOutput):
        biases = {AdaptiveOutput: 22 if layer.cutoffs else 90} if hasattr(layer, "cutoffs") else {}
        assert cost == n_weights - biases.get(type(layer), N_CLASSES)
    else:
        assert cost == WIDTH * (N_CLASSES + layer.gate.out_features)


def test_clusters_that_cannot_win_are_not_looked_at(hidden):
    layer = TwoLevelOutput(WIDTH, PARTITIONS["balanced"]).double()
    with torch.no_grad():
        layer.gate.weight.mul_(30)  # sure of the cluster
    _, _, n_evaluated = layer.top_k(hidden, 1)
    assert n_evaluated < 1.5 * N_ROWS * 10


def test_bound_visits_as_many_clusters_as_it_must():
    gate = torch.tensor([[0.6, 0.3, 0.1]]).log()
    within = torch.tensor([[0.3, 0.3, 0.4], [0.9, 0.1, 0.0], [1.0, 0.0, 0.0]]).log()
    visited = []

    def visit(rows, clusters):
        visited.extend(clusters.tolist())
        best = within[clusters].max(dim=1, keepdim=True)
        return best.values, best.indices + 3 * clusters[:, None], 3 * len(rows)

    values, codes, n_evaluated = routed_top_k(gate, 1, visit)
    assert visited == [0, 1]  # 0.24, then 0.27; the third cluster holds 0.1 at most
    assert (codes.item(), n_evaluated) == (3, 6)
    assert values.exp().item() == pytest.approx(0.27)


@pytest.mark.parametrize("name", ["balanced", "unequal"])
def test_sparse_gradients_are_the_dense_ones(name, hidden, target):
    gradients = []
    for sparse in (False, True):
        torch.manual_seed(0)
        layer = TwoLevelOutput(WIDTH, PARTITIONS[name], sparse=sparse).double()
        layer.loss(hidden, target).sum().backward()
        gradients.append([weight.grad for weight in layer.weights if weight.grad is not None])
    assert all(found.is_sparse for found in gradients[1])
    pairs = zip(*gradients, strict=False)
    assert all(torch.allclose(dense, found.to_dense()) for dense, found in pairs)


# -- sampled negatives ----------------------------------------------------------------------------


@pytest.mark.parametrize("by_rank", [False, True])
def test_estimated_sum_has_no_bias(by_rank, hidden, target):
    torch.manual_seed(0)
    layer = SampledOutput(WIDTH, N_CLASSES, 30, ranks() if by_rank else None).double()
    hidden = hidden / 3
    scores = layer._logits(hidden).gather(1, target[:, None])[:, 0]
    exact = (scores + F.nll_loss(layer(hidden), target, reduction="none")).exp()
    drawn = torch.stack([(scores + layer.loss(hidden, target)).exp() for _ in range(1500)])
    assert torch.allclose(drawn.mean(dim=0), exact, rtol=0.05)


def test_frequent_classes_are_drawn_more_often():
    layer = SampledOutput(WIDTH, N_CLASSES, 50_000, ranks())
    torch.manual_seed(0)
    shares = torch.bincount(layer._draw(), minlength=N_CLASSES) / 50_000
    expected = layer._shares(torch.arange(N_CLASSES))
    assert expected.sum().item() == pytest.approx(1)
    assert torch.allclose(shares.double(), expected, atol=0.01)
    assert shares.argmax() == layer.by_rank[0]


# -- lazy updates -------------------------------------------------------------------------------


def test_touched_rows_move_as_by_adamw():
    start = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    whole, lazy = (
        nn.Embedding(6, 3, sparse=sparse, _weight=start.clone()) for sparse in (False, True)
    )
    settings = {"lr": 0.05, "weight_decay": 0.1}
    optimizers = [torch.optim.AdamW(whole.parameters(), **settings)]
    optimizers.append(LazyAdamW(lazy.parameters(), **settings))
    for step in range(5):
        for table, optimizer in zip((whole, lazy), optimizers, strict=True):
            optimizer.zero_grad()
            (table(torch.tensor([4, 1, 4])) ** (2 + step % 2)).sum().backward()
            optimizer.step()
    assert torch.allclose(lazy.weight[[1, 4]], whole.weight[[1, 4]], atol=1e-6)
    assert torch.equal(lazy.weight[[0, 2, 3, 5]], start[[0, 2, 3, 5]])


def test_dense_weights_move_as_by_adamw():
    nets = [nn.Linear(3, 2), nn.Linear(3, 2)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.ones(4, 3)
    for net, kind in zip(nets, (torch.optim.AdamW, LazyAdamW), strict=True):
        optimizer = kind(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(x).pow(2).sum().backward()
            optimizer.step()
    assert torch.equal(nets[0].weight, nets[1].weight)


# -- clusters of classes --------------------------------------------------------------------------


@pytest.mark.parametrize("n_clusters", [1, 2, 7, 30])
def test_balanced_clusters_differ_by_a_class_or_two(n_clusters):
    means = np.random.RandomState(0).standard_normal((30, 5))
    labels = balanced_clusters(means, n_clusters, 0)
    sizes = np.bincount(labels)
    assert len(sizes) == n_clusters
    assert np.ptp(sizes) <= 2
    assert np.array_equal(labels, balanced_clusters(means, n_clusters, 0))


@pytest.mark.parametrize("cluster", [balanced_clusters, clusters_of_means])
def test_clusters_keep_what_lies_together(cluster):
    groups = np.random.RandomState(0).permutation(64) % 4
    corners = np.array([[0, 0], [0, 20], [50, 0], [50, 20]])
    means = corners[groups] + np.random.RandomState(1).standard_normal((64, 2))
    labels = cluster(means, 4, 0)
    assert len({*zip(labels, groups, strict=True)}) == 4


def test_clusters_of_means_are_as_large_as_what_lies_together():
    groups = np.repeat([0, 1, 2], [5, 20, 60])
    means = 30.0 * np.eye(3)[groups] + np.random.RandomState(0).standard_normal((85, 3))
    assert np.bincount(clusters_of_means(means, 3, 0)).tolist() == [5, 20, 60]


@pytest.mark.parametrize("n_classes", [300, 30_000])
def test_clusters_of_means_are_the_same_for_the_same_seed(n_classes):
    means = np.random.RandomState(0).standard_normal((n_classes, 4))
    first, again = (clusters_of_means(means, 20, 7) for _ in range(2))
    assert np.array_equal(first, again)
    assert len(np.unique(first)) == 20


def test_clusters_of_sparse_means_are_those_of_dense_ones():
    means = np.random.RandomState(0).standard_normal((60, 8)) * (np.arange(8) % 3 == 0)
    of_sparse = clusters_of_means(csr_array(means), 5, 0)
    assert np.array_equal(of_sparse, clusters_of_means(means, 5, 0))


@pytest.mark.parametrize("cluster", [balanced_clusters, clusters_of_means])
def test_equal_means_still_make_clusters(cluster):
    assert len(np.unique(cluster(np.zeros((10, 3)), 5, 0))) == 5


def test_ranks_go_by_weight_then_by_code():
    assert frequency_ranks(np.array([1.0, 3.0, 1.0, 0.0])).tolist() == [1, 0, 2, 3]


def test_automatic_cutoffs_suit_the_number_of_classes():
    assert automatic_cutoffs(np.ones(3), 64) == ()
    cutoffs = automatic_cutoffs(1 / np.arange(1, 100_001), 150)
    assert cutoffs == check_cutoffs(cutoffs, 100_000)
    assert 1 <= len(cutoffs) <= 3
    assert cutoffs[0] < 20_000


@pytest.mark.parametrize("n_classes", [2, 3, 10, 1000, 100_000])
def test_default_number_of_clusters_is_possible(n_classes):
    assert 1 <= default_n_clusters(n_classes, 150) <= n_classes


def test_small_layers_are_flat_by_default():
    assert default_n_clusters(1000, 150) == 1
    assert automatic_cutoffs(1.0 / np.arange(1, 1001), 150) == ()
    assert default_n_clusters(10_000, 150) == 400
    assert default_n_clusters(100_000, 150) == 2500


@pytest.mark.parametrize("cutoffs", [[5, 3], [3, 3], [0, 3], [3, 10], [2.5], [[2, 3]], ["a"]])
def test_cutoffs_out_of_order_or_range_are_refused(cutoffs):
    with pytest.raises(ValueError, match=r"cutoffs must be ascending .* to n_classes - 1, 9\. Got"):
        check_cutoffs(cutoffs, 10)
