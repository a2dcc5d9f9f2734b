"""Opening the page: the address is on no command line, and a browser gets there all the same."""

from __future__ import annotations

import stat
import webbrowser
from pathlib import Path
from urllib.request import url2pathname

import pytest
from browsers import LAPTOP, chromium
from browsers import opened as browsing

from daskfer.name_page.opening import opened


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What browsers were opened with."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", found.append)
    return found


def test_a_file_of_this_user_leads_there(tmp_path: Path, asked: list[str]) -> None:
    address = "http://127.0.0.1:1/secret&more/"
    with opened(str(tmp_path), address):
        (uri,) = asked
        assert uri.startswith("file:///")
        assert "secret" not in uri
        path = Path(url2pathname(uri.removeprefix("file://")))
        assert path.parent == tmp_path / "naming"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "secret&amp;more" in path.read_text()
    assert list((tmp_path / "naming").iterdir()) == []


def test_a_folder_that_takes_no_file_opens_nothing(tmp_path: Path, asked: list[str]) -> None:
    with opened(str(tmp_path / "gone"), "http://127.0.0.1:1/secret/"):
        assert asked == []


@pytest.mark.browser
def test_a_browser_gets_to_the_page(served, tmp_path: Path, asked: list[str]) -> None:
    with (
        chromium() as browser,
        opened(str(tmp_path), served.address),
        browsing(browser, asked[0], LAPTOP) as page,
    ):
        page.wait_for_url(served.address)
        page.wait_for_selector("#group[data-group]")
        # Loaded again, it still comes from the file's link.
        page.reload()
        page.wait_for_selector("#group[data-group]")
