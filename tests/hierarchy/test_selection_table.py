import json
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from hierlearn import NetworkSelector, SelectionTable
from hierlearn.hierarchy import SelectionRow

NAMES = ("small", "large")


def row(small=0.8, large=0.9, **params):
    scores, costs = {"small": small, "large": large}, {"small": 50.0, "large": math.nan}
    params = {"winner": "large", "seconds": {"small": 0.1, "large": 0.4}, **params}
    return SelectionRow({"n_classes": 3.0, "accuracy": 0.5}, scores, costs, **params)


@pytest.fixture
def table():
    return SelectionTable(NAMES, (row(dataset="a", cluster="x"), row(math.nan, dataset="b")))


def same(left, right):
    """Tell whether tables agree, NaN being equal to itself."""
    return left.candidates == right.candidates and str(left.to_records()) == str(right.to_records())


# -- files -------------------------------------------------------------------------------------


def test_file_brings_everything_back(table, tmp_path):
    path = tmp_path / "table.json"
    table.save(path)
    assert same(SelectionTable.load(path), table)
    assert same(SelectionTable.load(str(path)), table)


def test_file_is_plain_json(table, tmp_path):
    table.save(tmp_path / "table.json")
    content = json.loads((tmp_path / "table.json").read_text(), parse_constant=pytest.fail)
    assert content["version"] == 1
    assert content["candidates"] == list(NAMES)
    assert content["rows"][1]["scores"]["small"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "must be of version 1. Got version 2"),
        ({"format": "something else"}, "written by SelectionTable.save"),
        ({"rows": [{}]}, "a malformed one"),
        ({"rows": None}, "a malformed one"),
        ({"candidates": ["small", "other"]}, "a malformed one"),
    ],
)
def test_other_content(table, tmp_path, change, message):
    path = tmp_path / "table.json"
    table.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        SelectionTable.load(path)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "not json", '"text"'])
def test_other_files(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="written by SelectionTable"):
        SelectionTable.load(path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "table.json"
    path.write_bytes(b"\xff\xfe\x00pickle")
    with pytest.raises(ValueError, match="written by SelectionTable"):
        SelectionTable.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        SelectionTable.load(tmp_path / "no.json")


# -- merging -----------------------------------------------------------------------------------


def test_merging_keeps_all_rows_in_order(table):
    other = SelectionTable(NAMES, (row(dataset="c"), row(0.1, dataset="a")))
    merged = SelectionTable.merge([table, other])
    assert same(merged, SelectionTable(NAMES, (*table.rows, *other.rows)))
    assert same(merged, table + other)
    assert merged.datasets == ["a", "b", "c"]


@pytest.mark.parametrize("as_file", [False, True])
def test_merging_adds_nothing_that_is_there(table, tmp_path, as_file):
    twin = table
    if as_file:  # where what was NaN is another NaN
        table.save(tmp_path / "table.json")
        twin = SelectionTable.load(tmp_path / "table.json")
        twin.rows[1].scores["small"] = float("nan")
    assert same(SelectionTable.merge([table, twin]), table)
    assert same(table + twin, table)


def test_merging_goes_by_name(table):
    other = SelectionTable(NAMES[::-1], (row(0.1, 0.2),))
    merged = table + other
    assert merged.candidates == NAMES
    assert merged.to_records()[-1]["score: small"] == 0.1


def test_tables_for_other_candidates_do_not_merge(table):
    with pytest.raises(ValueError, match=r"candidates \['small', 'large'\].*'medium'"):
        table + SelectionTable(("small", "medium"))


def test_nothing_to_merge():
    with pytest.raises(ValueError, match="at least one"):
        SelectionTable.merge([])


# -- reading -----------------------------------------------------------------------------------


def test_records_are_flat(table):
    first, second = table.to_records()
    assert first["score: large"] == 0.9
    assert first["n_classes"] == 3
    assert math.isnan(second["score: small"])
    assert [record["dataset"] for record in (first, second)] == ["a", "b"]


def test_rows_with_a_score_for_each_are_complete(table):
    assert table.complete == table.rows[:1]


def test_print(table):
    lines = str(table).splitlines()
    assert lines[0].split() == ["data", "set", "cluster", "classes", "winner", "small", "large"]
    assert lines[1].split() == ["a", "x", "3", "large", "80.0", "90.0"]
    assert lines[2].split() == ["b", "3", "large", "-", "90.0"]


def test_print_of_an_empty_table():
    assert "winner" in str(SelectionTable(NAMES))


# -- collecting --------------------------------------------------------------------------------


def test_lone_selector_gives_a_row():
    X, y = np.random.RandomState(0).rand(60, 3), np.tile([0, 1, 2], 20)
    candidates = {"bayes": GaussianNB(), "linear": LogisticRegression()}
    clf = NetworkSelector(candidates, random_state=0).fit(X, y)
    table = SelectionTable.from_hierarchy(clf, dataset="noise")
    (found,) = table.rows
    assert table.candidates == ("bayes", "linear")
    assert (found.dataset, found.winner, found.scores) == ("noise", clf.best_name_, clf.scores_)
    assert found.statistics["n_samples"] == 60
    assert all(seconds > 0 for seconds in found.seconds.values())


def test_nothing_to_collect():
    with pytest.raises(ValueError, match="NetworkSelector as fine_estimator"):
        SelectionTable.from_hierarchy(GaussianNB())
