"""ARFF as Weka and Mulan write it, and files that are not."""

import numpy as np
import pytest

from hierlearn.datasets._arff import read_arff

HEADER = """\
% a comment
@RELATION 'a name: -C 2'

@attribute size REAL
@Attribute 'the colour' {red, 'dark green', "blue"}  % a comment after it
@ATTRIBUTE "it's" {0,1}
@attribute TAG_m\\'usica{0, 1}
@attribute 'It\\'s 100 %'	integer [0, 9]
@DATA
"""
NAMES = ["size", "the colour", "it's", "TAG_m\\'usica", "It's 100 %"]
CATEGORIES = [None, ["red", "dark green", "blue"], ["0", "1"], ["0", "1"], None]


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a file and reads it."""

    def read(content, encoding="utf-8"):
        path = tmp_path / "file.arff"
        path.write_bytes(content.encode(encoding))
        return read_arff(path)

    return read


def test_names_and_types(read):
    table = read(HEADER + "1,red,0,1,2")
    assert table.names == NAMES
    assert table.categories == CATEGORIES


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("1.5,blue,0,1,-2e3", [1.5, 2, 0, 1, -2000]),
        ("1.5 , 'dark green' ,0,  1,3 % the end", [1.5, 1, 0, 1, 3]),
        ('"1",\t"red",\'1\',0,0', [1, 0, 1, 0, 0]),
        ("?,?,1,?,4", [np.nan, np.nan, 1, np.nan, 4]),
        ("{0 1.5,1 blue, 3 1,4 -2e3}", [1.5, 2, 0, 1, -2000]),
        ("{4 3, 1 'dark green'}", [0, 1, 0, 0, 3]),
        ("{ 0 ? , 1 ?, 2 1 } % the end", [np.nan, np.nan, 1, 0, 0]),
        ("{}", [0, 0, 0, 0, 0]),
        ("{1 red, 2 0}", [0, 0, 0, 0, 0]),
    ],
)
def test_dense_and_sparse_rows(read, row, expected):
    table = read(f"{HEADER}{row}\n% one more\n\n{row}")
    np.testing.assert_array_equal(table.values.toarray(), [expected, expected])
    assert table.values.has_canonical_format
    assert (table.values.data != 0).all()


def test_line_ends_of_windows_and_none_at_the_end(read):
    content = HEADER + "{0 1}\n{4 2}"
    expected = read(content).values.toarray()
    np.testing.assert_array_equal(read(content.replace("\n", "\r\n")).values.toarray(), expected)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_names_in_either_encoding(read, encoding):
    table = read("@relation r\n@attribute diseño numeric\n@data\n1", encoding)
    assert table.names == ["diseño"]


@pytest.mark.parametrize("cut", range(1, 19))
def test_a_file_cut_off_within_its_last_sparse_row(read, cut):
    row = "{0 1.5,1 blue, 3 1}"
    with pytest.raises(ValueError, match=r"file\.arff must hold .*cut off.* in line 11"):
        read(f"{HEADER}{{}}\n{row[:cut]}")


@pytest.mark.parametrize("row", ["1.5,blue,0,1", "1.5,blue,0,", "1", "1.5,blue,0,1,"])
def test_a_file_cut_off_within_its_last_dense_row(read, row):
    with pytest.raises(ValueError, match=r"5 values in each row.* in line 10"):
        read(HEADER + row)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a line @data after the attributes.* in line 0"),
        ("@relation r\n@attribute a numeric\n", "a line @data .* Got '@attribute a numeric'"),
        ("@relation r\n@data\n1", "attributes before @data.* in line 2"),
        ("@attribute a numeric\n@data\n", "rows after @data"),
        ("<html>\n<body>", "@relation, @attribute and @data only .* Got '<html>' in line 1"),
        ("@attribute a\n@data\n1", "attributes of type numeric, .* in line 1"),
        ("@attribute\n@data\n1", "'@attribute name type' in each line"),
        ("@attribute a string\n@data\nx", "attributes of type .* Got '@attribute a string'"),
        ("@attribute a numerical\n@data\n1", "attributes of type"),
        ("@attribute a {0,1\n@data\n1", "the values of each nominal attribute in braces"),
        ("@attribute a {}\n@data\n1", "the values of each nominal attribute"),
        (HEADER + "1,red,0,1,2\nx,red,0,1,2", "a number at position 0, not 'x'.* in line 11"),
        (HEADER + "1,pink,0,1,2", "one of the values declared at position 1, not 'pink'"),
        (HEADER + "?,red,2,1,2", "one of the values declared at position 2, not '2'"),
        (HEADER + "{2 7}", "one of the values declared at position 2, not '7'"),
        (HEADER + "{5 1}", "positions from 0 to 4 in each sparse row.* Got '{5 1}' in line 10"),
        (HEADER + "{-1 1}", "positions from 0 to 4"),
        (HEADER + "{0 1, 0 2}", "each position once"),
        (HEADER + "{0 1, 2}", "pairs of position and value"),
        (HEADER + "{a 1}", "pairs of position and value"),
        (HEADER + "{0 1}, {3}", "pairs of position and value"),  # the weight of an instance
        (HEADER + "1,red,0,1,2,3", "5 values in each row"),
        (HEADER + "1,red,0,1," + "z" * 99, r"Got '1,red.*z\.\.\.' in line 10"),
    ],
)
def test_damaged_files_are_named_with_the_line(read, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(content)
    assert "file.arff must hold" in str(caught.value)
    assert "download it again" in str(caught.value)
    assert "\n" not in str(caught.value)
