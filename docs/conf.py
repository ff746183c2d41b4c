"""The documentation as a site: `pip install ".[docs]"`, then `sphinx-build -W docs build/site`. Needs no network."""

import sys
from pathlib import Path

import rnnframe

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "rnnframe"
author = "the rnnframe authors"
version = release = rnnframe.__version__

extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.autodoc", "plain_docstrings", "films", "pictures"]
exclude_patterns = ["_ext", "README.md"]  # index.md shows README.md, which is for readers on a code host

highlight_language = "text"  # what is indented is a command, its output or a formula
smartquotes = False  # "--" is an option and no dash
default_role = "py:obj"
myst_heading_anchors = 3
nb_execution_mode = "force"  # the notebooks have no outputs of their own
nb_execution_raise_on_error = True
nb_execution_timeout = 120

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"rnnframe {version}"
html_show_copyright = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
