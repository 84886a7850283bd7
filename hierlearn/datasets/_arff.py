"""Reading ARFF, Weka's text format, with dense and with sparse rows.

:func:`scipy.io.arff.loadarff` does not read sparse rows (``{3 1, 17 1}``: it takes the whole row
for the first value), and the package that does, liac-arff, has had no release since 2020.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

__all__ = ["ArffTable", "read_arff"]

_NUMERIC = ("numeric", "real", "integer")
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{}}]+)\s*(.*)", re.IGNORECASE)
_TOKEN = re.compile(rf"{_QUOTED}|[^\s,]+")
_BEFORE_COMMENT = re.compile(rf"(?:{_QUOTED}|[^%])*")
_SHOWN = 60  # characters of a bad line in an error

Decoder = Callable[[str], float]


@dataclass(frozen=True)
class ArffTable:
    """What an ARFF file holds.

    Parameters
    ----------
    names : list of str
        Names of the attributes, without quotes.
    categories : list of (list of str or None)
        The values of each attribute, in the order of its declaration; None for a number.
    values : csr_array of shape (n_rows, n_attributes), dtype float64
        Numbers as they are, of the other attributes the position of the value in its declaration
        (so that ``{0, 1}`` stays what it is); NaN where the file has a question mark.
    """

    names: list[str]
    categories: list[list[str] | None]
    values: sp.csr_array


def read_arff(path: Path) -> ArffTable:
    """Read an ARFF file of numeric and nominal attributes.

    Rows may be dense or sparse (pairs of position and value in braces; what is left out is 0, or
    the first value of the declaration). Names and values may be in single or double quotes with
    backslash escapes; a ``%`` outside of quotes begins a comment; keywords are in any case.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    table : ArffTable

    Raises
    ------
    ValueError
        If the file is not ARFF, is cut off, or has attributes of another type. The message names
        the file and the line.
    """
    lines = _Lines(path)
    names, categories = _read_header(lines)
    decoders = [_decoder(values) for values in categories]
    rows = [_read_row(text, decoders, lines) for text in lines]
    if not rows:
        lines.fail("rows after @data")
    indices = np.concatenate([columns for columns, _ in rows])
    data = np.concatenate([values for _, values in rows])
    indptr = np.cumsum([0, *(len(columns) for columns, _ in rows)], dtype=np.int32)
    table = sp.csr_array((data, indices, indptr), shape=(len(rows), len(names)))
    table.eliminate_zeros()
    table.sort_indices()
    return ArffTable(names, categories, table)


class _Lines:
    """The lines of a file that say something, and how to complain about the latest of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")
        self._numbered = enumerate(text.split("\n"), start=1)
        self.number, self.text = 0, ""

    def __iter__(self) -> Iterator[str]:
        for number, line in self._numbered:
            text = line.strip()
            if "%" in text:
                text = _BEFORE_COMMENT.match(text)[0].rstrip()  # type: ignore[index]
            if text:
                self.number, self.text = number, text
                yield text

    def fail(self, rule: str, cause: Exception | None = None) -> NoReturn:
        """Raise the error that names the file and the line."""
        shown = self.text if len(self.text) <= _SHOWN else f"{self.text[:_SHOWN]}..."
        raise ValueError(
            f"{self.path} must hold {rule}: it is damaged or cut off, download it again. "
            f"Got {shown!r} in line {self.number} instead."
        ) from cause


def _read_header(lines: _Lines) -> tuple[list[str], list[list[str] | None]]:
    """Read up to @data: the names of the attributes and their values."""
    names: list[str] = []
    categories: list[list[str] | None] = []
    for text in lines:
        keyword = text.split(maxsplit=1)[0].lower()
        if keyword == "@data":
            if not names:
                lines.fail("attributes before @data")
            return names, categories
        if keyword == "@attribute":
            match = _ATTRIBUTE.fullmatch(text)
            if match is None:
                lines.fail("'@attribute name type' in each line of an attribute")
            names.append(_unquote(match[1]))
            categories.append(_read_type(match[2], lines))
        elif keyword != "@relation":
            lines.fail("@relation, @attribute and @data only before the rows")
    lines.fail("a line @data after the attributes")


def _read_type(text: str, lines: _Lines) -> list[str] | None:
    """Return the values of a nominal attribute, None for a number."""
    if text.startswith("{"):
        inside, brace, _ = text[1:].rpartition("}")
        values = [_unquote(token) for token in _TOKEN.findall(inside)]
        if not brace or not values:
            lines.fail("the values of each nominal attribute in braces")
        return values
    if re.match(r"\w*", text)[0].lower() in _NUMERIC:  # type: ignore[index]
        return None
    lines.fail(f"attributes of type {', '.join(_NUMERIC)} or nominal ('{{0,1}}') only")


def _decoder(categories: list[str] | None) -> Decoder:
    """Return the function from the text of a value to a number; it raises KeyError, ValueError."""
    if categories is None:
        return float
    codes = {"?": np.nan} | {value: float(code) for code, value in enumerate(categories)}
    return codes.__getitem__


def _read_row(
    text: str, decoders: list[Decoder], lines: _Lines
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Return the columns and values of a row."""
    if text.startswith("{"):
        if not text.endswith("}"):
            lines.fail("a closing brace at the end of each sparse row")
        tokens = _tokens(text[1:-1])
        columns, texts = _columns(tokens, len(decoders), lines), tokens[1::2]
    else:
        columns, texts = list(range(len(decoders))), _tokens(text)
        if len(texts) != len(columns):
            lines.fail(f"{len(columns)} values in each row, one for each attribute")
    try:
        values = [decoders[column](value) for column, value in zip(columns, texts, strict=True)]
    except (KeyError, ValueError):
        values = _decode_carefully(columns, texts, decoders, lines)
    return np.array(columns, dtype=np.int32), np.array(values, dtype=np.float64)


def _tokens(text: str) -> list[str]:
    """Split at commas and blanks outside of quotes."""
    if "'" in text or '"' in text:
        return [_unquote(token) for token in _TOKEN.findall(text)]
    return text.replace(",", " ").split()


def _unquote(token: str) -> str:
    """Take quotes off, and the backslashes inside them; without quotes nothing is escaped."""
    if len(token) > 1 and token[0] == token[-1] and token[0] in "'\"":
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    return token


def _columns(tokens: list[str], n_attributes: int, lines: _Lines) -> list[int]:
    """Return the positions of a sparse row, from its pairs of position and value."""
    try:
        columns = [int(token) for token in tokens[::2]]
    except ValueError as error:
        lines.fail("pairs of position and value in each sparse row", error)
    if len(tokens) % 2:
        lines.fail("pairs of position and value in each sparse row")
    if columns and not 0 <= min(columns) <= max(columns) < n_attributes:
        lines.fail(f"positions from 0 to {n_attributes - 1} in each sparse row")
    if len(set(columns)) < len(columns):
        lines.fail("each position once in a sparse row")
    return columns


def _decode_carefully(
    columns: list[int], texts: list[str], decoders: list[Decoder], lines: _Lines
) -> list[float]:
    """Decode a row with missing numbers, or say which value is none."""
    values = []
    for column, text in zip(columns, texts, strict=True):
        try:
            values.append(np.nan if text == "?" else decoders[column](text))
        except (KeyError, ValueError) as error:
            kind = "a number" if isinstance(error, ValueError) else "one of the values declared"
            lines.fail(f"{kind} at position {column}, not {text!r}", error)
    return values
