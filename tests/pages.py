"""The documentation's pages, as tests read them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path

    @property
    def name(self) -> str:
        """Its path within the project."""
        return str(self.path.relative_to(PROJECT))

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @cached_property
    def prose(self) -> str:
        """All but blocks of code and comments."""
        return re.sub(r"<!--.*?-->", "", FENCE.sub("", self.text), flags=re.DOTALL)

    def blocks(self, *languages: str) -> list[str]:
        """Blocks of code in these languages; the empty one is that of commands."""
        return [block for _, language, block in FENCE.findall(self.text) if language in languages]

    def links(self) -> list[str]:
        """Where its links and pictures lead."""
        words = re.sub(r"`[^`]*`", "", self.prose)
        return re.findall(r"\]\(([^)\s]+)\)", words)

    def anchors(self) -> set[str]:
        """What may stand behind # to lead into it, as GitHub and MyST make it from headings."""
        headings = re.findall(r"^#+ +(.+?) *$", self.prose, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def inline(self) -> list[str]:
        """Code within the lines of the prose."""
        return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", self.prose)]

    def tables(self) -> Iterator[list[list[str]]]:
        """Cells of each table, header first, without the line of dashes."""
        for table in re.findall(r"(?:^\|.*\|\n)+", self.prose, re.MULTILINE):
            rows = [
                [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
            ]
            yield [rows[0], *rows[2:]]


def pages() -> list[Page]:
    """Every page that users read."""
    paths = [
        *PROJECT.glob("*.md"),
        *PROJECT.glob("docs/*.md"),
        PROJECT / "cluster_configs/README.md",
    ]
    return [Page(path) for path in sorted(paths)]


def page(name: str) -> Page:
    """A page by its path within the project."""
    return Page(PROJECT / name)


def commands_in(block: str) -> list[list[str]]:
    """Arguments of each `daskfer` command in a block of commands."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        for command in re.split(r"&&|\|\|", line):
            words = shlex.split(command, comments=True)
            if words and Path(words[0]).name == "daskfer":
                found.append(words[1:])
    return found
