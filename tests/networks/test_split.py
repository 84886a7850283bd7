"""Splitting a network at a layer, and what its layers cost."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hierlearn.networks import chain, copy_head, layer_multiply_adds, mlp, split_network
from hierlearn.networks import split_point as point_of


def convolutional():
    """Two stages, nested, with normalisation and activation behind the convolutions."""
    stage = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
    return nn.Sequential(
        stage,
        nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.GELU()),
        nn.Flatten(),
        nn.Linear(16 * 2 * 2, 5),
    )


IMAGE = (3, 8, 8)


class Branched(nn.Module):
    """No chain: the input is added to what the first layer makes of it."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.outer(x + self.inner(x))


# -- chains ----------------------------------------------------------------------------------------


def test_nested_chains_are_unrolled_under_dotted_names():
    layers = chain(convolutional())
    assert [name for name, _ in layers] == [
        *("0.0", "0.1", "0.2"),
        *("1.0", "1.1", "1.2"),
        "2",
        "3",
    ]
    assert isinstance(layers[4][1], nn.Conv2d)


@pytest.mark.parametrize("module", [Branched(), nn.Linear(4, 2)], ids=["Branched", "Linear"])
@pytest.mark.parametrize(
    "split", [chain, lambda m: split_network(m, 1), lambda m: point_of(m, (4,))]
)
def test_other_networks_are_refused_with_the_remedy(module, split):
    name = type(module).__name__
    message = (
        rf"torch\.nn\.Sequential.* Got {name} instead; build it from that, or .*fine_estimator"
    )
    with pytest.raises(ValueError, match=message) as error:
        split(module)
    assert "\n" not in str(error.value)


# -- where to split --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "dropout", "point"),
    [
        ((), 0.0, 0),  # the classifier alone: nothing to share
        ((50,), 0.0, 2),  # hidden1, activation1
        ((50,), 0.5, 2),  # dropout stays with the head
        ((50, 40, 30), 0.0, 2),  # 100 x 50 is the most
        ((20, 300, 5), 0.0, 4),  # 20 x 300 is the most
        ((20, 20, 300), 0.5, 8),  # the classifier's 300 x 30 does not count
    ],
)
def test_heaviest_layer_ends_the_trunk(sizes, dropout, point):
    network = mlp(100, 30, hidden_layer_sizes=sizes, dropout=dropout)
    assert point_of(network, (100,)) == point


def test_heaviest_convolution_takes_normalisation_and_activation_along():
    # 8 x 3 x 9 x 64 against 16 x 8 x 9 x 4: the first is heavier, with three layers.
    assert point_of(convolutional(), IMAGE) == 3


@pytest.mark.parametrize(
    ("at", "point"),
    [("0.0", 3), ("0.1", 3), ("0.2", 3), ("1.0", 4), ("1.1", 6), ("1.2", 6), ("2", 7)],
)
def test_named_layer_ends_the_trunk(at, point):
    assert point_of(convolutional(), IMAGE, at) == point


@pytest.mark.parametrize("at", ["hidden1", "activation1"])
def test_named_layer_of_our_networks(at):
    network = mlp(4, 3, hidden_layer_sizes=(500, 2), dropout=0.5)
    assert point_of(network, (4,), at) == 2


@pytest.mark.parametrize("at", ["output", "hidden9", "", "0"])
def test_layers_that_cannot_end_the_trunk(at):
    network = mlp(4, 3, hidden_layer_sizes=(5,))
    message = re.escape(f"['hidden1', 'activation1']. Got {at!r} instead")
    with pytest.raises(ValueError, match=f"branch_at must name a layer.*{message}"):
        point_of(network, (4,), at)


# -- trunk and head --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", range(8))
def test_head_of_trunk_is_the_network(point):
    network = convolutional().eval()
    trunk, head = split_network(network, point)
    assert (len(trunk), len(head)) == (point, 8 - point)
    x = torch.randn(4, *IMAGE)
    assert torch.equal(head(trunk(x)), network(x))


