"""Tables that a terminal shows well in 80 columns, and that HTML shows, too."""

from __future__ import annotations

import html
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from .._names import JOINERS, in_a_list, readable_name

_COLUMNS = 80
_GAP = "  "
_NAME_LENGTH = 24
_LONGEST_LEFT_CELL = 34
_HTML_NAMES = 40
_STYLE = (
    ".hierlearn-summary{font-size:.9em;margin:.5em 0}"
    ".hierlearn-summary summary{cursor:pointer}"
    ".hierlearn-summary table{border-collapse:collapse;margin:.5em 0}"
    ".hierlearn-summary caption{text-align:left;font-weight:bold}"
    ".hierlearn-summary th,.hierlearn-summary td{text-align:left;padding:.15em .7em .15em 0;"
    "vertical-align:top;overflow-wrap:anywhere}"
    ".hierlearn-summary .figure{text-align:right;white-space:nowrap}"
)


@dataclass(frozen=True)
class Names:
    """A cell of class names; as many as fit are shown, and how many more there are.

    Parameters
    ----------
    names : tuple of str
        The names, the telling ones first.
    """

    names: tuple[str, ...]

    def text(self, columns: int) -> str:
        """Return the first names, within so many columns of a terminal."""
        shown, left = "", len(self.names)
        longest = max(10, min(_NAME_LENGTH, columns // 2 - 2))
        for name in (in_a_list(readable_name(name, longest)) for name in self.names):
            longer = f"{shown}, {name}" if shown else name
            more = f", +{left - 1}" if left > 1 else ""
            if shown and text_width(longer + more) > columns:
                break
            shown, left = longer, left - 1
        more = f", +{left}" if left else ""
        return cut(shown, columns - len(more)) + more

    def html(self) -> str:
        """Return the first names escaped, each with a direction of its own."""
        shown = [
            f"<bdi>{html.escape(readable_name(name, 60))}</bdi>"
            for name in self.names[:_HTML_NAMES]
        ]
        left = len(self.names) - len(shown)
        return ", ".join([*shown, f"and {left} more"] if left else shown)


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading.

    Parameters
    ----------
    caption : str
        What the table shows; empty for none.
    heading : tuple of str
        Heads of the columns; empty for none.
    rows : tuple of tuple
        Cells: str, or :class:`Names` in the last column.
    align : str
        ``"l"`` or ``"r"`` for each column.
    note : str, default=""
        A sentence below the table.
    """

    caption: str
    heading: tuple[str, ...]
    rows: tuple[tuple[str | Names, ...], ...]
    align: str
    note: str = ""

    def text(self) -> str:
        """Return the table in at most 80 columns."""
        widths = self._widths()
        parts = [_wrapped(self.caption)] if self.caption else []
        parts += [self._line(row, widths) for row in (self.heading, *self.rows) if row]
        return "\n".join([*parts, _wrapped(self.note)] if self.note else parts)

    def _widths(self) -> list[int]:
        """Return the width of every column but the last, which takes what is left."""
        rows = [self.heading, *self.rows] if self.heading else list(self.rows)
        columns = list(zip(*rows, strict=True))
        if self.align[-1] == "l":
            columns = columns[:-1]
        return [
            min(max(text_width(str(cell)) for cell in column), _LONGEST_LEFT_CELL)
            for column in columns
        ]

    def _line(self, row: Sequence[str | Names], widths: Sequence[int]) -> str:
        cells = []
        for cell, width, align in zip(row, widths, self.align, strict=False):
            text = cut(str(cell), width)
            pad = " " * (width - text_width(text))
            cells.append(pad + text if align == "r" else text + pad)
        if len(row) > len(widths):
            room = _COLUMNS - sum(widths) - len(_GAP) * len(widths)
            last = row[-1]
            cells.append(last.text(room) if isinstance(last, Names) else cut(last, room))
        return _GAP.join(cells).rstrip()

    def html(self) -> str:
        """Return a ``<table>``, every cell escaped."""
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        head = f"<thead>{self._html_row(self.heading, 'th')}</thead>" if self.heading else ""
        body = "".join(self._html_row(row, "td") for row in self.rows)
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        return f"<table>{caption}{head}<tbody>{body}</tbody></table>{note}"

    def _html_row(self, row: Sequence[str | Names], tag: str) -> str:
        cells = "".join(
            f'<{tag} class="figure">{_html_cell(cell)}</{tag}>'
            if align == "r"
            else f"<{tag}>{_html_cell(cell)}</{tag}>"
            for cell, align in zip(row, self.align, strict=True)
        )
        return f"<tr>{cells}</tr>"


@dataclass(frozen=True)
class Summary:
    """Tables under a title; print it.

    Parameters
    ----------
    title : str
        One line.
    tables : tuple of Table
        From settings to clusters.
    """

    title: str
    tables: tuple[Table, ...]

    def __str__(self) -> str:
        return "\n\n".join([self.title, *(table.text() for table in self.tables)])

    def _repr_html_(self) -> str:
        return self.to_html(expanded=True)

    def to_html(self, *, expanded: bool = False) -> str:
        """Return the summary as a piece of HTML that folds away; no scripts, names escaped.

        Parameters
        ----------
        expanded : bool, default=False
            Whether it is open at first.

        Returns
        -------
        str
            A ``<div>`` with its own style.
        """
        tables = "".join(table.html() for table in self.tables)
        return (
            f'<div class="hierlearn-summary"><style>{_STYLE}</style>'
            f"<details{' open' if expanded else ''}><summary>{html.escape(self.title)}</summary>"
            f"{tables}</details></div>"
        )


def _html_cell(cell: str | Names) -> str:
    return cell.html() if isinstance(cell, Names) else f"<bdi>{html.escape(cell)}</bdi>"


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    int
        Wide characters, such as Chinese ones and emoji, count twice, combining marks not at all.

    Examples
    --------
    >>> text_width("maple"), text_width("槭樹")
    (5, 4)
    """
    return sum(map(_character_width, text))


def _character_width(char: str) -> int:
    if char in JOINERS or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, columns: int) -> str:
    """Cut a text at so many columns, with an ellipsis where anything is lost.

    Examples
    --------
    >>> cut("a maple", 4), cut("maple", 9)
    ('a m…', 'maple')
    """
    if text_width(text) <= columns:
        return text
    kept, room = "", columns - 1
    for char in text:
        room -= _character_width(char)
        if room < 0:
            break
        kept += char
    return f"{kept}…" if columns > 0 else ""


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _COLUMNS))
