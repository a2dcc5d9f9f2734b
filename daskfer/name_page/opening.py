"""Opening the page in the person's browser, without its token on a command line."""

from __future__ import annotations

import html
import os
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daskfer.answer_log import LOG


@contextmanager
def opened(run: str, address: str) -> Iterator[None]:
    """Open a browser at the page, and take away at the end what that needed.

    What a browser is started with, everybody on the machine can read; so it is started with a
    file that only this user can read, which leads to the address. The file lies in the run's
    folder, because some browsers may not look into folders for temporary files.

    Parameters
    ----------
    run : str
        The run's folder.
    address : str
        The page's, with its token.
    """
    folder = (Path(run) / LOG).parent
    try:
        folder.mkdir(exist_ok=True)
        handle, name = tempfile.mkstemp(".html", "open-", folder)
    except OSError:
        # A folder that may only be read; the address stands in the terminal.
        yield
        return
    way = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            safe = html.escape(address)
            file.write(
                '<!doctype html><meta charset="utf-8"><title>daskfer</title>'
                f'<meta http-equiv="refresh" content="0; url={safe}"><a href="{safe}">Open</a>\n'
            )
        webbrowser.open(way.resolve().as_uri())
        yield
    finally:
        with suppress(OSError):
            way.unlink()
