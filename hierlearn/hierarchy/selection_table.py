"""What network selection found for each cluster: to be read, saved, merged and learnt from."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .cluster_task import Selection

__all__ = ["SelectionRow", "SelectionTable"]

_FORMAT, _VERSION = "hierlearn selection table", 1


@dataclass(frozen=True)
class SelectionRow:
    """One cluster.

    Parameters
    ----------
    statistics : dict of str to float
        See :func:`cluster_statistics`.
    scores : dict of str to float
        Held-out score by candidate; NaN where it was not compared.
    costs : dict of str to float
        Multiply-adds of one prediction by candidate; NaN where unknown.
    winner : str
        The candidate that was kept.
    seconds : dict of str to float
        Training time by candidate, to be compared and to be kept.
    cluster : str, default=""
        Name of the cluster.
    dataset : str, default=""
        Name of the data set.
    """

    statistics: dict[str, float]
    scores: dict[str, float]
    costs: dict[str, float]
    winner: str
    seconds: dict[str, float]
    cluster: str = ""
    dataset: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every candidate has a score."""
        return not any(math.isnan(score) for score in self.scores.values())


@dataclass(frozen=True)
class SelectionTable:
    """What was found for clusters, of one or of several data sets, with the same candidates.

    Parameters
    ----------
    candidates : tuple of str
        Names of the candidates. Tables are for the same candidates if the names are the same.
    rows : tuple of SelectionRow, default=()
        One a cluster.

    See Also
    --------
    NetworkSelector : Fills it, and learns from it.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 2 (the data set of cluster statistics and best networks).

    Examples
    --------
    >>> from hierlearn.hierarchy import SelectionRow, SelectionTable
    >>> row = SelectionRow(
    ...     {"n_classes": 3.0}, {"small": 0.8, "large": 0.9}, {"small": 50.0, "large": 900.0},
    ...     winner="large", seconds={"small": 0.1, "large": 0.4}, dataset="letters",
    ... )
    >>> table = SelectionTable(("small", "large"), (row,))
    >>> len(table + table)  # what is in both stays once
    1
    >>> print(table)
    data set  cluster  classes  winner  small  large
    letters                  3  large    80.0   90.0
    """

    candidates: tuple[str, ...]
    rows: tuple[SelectionRow, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: SelectionTable) -> SelectionTable:
        return SelectionTable.merge([self, other])

    @property
    def complete(self) -> tuple[SelectionRow, ...]:
        """The rows in which every candidate has a score."""
        return tuple(row for row in self.rows if row.is_complete)

    @property
    def datasets(self) -> list[str]:
        """The names of the data sets, in the order of their first rows."""
        return list(dict.fromkeys(row.dataset for row in self.rows))

    @classmethod
    def merge(cls, tables: Iterable[SelectionTable]) -> SelectionTable:
        """Put tables one below the other.

        Parameters
        ----------
        tables : iterable of SelectionTable
            With the same candidates, in any order.

        Returns
        -------
        SelectionTable
            With the candidates in the order of the first. What is found in two tables stays once.

        Raises
        ------
        ValueError
            If there is no table, or their candidates differ.
        """
        tables = list(tables)
        if not tables:
            raise ValueError("tables must hold at least one SelectionTable. Got none instead.")
        names = tables[0].candidates
        aligned = [table.for_candidates(names) for table in tables]
        rows: dict[str, SelectionRow] = {}
        for row in (row for table in aligned for row in table.rows):
            rows.setdefault(_content(row), row)
        return cls(names, tuple(rows.values()))

    @classmethod
    def from_hierarchy(cls, clf: Any, dataset: str = "") -> SelectionTable:
        """Collect what the selectors of a fitted hierarchy found.

        Parameters
        ----------
        clf : HierarchicalDecompositionClassifier or NetworkSelector
            Fitted, with a NetworkSelector as ``fine_estimator``; deeper levels included.
        dataset : str, default=""
            Name to note in every row.

        Returns
        -------
        SelectionTable

        Raises
        ------
        ValueError
            If there is no selector in it.
        """
        found = list(_selectors(clf))
        if not found:
            raise ValueError(
                "clf must be fitted and have a NetworkSelector as fine_estimator. Got "
                f"{type(clf).__name__} without any instead."
            )
        names = tuple(found[0][1].candidate_names_)
        rows = [_row_of(selector, cluster, dataset) for cluster, selector in found]
        return cls(names, tuple(rows))

    def for_candidates(self, names: Sequence[str]) -> SelectionTable:
        """Return the table with its candidates in another order.

        Parameters
        ----------
        names : sequence of str
            The same names.

        Returns
        -------
        SelectionTable
            A new table.

        Raises
        ------
        ValueError
            If they are other ones.
        """
        if set(names) != set(self.candidates):
            raise ValueError(
                f"table must be for the candidates {list(names)}. Got one for "
                f"{list(self.candidates)} instead; collect it with the same candidates, under the "
                "same names."
            )
        return replace(self, candidates=tuple(names))

    def with_selection(self, statistics: Mapping[str, float], found: Selection) -> SelectionTable:
        """Return the table with one more cluster.

        Parameters
        ----------
        statistics : mapping of str to float
            Of the cluster.
        found : Selection
            With scores by the names of the candidates.

        Returns
        -------
        SelectionTable
            A new table, one row longer.
        """
        row = SelectionRow(
            dict(statistics),
            dict(found.scores),
            dict(found.costs),
            self.candidates[found.index],
            _seconds(found.trained, self.candidates),
        )
        return replace(self, rows=(*self.rows, row))

    def to_records(self) -> list[dict[str, Any]]:
        """Return a flat dict for each row, ready for a data frame.

        Returns
        -------
        list of dict
            Keys ``dataset``, ``cluster``, ``winner``, each statistic by its name, and
            ``score: name``, ``cost: name``, ``seconds: name`` for each candidate.
        """
        return [
            {
                "dataset": row.dataset,
                "cluster": row.cluster,
                "winner": row.winner,
                **row.statistics,
                **{f"score: {name}": row.scores[name] for name in self.candidates},
                **{f"cost: {name}": row.costs[name] for name in self.candidates},
                **{f"seconds: {name}": row.seconds[name] for name in self.candidates},
            }
            for row in self.rows
        ]

    def save(self, path: str | os.PathLike) -> None:
        """Write the table as JSON.

        Parameters
        ----------
        path : str or path-like
            File to write; an existing one is replaced.
        """
        content = {
            "format": _FORMAT,
            "version": _VERSION,
            "candidates": list(self.candidates),
            "rows": [_without_nan(asdict(row)) for row in self.rows],
        }
        Path(path).write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike) -> SelectionTable:
        """Read a table written by :meth:`save`.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        SelectionTable

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not such a table, or was written by a later version.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:
            raise _unreadable(path, f"text that is not JSON ({error})") from None
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise _unreadable(path, "other JSON")
        if content.get("version") != _VERSION:
            raise ValueError(
                f"table must be of version {_VERSION}. Got version {content.get('version')!r} in "
                f"{os.fspath(path)!r} instead; read it with the hierlearn that wrote it."
            )
        try:
            names = tuple(str(name) for name in content["candidates"])
            rows = tuple(_read_row(row, names) for row in content["rows"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(path, f"a malformed one ({error!r})") from None
        return cls(names, rows)

    def __str__(self) -> str:
        lines = [("data set", "cluster", "classes", "winner", *self.candidates)]
        for row in self.rows:
            scores = [_percent(row.scores[name]) for name in self.candidates]
            n_classes = f"{row.statistics.get('n_classes', math.nan):.0f}"
            lines.append((row.dataset, row.cluster, n_classes, row.winner, *scores))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        left = {0, 1, 3}
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


def _selectors(clf: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fitted selectors of a hierarchy, with the names of their clusters."""
    if hasattr(clf, "candidate_names_"):
        yield prefix, clf
    elif hasattr(clf, "fine_estimators_"):
        names = map(str, clf.partition_.cluster_names)
        for name, fine in zip(names, clf.fine_estimators_, strict=True):
            yield from _selectors(fine, f"{prefix} / {name}" if prefix else name)


