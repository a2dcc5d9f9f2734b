"""The naming page in a real browser, from the first cluster to a trained model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from browsers import LAPTOP, PHONE, chromium, opened
from processes import daskfer, started, wait_until

from daskfer.faces import EMOTIONS
from daskfer.synthetic import write_csv

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHANGES = (
    "--set", "cluster.clusters=12", "--set", "cluster.restarts=3", "--set", "name.how=page",
    "--set", "classify.model=logistic", "--set", "evaluate.null_draws=0",
    "--set", "evaluate.stability_draws=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with faces and a finished run whose clusters wait for names, and an environment."""
    folder = tmp_path_factory.mktemp("finished")
    write_csv(folder / "faces.csv", 700, seed=5)
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    done = daskfer(
        "run", folder / "faces.csv", "--recipe", "hog", *CHANGES, "--out", folder / "run",
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, environment


@pytest.fixture
def run(finished: tuple[Path, dict[str, str]], tmp_path: Path) -> Path:
    shutil.copytree(finished[0] / "run", tmp_path / "run")
    return tmp_path / "run"


@contextmanager
def served(
    run: Path, environment: dict[str, str], *options: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The naming page's address and its server."""
    log = run.parent / f"server-{time.monotonic_ns()}.log"
    command = (sys.executable, "-u", "-m", "daskfer", "name", run, "--no-browser", *options)
    with started(*command, environment=environment, log=log) as process:
        address = re.compile(r"http://127\.0\.0\.1:\d+/\S+/")
        wait_until(lambda: address.search(log.read_text()), "the page's address")
        found = address.search(log.read_text())
        assert found is not None
        yield found.group(), process


def shown(page: Any) -> str:
    """The key of the group on the page; empty when all have answers."""
    page.wait_for_selector("#group[data-group]", state="attached")
    return str(page.get_attribute("#group", "data-group"))


def press(page: Any, key: str) -> str:
    """Press a key; the key of the group that is shown then."""
    before = shown(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "before => document.getElementById('group').dataset.group !== before", arg=before
    )
    return shown(page)


def clusters_of(page: Any) -> list[int]:
    """The numbers of the clusters that are shown."""
    heading = page.inner_text("#heading").partition("·")[0]
    return [int(number) for number in re.findall(r"\d+", heading)]


def rows_of(page: Any) -> list[int]:
    """Rows of the faces nearest to the centre, as often as they are there."""
    tiles = page.eval_on_selector_all(
        ".strip[data-part=nearest] canvas",
        "all => all.map((one) => [Number(one.dataset.row), Number(one.dataset.copies || 1)])",
    )
    return [row for row, copies in tiles for _ in range(copies)]


def names_in(run: Path) -> dict[int, str | None]:
    content = yaml.safe_load((run / "names.yaml").read_text())
    return {number: one["emotion"] for number, one in content["clusters"].items()}


def test_a_run_is_named_by_keyboard_and_trained(browser, finished, run):
    folder, environment = finished
    truth = pd.read_csv(folder / "faces.csv")["emotion"]
    expected: dict[int, str | None] = dict.fromkeys(range(12))

    def answer(page: Any) -> None:
        """What an honest person says of the faces on the page."""
        rows = rows_of(page)
        assert 0 < len(rows) <= 24
        emotion = Counter(int(truth[row]) for row in rows).most_common(1)[0][0]
        for number in clusters_of(page):
            expected[number] = EMOTIONS[emotion]
        press(page, str(emotion + 1))

    with served(run, environment) as (address, server), opened(browser, address, LAPTOP) as page:
        # Named, mixed, split, both halves named.
        answer(page)
        (mixed,) = clusters_of(page)
        press(page, "x")
        (divided,) = clusters_of(page)
        press(page, "s")
        assert clusters_of(page) == [divided]
        answer(page)
        assert clusters_of(page) == [12]
        answer(page)
        # Merged with its neighbour: either both are shown, or it took the neighbour's name.
        (one,) = clusters_of(page)
        neighbour = int(re.findall(r"\d+", page.inner_text(".neighbour h3"))[0])
        named = expected.get(neighbour)
        press(page, "m")
        if named is None:
            assert clusters_of(page) == sorted([one, neighbour])
            answer(page)
            assert expected[one] == expected[neighbour] is not None
        else:
            expected[one] = named
        # A wrong key, taken back; then skipped.
        wrong = shown(page)
        press(page, "1")
        assert press(page, "u") == wrong
        assert press(page, "Space") != wrong
        # A page that is loaded again stands where it was.
        there, text = shown(page), page.inner_text("#progress-text")
        page.reload()
        assert (shown(page), page.inner_text("#progress-text")) == (there, text)
        answer(page)
        there, text = shown(page), page.inner_text("#progress-text")
        # What the page shows is on the disk, whatever becomes of the server.
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)
        page.keyboard.press("2")
        page.wait_for_function(
            "() => document.getElementById('told').textContent.includes('does not answer')"
        )
        assert "whether this answer was written is not known" in page.inner_text("#told")
        assert shown(page) == there
    with served(run, environment) as (address, _), opened(browser, address, LAPTOP) as page:
        assert (shown(page), page.inner_text("#progress-text")) == (there, text)
        seen = 0
        while shown(page):
            seen += 1
            assert seen < 30
            answer(page)
        assert page.is_visible("#done")
        assert wrong.startswith("c")
        page.keyboard.press("t")
        page.click("#train-start")
        page.wait_for_selector("#figures", timeout=120_000)
        figures = page.inner_text("#figures")
        found = names_in(run)
    metrics = json.loads((run / "metrics.json").read_text())
    accuracy = metrics["classifier"]["test_accuracy"]
    assert f"{100 * accuracy:.0f}" in figures
    assert accuracy > metrics["classifier"]["chance_accuracy"] + 0.1
    assert (found, found[mixed]) == (expected, None)
    assert names_in(run) == expected
    assert metrics["naming"]["how"] == "page"
    assert list((run / "model").glob("classifier-*.skops"))
    labels = pq.read_table(run / "labels.parquet", columns=["cluster", "emotion"]).to_pylist()
    assert {one["cluster"]: one["emotion"] for one in labels} == expected
    assert len({(one["cluster"], one["emotion"]) for one in labels}) == 13
    # The log has every answer once, in the order in which they were given.
    lines = [json.loads(line) for line in (run / "naming/log.jsonl").read_text().splitlines()]
    assert [line["n"] for line in lines] == list(range(len(lines)))
    assert Counter(line["do"] for line in lines)["undo"] == 1


def test_two_tabs_see_each_other(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, LAPTOP) as one,
        opened(browser, address, LAPTOP) as other,
    ):
        assert shown(one) == shown(other)
        press(one, "s")
        # The other speaks of a cluster that is not there any more.
        press(other, "4")
        assert "Nothing was written" in other.inner_text("#told")
        assert shown(other) == shown(one)
        press(other, "4")
        one.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        one.wait_for_function(
            "key => document.getElementById('group').dataset.group === key", arg=shown(other)
        )


