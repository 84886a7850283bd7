"""Characters drawn on the spot: many classes whose confusions a person can see."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from hierlearn._validation import Interval, as_random_state, validate_parameter_constraints
from hierlearn.datasets._alphabet import collect_alphabet
from hierlearn.datasets._characters import character_group, character_name
from hierlearn.datasets._fonts import FACES, OVERSAMPLING
from hierlearn.datasets._jitter import draw_transforms, sample_images

__all__ = ["load_glyphs"]

_TEST_SHARE = 4  # one sample in four is a test sample, as one style in four is a test style
_TEST_STYLE = "bold oblique"
_NOISE_BATCH = 2048

_CONSTRAINTS = {
    "n_classes": [Interval(Integral, 2, None, closed="left")],
    "n_samples_per_class": [Interval(Integral, 4, None, closed="left")],
    "image_size": [Interval(Integral, 8, None, closed="left")],
    "jitter": [Interval(Real, 0, None, closed="left")],
    "noise": [Interval(Real, 0, None, closed="left")],
    "unseen_faces": ["boolean"],
    "homoglyphs": ["boolean"],
    "random_state": ["random_state"],
    "return_X_y": ["boolean"],
}

_DESCR = """\
{n_classes} characters, {n_train} training and {n_test} test images of {size}x{size} grey pixels.

Each image is a character drawn in one of the faces of DejaVu Sans, Sans Mono and Serif that come
with matplotlib, on a common baseline, turned, sheared, scaled and shifted at random, with noise.
The test images are drawn in {test_faces}.

