"""Specialist heads: many stacks as one operation."""

import itertools

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


def layers_of(heads, head):
    """Return views of one head's weights: maps, hidden layers, output."""
    group, place = heads.home(head)
    if heads.plan.is_linear and not heads.plan.maps:
        start = sum(len(codes) for codes in heads.plan.members[:head])
        return [], [], group.output[start : start + len(heads.plan.members[head])]
    maps = [
        (layer.weight[place * n : (place + 1) * n], layer.bias[place * n : (place + 1) * n])
        for n, layer in zip(heads.plan.maps, group.maps, strict=True)
    ]
    hidden, n_inputs = [], None
    for width, weight, bias in zip(
        heads.plan.widths[head], group.weights, group.biases, strict=True
    ):
        hidden.append((weight[place, :width, :n_inputs], bias[place, :width]))
        n_inputs = width
    return maps, hidden, group.output[place, : len(heads.plan.members[head]), :n_inputs]


def gradients_of(heads, head):
    """Return the gradients of all that belongs to one head."""
    group, place = heads.home(head)
    if heads.plan.is_linear and not heads.plan.maps:
        start = sum(len(codes) for codes in heads.plan.members[:head])
        return [group.output.grad[start : start + len(heads.plan.members[head])]]
    found = [p.grad[place] for p in (*group.weights, *group.biases, group.output)]
    for n, layer in zip(heads.plan.maps, group.maps, strict=True):
        found.append(layer.weight.grad[place * n : (place + 1) * n])
    return [gradient for gradient in found if gradient is not None]


def one_by_one(heads, attach, n_outputs=6):
    """Evaluate every head as a network of its own, and add up."""
    total = torch.zeros(len(attach), n_outputs, dtype=attach.dtype)
    for head, codes in enumerate(heads.plan.members):
        maps, hidden, output = layers_of(heads, head)
        x = attach
        for weight, bias in maps:
            x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            x = functional.max_pool2d(x, 2)
        x = x.flatten(1)
        for weight, bias in hidden:
            x = functional.relu(functional.linear(x, weight, bias))
        total = total.index_add(1, torch.tensor(codes), x @ output.T)
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
        (heads(attach, 6)[:, label].sum() + 0 * heads(attach, 6).sum()).backward()
        for head, codes in enumerate(heads.plan.members):
            touched = any(part.abs().sum() > 0 for part in gradients_of(heads, head))
            assert touched == (label in codes), (label, head)


def test_surplus_weights_of_narrow_heads_stay_zero():
    shape = plan(((0, 3), (1, 2, 5)), widths=((7, 6), (5, 4)))
    heads = SpecialistHeads(shape, VECTOR).double()
    attach = batch("equal")
    optimizer = torch.optim.AdamW(heads.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (heads(attach, 6) - 1).square().sum().backward()
        optimizer.step()
    (group,) = heads.groups
    assert group.weights[0][1, 5:].abs().sum() == 0
    assert group.weights[1][1, 4:].abs().sum() == group.weights[1][1, :, 5:].abs().sum() == 0
    assert group.output[0, 2:].abs().sum() == group.output[1, :, 4:].abs().sum() == 0
    assert group.biases[0][1, 5:].abs().sum() == 0
    assert group.output[1].abs().sum() > 0


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
    group, place = heads.home(1)
    torch.testing.assert_close(found[1], group.one_hidden(attach, place))


def test_features_of_linear_heads_are_their_outputs():
    heads, attach = build("linear"), batch("linear")
    assert [part.shape[1] for part in heads.features(attach)] == [2, 3, 1]


def test_frozen_stacks_get_no_gradient_and_their_outputs_do():
    heads, attach = build("equal"), batch("equal")
    heads.freeze_stacks()
    heads(attach, 6).sum().backward()
    for group in heads.groups:
        assert group.output.grad.abs().sum() > 0
        assert group.weights[0].grad is None


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


def counted(shape, attach_shape, n_outputs):
    heads = SpecialistHeads(shape, attach_shape).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        heads(torch.zeros(1, *attach_shape), n_outputs)
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(
    ("widths", "maps", "attach_shape"),
    [((6, 4), (), VECTOR), ((), (), VECTOR), ((6,), (3,), IMAGE), ((6, 5), (3, 2), IMAGE)],
)
def test_the_price_is_what_torch_counts(widths, maps, attach_shape):
    shape = HeadPlan(((0, 3), (1, 2), (4, 5)), (widths,) * 3, maps)
    assert counted(shape, attach_shape, 6) == sum(shape.multiply_adds(attach_shape))


SKEWED = (400, 90, 33, 30, 7, 2, 1, 1)


def skewed(widths):
    starts = itertools.accumulate(SKEWED, initial=0)
    members = tuple(tuple(range(a, a + n)) for a, n in zip(starts, SKEWED, strict=False))
    return HeadPlan(members, widths)


def test_linear_heads_of_any_size_cost_what_they_say():
    shape = skewed(((),) * len(SKEWED))
    assert counted(shape, (50,), sum(SKEWED)) == sum(shape.multiply_adds((50,)))


@pytest.mark.parametrize("widths", [((16,),) * 8, tuple((n,) for n in SKEWED)])
def test_heads_of_unlike_size_are_padded_by_less_than_twice_a_layer(widths):
    shape = skewed(widths)
    price = sum(shape.multiply_adds((50,)))
    assert price <= counted(shape, (50,), sum(SKEWED)) < 1.5 * price


def test_heads_of_like_size_are_one_group():
    assert len(SpecialistHeads(skewed(((16,),) * 8), (50,)).groups) == 7
    assert len(SpecialistHeads(plan(widths=((16,),) * 3), (50,)).groups) == 2
    assert len(SpecialistHeads(skewed(((),) * 8), (50,)).groups) == 1
