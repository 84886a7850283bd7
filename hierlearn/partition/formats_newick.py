"""Taxonomies as Newick text, as programs that draw phylogenies read and write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote

from hierlearn.exceptions import PartitionError
from hierlearn.partition.formats import Cluster, Outline, canonical_order

__all__ = ["newick_of", "outline_of_newick"]

_PLAIN = re.compile(r"[^\s()\[\]{}':;,_]+")
_TOKEN = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*')
    | \[(?P<comment>[^\]]*)\]
    | (?P<mark>[(),:;])
    | (?P<text>[^\s()\[\]':;,]+)
    | (?P<space>\s+)""",
    re.VERBOSE,
)
_NOTE = re.compile(r"(?:^&|,)(cluster_name|cluster|height|node|tree)=([^,]*)")


# -- writing ----------------------------------------------------------------------------------


def newick_of(outline: Outline, annotate: bool = True) -> str:
    """Write an outline as Newick text, clusters, heights and numbers as comments on the nodes."""
    texts, children = outline.text_labels(), outline.children()
    codes = {leaf: leaf for leaf in outline.labels}
    inner = [node for node in range(len(outline.parents)) if node not in outline.labels]
    numbered = canonical_order(outline, codes) != inner
    parts: list[str] = []
    stack: list[int | str] = [outline.root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        cluster = outline.clusters.get(item, Cluster())
        name = texts[item] if item in texts else outline.names.get(item) or cluster.name or ""
        notes = _notes(outline, item, name, numbered) if annotate else ""
        own = _quoted(name, item in texts) + notes + _length(outline, item)
        below = children[item]
        if not below:
            parts.append(own)
            continue
        stack.append(")" + own)
        for position, child in enumerate(reversed(below)):
            stack += [child] if position == len(below) - 1 else [child, ","]
        parts.append("(")
    return "".join(parts) + ";"


def _quoted(name: str, is_leaf: bool) -> str:
    """Quote a name where the standard demands it; underscores would be read as blanks."""
    if _PLAIN.fullmatch(name) or (not name and not is_leaf):
        return name
    return "'" + name.replace("'", "''") + "'"


def _length(outline: Outline, node: int) -> str:
    parent = outline.parents[node]
    if outline.heights is None or parent < 0:
        return ""
    return f":{outline.heights[parent] - outline.heights[node]!r}"


def _notes(outline: Outline, node: int, name: str, numbered: bool) -> str:
    """Write what the standard has no place for as a comment, ``[&key=value,...]``."""
    notes: dict[str, object] = {}
    cluster = outline.clusters.get(node)
    if cluster is not None:
        notes["cluster"] = cluster.number
        if cluster.name != name:
            notes["cluster_name"] = quote(cluster.name or "")
    if outline.heights is not None and (node not in outline.labels or outline.heights[node] != 0):
        notes["height"] = repr(outline.heights[node])
    if numbered and node not in outline.labels:
        notes["node"] = node
    if outline.parents[node] < 0 and outline.keeps_tree:
        notes["tree"] = 1
    return f"[&{','.join(f'{key}={value}' for key, value in notes.items())}]" if notes else ""


# -- reading ----------------------------------------------------------------------------------


@dataclass
class _Node:
    """A node as it is read; where its text begins."""

    parent: int
    place: int
    name: str | None = None
    length: float | None = None
    has_children: bool = False


def _fail(rule: str, place: int, got: str) -> NoReturn:
    raise PartitionError(f"newick must {rule}. Got {got} at character {place} instead.")


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and place (from 1) of every token but blanks."""
    end = 0
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            closing = {"'": "quotes in pairs", "[": "comments that end"}
            rule = closing.get(text[end], "brackets in pairs")
            _fail(f"have {rule}", end + 1, repr(text[end : end + 10]))
        if match.lastgroup != "space":
            kind = match.lastgroup or ""
            yield kind, match[kind], end + 1
        end = match.end()


class _Reader:
    """Reads one tree, token by token."""

    def __init__(self, underscores: bool) -> None:
        self.nodes = [_Node(-1, 1)]
        self.at = 0  # the node that is being read
        self.notes: dict[int, dict[str, str]] = {}
        self.underscores = underscores
        self.wants_length = False
        self.ended = False

    def read(self, text: str) -> None:
        place = 0
        for kind, token, place in _tokens(text):
            if kind == "comment":
                self.notes.setdefault(self.at, {}).update(_NOTE.findall(token))
            elif self.ended:
                _fail("hold one tree", place, f"{token!r} after the semicolon")
            elif self.wants_length:
                self._length(token, place)
            elif kind == "mark":
                self._mark(token, place)
            else:
                self._name(kind, token, place)
        if not self.ended:
            missing = "an open parenthesis" if self.nodes[self.at].parent >= 0 else "no semicolon"
            _fail("end with a semicolon, all parentheses closed", len(text), missing)

    def _mark(self, mark: str, place: int) -> None:
        node = self.nodes[self.at]
        if mark == "(":
            if node.has_children or node.name is not None:
                _fail("have a comma between nodes", place, "'('")
            node.has_children = True
            self._begin(self.at, place)
        elif mark == ":":
            self.wants_length = True
        elif mark == ";":
            if node.parent >= 0:
                _fail("close every parenthesis", place, "the end of the tree")
            self.ended = True
        elif node.parent < 0:
            _fail("open every parenthesis that it closes", place, repr(mark))
        elif mark == ",":
            self._begin(node.parent, place)
        else:
            self.at = node.parent

    def _begin(self, parent: int, place: int) -> None:
        self.nodes.append(_Node(parent, place + 1))
        self.at = len(self.nodes) - 1

    def _name(self, kind: str, token: str, place: int) -> None:
        node = self.nodes[self.at]
        if node.name is not None or node.length is not None:
            _fail("have one name a node, with quotes around blanks", place, repr(token))
        if kind == "quoted":
            node.name = token[1:-1].replace("''", "'")
        else:
            node.name = token.replace("_", " ") if self.underscores else token
        node.place = place

    def _length(self, token: str, place: int) -> None:
        node = self.nodes[self.at]
        try:
            length = float(token)
        except ValueError:
            length = float("nan")
        if not 0 <= length < float("inf") or node.length is not None:
            _fail("have one length of at least 0 after a colon", place, repr(token))
        node.length, self.wants_length = length, False


def outline_of_newick(text: str, underscores: bool = True) -> Outline:
    """Read Newick text, and the comments of :func:`newick_of` where there are any.

    Raises
    ------
    PartitionError
        Naming the fault and the character.
    """
    if not isinstance(text, str):
        raise PartitionError(
            f"newick must be text: read the file first. Got {type(text).__name__} instead."
        )
    reader = _Reader(underscores)
    reader.read(text)
    nodes, notes = reader.nodes, reader.notes
    labels = _leaf_names(nodes)
    outline = Outline(
        parents=[node.parent for node in nodes],
        labels=dict(labels),
        names={i: node.name for i, node in enumerate(nodes) if node.has_children and node.name},
        heights=_heights(nodes, notes),
        keeps_tree="tree" in notes.get(0, {}),
    )
    for node, values in notes.items():
        if "cluster" in values:
            name = unquote(values["cluster_name"]) if "cluster_name" in values else nodes[node].name
            number = int(_number(values["cluster"], nodes[node].place))
            outline.clusters[node] = Cluster(number, name)
    return _renumbered(outline, notes, nodes)


def _leaf_names(nodes: list[_Node]) -> dict[int, str]:
    """Return the name of every leaf, all different."""
    names: dict[int, str] = {}
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node.has_children:
            continue
        if node.name is None:
            _fail("name every leaf", node.place, "a leaf without a name")
        if node.name in seen:
            first = f"{node.name!r} (as at character {seen[node.name]})"
            _fail("name every class once", node.place, first)
        seen[node.name] = node.place
        names[index] = node.name
    return names


def _heights(nodes: list[_Node], notes: dict[int, dict[str, str]]) -> list[float] | None:
    """Take the heights from the comments, else from the lengths, deepest leaves at 0."""
    noted = {index: values["height"] for index, values in notes.items() if "height" in values}
    if noted and all(index in noted for index, node in enumerate(nodes) if node.has_children):
        return [
            _number(noted.get(index, "0"), node.place, float) for index, node in enumerate(nodes)
        ]
    branches = nodes[1:]  # the root's own length leads nowhere
    if not any(node.length is not None for node in branches):
        return None
    depths = [0.0]
    for node in branches:  # parents come before their children
        if node.length is None:
            _fail("give a length to every branch or to none", node.place, "a branch without one")
        depths.append(depths[node.parent] + node.length)
    deepest = max(depths)
    return [deepest - depth for depth in depths]


def _number(text: str, place: int, kind: type = int) -> float:
    try:
        return kind(text)
    except ValueError:
        _fail("have numbers in the comments on clusters, heights and nodes", place, repr(text))


def _renumbered(outline: Outline, notes: dict[int, dict[str, str]], nodes: list[_Node]) -> Outline:
    """Bring the inner nodes into the order that the comments say, if they do."""
    inner = [index for index, node in enumerate(nodes) if node.has_children]
    if not inner or not all("node" in notes.get(index, {}) for index in inner):
        return outline
    inner.sort(key=lambda index: _number(notes[index]["node"], nodes[index].place))
    new = {old: number for number, old in enumerate([*outline.labels, *inner])}
    order = sorted(new, key=new.__getitem__)
    return Outline(
        parents=[new.get(outline.parents[old], -1) for old in order],
        labels={new[old]: label for old, label in outline.labels.items()},
        names={new[old]: name for old, name in outline.names.items()},
        heights=None if outline.heights is None else [outline.heights[old] for old in order],
        clusters={new[old]: cluster for old, cluster in outline.clusters.items()},
        keeps_numbers=True,
        keeps_tree=outline.keeps_tree,
    )
