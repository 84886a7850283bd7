"""The layer that centres and scales the pixels."""

import numpy as np
import pytest
import torch

from hierlearn.networks.standardise import Standardise


def measured(images, weights, batch=7):
    layer = Standardise(images.shape[1]).double()
    layer.measure(zip(images.split(batch), weights.split(batch), strict=True))
    return layer


def test_channels_end_with_mean_zero_and_deviation_one():
    images = torch.randint(0, 256, (40, 3, 5, 4), generator=torch.Generator().manual_seed(0))
    out = measured(images, torch.ones(40))(images.double()).transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(out.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(out.std(1), 1)


def test_weight_counts_like_repetition():
    images = torch.rand(10, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    times = torch.arange(10) % 3
    weighted, repeated = (
        measured(images, times),
        measured(images.repeat_interleave(times, 0), torch.ones(int(times.sum()))),
    )
    torch.testing.assert_close(weighted.deviation, repeated.deviation)
    torch.testing.assert_close(weighted.mean, repeated.mean)


def test_constant_channel_is_only_centred():
    layer = measured(torch.full((9, 1, 2, 2), 0.1), torch.ones(9))
    assert layer.deviation.item() == 1
    torch.testing.assert_close(layer(torch.full((1, 1, 1, 1), 1.1).double()).item(), 1.0)


def test_squares_beyond_the_largest_number_are_refused():
    images = torch.full((4, 1, 2, 2), 1e300, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"squares can be added up.* Got a mean of 1e\+300"):
        measured(images, torch.ones(4))
