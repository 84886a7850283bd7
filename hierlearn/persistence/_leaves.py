"""What only skops can store: trees, losses, generators of scikit-learn and numpy.

All of them are one part of the file, a list that skops wrote. skops decides which types may be
loaded; here it is made sure that its own file cannot make it run out of time or memory.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import MissingExtraError, ModelFileError

# Nodes that skops walks through, each as often as it is referred to.
_MAX_STEPS = 2_000_000
_MAX_DEPTH = 100


def skops_io() -> Any:
    """Return ``skops.io``, or say which extra it takes."""
    try:
        import skops.io
    except ImportError as error:
        raise MissingExtraError(
            "this model needs the package skops to be saved or loaded; install it with pip install "
            "'hierlearn[safe]'."
        ) from error
    return skops.io


def untrusted(value: Any) -> list[str]:
    """Return the names of the types that a value needs and skops does not trust.

    Parameters
    ----------
    value : object

    Returns
    -------
    list of str
        Where skops cannot store the value at all, a list that holds None.
    """
    library = skops_io()
    return list(library.get_untrusted_types(data=library.dumps(value)))


def dump(leaves: Sequence[Any]) -> bytes:
    """Return leaves as the part that holds them."""
    content: bytes = skops_io().dumps(list(leaves))
    return content


def load(content: bytes, trusted: Sequence[str]) -> list[Any]:
    """Return the leaves of a part.

    Parameters
    ----------
    content : bytes
    trusted : sequence of str
        Names of types that skops does not trust by itself, and the caller does.

    Returns
    -------
    list

    Raises
    ------
    ModelFileError
        If a type is not trusted, or the part is not as skops writes it.
    """
    _check_archive(content)
    library = skops_io()
    needed = set(library.get_untrusted_types(data=content)) - set(trusted)
    if needed:
        raise untrusted_error(sorted(needed))
    leaves = library.loads(content, trusted=sorted(trusted))
    if not isinstance(leaves, list):
        raise ModelFileError("the leaves of a model file must be a list. Got another type.")
    return leaves


def untrusted_error(names: Sequence[str]) -> ModelFileError:
    """Return the error about types in a file that nobody trusts."""
    shown = ", ".join(repr(str(name)[:200]) for name in names[:10])
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ModelFileError(
        f"types in a model file must be known or trusted. Got {shown}{more} instead; if you trust "
        f"them and who sent the file, pass trusted={[str(name)[:200] for name in names[:10]]!r}."
    )


def _check_archive(content: bytes) -> None:
    """Refuse what would make skops unpack, read or walk through more than the file holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
        size = sum(info.file_size for info in infos)
        if not stored or size > len(content) or len({i.filename for i in infos}) != len(infos):
            raise ModelFileError("the leaves of a model file must not be compressed. Got others.")
        for info in infos:
            if info.filename != "schema.json":
                _check_array(archive.read(info), info.filename)
        _count_steps(json.loads(archive.read("schema.json")), {}, 0)


def _check_array(content: bytes, name: str) -> None:
    """Check that an array is as long as its header says, and of a type without code."""
    file = io.BytesIO(content)
    kind = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = readers[kind](file)
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.hasobject or size != len(content) - file.tell():
        raise ModelFileError(f"{name[:80]!r} must be an array of plain values. Got another.")


def _count_steps(state: Any, known: dict[Any, int], depth: int) -> int:
    """Return how many nodes skops visits; a node referred to again is visited again, whole."""
    if depth > _MAX_DEPTH:
        raise ModelFileError(f"leaves must be at most {_MAX_DEPTH} deep. Got deeper ones.")
    if not isinstance(state, (dict, list)):
        return 0
    key = state.get("__id__") if isinstance(state, dict) else None
    if key is not None and key in known:
        return known[key]
    children = state.values() if isinstance(state, dict) else state
    steps = 1 + sum(_count_steps(child, known, depth + 1) for child in children)
    if steps > _MAX_STEPS:
        raise ModelFileError(f"leaves must have at most {_MAX_STEPS} parts. Got more.")
    if key is not None:
        known[key] = steps
    return steps
