"""Samples as small pictures: which arrays are images, and what becomes of them."""

import base64
import io

import numpy as np
import pytest

from hierlearn.reporting import gather
from hierlearn.reporting.pictures import Pictures, as_images

Image = pytest.importorskip("PIL.Image")


def opened(uri):
    head, _, data = uri.partition(",")
    assert head.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 3, 8, 9), (5, 8, 9, 3)),
        ((5, 8, 9, 3), (5, 8, 9, 3)),
        ((5, 1, 8, 9), (5, 8, 9, 1)),
        ((5, 8, 9), (5, 8, 9, 1)),
        ((5, 12), None),
        ((5, 7, 8, 9), None),
    ],
)
def test_images_by_their_shape(shape, expected):
    found = as_images(np.zeros(shape), None, None)
    assert (None if found is None else found.shape) == expected


def test_flat_rows_with_a_shape():
    assert as_images(np.zeros((5, 48)), None, (3, 4, 4)).shape == (5, 4, 4, 3)


def test_images_beside_features():
    found = as_images(np.zeros((5, 7)), np.zeros((5, 4, 4)), None)
    assert found.shape == (5, 4, 4, 1)


@pytest.mark.parametrize(
    ("images", "shape", "message"),
    [
        (None, (3, 3, 3), "image_shape must have"),
        (np.zeros((4, 8, 8)), None, "one a sample, 5"),
        (np.zeros((5, 8)), None, "images must have shape"),
    ],
)
def test_images_that_do_not_fit(images, shape, message):
    with pytest.raises(ValueError, match=message):
        as_images(np.zeros((5, 48)), images, shape)


@pytest.mark.parametrize("scale", [np.uint8(1), 1 / 255, 10.0])
def test_black_stays_black_whatever_the_scale(scale):
    images = np.zeros((2, 16, 16, 3), dtype=np.asarray(scale).dtype)
    images[1] = 255 * scale
    black, white = (opened(uri) for uri in Pictures(images, 10**6).of([0, 1]))
    assert black.max() < 5
    assert white.min() > 250


def test_large_images_become_small():
    images = np.random.default_rng(0).integers(256, size=(1, 300, 200, 3), dtype=np.uint8)
    (uri,) = Pictures(images, 10**6).of([0])
    assert opened(uri).shape == (64, 43, 3)


def test_pictures_stop_where_there_is_no_room():
    images = np.random.default_rng(0).integers(256, size=(9, 16, 16, 3), dtype=np.uint8)
    size = len(Pictures(images, 10**6).of([0])[0])
    assert len(Pictures(images, 3 * size + size // 2).of(range(9))) == 3


def test_report_shows_examples_and_mistakes(told):
    model, X, y, partition = told(6, 2, n_samples=300)
    images = np.zeros((300, 4, 4), dtype=np.uint8) + y[:, None, None].astype(np.uint8) * 40
    data = gather(model, X, y, partition=partition, images=images)
    assert all(len(row.pictures) == 3 for row in data.classes)
    for cluster in data.clusters:
        for pair in cluster.pairs:
            assert len(pair.pictures) == min(pair.count, 4)
            level = opened(pair.pictures[0]).mean()
            assert level == pytest.approx(40 * int(data.classes[pair.one].name), abs=6)
