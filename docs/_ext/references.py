"""Cross references of docstrings, resolved as Python would resolve the names.

A public object has one page, under the shortest name it is imported by, while docstrings name it
from wherever they stand: ``TorchClassifier``, ``hierlearn.networks.TorchClassifier``,
``LabelPartition.from_newick``. Whatever Sphinx does not find is looked up as an attribute, and the
page of that object is linked.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

from hierlearn import _SUBMODULES as ROOMS


def found(dotted: str) -> Any:
    """Return the object of a dotted name, or None."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            value = import_module(".".join(parts[:length]))
        except ImportError:
            continue
        for name in parts[length:]:
            value = getattr(value, name, None)
        return value
    return None


def bare(value: Any) -> Any:
    """Return what a bound method or a property is made of, so that aliases compare equal."""
    return getattr(value, "__func__", value)


def candidates(node: pending_xref) -> list[str]:
    """Return the full names that a reference may mean, the nearest first."""
    target, module, owner = node["reftarget"], node.get("py:module"), node.get("py:class")
    home = found(f"{module}.{owner}") if module and owner else None
    scopes = [
        f"{module}.{owner}" if home is not None else None,
        getattr(home, "__module__", None),
        module,
        "hierlearn",
        *(f"hierlearn.{room}" for room in ROOMS),
        *sorted(name for name in sys.modules if name.startswith("hierlearn.")),
    ]
    return [target, *(f"{scope}.{target}" for scope in scopes if scope)]


def pages(env: BuildEnvironment) -> dict[int, tuple[str, ObjectEntry]]:
    """Return the full name and the place of everything that has a description, by identity."""
    described: dict[int, tuple[str, ObjectEntry]] = {}
    for name, entry in env.domains["py"].objects.items():
        value = found(name)
        if value is not None:
            described.setdefault(id(bare(value)), (name, entry))
    return described


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Link a reference to the page of the object that its name means.

    What has no page, because it is not public, is left as text; what does not exist is a warning.
    """
    if node.get("refdomain") != "py":
        return None
    values = [found(name) for name in candidates(node) if name.startswith("hierlearn.")]
    values = [value for value in values if value is not None]
    described = pages(env) if values else {}
    for value in values:
        if id(bare(value)) in described:
            name, entry = described[id(bare(value))]
            return make_refnode(
                app.builder, node["refdoc"], entry.docname, entry.node_id, content, name
            )
    return content if values else None


def mark_names(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Keep ``n_features_in_`` in a shape from being read as the name of a link."""
    lines[:] = [re.sub(r"\((\w+_),\)", r"(`\1`,)", line) for line in lines]


def leave_out(app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any) -> bool:
    """Leave scikit-learn's and torch's own methods to their own documentation."""
    if name.startswith("set_") and name.endswith("_request"):
        return True
    module = getattr(value, "__module__", None) or getattr(
        getattr(value, "fget", None), "__module__", None
    )
    if module is not None and not module.startswith("hierlearn"):
        return True
    return skip


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("missing-reference", resolve)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("autodoc-process-docstring", mark_names, priority=400)  # before numpydoc
    return {"parallel_read_safe": True, "parallel_write_safe": True}
