"""Sets in Mulan's format: which attributes are labels, what is sparse, what does not fit."""

import numpy as np
import pytest
import scipy.sparse as sp

from hierlearn.datasets import load_bibtex, load_delicious, load_mulan

FEATURES = np.array([[2.5, 0, 0, 1], [0, 0, 0, 2], [0, -1, 0, 0], [0, 0, 0, 0]])
LABELS = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1], [0, 0, 1]])
# The XML file names the labels in another order than the ARFF files have them.
ATTRIBUTES = """\
@relation tiny
@attribute blue {0,1}
@attribute length numeric
@attribute width numeric
@attribute red {0,1}
@attribute colour {none,dark,light}
@attribute height numeric
@attribute green {0, 1}
@data
"""
XML = """\
<?xml version="1.0" encoding="utf-8"?>
<labels xmlns="http://mulan.sourceforge.net/labels">
<label name="red"><label name="green"></label></label>
<label name="blue"></label>
</labels>
"""
FEATURE_NAMES = ["length", "width", "colour", "height"]


def table(features, labels):
    """Put the columns of features and labels where the attributes are."""
    return np.column_stack(
        [labels[:, 2], features[:, :2], labels[:, 0], features[:, 2:], labels[:, 1]]
    )


def sparse_rows(values):
    nominal = {0: "none", 1: "dark", 2: "light"}

    def entry(column, value):
        if column == 4:
            return f"{column} {nominal[value]}"
        return f"{column} {value:g}"

    return "\n".join(
        "{" + ",".join(entry(c, v) for c, v in enumerate(row) if v) + "}" for row in values
    )


def dense_rows(values):
    nominal = {0: "none", 1: "dark", 2: "light"}
    return "\n".join(
        ",".join(nominal[v] if c == 4 else f"{v:g}" for c, v in enumerate(row)) for row in values
    )


def write(folder, features=FEATURES, labels=LABELS, rows=sparse_rows):
    folder.mkdir(exist_ok=True)
    values = table(features, labels)
    (folder / "tiny-train.arff").write_text(ATTRIBUTES + rows(values))
    (folder / "tiny-test.arff").write_text(ATTRIBUTES + rows(values[::-1]))
    (folder / "tiny.xml").write_text(XML)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.parametrize("rows", [sparse_rows, dense_rows])
def test_labels_are_those_of_the_xml_file_in_its_order(folder, rows):
    write(folder, rows=rows)
    tiny = load_mulan(folder, "tiny")
    assert tiny.target_names.tolist() == ["red", "green", "blue"]
    assert tiny.feature_names.tolist() == FEATURE_NAMES
    for part, order in (("train", slice(None)), ("test", slice(None, None, -1))):
        target, data = tiny[f"target_{part}"], tiny[f"data_{part}"]
        assert isinstance(target, sp.csr_array)
        assert target.dtype == np.int64  # OneVsRestClassifier miscounts bytes above 255 labels
        np.testing.assert_array_equal(target.toarray(), LABELS[order])
        np.testing.assert_array_equal(data.toarray(), FEATURES[order].astype(np.float32))
    assert tiny.groups is None
    assert len(tiny.DESCR) > 100
    assert "4 + 4 samples of 4 features and 3 labels" in tiny.DESCR


@pytest.mark.parametrize("rows", [sparse_rows, dense_rows])
@pytest.mark.parametrize(("n_zeros", "sparse"), [(10, True), (8, False), (4, False)])
def test_features_are_sparse_where_most_of_them_are_zero(folder, rows, n_zeros, sparse):
    features = np.where(np.arange(16).reshape(4, 4) < n_zeros, 0.0, 1.0)
    write(folder, features, rows=rows)
    tiny = load_mulan(folder, "tiny")
    for part in (tiny.data_train, tiny.data_test):
        assert isinstance(part, sp.csr_array if sparse else np.ndarray)
        assert part.dtype == np.float32


@pytest.mark.parametrize("inner", ["tiny", "mulan"])
def test_folder_itself_or_its_parent(tmp_path, inner):
    write(tmp_path / inner)
    from_parent = load_mulan(str(tmp_path), "tiny")
    from_folder = load_mulan(tmp_path / inner, "tiny")
    assert (from_parent.data_train != from_folder.data_train).nnz == 0


