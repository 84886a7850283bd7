import numpy as np
import pytest

from hierlearn.display._labels import check_names, group_name, readable_name, spread


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("maple_tree", "maple_tree"),
        ("$x^2$", "$x^2$"),
        ("\\alpha", "\\alpha"),
        ("Ж", "Ж"),
        (7, "7"),
        (np.float64(0.5), "0.5"),
        ("", "(empty)"),
        ("  ", "U+0020 U+0020"),
        ("a\nb", "a U+000A b"),
        ("\u200b", "U+200B"),
        ("\u0301", "◌\u0301"),
    ],
)
def test_any_label_reads_as_one_printable_line(name, text):
    assert readable_name(name) == text


def test_long_names_keep_both_ends_so_that_they_stay_apart():
    names = [f"interesting_character_of_the_alphabet_{number:03d}" for number in range(20)]
    short = [readable_name(name) for name in names]
    assert len(set(short)) == 20
    assert {len(name) for name in short} == {24}


@pytest.mark.parametrize("max_length", [8, 12, 24])
def test_names_stay_within_the_length(max_length):
    for name in ["x" * 100, "\n" * 30, "ab" * 3]:
        assert 0 < len(readable_name(name, max_length)) <= max_length


def test_group_name_says_how_many_it_leaves_out():
    members = [f"class_{number}" for number in range(9)]
    text = group_name("12", members, max_length=30)
    assert text == "12: class_0, class_1, class_2, +6"
    assert group_name("12", members, max_length=500).count("class") == 9
    assert group_name(None, ["one", "two"]) == "one, two"


def test_group_name_names_one_class_even_where_it_does_not_fit():
    assert group_name("0", ["a_rather_long_name", "b"], max_length=5) == "0: a_rather_long_name, +1"


def test_names_are_numbers_by_default():
    assert check_names(None, 3, what="class_names") == ["0", "1", "2"]


def test_wrong_number_of_names_is_refused():
    with pytest.raises(ValueError, match=r"class_names must have 3 entries\. Got 2 instead\."):
        check_names(["a", "b"], 3, what="class_names")


def test_spread_leaves_alone_what_is_apart():
    np.testing.assert_allclose(spread([1.0, 4.0, 9.0], 2.0, 0.0, 10.0), [1.0, 4.0, 9.0])


@pytest.mark.parametrize("seed", range(5))
def test_spread_keeps_gap_order_and_bounds(seed):
    wanted = np.sort(np.random.default_rng(seed).random(12)) * 10
    places = spread(wanted, 0.7, 0.0, 10.0)
    assert np.diff(places).min() >= 0.7 - 1e-9
    assert places.min() >= -1e-9
    assert places.max() <= 10 + 1e-9


def test_spread_narrows_the_gap_where_there_is_no_room():
    np.testing.assert_allclose(spread([5.0, 5.0, 5.0], 100.0, 0.0, 10.0), [0.0, 5.0, 10.0])
    np.testing.assert_allclose(spread([12.0], 1.0, 0.0, 10.0), [10.0])
