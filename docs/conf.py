"""Settings of the documentation site; `make docs` builds it into docs/_build/html.

The build needs no network: what is not ours is named in plain text, not linked.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hierlearn

project = "hierlearn"
author = "the hierlearn developers"
copyright = author
version = release = hierlearn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "references",
]
exclude_patterns = ["_build", "_templates", "measurements", "**/sg_execution_times.rst"]
templates_path = ["_templates"]
highlight_language = "none"
nitpicky = True
nitpick_ignore_regex = [
    # Packages that are not built into this site.
    ("py:.*", r"(numpy|scipy|sklearn|torch|skorch|matplotlib|networkx|joblib|usearch)\..*"),
    ("py:.*", r"(list|dict|tuple|str|int|float|bool|None|ValueError|TypeError|object)"),
]
suppress_warnings = ["config.cache"]

# Guides are read on GitHub as well: plain Markdown with a few of MyST's extensions.
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_selector = "div:not(.highlight-none) > div.highlight > pre"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "ignore_pattern": "train_with_",  # a script for a launcher, shown where it is explained
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("hierlearn",),
    "capture_repr": ("_repr_html_", "__repr__"),
    "download_all_examples": False,
    "matplotlib_animations": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "nested_sections": False,
    "min_reported_time": 1,
}

html_theme = "pydata_sphinx_theme"
html_title = f"hierlearn {release}"
html_static_path = ["_static"]
html_css_files = ["hierlearn.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "tango",
    "pygments_dark_style": "monokai",
}
html_sidebars = {"index": [], "choose": [], "api/index": ["sidebar-nav-bs"]}
