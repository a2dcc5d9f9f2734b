"""How Sphinx builds the pages: ``sphinx-build -W -b html docs build/docs``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]

project = "daskfer"
author = "The daskfer developers"
found = re.search(r'__version__ = "(.+)"', (PROJECT / "daskfer" / "__init__.py").read_text())
assert found is not None
release = version = found.group(1)

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["build"]
# Blocks of commands have no language.
highlight_language = "none"

html_theme = "furo"
html_title = f"daskfer {release}"
html_show_sphinx = False


def outside(app: Any, page: str, text: list[str]) -> None:
    """Links to files of the repository that are no pages: on a site, they are files to fetch.

    Links to its folders become text, because there is nothing to fetch.
    """

    def linked(link: re.Match[str]) -> str:
        words, path = link.group(1), link.group(2)
        return f"[{words}](path:../{path})" if (PROJECT / path).is_file() else words

    text[0] = re.sub(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)", linked, text[0])


def setup(app: Any) -> None:
    """Have links rewritten before pages are read."""
    app.connect("source-read", outside)
