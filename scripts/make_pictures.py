"""Make the pictures of the documentation, from synthetic faces only.

    python scripts/make_pictures.py docs/pictures

Draws faces, runs daskfer on them, and photographs the report (report.png, report-clusters.png)
and the naming page (naming.png) in a headless Chromium. Needs playwright (`pip install
playwright`) and the system's Chromium.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from daskfer.synthetic import write_csv

BROWSER = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZE = {"width": 1180, "height": 720}
COLOURS = 128
SECOND = "#clusters .cluster >> nth=1"
"""The report's second cluster."""
CHANGES = ("cluster.clusters=12", "cluster.restarts=5", "name.how=page")
ANSWERS = 8
"""Clusters that are named before the naming page is photographed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--rows", type=int, default=2000, help="faces (default: %(default)s)")
    parser.add_argument(
        "--difficulty", type=float, default=0.4, help="of the faces (default: %(default)s)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        faces = place / "faces.csv"
        write_csv(faces, options.rows, seed=7, difficulty=options.difficulty)
        emotion = pd.read_csv(faces, usecols=["emotion"])["emotion"].to_numpy()
        environment = {**os.environ, "DASKFER_STORE": str(place / "store")}
        named, unnamed = place / "faces-hog", place / "faces-unnamed"
        changes = [part for change in CHANGES for part in ("--set", change)]
        daskfer(environment, "run", faces, "--recipe", "hog", "--out", named)
        daskfer(environment, "run", faces, "--recipe", "hog", *changes, "--out", unnamed)
        with browser() as chromium:
            page = chromium.new_page(viewport=SIZE)
            page.goto((named / "report.html").as_uri())
            shoot(page, options.out / "report.png", 0, bottom(page, "#figures"))
            top = page.locator("#clusters").bounding_box()["y"] - 20
            shoot(page, options.out / "report-clusters.png", top, bottom(page, SECOND))
            with served(environment, unnamed) as address:
                page.goto(address)
                for _ in range(ANSWERS):
                    answer(page, emotion)
                shoot(page, options.out / "naming.png")


def daskfer(environment: dict[str, str], *arguments: object) -> None:
    """Run a command to its end."""
    subprocess.run(
        [sys.executable, "-m", "daskfer", *map(str, arguments)], env=environment, check=True
    )


@contextmanager
def served(environment: dict[str, str], run: Path) -> Iterator[str]:
    """The address of a run's naming page."""
    server = subprocess.Popen(
        [sys.executable, "-m", "daskfer", "name", str(run), "--no-browser"],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise SystemExit("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(BROWSER))
        try:
            yield chromium
        finally:
            chromium.close()


def answer(page: Any, emotion: np.ndarray) -> None:
    """Name a cluster after the majority of its nearest faces, and wait for the next sheet."""
    page.wait_for_selector("#group[data-group]")
    before = page.get_attribute("#group", "data-group")
    rows = page.eval_on_selector_all(
        ".strip[data-part=nearest] canvas", "all => all.map((one) => Number(one.dataset.row))"
    )
    page.keyboard.press(str(int(np.bincount(emotion[rows]).argmax()) + 1))
    page.wait_for_function(
        "before => document.getElementById('group').dataset.group !== before", arg=before
    )


def bottom(page: Any, selector: str) -> float:
    """Where an element ends, in pixels from the top of the page."""
    box = page.locator(selector).bounding_box()
    return float(box["y"] + box["height"])


def shoot(page: Any, path: Path, top: float = 0, end: float = SIZE["height"]) -> None:
    """Write a band of the page, with few colours: less bytes, and no visible difference."""
    page.wait_for_timeout(500)
    band = {"x": 0, "y": top, "width": SIZE["width"], "height": end - top}
    page.screenshot(path=str(path), full_page=end > SIZE["height"], clip=band)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
