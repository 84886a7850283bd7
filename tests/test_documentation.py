"""The documentation site lists what there is: public names, pages, examples."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import hierlearn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("plot_*.py"))
ROOMS = sorted({*hierlearn._SUBMODULES, "summary"})


def _reference():
    """Return the full names that the API reference has a place for."""
    listed = set()
    for page in (DOCS / "api").glob("*.rst"):
        module = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if match := re.match(r"\.\. (?:current)?module:: (\S+)", line):
                module = match[1]
                listed.add(module)
            elif match := re.match(r"(?:   |\.\. py:data:: )(\w+)$", line):
                listed.add(f"{module}.{match[1]}")
    return listed


def _home(room, name):
    """Return the name under which an object is listed: the shortest one."""
    value = getattr(import_module(f"hierlearn.{room}"), name)
    top = name in hierlearn._HOMES and getattr(hierlearn, name) is value
    return f"hierlearn.{name}" if top else f"hierlearn.{room}.{name}"


@pytest.mark.parametrize("room", ROOMS)
def test_reference_lists_every_public_name(room):
    listed = _reference()
    names = import_module(f"hierlearn.{room}").__all__
    expected = {f"hierlearn.{room}", *(_home(room, name) for name in names)}
    assert sorted(expected - listed) == [], f"to be listed in docs/api/{room}.rst"


def test_reference_lists_nothing_else():
    for name in _reference():
        parts = name.removeprefix("hierlearn").strip(".").split(".")
        value = hierlearn
        for part in filter(None, parts):
            value = getattr(value, part, None) or import_module(f"{value.__name__}.{part}")
        assert value is not None


def test_every_page_is_in_a_table_of_contents():
    pages = {path for pattern in ("*.md", "guide/*.md") for path in DOCS.glob(pattern)}
    listed = {DOCS / "index.md"}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, flags=re.DOTALL | re.M):
            entries = (line for line in tree.splitlines() if line and not line.startswith(":"))
            targets = (re.sub(r".*<(.*)>", r"\1", entry) for entry in entries)
            listed |= {(page.parent / f"{target}.md").resolve() for target in targets}
    assert sorted(path.name for path in pages - listed) == [], (
        "to be listed, e.g. in guide/index.md"
    )


def test_there_are_examples():
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_has_a_title_and_is_linked_from_a_page(name):
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    title, line = text.splitlines()[1:3]
    assert line == "=" * len(title)
    anchor = f"sphx_glr_auto_examples_{name}"
    pages = [*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")]
    assert any(anchor in page.read_text(encoding="utf-8") for page in pages)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_needs_no_network_and_no_download(name):
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert not re.search(r"fetch_|urlopen|load_(bibtex|cifar|clinc|delicious|mulan|omniglot)", text)
