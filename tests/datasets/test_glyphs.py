"""Glyphs: what is drawn, that it can be told apart, and that the split is honest."""

import importlib.util
import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from hierlearn.datasets import load_glyphs
from hierlearn.datasets._alphabet import collect_alphabet
from hierlearn.datasets._characters import character_group, character_name, familiar_first
from hierlearn.datasets._fonts import FACES, Frame, Pen, code_points, font_path
from hierlearn.datasets._jitter import draw_transforms, sample_images
from hierlearn.exceptions import MissingExtraError

LATIN = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def glyphs():
    return load_glyphs(n_classes=40, n_samples_per_class=12)


@pytest.fixture(scope="module")
def alphabet():
    return collect_alphabet(320, 20, homoglyphs=False)


def test_shapes(glyphs):
    assert glyphs.data.shape == (480, 400)
    assert glyphs.data.dtype == glyphs.images.dtype == np.float32
    assert glyphs.images.shape == (480, 20, 20)
    assert glyphs.target.shape == glyphs.face.shape == (480,)
    assert len(glyphs.feature_names) == 400
    assert glyphs.image_shape == (1, 20, 20)


def test_parts_are_views_of_the_whole(glyphs):
    assert glyphs.data_train.shape == (360, 400)
    for name in ("data", "target"):
        whole = glyphs[name]
        joined = np.concatenate([glyphs[f"{name}_train"], glyphs[f"{name}_test"]])
        np.testing.assert_array_equal(joined, whole)
        assert np.shares_memory(glyphs[f"{name}_test"], whole)


def test_every_class_has_its_share(glyphs):
    for part, share in (("train", 9), ("test", 3)):
        _, counts = np.unique(glyphs[f"target_{part}"], return_counts=True)
        assert set(counts) == {share}


def test_rows_are_shuffled(glyphs):
    assert len(set(glyphs.target_train[:20])) > 10


def test_familiar_characters_come_first(alphabet):
    assert "".join(alphabet.characters[:62]) == LATIN
    groups = [character_group(character) for character in alphabet.characters[:110]]
    assert list(dict.fromkeys(groups)) == ["Number", "Latin", "Greek", "Cyrillic"]


def test_names_and_groups_follow_the_sorted_classes(glyphs):
    classes = np.unique(glyphs.target)
    assert list(glyphs.target_names) == [character_name(c) for c in classes]
    assert set(glyphs.groups) == set(classes.tolist())
    assert glyphs.groups["7"] == "Number"


def test_name_of_a_character_without_one():
    assert character_name("\ue000") == "u+e000"


def test_shapeless_characters_are_left_out():
    shapeless = " \n\u0301\u00ad\u02b0\u2003"
    assert list(familiar_first(ord(c) for c in "a" + shapeless)) == ["a"]


def test_unseen_faces_are_not_trained_on(glyphs):
    n_train = len(glyphs.data_train)
    train, test = set(glyphs.face[:n_train]), set(glyphs.face[n_train:])
    assert {glyphs.face_names[face] for face in test} == {
        f"{family} bold oblique" for family in ("DejaVu Sans", "DejaVu Sans Mono", "DejaVu Serif")
    }
    assert not train & test
    assert len(train) == 9


