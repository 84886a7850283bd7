import numpy as np
import pytest

from hierlearn._names import group_name, readable_name


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
        ("\u202eevil", "U+202E evil"),
        ("\x1b[31mred", "U+001B [31mred"),
        ("<script>", "<script>"),
        ("שלום", "שלום"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("\u200d", "U+200D"),
        ("\ud800", "U+D800"),
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


@pytest.mark.parametrize("max_length", range(8, 20))
def test_nothing_is_cut_in_two(max_length):
    spelt = readable_name("\n" * 9, max_length)
    assert set(spelt.replace("…", " ").split()) == {"U+000A"}
    marked = readable_name("e\u0301" * 30, max_length).replace("e\u0301", "")
    assert marked == "…"
    family = "👩\u200d👩\u200d👧"
    assert readable_name(family * 9, max_length).replace(family, "") == "…"
