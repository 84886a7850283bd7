"""The python blocks of the guides under docs/ run, in the order they stand in."""

import re
import tempfile
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


# Sketches with networks that are not installed here.
SKETCHES = {"transfer.md"}
GUIDES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in (*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"))
    if "```python" in path.read_text(encoding="utf-8") and path.name not in SKETCHES
)


@pytest.mark.parametrize("name", GUIDES)
def test_blocks_run(name, tmp_path, monkeypatch):
    if name == "distributed.md":
        pytest.importorskip("distributed", reason="distributed (extra dask) runs the cluster")
    if name == "export.md":
        pytest.importorskip("onnxruntime", reason="onnxruntime runs what is exported")
    if name == "saving.md":
        pytest.importorskip("safetensors", reason="safetensors stores the arrays of model files")
        pytest.importorskip("skops", reason="skops stores the trees of model files")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    text = (DOCS / name).read_text(encoding="utf-8")
    namespace = {"__name__": "__docs__"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE))
    assert blocks
    for match in blocks:
        # Empty lines in front, so that a traceback names the line of the guide.
        above = "\n" * text.count("\n", 0, match.start(1))
        exec(compile(above + match.group(1), name, "exec"), namespace)