def _row_of(selector: Any, cluster: str, dataset: str) -> SelectionRow:
    return SelectionRow(
        dict(selector.statistics_),
        dict(selector.scores_),
        dict(selector.costs_),
        selector.best_name_,
        _seconds(selector.trained_, selector.candidate_names_),
        cluster,
        dataset,
    )


def _seconds(trained: Iterable[Any], names: Iterable[str]) -> dict[str, float]:
    seconds = dict.fromkeys(names, 0.0)
    for training in trained:
        seconds[training.candidate] += training.seconds
    return seconds


def _content(row: SelectionRow) -> str:
    """Return what a row holds as text, equal for equal rows: NaN is not equal to itself."""
    return json.dumps(_without_nan(asdict(row)), sort_keys=True)


def _percent(score: float) -> str:
    return "-" if math.isnan(score) else f"{100 * score:.1f}"


def _without_nan(value: Any) -> Any:
    """Write NaN as null, which every reader of JSON knows."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _read_row(row: dict[str, Any], names: tuple[str, ...]) -> SelectionRow:
    by_candidate = {
        field: {name: _number(row[field][name]) for name in names}
        for field in ("scores", "costs", "seconds")
    }
    if row["winner"] not in names:
        raise ValueError(f"unknown winner {row['winner']!r}")
    return SelectionRow(
        statistics={str(name): _number(value) for name, value in row["statistics"].items()},
        winner=row["winner"],
        cluster=str(row["cluster"]),
        dataset=str(row["dataset"]),
        **by_candidate,
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _unreadable(path: str | os.PathLike, what: str) -> ValueError:
    return ValueError(
        f"table must be a file written by SelectionTable.save. Got {what} in "
        f"{os.fspath(path)!r} instead."
    )