def test_seen_faces_on_request():
    glyphs = load_glyphs(n_classes=10, n_samples_per_class=48, unseen_faces=False)
    n_train = len(glyphs.data_train)
    for faces, targets in (
        (glyphs.face[:n_train], glyphs.target_train),
        (glyphs.face[n_train:], glyphs.target_test),
    ):
        for digit in "0123456789":  # spread evenly over all faces
            counts = np.bincount(faces[targets == digit], minlength=12)
            assert set(counts) == {len(targets) // 10 // 12}


def test_digits_and_letters_can_be_told_apart(glyphs):
    model = NearestCentroid().fit(glyphs.data_train, glyphs.target_train)
    assert model.score(glyphs.data_test, glyphs.target_test) > 0.7


def test_same_seed_same_images(glyphs):
    again = load_glyphs(n_classes=40, n_samples_per_class=12, random_state=0)
    other = load_glyphs(n_classes=40, n_samples_per_class=12, random_state=1)
    np.testing.assert_array_equal(again.data, glyphs.data)
    np.testing.assert_array_equal(again.target, glyphs.target)
    assert not np.array_equal(other.data, glyphs.data)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    load_glyphs(n_classes=10, n_samples_per_class=4, random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_return_X_y(glyphs):
    X, y = load_glyphs(n_classes=40, n_samples_per_class=12, return_X_y=True)
    np.testing.assert_array_equal(X, glyphs.data)
    np.testing.assert_array_equal(y, glyphs.target)


def test_without_jitter_and_noise_a_face_is_always_drawn_alike():
    glyphs = load_glyphs(n_classes=10, n_samples_per_class=36, jitter=0, noise=0)
    same = (glyphs.target == "5") & (glyphs.face == 0)
    assert same.sum() > 1
    assert (glyphs.data[same] == glyphs.data[same][0]).all()
    assert glyphs.data.max() > 0.9


def test_noise_and_jitter_change_the_images():
    plain = load_glyphs(n_classes=10, n_samples_per_class=8, jitter=0, noise=0)
    for changed in ({"jitter": 1, "noise": 0}, {"jitter": 0, "noise": 0.1}):
        other = load_glyphs(n_classes=10, n_samples_per_class=8, **changed)
        np.testing.assert_array_equal(other.target, plain.target)
        assert 0 < np.abs(other.data - plain.data).mean() < 0.2
        assert other.data.min() >= 0
        assert other.data.max() <= 1


def test_every_drawing_has_ink_and_none_is_the_missing_box(alphabet):
    assert alphabet.glyphs.any(axis=(1, 2)).all()
    for face, column in enumerate(alphabet.rows.T):
        missing = Pen(FACES[face], Frame(20)).draw("\U000e0000")
        assert missing.any()
        drawn = alphabet.glyphs[column[column >= 0]]
        assert not (drawn == missing).all(axis=(1, 2)).any()


def test_homoglyphs_are_one_class_unless_asked_for(alphabet):
    kept = collect_alphabet(320, 20, homoglyphs=True).characters
    assert {"A", "Α", "А"} <= set(kept)
    assert {"A", "Α", "А"} & set(alphabet.characters) == {"A"}
    assert {"O", "0", "o", "l", "1", "I"} <= set(alphabet.characters)


def test_kept_characters_differ_in_more_than_half_of_the_faces(alphabet):
    n_classes, n_faces = alphabet.rows.shape
    alike = np.zeros((n_classes, n_classes), dtype=int)
    for face in range(n_faces):
        present = np.flatnonzero(alphabet.rows[:, face] >= 0)
        drawn = alphabet.glyphs[alphabet.rows[present, face]].reshape(len(present), -1)
        kind = np.unique(drawn, axis=0, return_inverse=True)[1].reshape(1, -1)
        alike[np.ix_(present, present)] += kind == kind.T
    np.fill_diagonal(alike, 0)
    n_faces_each = (alphabet.rows >= 0).sum(axis=1)
    assert (2 * alike < np.maximum(n_faces_each[:, None], n_faces_each[None, :])).all()


def test_baseline_keeps_heights():
    pen = Pen(FACES[0], Frame(20))
    lowest = {c: np.flatnonzero(pen.draw(c).any(axis=1))[-1] for c in "Eg',"}
    assert lowest["'"] < lowest["E"] < lowest["g"]
    assert lowest["E"] < lowest[","]
    assert abs(lowest["E"] - Frame(20).baseline) <= 2


@pytest.mark.parametrize("character", ["Ǆ", "Ǻ", "─", "‱"])
def test_large_characters_are_shrunk_into_the_frame(character):
    drawn = Pen(FACES[1], Frame(20)).draw(character)
    assert drawn.shape == (Frame(20).side,) * 2
    rim = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert not rim.any()
    assert drawn.any()


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.stem)
def test_code_points_are_those_of_the_cmap(face):
    font_tools = pytest.importorskip("fontTools.ttLib")
    path = font_path(face)
    with font_tools.TTFont(path, lazy=True) as font:
        expected = {
            code
            for table in font["cmap"].tables
            if (table.platformID, table.platEncID) == (3, 1)
            for code, name in table.cmap.items()
            if font.getGlyphID(name) != 0
        }
    assert code_points(path.read_bytes()) == expected


def test_font_without_unicode_cmap():
    with pytest.raises(ValueError, match="Unicode cmap of format 4"):
        code_points(bytes(12))


def test_identity_transform_samples_the_glyph_itself():
    glyphs = np.zeros((1, 26, 26), dtype=np.uint8)
    glyphs[0, 1:-1, 1:-1] = np.random.RandomState(0).randint(256, size=(24, 24))
    rows, identity = np.zeros(1, dtype=np.int64), draw_transforms(1, 0, np.random.RandomState(0))
    image = sample_images(glyphs, rows, identity, 8, 3).reshape(8, 8)
    np.testing.assert_allclose(image, glyphs[0, 2:-1:3, 2:-1:3] / 255, atol=1e-5)


def test_shift_moves_the_image():
    glyphs = np.zeros((1, 26, 26), dtype=np.uint8)
    glyphs[0, 10:16, 10:16] = 255
    shifted = draw_transforms(1, 0, np.random.RandomState(0))
    shifted[0, :, 2] = [0.25, 0.0]  # two of eight pixels, in x
    still = draw_transforms(1, 0, np.random.RandomState(0))
    rows = np.zeros(1, dtype=np.int64)
    moved, plain = (sample_images(glyphs, rows, t, 8, 3).reshape(8, 8) for t in (shifted, still))
    np.testing.assert_allclose(moved[:, :-2], plain[:, 2:], atol=1e-5)


def test_jitter_stays_within_what_is_said():
    transforms = draw_transforms(2000, 1.0, np.random.RandomState(0))
    linear, shift = transforms[:, :, :2], transforms[:, :, 2]
    assert np.abs(shift).max() <= 0.03
    angles = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
    assert np.rad2deg(np.abs(angles)).max() <= 5
    assert np.rad2deg(np.abs(angles)).max() > 4.5
    areas = np.linalg.det(linear)
    assert np.exp(-0.12) <= areas.min() < areas.max() <= np.exp(0.12)


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("n_classes", 1),
        ("n_classes", 2.5),
        ("n_samples_per_class", 3),
        ("image_size", 4),
        ("jitter", -1),
        ("noise", -0.1),
        ("unseen_faces", "yes"),
    ],
)
def test_parameters_out_of_range(parameter, value):
    with pytest.raises(ValueError, match=f"The '{parameter}' parameter of load_glyphs"):
        load_glyphs(**{parameter: value})


def test_more_classes_than_characters(monkeypatch):
    few = {ord(character) for character in "abcdefgh"}
    monkeypatch.setattr("hierlearn.datasets._fonts.code_points", lambda _: few)
    with pytest.raises(ValueError, match=r"n_classes must be at most 8, .* Got 9 instead"):
        load_glyphs(n_classes=9)


def test_three_thousand_characters_are_there():
    alphabet = collect_alphabet(3000, 8, homoglyphs=False)
    assert len(set(alphabet.characters)) == 3000
    assert {unicodedata.category(c)[0] for c in alphabet.characters} == set("LNPS")


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    with pytest.raises(MissingExtraError, match=r"hierlearn\[plot\]"):
        load_glyphs(n_classes=2)


def test_without_fonts_the_extra_is_named(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("matplotlib", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(MissingExtraError, match=r"DejaVuSans\.ttf is missing.*hierlearn\[plot\]"):
        load_glyphs(n_classes=2)


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"hierlearn\[plot\]"):
        load_glyphs(n_classes=2)


def test_matplotlib_itself_is_not_imported():
    program = (
        "import sys; from hierlearn.datasets import load_glyphs; load_glyphs(2); "
        "assert not {'matplotlib', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
