"""Configuration of Sphinx."""

from dxlfiletransferclient import get_version

project = "DXL File Transfer"
copyright = "the DXL File Transfer authors"
release = version = get_version()

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"{project} {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False
myst_heading_anchors = 3
nitpicky = False