def test_names_of_ones_own_are_text_and_work(browser, finished, run):
    evil = "</script><img src=x onerror=alert(1)>"
    with (
        served(run, finished[1], "--names", "calm,tense") as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        assert page.locator("#names button").all_inner_texts() == ["1\ncalm", "2\ntense"]
        page.keyboard.press("n")
        page.fill("#names-text", f"calm\n{evil}\ncalm")
        page.click("#names-save")
        page.wait_for_function(
            "() => document.getElementById('names-fault').textContent.includes('twice')"
        )
        page.fill("#names-text", f"calm\n{evil}")
        page.click("#names-save")
        page.wait_for_function("() => !document.getElementById('names-dialog').open")
        first = clusters_of(page)[0]
        press(page, "2")
        second = clusters_of(page)[0]
        press(page, "1")
        assert evil in page.inner_text("#names")
        page.click("#answered summary")
        page.wait_for_selector("#answered .list button")
        assert evil in page.inner_text("#answered")
        assert page.locator("img[src=x]").count() == 0
        page.reload()
        shown(page)
        assert evil in page.inner_text("#names")
        assert page.locator("img[src=x]").count() == 0
        wait_until(lambda: names_in(run)[second] == "calm", "names.yaml")
        assert names_in(run)[first] == evil


def test_mouse_touch_and_screen_readers(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, PHONE, has_touch=True, is_mobile=True) as page,
    ):
        first = shown(page)
        page.tap("#names button:nth-child(4)")
        page.wait_for_function(
            "key => document.getElementById('group').dataset.group !== key", arg=first
        )
        # After a tap, Enter and Space are the page's again.
        assert page.evaluate("document.activeElement.tagName") == "BODY"
        page.tap(".strip[data-part=nearest] .tile:nth-child(3)")
        assert page.locator(".tile.big").count() == 1
        # Nothing is wider than the phone, and what answers is on the screen without scrolling.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for selector in ("#names button:nth-child(1)", "[data-do=mixed]", "[data-do=undo]"):
            box = page.locator(selector).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= PHONE["height"]
            assert box["height"] >= 30
        # What a screen reader is told.
        names = page.evaluate(
            "[...document.querySelectorAll('button, canvas[role=img], [role=group], progress')]"
            ".filter((one) => !one.closest('[aria-hidden=true]'))"
            ".map((one) => one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')"
            " || one.textContent.trim())"
        )
        assert len(names) > 40
        assert all(names)
        assert page.get_attribute("#told", "aria-live") == "polite"
        assert "happy" in page.inner_text("#told")
        # Figures are not broken into lines.
        page.evaluate(
            "showTraining({ state: 'done', notes: [], figures: { rows: 1, test_accuracy: 0.5,"
            " chance_accuracy: 0.25 } }); document.getElementById('train-dialog').showModal()"
        )
        broken = page.eval_on_selector_all(
            "#figures .num",
            "all => all.filter((one) => { const text = document.createRange();"
            " text.selectNodeContents(one); return text.getClientRects().length !== 1; }).length",
        )
        assert broken == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def settle(page: Any) -> None:
    """Wait until no answer is on its way."""
    page.wait_for_function("() => !busy")