def test_trunk_and_head_are_the_networks_own_layers():
    network = mlp(4, 3, hidden_layer_sizes=(5,))
    trunk, head = split_network(network, 2)
    assert trunk[0] is network.hidden1
    assert head[-1] is network.output


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 0], [1], np.array([1, 2])], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_copied_head_gives_the_rows_asked_for(rows, bias):
    head = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3, bias=bias)).double()
    copied = copy_head(head, rows)
    x = torch.randn(7, 6, dtype=torch.float64)
    torch.testing.assert_close(copied(x), head(x)[:, list(rows)])
    assert copied[-1].out_features == len(rows)
    assert (copied[-1].bias is not None) == bias
    assert all(parameter.requires_grad for parameter in copied.parameters())


def test_copied_head_shares_nothing():
    head = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    before = {name: value.clone() for name, value in head.state_dict().items()}
    copied = copy_head(head, [0, 1, 2])
    ours, theirs = (
        {tensor.data_ptr() for tensor in module.state_dict().values()} for module in (head, copied)
    )
    assert not ours & theirs
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    copied.train()(torch.randn(4, 6))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_head_without_linear_classifier_is_refused():
    head = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))
    with pytest.raises(ValueError, match=r"last layer.*torch\.nn\.Linear.* Got Softmax instead"):
        copy_head(head, [0, 1])


# -- multiply-adds ---------------------------------------------------------------------------------

BY_HAND = {
    "linear": (nn.Linear(10, 7), (10,), 10 * 7),
    "linear on a sequence": (nn.Linear(10, 7, bias=False), (5, 10), 5 * 10 * 7),
    "convolution": (nn.Conv2d(3, 8, 3, padding=1), IMAGE, 8 * 3 * 9 * 64),
    "no padding": (nn.Conv2d(3, 8, 3), IMAGE, 8 * 3 * 9 * 36),
    "strided": (nn.Conv2d(3, 8, 3, stride=2, padding=1), IMAGE, 8 * 3 * 9 * 16),
    "dilated": (nn.Conv2d(3, 8, 3, dilation=2), IMAGE, 8 * 3 * 9 * 16),
    "oblong": (nn.Conv2d(3, 8, (1, 5), stride=(2, 1)), IMAGE, 8 * 3 * 5 * 4 * 4),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2), (4, 8, 8), 8 * 2 * 9 * 36),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (4, 8, 8), 4 * 9 * 36),
    "one dimension": (nn.Conv1d(3, 6, 4), (3, 11), 6 * 3 * 4 * 8),
    "three dimensions": (nn.Conv3d(2, 3, 2), (2, 4, 4, 4), 3 * 2 * 8 * 27),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_multiply_adds_counted_by_hand(name):
    layer, shape, expected = BY_HAND[name]
    assert layer_multiply_adds(nn.Sequential(layer), shape) == {"0": expected}


def counted_by_torch(module, shape):
    dtype = next(module.parameters()).dtype
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, *shape, dtype=dtype))
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        *[(nn.Sequential(layer), shape) for layer, shape, _ in BY_HAND.values()],
        (mlp(30, 7, hidden_layer_sizes=(20, 10), dropout=0.5), (30,)),
        (convolutional(), IMAGE),
        (convolutional().double(), IMAGE),
        (Branched(), (4,)),
    ],
    ids=[*BY_HAND, "mlp", "nested", "double", "no chain"],
)
def test_multiply_adds_are_half_of_torchs_flops(module, shape):
    assert 2 * sum(layer_multiply_adds(module, shape).values()) == counted_by_torch(module, shape)


def test_layers_are_named_in_the_order_they_run():
    assert list(layer_multiply_adds(convolutional(), IMAGE)) == ["0.0", "1.1", "3"]


def test_a_layer_used_twice_counts_twice():
    layer = nn.Linear(6, 6)
    assert layer_multiply_adds(nn.Sequential(layer, nn.ReLU(), layer), (6,)) == {"0": 72}


def test_counting_leaves_the_network_alone():
    network = convolutional().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layer_multiply_adds(network, IMAGE)
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
