"""Random flips and crops of training images."""

import numpy as np
import pytest
import torch

from hierlearn.networks import Augmentation

IMAGES = torch.arange(200 * 2 * 8 * 6, dtype=torch.float32).reshape(200, 2, 8, 6)


def changed(names, images=IMAGES, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Augmentation(names)(images)


def test_flip_mirrors_about_half_and_leaves_the_rest():
    flipped = changed(["flip"])
    same = (flipped == IMAGES).flatten(1).all(1)
    mirrored = (flipped == IMAGES.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 0.35 < mirrored.double().mean() < 0.65


def test_crop_is_a_window_of_the_padded_image():
    cropped = changed(["crop"])
    padded = torch.nn.functional.pad(IMAGES, (1, 1, 1, 1), mode="replicate")
    windows = torch.stack([padded[..., i : i + 8, j : j + 6] for i in range(3) for j in range(3)])
    found = (cropped == windows).flatten(2).all(2)
    assert (found.sum(0) == 1).all()
    assert (found.sum(1) > 0).all()  # every window occurs


def test_crop_moves_by_an_eighth_of_a_side():
    image = torch.arange(32.0).repeat(500, 1, 32, 1)
    reached = changed(["crop"], image)[:, 0, 0, 16] - 16
    assert (reached.min(), reached.max()) == (-4, 4)


@pytest.mark.parametrize("names", [[], ["flip"], ["crop"], ["crop", "flip"]])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64])
def test_shape_dtype_and_input_are_kept(names, dtype):
    images = torch.ones(3, 1, 5, 7, dtype=dtype)
    out = changed(names, images)
    assert (out.shape, out.dtype) == (images.shape, dtype)
    assert (images == 1).all()


@pytest.mark.parametrize("shape", [(4, 3, 1, 9), (4, 1, 1, 1)])
def test_images_of_one_line_pass(shape):
    images = torch.rand(shape)
    assert changed(["flip", "crop"], images).shape == shape


def test_lots_are_those_of_torchs_generator():
    names = ["flip", "crop"]
    assert torch.equal(changed(names), changed(names))
    assert not torch.equal(changed(names), changed(names, seed=1))


@pytest.mark.parametrize("names", ["flip", ["rotate"], ["flip", None], np.array(["Flip"])])
def test_unknown_change_is_refused(names):
    with pytest.raises(ValueError, match=r"augment must be a list of some of 'crop', 'flip'\. Got"):
        Augmentation(names)