def test_keys_are_the_pages_after_mouse_and_dialogs(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, {"width": 1366, "height": 400}) as page,
    ):
        first = shown(page)
        for button in ("#open-help", "#open-names", "#open-train"):
            page.click(button)
            page.keyboard.press("Escape")
            page.wait_for_function("() => document.activeElement === document.body")
        press(page, "1")
        page.click("#answered summary")
        assert page.evaluate("document.activeElement.tagName") == "BODY"
        # Held, a key answers once, and does nothing else.
        page.evaluate("scrollTo(0, 0)")
        for _ in range(5):
            page.keyboard.down("Space")
            settle(page)
        page.keyboard.up("Space")
        assert page.evaluate("[scrollY, state.progress.looks]") == [0, 2]
        # By keyboard, a dialog gives the focus back to its button.
        page.focus("#open-help")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.wait_for_function("() => document.activeElement.id === 'open-help'")
        # A name's button keeps the focus, though all are made anew; held, it answers once.
        page.focus("#names [data-name=fear]")
        for _ in range(3):
            page.keyboard.down("Enter")
            settle(page)
        page.keyboard.up("Enter")
        assert page.evaluate("document.activeElement.dataset.name") == "fear"
        assert page.evaluate("state.progress.looks") == 3
        # Skipped, an answer that was only looked at again stays.
        page.click("#answered .list button:first-child")
        page.wait_for_function("key => shown.key === key", arg=first)
        page.evaluate("document.activeElement.blur()")
        press(page, "Space")
        assert "keeps its answer" in page.inner_text("#told")
        assert page.evaluate("[state.progress.looks, state.progress.answered]") == [3, 2]


def test_faces_that_cannot_be_fetched_are_not_answered_for(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        shown(page)
        page.evaluate("pictures.clear()")
        page.route("**/faces/*.png", lambda route: route.abort())
        page.keyboard.press("1")
        page.wait_for_selector("#told.fault")
        assert "could not be fetched" in page.inner_text("#told")
        assert page.is_hidden("#group")
        page.keyboard.press("2")
        settle(page)
        assert page.evaluate("state.answered.map((one) => one.name)") == ["angry"]


def test_a_page_whose_server_was_started_anew_says_so(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        first = shown(page)
        refused = {"status": 403, "json": {"error": "Wrong token"}}
        page.route(re.compile("/(answer|state|train)$"), lambda route: route.fulfill(**refused))

        def told_in(place: str) -> None:
            page.wait_for_function(
                "place => document.querySelector(place).textContent.includes("
                "'open the address that daskfer name tells now')",
                arg=place,
            )

        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        told_in("#told")
        page.evaluate("tell('')")
        page.keyboard.press("1")
        told_in("#told")
        assert shown(page) == first
        page.keyboard.press("n")
        page.click("#names-save")
        told_in("#names-fault")
        page.keyboard.press("Escape")
        page.click("#open-train")
        told_in("#train-text")
        page.evaluate("document.getElementById('train-text').textContent = ''")
        page.click("#train-start")
        told_in("#train-text")


def test_what_was_merged_comes_apart_in_words(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        press(page, "m")
        press(page, "s")
        assert page.inner_text("#told") == "What was merged came apart."


def test_nothing_is_wider_than_the_screen(browser, finished, run):
    with (
        served(run, finished[1]) as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        shown(page)
        for width in (320, 390, 721, 768, 801, 1001, 1024, 1181, 1366, 1920):
            page.set_viewport_size({"width": width, "height": 700})
            left, right = page.evaluate(
                "[document.querySelector('.faces').getBoundingClientRect().left,"
                " Math.max(...[...document.querySelectorAll('button, .tile')].filter("
                "(one) => one.offsetParent).map((one) => one.getBoundingClientRect().right))]"
            )
            assert 0 <= left < right <= width
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_store_that_was_deleted_meanwhile_is_said(browser, finished, run, tmp_path):
    folder, environment = finished
    shutil.copytree(folder / "store", tmp_path / "store")
    environment = {**environment, "DASKFER_STORE": str(tmp_path / "store")}
    with (
        served(run, environment) as (address, _),
        opened(browser, address, LAPTOP) as page,
    ):
        shown(page)
        shutil.rmtree(tmp_path / "store")
        # The sheet of what is merged now is not drawn yet.
        page.keyboard.press("m")
        page.wait_for_selector("#told.fault")
        assert "The answer is written, but" in page.inner_text("#told")
        assert page.is_hidden("#group")
    with served(run, environment) as (address, _), opened(browser, address, LAPTOP) as page:
        assert len(clusters_of(page)) == 2
