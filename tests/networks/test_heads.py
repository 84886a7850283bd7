"""Specialist heads: many stacks as one operation."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hierlearn.networks import HeadPlan, SpecialistHeads

MEMBERS = ((0, 3), (1, 2, 5), (4,))
OVERLAPPING = ((0, 3), (1, 3, 5), (4, 0, 2))
VECTOR, IMAGE = (7,), (2, 8, 8)


def plan(members=MEMBERS, widths=((6, 4), (6, 4), (6, 4)), maps=()):
    return HeadPlan(members, widths, maps)


PLANS = {
    "equal": (plan(), VECTOR),
    "one layer": (plan(widths=((5,),) * 3), VECTOR),
    "linear": (plan(widths=((),) * 3), VECTOR),
    "unequal": (plan(widths=((8, 6), (5, 4), (4, 3))), VECTOR),
    "overlap": (plan(OVERLAPPING), VECTOR),
    "flattened image": (plan(), IMAGE),
    "maps": (plan(maps=(3,)), IMAGE),
    "two maps": (plan(maps=(3, 2), widths=((6,), (4,), (2,))), IMAGE),
    "linear on maps": (plan(maps=(3,), widths=((),) * 3), IMAGE),
}


def build(name, dtype=torch.float64):
    torch.manual_seed(0)
    shape, attach_shape = PLANS[name]
    return SpecialistHeads(shape, attach_shape).to(dtype)


def batch(name, n=11):
    torch.manual_seed(1)
    return torch.randn(n, *PLANS[name][1], dtype=torch.float64)


def one_by_one(heads, attach, n_outputs=6):
    """Evaluate every head as a network of its own, and add up."""
    total = torch.zeros(len(attach), n_outputs, dtype=attach.dtype)
    for head, codes in enumerate(heads.plan.members):
        x = attach
        for n_maps, layer in zip(heads.plan.maps, heads.maps, strict=True):
            own = slice(head * n_maps, (head + 1) * n_maps)
            x = functional.conv2d(x, layer.weight[own], layer.bias[own], padding=1)
            x = functional.max_pool2d(functional.relu(x), 2)
        x = x.flatten(1)
        for width, weight, bias in zip(
            heads.plan.widths[head], heads.weights, heads.biases, strict=True
        ):
            own = weight[head, :width, : x.shape[1]]
            x = functional.relu(functional.linear(x, own, bias[head, :width]))
        added = x @ heads.output[head, : len(codes), : x.shape[1]].T
        total = total.index_add(1, torch.tensor(codes), added)
    return total


@pytest.mark.parametrize("name", PLANS)
def test_all_at_once_equals_one_by_one(name):
    heads, attach = build(name), batch(name)
    torch.testing.assert_close(heads(attach, 6), one_by_one(heads, attach))


@pytest.mark.parametrize("name", PLANS)
def test_one_head_is_its_part_of_all(name):
    heads, attach = build(name), batch(name)
    total = torch.zeros(len(attach), 6, dtype=attach.dtype)
    for head, codes in enumerate(heads.plan.members):
        total = total.index_add(1, torch.tensor(codes), heads.one(attach, head))
    torch.testing.assert_close(heads(attach, 6), total)


@pytest.mark.parametrize("name", PLANS)
def test_no_gradient_flows_between_a_head_and_the_labels_of_others(name):
    heads, attach = build(name), batch(name)
    for label in range(6):
        heads.zero_grad()
        heads(attach, 6)[:, label].sum().backward()
        for head, codes in enumerate(heads.plan.members):
            gradients = [p.grad[head] for p in (*heads.weights, heads.output)]
            for n_maps, layer in zip(heads.plan.maps, heads.maps, strict=True):
                gradients.append(layer.weight.grad[head * n_maps : (head + 1) * n_maps])
            touched = any(gradient.abs().sum() > 0 for gradient in gradients)
            assert touched == (label in codes), (label, head)


def test_surplus_weights_of_narrow_heads_stay_zero():
    heads, attach = build("unequal"), batch("unequal")
    optimizer = torch.optim.AdamW(heads.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (heads(attach, 6) - 1).square().sum().backward()
        optimizer.step()
    assert heads.weights[0][1, 5:].abs().sum() == 0
    assert heads.weights[1][2, 3:].abs().sum() == heads.weights[1][2, :, 4:].abs().sum() == 0
    assert heads.output[2, 1:].abs().sum() == 0
    assert heads.biases[0][1, 5:].abs().sum() == 0


@pytest.mark.parametrize("name", PLANS)
def test_price_is_that_of_the_heads_as_networks(name):
    shape, attach_shape = PLANS[name]
    for head, codes in enumerate(shape.members):
        layers, channels, side = [], attach_shape[0], 8
        multiply_adds = 0
        for n_maps in shape.maps:
            layers.append(nn.Conv2d(channels, n_maps, 3))
            multiply_adds += 9 * channels * n_maps * side**2
            channels, side = n_maps, side // 2
        inputs = channels * side**2 if len(attach_shape) == 3 else attach_shape[0]
        for width in shape.widths[head]:
            layers.append(nn.Linear(inputs, width))
            multiply_adds += inputs * width
            inputs = width
        layers.append(nn.Linear(inputs, len(codes), bias=False))
        multiply_adds += inputs * len(codes)
        parameters = sum(p.numel() for layer in layers for p in layer.parameters())
        assert shape.multiply_adds(attach_shape)[head] == multiply_adds
        assert shape.parameters(attach_shape)[head] == parameters


def test_features_are_the_last_hidden_layers():
    heads, attach = build("unequal"), batch("unequal")
    found = heads.features(attach)
    assert [part.shape for part in found] == [(11, 6), (11, 4), (11, 3)]
    hidden = heads.one_hidden(attach, 1)
    torch.testing.assert_close(found[1], hidden)


def test_features_of_linear_heads_are_their_outputs():
    heads, attach = build("linear"), batch("linear")
    assert [part.shape[1] for part in heads.features(attach)] == [2, 3, 1]


def test_frozen_stacks_get_no_gradient_and_their_outputs_do():
    heads, attach = build("equal"), batch("equal")
    heads.stacks_frozen = True
    heads(attach, 6).sum().backward()
    assert heads.output.grad.abs().sum() > 0
    assert heads.weights[0].grad is None


def test_dropout_is_for_training_only():
    heads = SpecialistHeads(plan(), VECTOR, dropout=0.5)
    attach = batch("equal").float()
    assert not torch.equal(heads(attach, 6), heads(attach, 6))
    heads.eval()
    assert torch.equal(heads(attach, 6), heads(attach, 6))


@pytest.mark.parametrize("name", PLANS)
def test_layers_add_up_to_the_price(name):
    shape, attach_shape = PLANS[name]
    for head in range(shape.n_heads):
        layers = shape.layers(attach_shape, head)
        assert sum(x.multiply_adds for x in layers) == shape.multiply_adds(attach_shape)[head]
        assert sum(x.parameters for x in layers) == shape.parameters(attach_shape)[head]


@pytest.mark.parametrize(
    ("widths", "maps", "attach_shape"),
    [((6, 4), (), VECTOR), ((), (), VECTOR), ((6,), (3,), IMAGE), ((6, 5), (3, 2), IMAGE)],
)
def test_the_price_is_what_torch_counts(widths, maps, attach_shape):
    shape = HeadPlan(((0, 3), (1, 2), (4, 5)), (widths,) * 3, maps)
    heads = SpecialistHeads(shape, attach_shape).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        heads(torch.zeros(1, *attach_shape), 6)
    assert counter.get_total_flops() == 2 * sum(shape.multiply_adds(attach_shape))
