"""CLINC150: short questions to an assistant, in 150 intents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from hierlearn.datasets._files import Folder, find_folder, missing_files

__all__ = ["load_clinc150"]

_TEXTS, _DOMAINS = "data_full.json", "domains.json"
_SUBFOLDERS = ("clinc150", "data")
_WANTED = f"CLINC150, that is {_TEXTS}, in itself or in clinc150/ or data/"
_REMEDY = "download https://github.com/clinc/oos-eval (folder data) and put it there"

_DESCR = """\
CLINC150: 22,500 short questions to a voice assistant in 150 intents, which belong to 10 domains
of 15 intents each. 100 training, 20 validation and 30 test questions for each intent; here the
validation part is added to the training part. Questions out of scope are left out.

Larson, Mahendran, Peper, Clarke, Lee, Hill, Kummerfeld, Leach, Laurenzano, Tang & Mars (2019),
An evaluation dataset for intent classification and out-of-scope prediction, EMNLP-IJCNLP.
Licence: CC BY 3.0.
"""


def load_clinc150(data_dir: Folder) -> Bunch:
    """Load CLINC150, short questions in 150 intents, from ``data_full.json``.

    Parameters
    ----------
    data_dir : str or path-like
        Folder that holds ``data_full.json``, itself or in ``clinc150/`` or ``data/``. Where
        ``domains.json`` lies beside it, the domains are the groups.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data_train, data_test : ndarray of shape (18000,) and (4500,), dtype object
            The questions, as str. The training part holds the keys ``train`` and ``val``; the
            questions out of scope (``oos_*``) are left out.
        target_train, target_test : ndarray of shape (18000,) and (4500,), dtype str
            The intents.
        target_names : ndarray of shape (150,), dtype str
            The intents, sorted.
        groups : dict or None
            From intent to domain; None without ``domains.json``.
        DESCR : str
            Description of the set.

    Raises
    ------
    FileNotFoundError
        If the file is not there; the message says what to download.
    ValueError
        If the file is not what CLINC150 has, or ``domains.json`` leaves out an intent.

    Examples
    --------
    >>> from hierlearn.datasets import load_clinc150
    >>> clinc = load_clinc150("downloads")  # doctest: +SKIP
    >>> clinc.groups["translate"]  # doctest: +SKIP
    'travel'
    """
    folder = find_folder(data_dir, _SUBFOLDERS, [_TEXTS])
    if folder is None:
        raise missing_files(data_dir, _WANTED, _REMEDY)
    parts = _read_json(folder / _TEXTS)
    texts, intents = _columns(parts, ("train", "val"), folder)
    test_texts, test_intents = _columns(parts, ("test",), folder)
    names = np.unique(np.concatenate([intents, test_intents]))
    return Bunch(
        data_train=texts,
        target_train=intents,
        data_test=test_texts,
        target_test=test_intents,
        target_names=names,
        groups=_domains(folder / _DOMAINS, names.tolist()),
        DESCR=_DESCR,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: download it again. Got {error} instead.") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} must hold a JSON object: download it again. "
            f"Got {type(content).__name__} instead."
        )
    return content


def _columns(
    parts: dict[str, Any], keys: tuple[str, ...], folder: Path
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the texts and the intents under some keys of the file, one after the other."""
    try:
        pairs = [(str(text), str(intent)) for key in keys for text, intent in parts[key]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / _TEXTS} must have the keys train, val and test, each a list of "
            f"[text, intent]: download it again. Got keys {sorted(parts)} instead."
        ) from error
    texts = np.array([text for text, _ in pairs], dtype=object)
    return texts, np.array([intent for _, intent in pairs], dtype=str)


def _domains(path: Path, intents: list[str]) -> dict[str, str] | None:
    """Turn the file's lists of intents around, into the domain of each intent."""
    if not path.is_file():
        return None
    domains = _read_json(path)
    groups = {intent: domain for domain, members in domains.items() for intent in members}
    absent = [intent for intent in intents if intent not in groups]
    if absent:
        raise ValueError(
            f"{path} must name the domain of every intent: download it again. "
            f"Got none for {absent[:5]} instead."
        )
    return {intent: groups[intent] for intent in intents}
