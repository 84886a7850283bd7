"""The README's python blocks run, in the order they stand in, in one namespace."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def python_blocks(text):
    """Yield each ```python block with the number of the line it starts on."""
    for match in re.finditer(r"^```python\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, match.start(1)), match.group(1)


def test_readme_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    blocks = list(python_blocks(text))
    assert len(blocks) == text.count("```python")
    namespace = {"__name__": "__readme__"}
    for line, block in blocks:
        # Empty lines in front, so that a traceback names the line of the README.
        exec(compile("\n" * line + block, str(README), "exec"), namespace)
    assert len(blocks) >= 5
