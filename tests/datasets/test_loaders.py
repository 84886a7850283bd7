"""What all loaders promise, and what each makes of its files."""

import numpy as np
import pytest

from hierlearn import TaxonomyPartitioner
from hierlearn.datasets import (
    load_bibtex,
    load_cifar100,
    load_clinc150,
    load_delicious,
    load_digits,
    load_glyphs,
    load_omniglot,
)

LOADERS = {
    "digits": lambda _: load_digits(),
    "glyphs": lambda _: load_glyphs(n_classes=20, n_samples_per_class=4),
    "cifar-100": lambda request: load_cifar100(request.getfixturevalue("cifar_dir")),
    "cifar-100 coarse": lambda request: load_cifar100(
        request.getfixturevalue("cifar_dir"), coarse=True
    ),
    "clinc150": lambda request: load_clinc150(request.getfixturevalue("clinc_dir")),
    "omniglot": lambda request: load_omniglot(request.getfixturevalue("omniglot_dir")),
}
FROM_DISK = [load_bibtex, load_cifar100, load_clinc150, load_delicious, load_omniglot]


@pytest.fixture(params=LOADERS)
def bunch(request):
    return LOADERS[request.param](request)


def test_parts_fit_each_other(bunch):
    for part in ("train", "test"):
        assert len(bunch[f"data_{part}"]) == len(bunch[f"target_{part}"]) > 0
        assert bunch[f"data_{part}"].dtype == bunch.data_train.dtype
        assert set(bunch[f"target_{part}"].tolist()) <= set(bunch.target_train.tolist())


def test_a_name_for_each_class(bunch):
    assert len(bunch.target_names) == len(np.unique(bunch.target_train))


def test_groups_are_what_the_taxonomy_partitioner_takes(bunch):
    classes = np.unique(bunch.target_train)
    partitioner = TaxonomyPartitioner(bunch.groups)
    partition = partitioner.fit(np.eye(len(classes)), classes=classes).partition_
    n_groups = 1 if bunch.groups is None else len(set(bunch.groups.values()))
    assert partition.n_clusters == n_groups


def test_images_have_the_shape_said(bunch):
    if "image_shape" in bunch:
        assert bunch.data_train.shape[1:] == (np.prod(bunch.image_shape),)
        assert bunch.data_train.dtype == np.float32
        assert bunch.data_train.min() >= 0
        assert bunch.data_train.max() <= 1


def test_description_is_text(bunch):
    assert len(bunch.DESCR) > 100


