"""What a network costs, checked against sums one can do by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hierlearn.cost import Cost, estimator_cost
from hierlearn.networks import layer_multiply_adds, mlp
from hierlearn.networks.pricing import LayerCost, layer_costs, network_cost


@pytest.mark.parametrize(
    ("module", "shape", "multiply_adds", "parameters"),
    [
        (mlp(10, 3, hidden_layer_sizes=()), (10,), 30, 33),
        (mlp(10, 3, hidden_layer_sizes=(20,)), (10,), 260, 283),
        (mlp(10, 3, hidden_layer_sizes=(20,), dropout=0.5), (10,), 260, 283),
        # Normalisation has parameters, and no multiply-adds to speak of.
        (nn.Sequential(nn.BatchNorm1d(10), nn.Linear(10, 3, bias=False)), (10,), 30, 50),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4), 176, 74),
        (nn.Sequential(), (10,), 0, 0),
    ],
    ids=["linear", "mlp", "dropout", "normalised", "convolution", "empty"],
)
def test_cost_by_hand(module, shape, multiply_adds, parameters):
    assert network_cost(module, shape) == (multiply_adds, parameters)


def test_cost_of_the_papers_network_on_cifar_pixels():
    multiply_adds, parameters = network_cost(mlp(3072, 100), (3072,))
    assert multiply_adds == 3072 * 200 + 200 * 150 + 150 * 100
    assert parameters == multiply_adds + 200 + 150 + 100


def test_cost_of_a_fitted_classifier(small, blobs):
    clf = small((4,), max_epochs=1).fit(*blobs)
    assert estimator_cost(clf) == Cost(5 * 4 + 4 * 3, 5 * 4 + 4 + 4 * 3 + 3)


# -- layer by layer --------------------------------------------------------------------------------

IMAGE = (3, 8, 8)


def convolutional():
    """Every kind of convolution on the way from an image to five outputs."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, groups=4), nn.GELU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(8, 5),
    )


class Residual(nn.Module):
    """The input is added to what the layer makes of it."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.inner(x)


class Batched(nn.Module):
    """Three heads as one batched product; the layer that it holds is used as weights only."""

    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([torch.randn(3, 4, 5), torch.randn(3, 5, 2)])
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        hidden = torch.einsum("ni,hio->hno", x, self.weights[0])
        return torch.bmm(hidden, self.weights[1]).transpose(0, 1).flatten(1) @ self.inner.weight


class Declared(Batched):
    """The same, naming its price."""

    def multiply_adds(self, input_shape):
        assert input_shape == (4,)
        return 3 * (4 * 5 + 5 * 2) + 6 * 6


class LowRank(nn.Linear):
    """Looks like a linear layer and computes something else."""

    def __init__(self, n_inputs, n_outputs, rank):
        super().__init__(n_inputs, n_outputs)
        self.down, self.up = nn.Linear(n_inputs, rank), nn.Linear(rank, n_outputs)

    def forward(self, x):
        return self.up(self.down(x))


class Routed(nn.Module):
    """Looks at values, so that it cannot run without them."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList([nn.Linear(4, 2), nn.Linear(4, 2)])

    def forward(self, x):
        return self.heads[int(x.sum().item() > 0)](x)


class RoutedDeclared(Routed):
    multiply_adds = 8

    def output_shape(self, input_shape):
        return (2,)


NETWORKS = {
    "mlp": (mlp(30, 7, hidden_layer_sizes=(20, 10), dropout=0.5), (30,)),
    "convolutional": (convolutional(), IMAGE),
    "double": (convolutional().double(), IMAGE),
    "sequence": (nn.Sequential(nn.Linear(10, 7, bias=False), nn.LayerNorm(7)), (5, 10)),
    "dilated": (nn.Conv2d(3, 8, 3, dilation=2), IMAGE),
    "same padding": (nn.Conv2d(3, 6, (1, 5), padding="same", groups=3), IMAGE),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4, stride=(2, 1)), (4, 8, 8)),
    "one dimension": (nn.Conv1d(3, 6, 4, padding=2), (3, 11)),
    "three dimensions": (nn.Conv3d(2, 3, 2), (2, 4, 4, 4)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1), IMAGE),
    "transposed groups": (nn.ConvTranspose1d(4, 6, 3, groups=2), (4, 9)),
    "residual": (nn.Sequential(Residual(), nn.ReLU(), nn.Linear(4, 2)), (4,)),
    "batched": (Batched(), (4,)),
    "batched in a chain": (nn.Sequential(nn.Linear(9, 4), Batched(), nn.Linear(6, 2)), (9,)),
    "declared": (nn.Sequential(nn.Linear(9, 4), Declared(), nn.Linear(6, 2)), (9,)),
    "own forward": (nn.Sequential(LowRank(6, 6, 2)), (6,)),
}


def counted_by_torch(module, shape):
    """Count on a batch of real numbers."""
    dtype = next(module.parameters()).dtype
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, *shape, dtype=dtype))
    return counter.get_total_flops()


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_are_half_of_torchs_flops(name):
    module, shape = NETWORKS[name]
    assert 2 * network_cost(module, shape)[0] == counted_by_torch(module, shape)


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_add_up(name):
    module, shape = NETWORKS[name]
    assert network_cost(module, shape)[1] == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["mlp", "convolutional", "sequence", "residual"])
def test_layers_of_weights_agree_with_the_count_that_splits_networks(name):
    module, shape = NETWORKS[name]
    counts = {row.name: row.multiply_adds for row in layer_costs(module, shape)}
    assert {name: count for name, count in counts.items() if count} == layer_multiply_adds(
        module, shape
    )


