"""``python -m hierlearn report``: a report from a file with a model and one with data."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierlearn.exceptions import HierlearnError
from hierlearn.reporting.writing import report

__all__ = ["main"]

_DESCRIPTION = "Write what a model confuses, groups, gains and costs as one HTML file."
_DETAILS = """\
MODEL is a file that hierlearn.save wrote. Nothing in it is run as code.

DATA is an .npz file, as numpy.savez(path, X=..., y=...) writes it, with the arrays
  X             samples, one a row; images as (n, channels, height, width)
  y             their labels, or an indicator of several labels a sample
  class_names   optional: names of the classes, in the order of the model's classes_
  cluster_names optional: names of the clusters
  images        optional: images of the samples, where X holds something else

Exit codes: 0 the report is written; 1 it could not be, and a line says why; 2 the
command line is wrong.

Examples:
  python -m hierlearn report model.skops data.npz
  python -m hierlearn report model.skops data.npz -o cifar.html --title CIFAR-100
  python -m hierlearn report model.skops rows.npz --image-shape 3,32,32 \\
      --comparison measured.json
"""
_KNOWN = ("X", "y", "class_names", "cluster_names", "images")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Without the program's name; None takes those of the process.

    Returns
    -------
    int
        Exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        path = _write(options)
    except (HierlearnError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        print(f"hierlearn report: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{path} ({path.stat().st_size / 1e6:.2f} MB)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hierlearn", description="hierlearn's commands")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    found = commands.add_parser(
        "report",
        help="write a report on a model as one HTML file",
        description=_DESCRIPTION,
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("model", metavar="MODEL", help="file that hierlearn.save wrote")
    found.add_argument("data", metavar="DATA", help=".npz file with X and y, see below")
    found.add_argument(
        "-o", "--out", metavar="FILE", default="report.html", help="file to write (report.html)"
    )
    found.add_argument("--title", help="title of the page")
    found.add_argument(
        "--comparison",
        metavar="JSON",
        help="measurements of the controls: the to_records() of hierlearn.controls.compare",
    )
    found.add_argument(
        "--image-shape",
        metavar="C,H,W",
        type=_shape,
        help="shape of an image, where rows of X are flat: 3,32,32 or 28,28",
    )
    found.add_argument("--timestamp", metavar="TEXT", help="a time to state, such as a date")
    found.add_argument(
        "--trust",
        metavar="NAME",
        action="append",
        default=[],
        help="a type that the model may hold beyond those known, by module and name; its module is "
        "imported (may be repeated)",
    )
    return parser


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(side) for side in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"must be like 3,32,32 or 28,28. Got {text!r} instead.")
    return shape


def _write(options: argparse.Namespace) -> Path:
    from hierlearn.persistence import load

    _check_is_file(options.model, "MODEL")
    arrays = _read_arrays(options.data)
    comparison = None if options.comparison is None else _read_records(options.comparison)
    model = load(options.model, trusted=options.trust)
    return report(
        model,
        arrays.pop("X"),
        arrays.pop("y"),
        options.out,
        comparison=comparison,
        image_shape=options.image_shape,
        title=options.title,
        timestamp=options.timestamp,
        **arrays,
    )


def _read_arrays(path: str) -> dict[str, Any]:
    """Read the arrays of an .npz file; objects in it, which may be code, are refused."""
    _check_is_file(path, "DATA")
    try:
        opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            raise ValueError("one array without a name, as in an .npy file")
        with opened as file:
            names = list(file.files)
            arrays = {name: file[name] for name in names if name in _KNOWN}
    except (ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(
            f"DATA must be an .npz file of plain arrays. Got {path} instead ({error}); write it by "
            "numpy.savez(path, X=X, y=y), names as str and not as objects."
        ) from None
    missing = [name for name in ("X", "y") if name not in arrays]
    if missing:
        raise ValueError(
            f"DATA must hold X and y. Got {', '.join(names) or 'no arrays'} instead; write it by "
            "numpy.savez(path, X=X, y=y)."
        )
    return arrays


def _read_records(path: str) -> Any:
    _check_is_file(path, "--comparison")
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"--comparison must be a JSON file. Got {path} instead ({error}); write it by "
            "json.dump(result.to_records(), file)."
        ) from None


def _check_is_file(path: str, what: str) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} must be a file. Got {path} instead, which is none.")
