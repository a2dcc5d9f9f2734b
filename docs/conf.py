"""How Sphinx builds the pages: ``sphinx-build -W -b html docs build/docs``."""

from __future__ import annotations

import re
from pathlib import Path

_package = Path(__file__).resolve().parents[1] / "daskfer" / "__init__.py"

project = "daskfer"
author = "The daskfer developers"
release = version = re.findall(r'__version__ = "(.+)"', _package.read_text())[0]

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["build"]
# Files of the repository that are no pages are copied beside the pages that link to them; blocks
# of commands have no language of their own.
highlight_language = "none"

html_theme = "furo"
html_title = f"daskfer {release}"
html_show_sphinx = False
