"""Check what lies in a wheel and in an sdist: ``python .ci/check_dist.py WHEEL SDIST``."""

import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_SDIST = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks/demo.py",
    "docs/architecture.md",
    "pyproject.toml",
    "requirements/tested.txt",
    "tests/conftest.py",
)


def package_files() -> set[str]:
    """Return the paths of all files of the package in the tree."""
    found = (path for path in (ROOT / "hierlearn").rglob("*") if path.is_file())
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def main(wheel: str, sdist: str) -> None:
    """Fail where a file or an entry of the metadata is missing, or one too many."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = message_from_bytes(archive.read(info))
    package = package_files()
    of_wheel = {name for name in names if ".dist-info/" not in name}
    assert of_wheel == package, of_wheel ^ package
    assert "hierlearn/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)

    assert metadata["Version"] == Path(wheel).name.split("-")[1]
    assert metadata["License-Expression"] == "BSD-3-Clause"
    text = metadata.get_payload()
    assert text.startswith("# hierlearn"), text[:80]
    assert "](docs/" not in text, "links to files that a package index does not have"

    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    missing = {*IN_SDIST, *package} - held
    assert not missing, missing
    print(f"{len(of_wheel)} files in the wheel, {len(held)} in the sdist")


if __name__ == "__main__":
    main(*sys.argv[1:])