def test_missing_values_are_nan(folder):
    train = folder / "tiny-train.arff"
    train.write_text(train.read_text() + "\n{1 ?, 4 ?}")
    assert np.isnan(load_mulan(folder, "tiny").data_train.toarray()[-1]).tolist() == [1, 0, 1, 0]


def replace(file, old, new):
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("tiny.xml", "</labels>", "", r"tiny\.xml must be XML: .* line 6"),
        ("tiny.xml", 'name="blue"', 'nom="blue"', r"tiny\.xml must name every label once"),
        ("tiny.xml", '"blue"', '"red"', "must name every label once.* Got 3 labels with 2 names"),
        ("tiny.xml", '"blue"', '"pink"', r"tiny-train\.arff must have one .* Got none for 'pink'"),
        ("tiny-train.arff", "length", "width", "test.arff must have the attributes of tiny-train"),
        ("tiny-test.arff", "green {0, 1}", "green {1, 0}", "must have the attributes of tiny-tra"),
        ("tiny-test.arff", "{0 1,", "{0 2,", r"tiny-test\.arff must hold one of .* position 0"),
        ("tiny-train.arff", "6 1}", "6 ?}", r"train\.arff must hold 0 or 1 for every .* Got nan"),
    ],
)
def test_files_that_do_not_fit(folder, file, old, new, message):
    replace(folder / file, old, new)
    with pytest.raises(ValueError, match=message) as caught:
        load_mulan(folder, "tiny")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [["1", "0"], ["no", "yes"], ["0", "1", "2"]])
def test_labels_of_other_values(folder, values):
    for part in ("train", "test"):
        file = folder / f"tiny-{part}.arff"
        replace(file, "red {0,1}", f"red {{{','.join(values)}}}")
        replace(file, "3 1", f"3 {values[1]}")
    with pytest.raises(ValueError, match=r"declare every label as \{0,1\}. Got .* for 'red'"):
        load_mulan(folder, "tiny")


def test_labels_may_be_numbers(folder):
    for part in ("train", "test"):
        replace(folder / f"tiny-{part}.arff", "red {0,1}", "red numeric")
    np.testing.assert_array_equal(load_mulan(folder, "tiny").target_train.toarray(), LABELS)
    replace(folder / "tiny-train.arff", "3 1", "3 0.5")
    with pytest.raises(ValueError, match=r"must hold 0 or 1 for every label. Got 0.5"):
        load_mulan(folder, "tiny")


def test_two_attributes_of_one_name(folder):
    for part in ("train", "test"):
        replace(folder / f"tiny-{part}.arff", "width", "length")
    with pytest.raises(ValueError, match="Got attributes of the same name"):
        load_mulan(folder, "tiny")


@pytest.mark.parametrize("name", ["bibtex", "delicious"])
def test_another_split_is_refused(folder, name):
    for file in list(folder.iterdir()):
        file.rename(folder / file.name.replace("tiny", name))
    load = {"bibtex": load_bibtex, "delicious": load_delicious}[name]
    with pytest.raises(ValueError, match=r"Mulan's own split of .* Got 4 \+ 4 samples") as caught:
        load(folder)
    assert "load_mulan" in str(caught.value)
    assert load_mulan(folder, name).target_train.shape == (4, 3)


@pytest.mark.parametrize(
    ("load", "name", "shapes", "n_labels_a_sample"),
    [
        (load_bibtex, "bibtex", ((4880, 1836), (2515, 1836), (4880, 159), (2515, 159)), 2.38),
        (
            load_delicious,
            "delicious",
            ((12920, 500), (3185, 500), (12920, 983), (3185, 983)),
            19.05,
        ),
    ],
    ids=["bibtex", "delicious"],
)
def test_real_sets(real_data, load, name, shapes, n_labels_a_sample):
    root = real_data("mulan", f"{name}.xml")
    bunch = load(root)
    keys = ("data_train", "data_test", "target_train", "target_test")
    assert tuple(bunch[key].shape for key in keys) == shapes
    assert len(bunch.target_names) == shapes[2][1]
    assert len(bunch.feature_names) == shapes[0][1]
    assert all(label.startswith("TAG_") for label in bunch.target_names)
    for key in keys:
        assert isinstance(bunch[key], sp.csr_array)
        assert (bunch[key].data == 1).all()
    assert round(bunch.target_train.sum(axis=1).mean(), 2) == n_labels_a_sample
    assert bunch.target_train.sum(axis=0).min() > 1
