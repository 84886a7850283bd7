"""The file around a model: parts in a zip that is not compressed, each with its checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from .. import __version__
from ..exceptions import ModelFileError

FORMAT = 1
MANIFEST = "manifest.json"
_PART = re.compile(r"model\.json|leaves\.skops|arrays/\d{1,6}\.safetensors")
_MAX_MANIFEST = 2**20
# Text is parsed to objects of up to thirty times its size. Numbers in bulk lie in arrays.
_MAX_TEXT = 2**26
# A fixed time in every entry, so that equal models give equal files.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PACKAGES = ("numpy", "scikit-learn", "scipy", "torch", "skops", "safetensors")


def write(path: str | os.PathLike[str], parts: Iterable[tuple[str, bytes]]) -> None:
    """Write parts and their manifest; the file appears when it is complete.

    Parameters
    ----------
    path : str or path-like
    parts : iterable of (name, bytes)

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    entries: dict[str, dict[str, Any]] = {}
    stored = list(parts)
    for name, content in stored:
        entries[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest = {"format": FORMAT, "packages": _versions(), "parts": entries}
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file, zipfile.ZipFile(file, "w") as archive:
            text = json.dumps(manifest, indent=1).encode("ascii")
            for name, content in [(MANIFEST, text), *stored]:
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
        os.replace(temporary, path)
    except OSError as error:  # of a file that nobody asked for
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _versions() -> dict[str, str]:
    """Return the versions of the packages that wrote a file."""
    found = {"hierlearn": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Parts:
    """The parts of an open file, whose names and sizes have been checked.

    Parameters
    ----------
    archive : zipfile.ZipFile
    manifest : dict
    size : int
        Bytes of the file.
    """

    archive: zipfile.ZipFile
    manifest: dict[str, Any]
    size: int

    @property
    def names(self) -> list[str]:
        """Names of all parts, the manifest left out."""
        return list(self.manifest["parts"])

    def read(self, name: str) -> bytes:
        """Return a part after checking it against its checksum.

        Parameters
        ----------
        name : str

        Returns
        -------
        bytes

        Raises
        ------
        ModelFileError
            If there is no such part, or it was changed.
        """
        entry = self.manifest["parts"].get(name)
        if entry is None:
            raise ModelFileError(f"path must name a file with a part {name!r}. Got none instead.")
        content = self.archive.read(name)
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise ModelFileError(
                f"path must name a file as it was saved. Got a part {name!r} that was changed or "
                "damaged instead; fetch the file again."
            )
        return content

    def read_json(self, name: str) -> Any:
        """Return a part that is JSON, parsed.

        Parameters
        ----------
        name : str

        Returns
        -------
        object
        """
        if self.manifest["parts"].get(name, {}).get("size", 0) > _MAX_TEXT:
            raise ModelFileError(f"{name!r} must be of at most {_MAX_TEXT} bytes. Got more.")
        return json.loads(self.read(name))


@contextmanager
def opened(file: IO[bytes]) -> Iterator[Parts]:
    """Read the manifest of a file and check it.

    Parameters
    ----------
    file : binary file
        Of the disk.

    Yields
    ------
    Parts

    Raises
    ------
    ModelFileError
        If it is no file of ours, of a later format, or its parts are not those that it declares.
    """
    with zipfile.ZipFile(file) as archive:
        size = os.fstat(file.fileno()).st_size
        yield Parts(archive, _checked_manifest(archive, size), size)


def _checked_manifest(archive: zipfile.ZipFile, size: int) -> dict[str, Any]:
    infos = archive.infolist()
    for info in infos:
        _check_entry(info)
    if not infos or infos[0].filename != MANIFEST or infos[0].file_size > _MAX_MANIFEST:
        raise ModelFileError("path must name a model saved by hierlearn.save. Got another file.")
    manifest = json.loads(archive.read(MANIFEST))
    if type(manifest.get("format")) is not int or not 1 <= manifest["format"] <= FORMAT:
        raise ModelFileError(
            f"format must be from 1 to {FORMAT}. Got {manifest.get('format')!r} instead; load the "
            "file with the version of hierlearn that saved it, or a later one."
        )
    sizes = {info.filename: info.file_size for info in infos[1:]}
    if len(sizes) != len(infos) - 1 or sum(sizes.values()) > size:
        raise ModelFileError("the parts of a model file must each be there once. Got others.")
    if {name: entry["size"] for name, entry in manifest["parts"].items()} != sizes:
        raise ModelFileError(
            "path must name a complete model file. Got other parts than it declares instead; fetch "
            "the file again."
        )
    return manifest


def _check_entry(info: zipfile.ZipInfo) -> None:
    """Refuse an entry that is compressed, encrypted or of a name that no part of ours has."""
    plain = info.compress_type == zipfile.ZIP_STORED and not info.flag_bits
    known = info.filename == MANIFEST or _PART.fullmatch(info.filename)
    if not plain or not known or info.compress_size != info.file_size:
        raise ModelFileError(
            "path must name a model saved by hierlearn.save. Got a file with an entry "
            f"{info.filename[:80]!r} that is not of its form instead."
        )
