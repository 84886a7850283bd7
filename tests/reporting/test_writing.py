"""``report``: where it writes, and what it says before the work where it cannot."""

import pytest

from hierlearn import report


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (None, TypeError, "path must be a str or path-like. Got NoneType instead"),
        (".", IsADirectoryError, "path must be a file. Got the folder"),
        ("none/out.html", FileNotFoundError, "path must lie in a folder that exists"),
    ],
)
def test_paths_are_refused_before_anything_is_predicted(name, error, message, tmp_path):
    path = None if name is None else tmp_path / name
    with pytest.raises(error, match=message):
        report(None, None, None, path)


def test_path_is_returned_and_written(fitted, test, tmp_path):
    written = report(fitted, *test, str(tmp_path / "out.html"))
    assert written == tmp_path / "out.html"
    assert written.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