@pytest.mark.parametrize("load", FROM_DISK)
def test_missing_files_say_what_to_download(load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data_dir must hold .*https://") as caught:
        load(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "\n" not in message


@pytest.mark.parametrize("load", FROM_DISK)
def test_missing_folder_is_named_as_such(load, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        load(tmp_path / "downloads")


@pytest.mark.parametrize(
    ("load", "fixture", "inner"),
    [
        (load_cifar100, "cifar_dir", "cifar-100-python"),
        (load_clinc150, "clinc_dir", "clinc150"),
        (load_omniglot, "omniglot_dir", "omniglot"),
    ],
)
def test_folder_itself_or_its_parent(load, fixture, inner, request):
    parent = request.getfixturevalue(fixture)
    from_parent, from_folder = load(str(parent)), load(parent / inner)
    np.testing.assert_array_equal(from_parent.data_train, from_folder.data_train)


@pytest.mark.parametrize(
    ("load", "fixture"), [(load_cifar100, "cifar_dir"), (load_omniglot, "omniglot_dir")]
)
def test_bytes_are_the_scaled_pixels(load, fixture, request):
    folder = request.getfixturevalue(fixture)
    as_bytes, scaled = load(folder, dtype="uint8"), load(folder, dtype=np.float64)
    assert as_bytes.data_test.dtype == np.uint8
    assert scaled.data_test.dtype == np.float64
    np.testing.assert_allclose(as_bytes.data_test / 255, scaled.data_test)


@pytest.mark.parametrize(
    ("load", "fixture"), [(load_cifar100, "cifar_dir"), (load_omniglot, "omniglot_dir")]
)
@pytest.mark.parametrize("dtype", ["int32", "nonsense", object])
def test_other_pixel_types_are_refused(load, fixture, dtype, request):
    with pytest.raises(ValueError, match=r"dtype must be one of 'uint8', 'float32', 'float64'"):
        load(request.getfixturevalue(fixture), dtype=dtype)


def test_digits_are_stratified_and_leave_the_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    digits, again = load_digits(test_size=0.4), load_digits(test_size=0.4)
    counts = np.bincount(digits.target_test)
    assert counts.max() - counts.min() <= 5
    np.testing.assert_array_equal(digits.data_test, again.data_test)
    load_digits(random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_clinc_adds_validation_and_leaves_out_of_scope(clinc_dir):
    clinc = load_clinc150(clinc_dir)
    assert clinc.data_train.tolist() == [
        "say hello in french",
        "what is my balance",
        "how do i say no",
    ]
    assert clinc.target_train.tolist() == ["translate", "balance", "translate"]
    assert clinc.target_names.tolist() == ["balance", "translate"]
    assert clinc.groups == {"balance": "banking", "translate": "travel"}


def test_clinc_without_domains_has_no_groups(clinc_dir):
    (clinc_dir / "clinc150" / "domains.json").unlink()
    assert load_clinc150(clinc_dir).groups is None


def test_clinc_intent_without_domain(clinc_dir):
    (clinc_dir / "clinc150" / "domains.json").write_text('{"banking": ["balance"]}')
    with pytest.raises(ValueError, match=r"domain of every intent.*Got none for \['translate'\]"):
        load_clinc150(clinc_dir)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"train": [], "val": []}', '{"train": ["a"], "val": [], "test": []}']
)
def test_clinc_file_of_another_kind(clinc_dir, content):
    (clinc_dir / "clinc150" / "data_full.json").write_text(content)
    with pytest.raises(ValueError, match=r"data_full\.json must .*download it again"):
        load_clinc150(clinc_dir)


def test_omniglot_splits_by_drawer(omniglot_dir):
    omniglot = load_omniglot(omniglot_dir, dtype="uint8")
    assert np.unique(omniglot.data_train).tolist() == list(range(15))
    assert np.unique(omniglot.data_test).tolist() == list(range(15, 20))
    assert np.bincount(omniglot.target_test).tolist() == [5, 5, 5]
    assert omniglot.groups == {0: "Old", 1: "Old", 2: "New"}


def test_omniglot_drawers_may_count_from_0(omniglot_dir):
    file = omniglot_dir / "omniglot" / "omniglot_28x28.npz"
    with np.load(file) as archive:
        arrays = dict(archive)
    np.savez(file, **{**arrays, "drawer": arrays["drawer"] - arrays["drawer"].min()})
    assert load_omniglot(omniglot_dir).data_train.shape == (45, 784)


def test_omniglot_archive_without_an_array(tmp_path):
    np.savez(tmp_path / "omniglot_28x28.npz", x=np.zeros((2, 28, 28), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"must be a numpy archive with the arrays x, y, drawer"):
        load_omniglot(tmp_path)


def test_real_clinc150(real_data):
    clinc = load_clinc150(real_data("clinc150", "data_full.json"))
    assert (len(clinc.data_train), len(clinc.data_test)) == (18000, 4500)
    assert len(clinc.target_names) == 150
    assert len(set(clinc.groups.values())) == 10


def test_real_omniglot(real_data):
    omniglot = load_omniglot(real_data("omniglot", "omniglot_28x28.npz"), dtype="uint8")
    assert omniglot.data_train.shape == (1623 * 15, 784)
    assert omniglot.data_test.shape == (1623 * 5, 784)
    assert len(set(omniglot.groups.values())) == 50