Bitstream and the DejaVu authors allow the fonts to be used freely.
"""


@dataclass(frozen=True)
class _Draws:
    """What each image shows: position of its class, and its face."""

    classes: NDArray[np.int64]
    faces: NDArray[np.int64]


def load_glyphs(
    n_classes: int = 300,
    *,
    n_samples_per_class: int = 40,
    image_size: int = 20,
    jitter: float = 1.0,
    noise: float = 0.1,
    unseen_faces: bool = True,
    homoglyphs: bool = False,
    random_state: Any = 0,
    return_X_y: bool = False,
) -> Any:
    """Draw small grey images of several hundred characters, in several faces.

    A data set with many classes that needs no download: digits, Latin, Greek and Cyrillic
    letters, punctuation, accented letters and symbols, from the fonts that come with matplotlib.
    The characters stand on a common baseline, so size and height tell ``o`` from ``O`` and ``,``
    from ``'``; jitter and noise make the rest of the difficulty. What a classifier confuses can
    be seen: ``0 O``, ``l 1 I``, ``3 З``, ``Â Ä``.

    Parameters
    ----------
    n_classes : int, default=300
        Number of characters, up to 3,000 (the fonts have some more). The most familiar come
        first: 10 are the digits, 62 the digits and the Latin letters; Greek, Cyrillic, ASCII
        punctuation, accented Latin letters and signs follow, then rarer characters.
    n_samples_per_class : int, default=40
        Images of each character, at least 4. One in four is a test image.
    image_size : int, default=20
        Side of the images in pixels, at least 8.
    jitter : float, default=1.0
        Strength of the random affine jitter: 1 turns by up to 5 degrees, shears by up to 0.06,
        scales each axis by up to 6 % and shifts by up to 3 % of the side; 0 has none.
    noise : float, default=0.1
        Standard deviation of the Gaussian noise on pixels in [0, 1]; they are clipped after it.
    unseen_faces : bool, default=True
        Draw the test images in the bold oblique face of each family, and the training images in
        the other three: the test asks for faces never seen, though their weight and their slant
        were. False draws both in all faces, and they differ by jitter and noise only.
    homoglyphs : bool, default=False
        Keep characters that look like an earlier one, pixel for pixel in at least half of the
        faces, such as the Greek and the Cyrillic capital A. No classifier can tell them from the
        images; so by default only the first is a class.
    random_state : int, RandomState instance or None, default=0
        Draws faces, jitter, noise and the order of the rows. The same int gives the same images
        with the same versions of numpy, Pillow and the fonts. The global numpy random state is
        never used.
    return_X_y : bool, default=False
        Return ``(data, target)``, all images, and not a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_samples, image_size**2), dtype float32
            Pixels in [0, 1], ink bright, row by row; the training images first.
        target : ndarray of shape (n_samples,), dtype str
            The characters.
        face : ndarray of shape (n_samples,), dtype int64
            Position of each image's face in ``face_names``.
        images : ndarray of shape (n_samples, image_size, image_size), dtype float32
            The same pixels as ``data``.
        data_train, data_test : ndarray, views of the rows of ``data``
            Training and test images, in random order.
        target_train, target_test : ndarray, views of the entries of ``target``
            Their characters.
        target_names : ndarray of shape (n_classes,), dtype str
            Name of each character, in the order of the sorted characters.
        groups : dict
            From character to script or kind: "Latin", "Number", "Symbol", ...
        face_names : list of str
            Family and style of the faces.
        feature_names : list of str
            "pixel_row_column" of each column of ``data``.
        image_shape : tuple
            (1, image_size, image_size), channels first.
        DESCR : str
            Description of the set.
    (data, target) : tuple of ndarray, with ``return_X_y=True``
        The first two of these.

    Raises
    ------
    ValueError
        If a parameter is out of range, or the fonts have fewer than ``n_classes`` characters.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> from hierlearn.datasets import load_glyphs
    >>> glyphs = load_glyphs(n_classes=12, n_samples_per_class=8)
    >>> glyphs.data_train.shape, glyphs.data_test.shape
    ((72, 400), (24, 400))
    >>> "".join(sorted(set(glyphs.target)))
    '0123456789AB'
    >>> str(glyphs.target_names[10]), glyphs.groups["A"]
    ('latin capital letter a', 'Latin')
    """
    validate_parameter_constraints(_CONSTRAINTS, dict(locals()), caller_name="load_glyphs")
    rng = as_random_state(random_state)
    alphabet = collect_alphabet(n_classes, image_size, homoglyphs=homoglyphs)
    train, test = _draw_split(alphabet.rows >= 0, n_samples_per_class, unseen_faces, rng)
    classes = np.concatenate([train.classes, test.classes])
    faces = np.concatenate([train.faces, test.faces])

    transforms = draw_transforms(len(classes), jitter, rng)
    drawings = alphabet.rows[classes, faces]
    data = sample_images(alphabet.glyphs, drawings, transforms, image_size, OVERSAMPLING)
    _add_noise(data, noise, rng)
    target = np.array(alphabet.characters)[classes]
    if return_X_y:
        return data, target
    return Bunch(
        **_parts(data, target, len(train.classes)),
        **_names(alphabet.characters, image_size),
        face=faces,
        images=data.reshape(-1, image_size, image_size),
        DESCR=_describe(n_classes, len(train.classes), len(test.classes), image_size, unseen_faces),
    )


def _draw_split(
    available: NDArray[np.bool_],
    n_samples_per_class: int,
    unseen_faces: bool,
    rng: np.random.RandomState,
) -> tuple[_Draws, _Draws]:
    """Draw the training and the test part from the faces available to each class."""
    n_test = max(1, round(n_samples_per_class / _TEST_SHARE))
    held_out = np.array([face.style == _TEST_STYLE for face in FACES])
    in_train, in_test = (~held_out, held_out) if unseen_faces else (True, True)
    train = _draw_part(available & in_train, n_samples_per_class - n_test, rng)
    return train, _draw_part(available & in_test, n_test, rng)


def _draw_part(
    available: NDArray[np.bool_], n_samples_per_class: int, rng: np.random.RandomState
) -> _Draws:
    """Give every class its images, spread over the faces available to it, in random order."""
    n_classes = len(available)
    counts = available.sum(axis=1)[:, None]
    first = np.argsort(~available, axis=1, kind="stable")  # the available faces come first
    turns = rng.randint(counts, size=(n_classes, 1)) + np.arange(n_samples_per_class)
    faces = np.take_along_axis(first, turns % counts, axis=1)
    order = rng.permutation(faces.size)
    classes = np.repeat(np.arange(n_classes), n_samples_per_class)
    return _Draws(classes[order], faces.ravel()[order])


def _add_noise(data: NDArray[np.float32], noise: float, rng: np.random.RandomState) -> None:
    """Add Gaussian noise in place, a batch at a time, and clip to [0, 1]."""
    if noise == 0:
        return
    for start in range(0, len(data), _NOISE_BATCH):
        batch = data[start : start + _NOISE_BATCH]
        batch += rng.standard_normal(batch.shape) * noise
        np.clip(batch, 0, 1, out=batch)


def _parts(data: NDArray[np.float32], target: NDArray[Any], n_train: int) -> dict[str, Any]:
    return {
        "data": data,
        "target": target,
        "data_train": data[:n_train],
        "target_train": target[:n_train],
        "data_test": data[n_train:],
        "target_test": target[n_train:],
    }


def _names(characters: list[str], image_size: int) -> dict[str, Any]:
    """Return what the classes, faces and pixels are called."""
    side = range(image_size)
    return {
        "target_names": np.array([character_name(character) for character in sorted(characters)]),
        "groups": {character: character_group(character) for character in characters},
        "face_names": [face.name for face in FACES],
        "feature_names": [f"pixel_{row}_{column}" for row in side for column in side],
        "image_shape": (1, image_size, image_size),
    }


def _describe(n_classes: int, n_train: int, n_test: int, size: int, unseen_faces: bool) -> str:
    unseen = f"{_TEST_STYLE} only, the training images in the other styles"
    test_faces = unseen if unseen_faces else "the same faces as the training images"
    return _DESCR.format(
        n_classes=n_classes, n_train=n_train, n_test=n_test, size=size, test_faces=test_faces
    )