def test_rows_counted_by_hand():
    assert layer_costs(convolutional(), IMAGE) == (
        LayerCost("0.0", "Conv2d", (8, 8, 8), 8 * 27 * 64, 8 * 27 + 8, 4 * 512),
        LayerCost("0.1", "BatchNorm2d", (8, 8, 8), 0, 16, 4 * 512),
        LayerCost("0.2", "ReLU", (8, 8, 8), 0, 0, 0),  # in place
        LayerCost("1.0", "Conv2d", (8, 3, 3), 8 * 18 * 9, 8 * 18 + 8, 4 * 72),
        LayerCost("1.1", "GELU", (8, 3, 3), 0, 0, 4 * 72),
        LayerCost("1.2", "MaxPool2d", (8, 1, 1), 0, 0, 4 * 8),
        LayerCost("2", "Flatten", (8,), 0, 0, 0),  # a view
        LayerCost("3", "Dropout", (8,), 0, 0, 0),  # does nothing in prediction
        LayerCost("4", "Linear", (5,), 40, 45, 4 * 5),
    )


def test_double_precision_takes_twice_the_memory():
    single, double = (
        [row.activation_bytes for row in layer_costs(module, IMAGE)]
        for module in (convolutional(), convolutional().double())
    )
    assert double == [2 * n_bytes for n_bytes in single]


def test_layer_used_twice_has_its_parameters_once():
    layer = nn.Linear(6, 6)
    rows = layer_costs(nn.Sequential(layer, nn.ReLU(), layer), (6,))
    assert rows[0] == LayerCost("0", "Linear", (6,), 72, 42, 48)
    assert [row.kind for row in rows] == ["Linear", "ReLU"]


def test_tied_weights_count_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    rows = layer_costs(nn.Sequential(first, second), (4,))
    assert [row.parameters for row in rows] == [20, 4]
    assert [row.multiply_adds for row in rows] == [16, 16]


def test_module_made_of_others_has_a_row_for_what_it_does_itself():
    inner, outer = sorted(layer_costs(Residual(), (4,)), key=lambda row: row.kind)
    assert inner == LayerCost("inner", "Linear", (4,), 16, 20, 16)
    assert outer == LayerCost("", "Residual", (4,), 0, 0, 16)


@pytest.mark.parametrize("kind", [Batched, Declared])
def test_custom_layer_is_one_row(kind):
    rows = layer_costs(kind(), (4,))
    n_parameters = 3 * (20 + 10) + 42
    assert rows == (LayerCost("", kind.__name__, (6,), 90 + 36, n_parameters, 24),)


def test_layers_within_a_layer_that_declares_its_price_are_not_looked_at():
    class Half(nn.Sequential):
        multiply_adds = 10.5

    rows = layer_costs(nn.Sequential(Half(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 2)), (4,))
    assert [(row.name, row.multiply_adds, row.parameters) for row in rows] == [
        ("0", 10.5, 20),
        ("1", 8, 10),
    ]


def test_layer_that_looks_at_values_can_declare_itself():
    network = nn.Sequential(nn.Linear(3, 4), RoutedDeclared(), nn.ReLU())
    assert layer_costs(network, (3,))[1] == LayerCost("1", "RoutedDeclared", (2,), 8, 20, 8)
    assert network(torch.zeros(1, 3)).shape == (1, 2)  # runs as before


def test_layer_that_looks_at_values_is_named():
    with pytest.raises(ValueError, match=r"in layer '1' \(Routed\) instead; .*output_shape") as e:
        layer_costs(nn.Sequential(nn.Linear(3, 4), Routed()), (3,))
    assert "\n" not in str(e.value)


def test_parameters_of_a_layer_that_does_not_run_are_counted():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(4, 2), nn.Linear(4, 3)

        def forward(self, x):
            return self.used(x)

    assert layer_costs(Spare(), (4,)) == (
        LayerCost("used", "Linear", (2,), 8, 10, 8),
        LayerCost("spare", "Linear", None, 0, 15, 0),
    )


def test_attention_counts_projections_and_products():
    length, width = 5, 8
    module = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)
    projections, products = 4 * length * width**2, 2 * length**2 * width
    assert network_cost(module, (length, width)) == (
        projections + products + 2 * length * width * 16,
        sum(p.numel() for p in module.parameters()),
    )


def test_recurrent_layer_counts_every_step():
    module = nn.LSTM(5, 7, batch_first=True)
    (row,) = layer_costs(module, (3, 5))
    assert row.multiply_adds == 3 * 4 * 7 * (5 + 7)
    assert row.output_shape == (3, 7)


def test_functional_layers_are_counted_where_they_are_called():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.zeros(4, 3, 3, 3))
            self.last = nn.Linear(4, 2)

        def forward(self, x):
            return self.last(functional.conv2d(x, self.kernel).amax((2, 3)))

    assert [
        (row.name, row.multiply_adds, row.parameters) for row in layer_costs(Functional(), IMAGE)
    ] == [
        ("", 4 * 27 * 36, 4 * 27),
        ("last", 8, 10),
    ]


def test_pricing_leaves_the_network_alone():
    network = convolutional().train()
    network[4].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    layer_costs(network, IMAGE)
    assert network.training
    assert not network[4].weight.requires_grad
    assert not any(layer._forward_hooks for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_large_networks_are_priced_at_no_cost():
    with torch.device("meta"):  # 40 GB, were they filled
        network = nn.Sequential(nn.Linear(100_000, 100_000), nn.Linear(100_000, 10))
    assert network_cost(network, (100_000,))[0] == 10**10 + 10**6
