"""Convolutional networks from descriptions: layers, shapes, prices, errors."""

import pytest
import torch
from torch import nn

from hierlearn.networks import chain, cnn
from hierlearn.networks.layer_text import (
    NETWORKS,
    Conv,
    FullyConnected,
    Norm,
    Pool,
    parse_layers,
    scaled_layers,
)
from hierlearn.networks.pricing import layer_costs

TINY = ("conv 3x3|4", "norm", "pool 2", "fc 6")


def output(network, *shape):
    return network.eval()(torch.randn(2, *shape))


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("conv 5x5|32", Conv((5, 5), 32)),
        ("conv 3|8", Conv((3, 3), 8)),
        ("Conv  3x1 | 8  stride 2", Conv((3, 1), 8, stride=2)),
        ("conv 11x11|64 stride 4 pad 0", Conv((11, 11), 64, stride=4, pad=0)),
        ("pool 2", Pool((2, 2))),
        ("pool 3x2 stride 2", Pool((3, 2), stride=2)),
        ("norm", Norm()),
        ("fc 1024", FullyConnected(1024)),
    ],
)
def test_text_is_read_and_written_back(text, layer):
    assert parse_layers([text]) == (layer,)
    assert parse_layers([str(layer)]) == (layer,)


@pytest.mark.parametrize(
    "text",
    [
        *("", "conv", "conv 3x3", "conv 3x3|0", "conv 3x3|8 stride 0", "conv 3x3|8 stride", "pool"),
        *("convolution 3x3|8", "conv 0x3|8", "fc", "fc 0", "fc -3", 7),
    ],
)
def test_malformed_text_is_refused(text):
    with pytest.raises(ValueError, match=r"network must hold layers such as .* Got .* instead\.$"):
        parse_layers([text])


def test_maps_after_a_fully_connected_layer_are_refused():
    with pytest.raises(ValueError, match="Got 'pool 2' after one instead"):
        parse_layers(["fc 3", "pool 2"])


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"'cnn_1', 'cnn_2', .*'cnn_tl_5'\. Got 'cnn_9' instead"):
        parse_layers("cnn_9")


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_networks_have_the_weight_layers_of_the_tables(name):
    weighted = [layer for layer in parse_layers(name) if isinstance(layer, Conv | FullyConnected)]
    # The first table's depths leave the classifier layer out, the second's (8) count it.
    depths = {"cnn_1": 6, "cnn_2": 6, "cnn_3": 6, "cnn_4": 8, "cnn_5": 10}
    assert len(weighted) == depths.get(name, 7)


@pytest.mark.parametrize("factor", [0.01, 1, 2.5])
def test_scaling_changes_widths_only(factor):
    wide = parse_layers(scaled_layers("cnn_tl_1", factor))
    for before, after in zip(parse_layers("cnn_tl_1"), wide, strict=True):
        if isinstance(before, Conv):
            assert (after.size, after.stride, after.pad) == (before.size, before.stride, before.pad)
            assert after.maps == max(1, round(before.maps * factor))
        elif isinstance(before, FullyConnected):
            assert after.units == max(1, round(before.units * factor))
        else:
            assert after == before


# -- networks --------------------------------------------------------------------------------------


def test_layers_are_named_by_kind():
    names = [name for name, _ in chain(cnn((1, 8, 8), 3, network=TINY, batch_norm=True))]
    maps = ["conv1", "batch_norm1", "activation1", "norm1", "pool1"]
    assert names == [*maps, "flatten", "fc1", "activation2", "dropout1", "output"]


def test_no_dropout_no_layer():
    assert not any(isinstance(m, nn.Dropout) for m in cnn((1, 8, 8), 3, dropout=0).modules())


def test_first_network_costs_what_the_table_says():
    costs = layer_costs(cnn((3, 32, 32), 100), (3, 32, 32))
    priced = {layer.name: layer.multiply_adds for layer in costs if layer.multiply_adds}
    assert priced == {
        "conv1": 32**2 * 5 * 5 * 3 * 32,
        "conv2": 16**2 * 5 * 5 * 32 * 32,
        "conv3": 8**2 * 5 * 5 * 32 * 64,
        "conv4": 4**2 * 5 * 5 * 64 * 64,
        "fc1": 2 * 2 * 64 * 1024,
        "fc2": 1024 * 512,
        "output": 512 * 100,
    }


def test_second_table_shrinks_maps_as_the_appendix_says():
    with torch.device("meta"):
        network = cnn((3, 224, 224), 10, network="cnn_tl_1")
    shapes = {row.name: row.output_shape for row in layer_costs(network, (3, 224, 224))}
    assert [shapes[f"pool{i}"] for i in (1, 2, 3)] == [(64, 27, 27), (256, 13, 13), (256, 6, 6)]
    assert shapes["conv1"] == (64, 54, 54)


@pytest.mark.parametrize("name", ["cnn_1", "cnn_3", "cnn_5"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 8), (2, 1, 40), (4, 33, 19)])
def test_any_size_and_channels_pass(name, shape):
    assert output(cnn(shape, 5, network=name), *shape).shape == (2, 5)


@pytest.mark.parametrize("text", ["conv 4x4|3", "conv 2x2|3 stride 2", "conv 1x5|3"])
def test_even_and_oblong_filters_pass(text):
    assert output(cnn((1, 6, 9), 5, network=[text, "pool 3 stride 2"]), 1, 6, 9).shape == (2, 5)


def test_filter_larger_than_its_map_is_refused():
    with pytest.raises(ValueError, match=r"Got 'conv 5x5\|3 pad 0' over maps of 4 x 4 instead"):
        cnn((1, 8, 8), 2, network=["pool 2", "conv 5x5|3 pad 0"])


def test_channels_last_computes_the_same():
    network, x = cnn((3, 16, 16), 5, network="cnn_2").eval(), torch.randn(4, 3, 16, 16)
    expected = network(x)
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(x), expected)
