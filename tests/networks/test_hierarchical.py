"""A hierarchy as one torch module, and the loss it is trained by."""

import numpy as np
import pytest
import torch
from torch import nn

from hierlearn.networks.hierarchical import CoarseConsistencyLoss, HierarchicalNetwork

MEMBERS = [[0, 2], [1, 2, 3]]
LABELS = np.array([0, 1, 0, 1])


def network(gate_outputs=4, branches=None):
    torch.manual_seed(0)
    branches = [nn.Linear(3, 2), nn.Linear(3, 3)] if branches is None else branches
    return HierarchicalNetwork(
        nn.Linear(5, 3), nn.Linear(3, gate_outputs), branches, MEMBERS, LABELS, gate_outputs == 4
    )


@pytest.mark.parametrize("gate_outputs", [2, 4])
def test_posteriors_are_averaged_over_the_branches(gate_outputs):
    model, x = network(gate_outputs), torch.randn(6, 5)
    found = model(x).exp()
    features = model.trunk(x)
    gate = model.gate(features).softmax(dim=1)
    if gate_outputs == 4:
        gate = torch.stack([gate[:, [0, 2]].sum(dim=1), gate[:, [1, 3]].sum(dim=1)], dim=1)
    inside = [branch(features).softmax(dim=1) for branch in model.branches]
    expected = torch.zeros(6, 4)
    for cluster, codes in enumerate(MEMBERS):
        for column, code in enumerate(codes):
            expected[:, code] += gate[:, cluster] * inside[cluster][:, column]
    torch.testing.assert_close(found[:, :4], expected)
    torch.testing.assert_close(found[:, 4:], gate)
    torch.testing.assert_close(found[:, :4].sum(dim=1), torch.ones(6))


def test_cluster_without_a_branch_is_split_evenly():
    model, x = network(branches=[None, nn.Linear(3, 3)]), torch.randn(4, 5)
    found = model(x).exp()
    torch.testing.assert_close(found[:, 0], found[:, 4] / 2)


def test_every_part_gets_a_gradient():
    model = network()
    loss = nn.functional.nll_loss(model(torch.randn(8, 5))[:, :4], torch.arange(8) % 4)
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


def test_loss_counted_by_hand():
    classes = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    clusters = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    loss = CoarseConsistencyLoss(torch.tensor([0.5, 0.5]), consistency=10.0)
    found = loss(torch.cat([classes, clusters], dim=1).log(), torch.tensor([0, 1]))
    drift = 10 / 2 * (0.2**2 + 0.2**2)
    expected = torch.tensor([-np.log(0.5) + drift, -np.log(0.75) + drift], dtype=torch.float32)
    torch.testing.assert_close(found, expected)


def test_without_consistency_the_gate_is_free():
    loss = CoarseConsistencyLoss(torch.tensor([1.0, 0.0]), consistency=0.0)
    outputs = torch.tensor([[0.5, 0.5, 0.0001, 0.9999]]).log()
    torch.testing.assert_close(
        loss(outputs, torch.tensor([0])), torch.tensor([np.log(2.0)]).float()
    )
