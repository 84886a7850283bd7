"""Softened posteriors and the loss that learns them."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn import functional

from hierlearn.networks.soft_targets import DistillationLoss, SoftTargets, soften


@pytest.fixture
def logits():
    return np.random.RandomState(0).normal(size=(6, 4)) * 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("multilabel", [False, True])
def test_softened_posteriors_are_those_of_divided_logits(logits, temperature, multilabel):
    def posteriors(values):
        values = torch.as_tensor(values)
        return (torch.sigmoid(values) if multilabel else torch.softmax(values, dim=1)).numpy()

    softened = soften(posteriors(logits), temperature, multilabel=multilabel)
    assert_allclose(softened, posteriors(logits / temperature), atol=1e-12)


@pytest.mark.parametrize("multilabel", [False, True])
def test_temperatures_near_zero_name_the_most_probable(multilabel):
    found = soften([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], 1e-6, multilabel=multilabel)
    assert_allclose(found, [[0.5, 0, 0], [0, 0, 1]] if multilabel else [[1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("multilabel", [False, True])
def test_certain_posteriors_stay_certain(multilabel):
    certain = np.eye(3)
    assert_allclose(soften(certain, 5.0, multilabel=multilabel), certain)


@pytest.mark.parametrize("multilabel", [False, True])
def test_loss_is_zero_where_the_student_says_what_the_teacher_says(logits, multilabel):
    z = torch.as_tensor(logits)
    soft = torch.sigmoid(z / 3) if multilabel else torch.softmax(z / 3, dim=1)
    target = torch.zeros_like(z) if multilabel else torch.zeros(6, dtype=torch.long)
    loss = DistillationLoss(3.0, 1.0, multilabel)
    assert_allclose(loss(z, target, soft).numpy(), 0, atol=1e-12)


@pytest.mark.parametrize("multilabel", [False, True])
def test_certain_teachers_give_no_infinite_loss(multilabel):
    soft = torch.eye(3)
    target = soft if multilabel else torch.arange(3)
    loss = DistillationLoss(2.0, 0.5, multilabel)(torch.zeros(3, 3), target, soft)
    assert torch.isfinite(loss).all()


def test_without_a_teacher_the_loss_is_that_of_the_labels(logits):
    z, target = torch.as_tensor(logits), torch.arange(6) % 4
    loss = DistillationLoss(2.0, 0.0, False)(z, target, torch.full((6, 4), 0.25))
    assert_allclose(loss.numpy(), functional.cross_entropy(z, target, reduction="none").numpy())


def test_gradients_at_high_temperature_are_those_of_matched_logits(logits):
    # Hinton, Vinyals & Dean, eq. 4: with T large, T^2 times the gradient is (z - v) / K for
    # zero-meaned logits z, v.
    v = torch.as_tensor(logits - logits.mean(axis=1, keepdims=True))
    z = torch.zeros_like(v, requires_grad=True)
    temperature = 1000.0
    loss = DistillationLoss(temperature, 1.0, False)
    loss(
        z, torch.zeros(6, dtype=torch.long), torch.softmax(v / temperature, dim=1)
    ).sum().backward()
    assert_allclose(z.grad.numpy(), -v.numpy() / 4, rtol=0.02, atol=1e-3)


def test_rows_are_taken_along():
    soft = SoftTargets(np.eye(3), 2.0, 0.9)
    assert_allclose(soft.of_rows(np.array([True, False, True])).values, np.eye(3)[[0, 2]])
