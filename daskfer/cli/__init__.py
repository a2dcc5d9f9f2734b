"""The command line: it parses, calls and prints.

Heavy imports happen inside the commands, so that help answers at once.
"""

from __future__ import annotations

from daskfer.cli.app import main

__all__ = ["main"]
