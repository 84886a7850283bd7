"""``python -m hierlearn report``: what it writes, and what it says when it cannot."""

import json
import subprocess
import sys

import numpy as np
import pytest

from hierlearn.reporting.command import main

pytest.importorskip("skops", reason="skops reads model files")
pytest.importorskip("safetensors", reason="safetensors reads model files")


@pytest.fixture(scope="module")
def files(fitted, test, tmp_path_factory):
    from hierlearn import save

    folder = tmp_path_factory.mktemp("files")
    save(fitted, folder / "model.skops")
    names = np.array([f"digit {code}" for code in range(10)])
    np.savez(folder / "data.npz", X=test[0], y=test[1], class_names=names)
    return folder


def run(files, *arguments, model="model.skops", data="data.npz"):
    return main(["report", str(files / model), str(files / data), *map(str, arguments)])


def test_report_is_written(files, tmp_path, capsys):
    out = tmp_path / "out.html"
    assert run(files, "-o", out, "--title", "Digits", "--image-shape", "8,8") == 0
    html = out.read_text(encoding="utf-8")
    assert "<title>Digits</title>" in html
    assert "digit 7" in html
    assert "data:image/" in html
    assert str(out) in capsys.readouterr().out


def test_comparison_is_read_from_json(files, tmp_path):
    records = [
        {"variant": name, "seed": seed, "score": 0.5 + seed / 10, "multiply_adds": 10.0}
        for name in ("flat", "hierarchy")
        for seed in range(2)
    ]
    (tmp_path / "found.json").write_text(json.dumps(records), encoding="utf-8")
    out = tmp_path / "out.html"
    assert run(files, "-o", out, "--comparison", tmp_path / "found.json") == 0
    assert "over 2 seeds" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.eye(3)}, "DATA must hold X and y. Got X instead"),
        ({"X": np.eye(3), "y": np.array([None, 1, 2], dtype=object)}, "plain arrays"),
        ({"X": np.zeros((3, 64)), "y": np.array([99, 0, 1])}, "Got 99 besides"),
    ],
)
def test_data_that_will_not_do(files, tmp_path, capsys, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    assert run(files, "-o", tmp_path / "out.html", data=tmp_path / "bad.npz") == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out.html").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"data": "none.npz"}, "DATA must be a file"),
        ({"data": "model.skops"}, "DATA must"),
        ({"model": "none.skops"}, "MODEL must be a file"),
        ({"model": "data.npz"}, "hierlearn report: "),
    ],
)
def test_files_that_will_not_do(files, tmp_path, capsys, changed, message):
    assert run(files, "-o", tmp_path / "out.html", **changed) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_one_array_alone_will_not_do(files, tmp_path, capsys):
    np.save(tmp_path / "rows.npy", np.eye(3))
    assert run(files, "-o", tmp_path / "out.html", data=tmp_path / "rows.npy") == 1
    assert "one array without a name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["report"], ["report", "a", "b", "--image-shape", "3x"], ["other"]]
)
def test_wrong_command_lines_exit_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2


def test_help_says_what_the_files_hold():
    done = subprocess.run(
        [sys.executable, "-m", "hierlearn", "report", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "class_names" in done.stdout
    assert "Exit codes" in done.stdout
