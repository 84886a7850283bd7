"""From plain values to one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from importlib.resources import files
from typing import Any

from hierlearn._names import readable_name
from hierlearn.display._style import PALETTE
from hierlearn.exceptions import MissingExtraError
from hierlearn.reporting.data import Branch, ReportData, Variant
from hierlearn.reporting.headline import signed, times

__all__ = ["render", "script_json"]

# Pixels of a class's row in the dendrogram and of the drawing's width; report.css has them, too.
_ROW, _WIDTH = 30, 200
_TEMPLATES = ("report.html.jinja", "macros.html.jinja")
# What must not stand in a script element, or ends a line of JavaScript.
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def render(data: ReportData) -> str:
    """Write a report as HTML.

    Parameters
    ----------
    data : ReportData
        What it shows, see :func:`gather`.

    Returns
    -------
    str
        A page in one piece: styles, script and pictures are in it, and a policy that forbids the
        browser to load anything else or to run any other script.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    """
    template = _environment().get_template(_TEMPLATES[0])
    style = _palette() + _asset("report.css")
    script = _asset("report.js")
    return template.render(
        data=data,
        style=style,
        script=script,
        policy=_policy(style, script),
        values=script_json(_values(data)),
        scale=_scale(data.results.variants),
        row=_ROW,
        width=_WIDTH,
    )


def _environment() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise MissingExtraError(
            'A report needs Jinja2: install it with pip install "hierlearn[report]".'
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({name: _asset(name) for name in _TEMPLATES}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=_count,
        path=_path,
        percent=_percent,
        shortened=readable_name,
        signed=signed,
        times=times,
    )
    environment.tests["unknown"] = math.isnan
    return environment


def _asset(name: str) -> str:
    return (files("hierlearn.reporting") / "assets" / name).read_text(encoding="utf-8")


def _palette() -> str:
    """Return a class of each colour of the clusters, lighter on a dark page."""
    classes = [f".k{number}{{--k:{color}}}" for number, color in enumerate(PALETTE)]
    lighter = [
        f".k{number}{{--k:color-mix(in srgb,{color},#fff 25%)}}"
        for number, color in enumerate(PALETTE)
    ]
    return "".join(
        [*classes, "@media screen and (prefers-color-scheme:dark){", *lighter, "}", "\n"]
    )


def _policy(style: str, script: str) -> str:
    """Allow this style, this script and pictures that are in the file; forbid all else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; "
        f"script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()


def script_json(value: Any) -> str:
    r"""Return JSON that may stand inside a script element.

    Parameters
    ----------
    value : object
        What :func:`json.dumps` takes, without NaN.

    Returns
    -------
    str
        Without a character that ends the element or a line of JavaScript.

    Examples
    --------
    >>> from hierlearn.reporting.rendering import script_json
    >>> print(script_json({"name": "</script>"}))
    {"name":"\u003c/script\u003e"}
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.translate(_ESCAPES)


def _values(data: ReportData) -> dict[str, Any]:
    """Return what the script draws: names, counts and the part of the tree above the clusters."""
    confusions = data.confusions
    return {
        "names": [row.name for row in data.classes],
        "totals": [row.n_samples for row in data.classes],
        "clusters": [
            {"name": row.name, "start": row.start, "stop": row.stop} for row in data.clusters
        ],
        "starts": confusions.starts,
        "columns": confusions.columns,
        "counts": confusions.counts,
        "multilabel": data.multilabel,
        "rowHeight": _ROW,
        "branches": [] if data.tree is None else [[b.x, b.row] for b in data.tree.branches],
        "forks": [] if data.tree is None else data.tree.forks,
    }


# -- how figures are written ---------------------------------------------------------------------


def _percent(value: float, digits: int = 1) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.{digits}f} %"


def _count(value: float) -> str:
    return "–" if math.isnan(value) else f"{round(value):,}"


def _path(branch: Branch) -> str:
    """Return the lines of a branch as the path of an SVG."""
    steps = []
    for x1, row1, x2, row2 in branch.lines:
        start = f"M{_WIDTH * x1:.1f} {_ROW * (row1 + 0.5):.1f}"
        vertical = x1 == x2 and row1 != row2
        steps.append(start + (f"V{_ROW * (row2 + 0.5):.1f}" if vertical else f"H{_WIDTH * x2:.1f}"))
    return "".join(steps)


def _scale(variants: tuple[Variant, ...]) -> dict[str, float] | None:
    """Return what maps a gain to its place in a drawing 100 wide; None without gains."""
    ends = [
        value
        for variant in variants
        for value in (variant.gain, variant.low, variant.high)
        if not math.isnan(value)
    ]
    if not ends:
        return None
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    room = (high - low) or 0.01
    factor = 92.0 / room
    return {"factor": factor, "zero": 4.0 - low * factor}
