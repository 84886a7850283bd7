"""Reading a network at two layers."""

import copy
import threading

import pytest
import torch
from torch import nn

from hierlearn.networks import TappedNetwork, TapPoints, mlp, tap_points


def cnn(inplace=False):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=inplace),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.ReLU(inplace=inplace),
        nn.Linear(8, 3),
    )


class Residual(nn.Module):
    """A network that is no chain of layers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(6, 8)
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 8))
        self.fc = nn.Linear(8, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        x = self.stem(x)
        return self.fc(x + self.block(x))


@pytest.mark.parametrize(
    ("module", "shape", "at", "attach"),
    [
        (mlp(6, 3, hidden_layer_sizes=(8, 5)), (6,), None, 2),
        (mlp(6, 3, hidden_layer_sizes=(8, 5)), (6,), "hidden2", 4),
        (mlp(6, 3, hidden_layer_sizes=(8, 5)), (6,), "input", 0),
        (mlp(6, 3, hidden_layer_sizes=()), (6,), None, 0),
        (cnn(), (1, 8, 8), None, 4),
        (cnn(), (1, 8, 8), "0", 3),
        (cnn(), (1, 8, 8), "5", 7),
        (Residual(), (6,), "stem", "stem"),
        (Residual(), (6,), "block.0", "block.0"),
        (Residual(), (6,), "input", "input"),
    ],
)
def test_points_are_found(module, shape, at, attach):
    assert tap_points(module, shape, at).attach == attach


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("point", range(8))
def test_a_chain_gives_its_features_and_its_own_logits(point, inplace):
    module, x = cnn(inplace).eval(), torch.randn(5, 1, 8, 8)
    seen = TappedNetwork(module, TapPoints(point, "7"))(x.clone())
    torch.testing.assert_close(seen.logits, module(x.clone()), rtol=0, atol=0)
    torch.testing.assert_close(seen.attach, module[:point](x.clone()), rtol=0, atol=0)
    torch.testing.assert_close(seen.own, module[:-1](x.clone()), rtol=0, atol=0)


def test_any_module_gives_its_features_and_keeps_no_hook():
    module, x = Residual().eval(), torch.randn(5, 6)
    seen = TappedNetwork(module, tap_points(module, (6,), "stem"))(x)
    torch.testing.assert_close(seen.logits, module(x), rtol=0, atol=0)
    # The block's in-place activation comes after what was read.
    torch.testing.assert_close(seen.attach, module.stem(x), rtol=0, atol=0)
    torch.testing.assert_close(module.fc(seen.own), seen.logits, rtol=0, atol=0)
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()]
    assert sum(hooks) == 0


def test_a_layer_that_stands_in_two_places_runs_twice():
    activation = nn.ReLU()
    module = nn.Sequential(
        nn.Linear(6, 5), activation, nn.Linear(5, 4), activation, nn.Linear(4, 3)
    )
    x = torch.randn(5, 6)
    seen = TappedNetwork(module, tap_points(module, (6,), "2"))(x)
    torch.testing.assert_close(seen.logits, module(x), rtol=0, atol=0)
    torch.testing.assert_close(seen.attach, module[:4](x), rtol=0, atol=0)


class Shifted(nn.Sequential):
    """A chain that does something else, too."""

    def forward(self, x):
        return super().forward(2 * x - 1)


def test_a_chain_with_a_forward_of_its_own_is_read_like_any_module():
    module = Shifted(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    x = torch.randn(5, 6)
    seen = TappedNetwork(module, tap_points(module, (6,), "1"))(x)
    torch.testing.assert_close(seen.logits, module(x), rtol=0, atol=0)
    nested = nn.Sequential(Shifted(nn.Linear(6, 5), nn.ReLU()), nn.Linear(5, 3))
    seen = TappedNetwork(nested, tap_points(nested, (6,), "0"))(x)
    torch.testing.assert_close(seen.logits, nested(x), rtol=0, atol=0)


@pytest.mark.parametrize("training", [False, True])
def test_what_is_read_is_not_overwritten_by_layers_further_up(training):
    layers = [nn.Linear(6, 5), nn.Identity(), nn.Dropout(0.0), nn.ReLU(inplace=True)]
    module = nn.Sequential(*layers, nn.Linear(5, 3)).train(training)
    x = torch.randn(5, 6)
    seen = TappedNetwork(module, TapPoints(1, "4"))(x)
    torch.testing.assert_close(seen.attach, layers[0](x), rtol=0, atol=0)
    assert (seen.attach < 0).any()


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x))


def test_the_default_attach_point_sees_into_blocks():
    pooled = [nn.AdaptiveAvgPool2d(2), nn.Dropout2d(0.1), nn.Flatten(), nn.Linear(16, 3)]
    blocks = nn.Sequential(Block(1), Block(4), *pooled)
    assert tap_points(blocks, (1, 8, 8)).attach == 4
    dense = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(64, 8), nn.ReLU()), nn.Linear(8, 3))
    assert tap_points(dense, (1, 8, 8)).attach == 3


def test_hooks_are_gone_after_an_error():
    module = Residual()
    tapped = TappedNetwork(module, tap_points(module, (6,), "stem"))
    with pytest.raises(RuntimeError):
        tapped(torch.randn(5, 7))
    assert not module.stem._forward_hooks


def test_two_threads_do_not_read_each_others_features():
    module = Residual().eval()
    tapped = TappedNetwork(module, tap_points(module, (6,), "stem"))
    inputs = [torch.full((2, 6), float(i)) for i in range(8)]
    wrong = []

    def read(x):
        for _ in range(50):
            if not torch.equal(tapped(x).attach, module.stem(x)):
                wrong.append(x)

    workers = [threading.Thread(target=read, args=(x,)) for x in inputs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize(
    ("module", "at", "message"),
    [
        (mlp(6, 3, hidden_layer_sizes=(8,)), "hidden9", "'hidden1', 'activation1'.*'hidden9'"),
        (mlp(6, 3, hidden_layer_sizes=(8,)), "output", "below the last one"),
        (Residual(), None, "its layers are .'stem', 'block'"),
        (Residual(), "stems", "its layers are .'stem', 'block'"),
        (Residual(), "fc", "runs before the last one"),
        (Residual(), "unused", "runs before the last one"),
        (nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)), None, "end in a torch.nn.Linear"),
    ],
)
def test_bad_points_are_refused(module, at, message):
    with pytest.raises(ValueError, match=message):
        tap_points(module, (6,), at)


def test_a_network_that_ends_in_no_linear_layer_is_refused():
    class Doubled(Residual):
        def forward(self, x):
            return 2 * super().forward(x)

    with pytest.raises(ValueError, match="Got Doubled as the last layer"):
        tap_points(Doubled(), (6,), "stem")


def test_finding_points_leaves_the_network_as_it_was():
    module = Residual().train()
    before = copy.deepcopy(module.state_dict())
    tap_points(module, (6,), "stem")
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
