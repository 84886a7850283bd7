"""An augmented network: what its outputs see, and which heads are evaluated."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from hierlearn.networks import (
    AugmentedNetwork,
    HeadPlan,
    SpecialistHeads,
    TappedNetwork,
    mlp,
    tap_points,
    visited_clusters,
)

MEMBERS = ((0, 3), (1, 2, 5), (4,))
OVERLAPPING = ((0, 3), (1, 3, 5), (4, 0, 2))


def network(classifier="reinitialise", evaluate="all", members=(MEMBERS,), **settings):
    torch.manual_seed(0)
    base = mlp(7, 6, hidden_layer_sizes=(9, 8), dropout=0.5)
    tapped = TappedNetwork(base, tap_points(base, (7,), "hidden1"))
    augmented = AugmentedNetwork(tapped, classifier, evaluate, **settings)
    for clusters in members:
        plan = HeadPlan(clusters, ((5,),) * len(clusters))
        augmented.add_round(SpecialistHeads(plan, (9,)))
    for heads in augmented.heads:
        heads.reset_output()  # as if trained
    return augmented.double().eval()


def batch(n=40):
    torch.manual_seed(1)
    return torch.randn(n, 7, dtype=torch.float64)


def by_definition(augmented, x):
    """Compute the logits label by label."""
    seen = augmented.base(x)
    visits = augmented.visits(seen.logits)
    own = seen.logits if augmented.classifier is None else augmented.classifier(seen.own)
    result = torch.empty_like(seen.logits)
    for row in range(len(x)):
        for label in range(6):
            logit, visited = own[row, label].clone(), False
            for heads, mask in zip(augmented.heads, visits, strict=True):
                for head, codes in enumerate(heads.plan.members):
                    if label in codes and mask[row, head]:
                        visited = True
                        added = heads.one(seen.attach[row : row + 1], head)[0]
                        logit = logit + added[codes.index(label)]
            result[row, label] = logit if visited else seen.logits[row, label]
    return result


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("members", [(MEMBERS,), (OVERLAPPING,), (MEMBERS, OVERLAPPING)])
@pytest.mark.parametrize("evaluate", ["all", 1, 2, 3, 99, 0.4, 1e9, 1e-9])
@pytest.mark.parametrize("classifier", ["reinitialise", "warm", "keep"])
def test_logits_are_those_of_the_definition(classifier, evaluate, members, multilabel):
    augmented = network(classifier, evaluate, members, multilabel=multilabel)
    x = batch()
    with torch.no_grad():
        torch.testing.assert_close(augmented(x), by_definition(augmented, x))
        seen = augmented.base(x)
        found = augmented.from_features(seen.attach, seen.own)
        torch.testing.assert_close(augmented(x), found)


def test_a_warm_classifier_starts_from_the_base():
    augmented = network("warm", members=())
    x = batch()
    assert torch.equal(augmented(x), augmented.base(x).logits)
    assert augmented.classifier.weight is not augmented.base.classifier.weight


@pytest.mark.parametrize("evaluate", ["all", 2])
@pytest.mark.parametrize("classifier", ["warm", "keep"])
def test_untrained_heads_add_nothing_to_a_classifier_that_is_trained(classifier, evaluate):
    augmented = network(classifier, evaluate, members=())
    augmented.add_round(SpecialistHeads(HeadPlan(MEMBERS, ((5,),) * 3), (9,)))
    x = batch()
    torch.testing.assert_close(augmented(x), augmented.base(x).logits)


def test_each_output_sees_its_own_stack_and_its_clusters_heads():
    augmented, x = network(members=(OVERLAPPING,)), batch()
    for label in range(6):
        augmented.zero_grad()
        augmented(x)[:, label].sum().backward()
        (heads,) = augmented.heads
        homes = [heads.home(head) for head in range(3)]
        touched = [bool(group.weights[0].grad[place].any()) for group, place in homes]
        assert touched == [label in codes for codes in OVERLAPPING]
        rows = augmented.classifier.weight.grad.abs().sum(dim=1) > 0
        assert rows.nonzero().ravel().tolist() == [label]


def test_a_batch_that_visits_nothing_has_a_gradient_of_zero():
    augmented = network("keep", 1e9)
    augmented(batch()).sum().backward()
    assert all(not p.grad.any() for p in augmented.heads[0].parameters())


@pytest.mark.parametrize("evaluate", [np.int64(2), np.int32(1), np.float32(0.3)])
def test_numbers_of_numpy_count_as_such(evaluate):
    posteriors = torch.tensor([[0.2, 0.3, 0.3, 0.1, 0.1, 0.0]])
    wanted = visited_clusters(posteriors, MEMBERS, evaluate.item())
    assert torch.equal(visited_clusters(posteriors, MEMBERS, evaluate), wanted)


@pytest.mark.parametrize("evaluate", ["all", 2])
def test_nothing_reaches_the_frozen_base(evaluate):
    augmented = network(evaluate=evaluate)
    augmented.train()(batch()).sum().backward()
    assert all(parameter.grad is None for parameter in augmented.base.parameters())


def test_fine_tuning_reaches_everything_that_is_evaluated():
    augmented = network()
    augmented.fine_tuned = True
    augmented.train()(batch()).sum().backward()
    trained = {name for name, p in augmented.base.named_parameters() if p.grad is not None}
    assert trained == {
        f"module.{name}"
        for name in ("hidden1.weight", "hidden1.bias", "hidden2.weight", "hidden2.bias")
    }


@pytest.mark.parametrize("base_dropout", [False, True])
def test_dropout_of_the_base_stays_on_in_training_only_if_asked(base_dropout):
    augmented, x = network(base_dropout=base_dropout), batch()
    augmented.train()
    assert torch.equal(augmented(x), augmented(x)) != base_dropout
    augmented.eval()
    assert torch.equal(augmented(x), augmented(x))


def test_normalisation_of_the_base_stays_as_it_is():
    base = nn.Sequential(nn.Linear(7, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6))
    augmented = AugmentedNetwork(TappedNetwork(base, tap_points(base, (7,), "0")))
    before = copy.deepcopy(base.state_dict())
    augmented.train()(batch().float())
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())


def test_a_second_round_keeps_the_stacks_of_the_first():
    augmented = network(members=(MEMBERS, OVERLAPPING))
    first, second = augmented.heads
    augmented(batch()).sum().backward()
    assert all(group.weights[0].grad is None for group in first.groups)
    assert all(group.output.grad.any() for group in first.groups)
    assert all(group.weights[0].grad.any() for group in second.groups)


@pytest.mark.parametrize("classifier", ["reinitialise", "warm", "keep"])
def test_a_second_round_draws_the_classifier_anew_if_asked(classifier):
    augmented = network(classifier)
    output = augmented.heads[0].groups[0].output.clone()
    own = None if classifier == "keep" else augmented.classifier.weight.clone()
    augmented.add_round(SpecialistHeads(HeadPlan(MEMBERS, ((5,),) * 3), (9,)))
    anew = classifier == "reinitialise"
    assert torch.equal(augmented.heads[0].groups[0].output, output) != anew
    if own is not None:
        assert torch.equal(augmented.classifier.weight, own) != anew


@pytest.mark.parametrize(
    ("evaluate", "wanted"),
    [
        ("all", [[True] * 3] * 2),
        (1, [[False, True, False], [True, False, False]]),
        (2, [[True, True, False], [True, False, True]]),
        (3, [[True] * 3] * 2),
        (0.3, [[True, True, False], [True, False, False]]),
        (0.99, [[False] * 3] * 2),
    ],
)
def test_clusters_are_visited_by_posterior_mass(evaluate, wanted):
    posteriors = torch.tensor([[0.2, 0.3, 0.3, 0.1, 0.1, 0.0], [0.7, 0.0, 0.0, 0.1, 0.1, 0.1]])
    posteriors[1, 5] = 0.05
    assert visited_clusters(posteriors, MEMBERS, evaluate).tolist() == wanted
