"""Models as files that can be opened without trusting their sender.

:func:`save` takes a model apart into plain values, arrays and names of classes, and :func:`load`
puts it together again. Nothing in the file is code, and no name in it is imported that is not on a
list: our own classes, torch's layers, scikit-learn's estimators, what skops trusts, and what the
caller names.

Examples
--------
>>> from hierlearn import RandomPartitioner, load, save
>>> save(RandomPartitioner(n_clusters=3), "partitioner.hierlearn")  # doctest: +SKIP
>>> load("partitioner.hierlearn")  # doctest: +SKIP
RandomPartitioner(n_clusters=3)
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from ..exceptions import MissingExtraError, ModelFileError
from . import _leaves
from ._arrays import ArrayReader, safetensors
from ._container import Parts, opened, write
from ._decode import Decoder
from ._encode import Encoder
from ._types import Types

__all__ = ["load", "save"]

_MODEL = "model.json"
_LEAVES = "leaves.skops"


def save(model: Any, path: str | os.PathLike[str], *, trusted: Iterable[str] = ()) -> None:
    """Write a model to a file that can be opened without trusting its sender.

    Parameters
    ----------
    model : object
        A fitted or unfitted estimator of hierlearn or scikit-learn (Pipelines included), a
        :class:`~hierlearn.LabelPartition`, :class:`~hierlearn.ClassTree`, or lists, tuples and
        dicts of them.
    path : str or path-like
        File to write. An older file is replaced once the new one is complete.
    trusted : iterable of str, default=()
        Types beyond ours, torch's layers and what skops trusts, by module and name, such as
        ``"mine.Network"``. Whoever loads the file must trust them as well.

    Raises
    ------
    ValueError
        If the model holds a type that is neither known nor trusted; the message names it.
    MissingExtraError
        If safetensors or skops are not installed (``pip install 'hierlearn[safe]'``).
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read the file.

    Notes
    -----
    The folder of a cache (``memory``) is not saved: what lies there are pickles. Networks are
    saved as if they were on the CPU.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from hierlearn import TorchMLPClassifier, load, save
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TorchMLPClassifier((4,), max_epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     save(model, Path(folder) / "iris.hierlearn")
    ...     loaded = load(Path(folder) / "iris.hierlearn")
    >>> (loaded.predict_proba(X) == model.predict_proba(X)).all()  # doctest: +SKIP
    True
    """
    safetensors()
    encoder = Encoder(_names(trusted))
    root = encoder.value(model)
    document = json.dumps({"root": root, "nodes": encoder.nodes}, allow_nan=False)
    write(path, _parts(encoder, document.encode("ascii")))


def _parts(encoder: Encoder, document: bytes) -> Iterator[tuple[str, bytes]]:
    yield _MODEL, document
    if encoder.leaves:
        yield _LEAVES, _leaves.dump(encoder.leaves)
    yield from encoder.arrays.parts()


def load(path: str | os.PathLike[str], *, trusted: Iterable[str] = ()) -> Any:
    """Read a model that :func:`save` wrote; no code in the file is run, for there is none.

    Networks are loaded onto the CPU, so that a machine without a GPU can open any file; they move
    to the estimator's ``device`` when it predicts.

    Parameters
    ----------
    path : str or path-like
        File to read.
    trusted : iterable of str, default=()
        Types that the file may name beyond those that are known, by module and name. Their modules
        are imported and their code runs: name only what you would import yourself.

    Returns
    -------
    object
        The model.

    Raises
    ------
    ModelFileError
        If it is no such file, it was damaged, its parts do not fit each other, or it names a type
        that is not trusted.
    MissingExtraError
        If safetensors or skops are not installed (``pip install 'hierlearn[safe]'``).
    OSError
        If there is no file to read.

    See Also
    --------
    save : Write the file.

    Notes
    -----
    Checksums show what was damaged on the way, not who wrote the file: anybody can write a file
    that loads, and predicts as its writer likes.

    Examples
    --------
    See :func:`save`.
    """
    names = _names(trusted)
    with open(path, "rb") as file:
        try:
            with opened(file) as parts:
                return _model(parts, names)
        except (ModelFileError, MissingExtraError):
            raise
        except zipfile.BadZipFile as error:
            raise ModelFileError(
                "path must name a model saved by hierlearn.save. Got another file instead "
                f"({str(error)[:200]})."
            ) from error
        except Exception as error:  # whatever else does not fit, wherever it comes up
            raise ModelFileError(
                "path must name a sound model file. Got one whose parts do not fit each other "
                f"instead ({type(error).__name__}: {str(error)[:200]})."
            ) from error


def _model(parts: Parts, trusted: list[str]) -> Any:
    document = parts.read_json(_MODEL)
    leaves = _leaves.load(parts.read(_LEAVES), trusted) if _LEAVES in parts.names else []
    decoder = Decoder(ArrayReader(parts), leaves, Types(trusted), max(2**20, 2 * parts.size))
    return decoder.model(document)


def _names(trusted: Iterable[str]) -> list[str]:
    """Return trusted names as a list, so that no name is taken letter by letter."""
    names = [trusted] if isinstance(trusted, str) else list(trusted)
    if not all(isinstance(name, str) and "." in name for name in names):
        raise ValueError(
            f"trusted must be names of types with their modules, such as 'mine.Network'. Got "
            f"{trusted!r} instead."
        )
    return names
