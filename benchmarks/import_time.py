"""What does ``import hierlearn`` cost, beside what it is built on?

Each row runs in fresh processes, the rows in turn; a row's figure is the median. Seconds are
measured inside the process, without the start of the interpreter, which has a row of its own.
The rows that fit show the first use of a network, everything it loads included.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROWS = {
    "import hierlearn": "import hierlearn",
    "import numpy": "import numpy",
    "import sklearn.base": "import sklearn.base",
    "import torch": "import torch",
    "first partition": (
        "import hierlearn\n"
        "hierlearn.ConfusionLinkagePartitioner().fit([[3, 1, 0], [1, 3, 0], [0, 0, 4]])"
    ),
    "first network, import": "from hierlearn import TorchMLPClassifier",
    "first network, fit": (
        "from hierlearn import TorchMLPClassifier\n"
        "TorchMLPClassifier((8,), max_epochs=1, random_state=0)"
        ".fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])"
    ),
}

TEMPLATE = """
import sys, time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start, len(sys.modules))
"""


def run_once(statement: str) -> tuple[float, float, int]:
    """Run a statement in a new interpreter.

    Returns
    -------
    seconds, wall, modules : float, float, int
        Seconds of the statement, of the whole process, and the modules loaded at its end.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", TEMPLATE.format(statement=statement)],
        check=True,
        cwd=Path(__file__).parents[1],  # so that a checkout need not be installed
        stdout=subprocess.PIPE,
        text=True,
    )
    wall = time.perf_counter() - start
    seconds, modules = done.stdout.split()
    return float(seconds), wall, int(modules)


def measure(repeats: int) -> list[dict]:
    """Return one record a row: the median, least and largest seconds of ``repeats`` processes."""
    times: dict[str, list[float]] = {name: [] for name in ("interpreter alone", *ROWS)}
    modules: dict[str, int] = {}
    for statement in ROWS.values():
        run_once(statement)  # fills the disk cache and writes the bytecode
    for _ in range(repeats):
        _, wall, modules["interpreter alone"] = run_once("pass")
        times["interpreter alone"].append(wall)
        for name, statement in ROWS.items():
            seconds, _, modules[name] = run_once(statement)
            times[name].append(seconds)
    return [
        {
            "row": name,
            "median_s": statistics.median(values),
            "min_s": min(values),
            "max_s": max(values),
            "modules": modules[name],
        }
        for name, values in times.items()
    ]


def print_table(records: list[dict], repeats: int) -> None:
    print(f"{'':24}{'median s':>10}{'min s':>10}{'max s':>10}{'modules':>10}")
    for record in records:
        print(
            f"{record['row']:24}{record['median_s']:10.4f}{record['min_s']:10.4f}"
            f"{record['max_s']:10.4f}{record['modules']:10d}"
        )
    print(f"medians of {repeats} fresh processes; Python {platform.python_version()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="processes a row (default: 5)")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f"--repeats must be at least 1. Got {args.repeats} instead.")
    records = measure(args.repeats)
    print_table(records, args.repeats)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        about = {"python": platform.python_version(), "machine": platform.platform()}
        args.json.write_text(
            json.dumps({**about, "repeats": args.repeats, "rows": records}, indent=2)
        )
        print(f"wrote {args.json}")


if __name__ == "__main__":
    main()
