"""The naming page: how fast it is in a real browser, and what looks through it are worth.

    python scripts/bench_naming.py keys FILE --clusters 500 --answers 100
    python scripts/bench_naming.py looks FILE --looks 50

Needs Chromium and playwright (`pip install playwright`; the browser itself is the system's).

- keys: milliseconds from a key press to the next sheet on the screen, measured in the browser by
  two of its clock's readings: at the key's event, and in the frame after the sheet was drawn; of
  names, and of splits and merges, whose sheets nobody could draw ahead. Then seconds from the
  request of the page to its first sheet, from the start of the command to its address, and the
  server's resident memory at the end.
- looks: an honest person answers by keys what most of the 24 nearest faces of each sheet are by
  their true labels (the first to reach that number where two are equal), trains from the page, and
  the accuracy on test rows stands beside that of `daskfer simulate-naming`.

Stages are kept in --store (by default one in the temporary folder), so a repetition is faster.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

BROWSER = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

CLOCK = """
window.waits = [];
document.addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
new MutationObserver(() => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => window.waits.push(performance.now() - window.pressed);
  channel.port2.postMessage(0);
})).observe(document.getElementById("group"), { attributeFilter: ["data-group"] });
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["keys", "looks"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--recipe", default="expression")
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--looks", type=int, default=50)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or Path(folder) / "store"
        bench = Bench(options, Path(folder), {**os.environ, "DASKFER_STORE": str(store)})
        {"keys": bench.keys, "looks": bench.looks}[options.what]()


class Bench:
    """A run, its page, and a browser."""

    def __init__(self, options: Any, folder: Path, environment: dict[str, str]) -> None:
        self.options, self.folder, self.environment = options, folder, environment

    def run(self, clusters: int, *more: str) -> Path:
        """A finished run with so many clusters that nobody has named."""
        out = self.folder / f"run-{clusters}"
        changes = [f"cluster.clusters={clusters}", "name.how=page", "evaluate.null_draws=0",
                   "evaluate.stability_draws=0"]  # fmt: skip
        flags = [part for change in changes for part in ("--set", change)]
        self.daskfer("run", self.options.file.resolve(), "--recipe", self.options.recipe, *flags,
                     *more, "--out", out)  # fmt: skip
        return out

    def daskfer(self, *arguments: object) -> str:
        """What a command printed."""
        done = subprocess.run(
            [sys.executable, "-m", "daskfer", *map(str, arguments)],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"daskfer {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    @contextmanager
    def served(self, run: Path) -> Iterator[tuple[str, psutil.Process, float]]:
        """The page's address, its server, and how many seconds it took to start."""
        began = time.perf_counter()
        server = subprocess.Popen(
            [sys.executable, "-m", "daskfer", "name", str(run), "--no-browser"],
            env=self.environment, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]
            yield address, psutil.Process(server.pid), time.perf_counter() - began
        finally:
            server.terminate()
            server.wait(20)

    def keys(self) -> None:
        """Latency of keys, start of the page, memory of the server."""
        run = self.run(self.options.clusters)
        with self.served(run) as (address, server, started), browser() as chromium:
            starts = []
            for _ in range(5):
                page = chromium.new_page(viewport={"width": 1366, "height": 768})
                page.goto(address)
                page.wait_for_selector("#group[data-group]")
                starts.append(page.evaluate("performance.now()"))
                page.close()
            page = chromium.new_page(viewport={"width": 1366, "height": 768})
            page.goto(address)
            page.wait_for_selector("#group[data-group]")
            page.evaluate(CLOCK)
            names = [press(page, str(number % 7 + 1)) for number in range(self.options.answers)]
            splits = []
            for _ in range(20):
                splits.append(press(page, "s"))
                press(page, "1")
                press(page, "2")
            merges = [press(page, "m") for _ in range(20)]
            memory = server.memory_info().rss / 2**20
        print(f"{self.options.clusters} clusters, {self.options.answers} answers")
        for what, waits in (("name", names), ("split", splits), ("merge", merges)):
            print(f"{what}: {shown(waits)} ms, 95 % under {quantile(waits):.0f} ms")
        print(f"page: {shown([value / 1000 for value in starts], 2)} s to its first sheet")
        print(f"command: {started:.2f} s to the page's address")
        print(f"server: {memory:.0f} MiB resident")

    def looks(self) -> None:
        """The same accuracy by the page and by the simulation?"""
        looks = self.options.looks
        run = self.run(looks)
        truth = emotions(self.options.file)
        answered: Counter[str] = Counter()
        with self.served(run) as (address, _, _), browser() as chromium:
            page = chromium.new_page(viewport={"width": 1366, "height": 768})
            page.goto(address)
            page.wait_for_selector("#group[data-group]")
            page.evaluate(CLOCK)
            began = time.perf_counter()
            while page.get_attribute("#group", "data-group"):
                name = honest(page, truth)
                answered[name] += 1
                press(page, str(EMOTIONS.index(name) + 1))
            print(f"{sum(answered.values())} looks in {time.perf_counter() - began:.1f} s")
            page.keyboard.press("t")
            page.click("#train-start")
            page.wait_for_selector("#figures", timeout=600_000)
            print("the page says:", page.inner_text("#figures").replace("\n", " | "))
        metrics = json.loads((run / "metrics.json").read_text())
        found = metrics["classifier"]
        copied = self.folder / "simulated"
        shutil.copytree(run, copied)
        printed = self.daskfer("simulate-naming", copied, "--looks", str(looks), "--seeds", "1",
                               "--no-ceiling", "--json")  # fmt: skip
        (trial,) = json.loads(printed)["trials"]
        print("pressed:", dict(answered))
        for way, figures, prefix in (("page", found, "test_"), ("simulation", trial, "")):
            both = [figures[f"{prefix}{which}accuracy"] for which in ("", "balanced_")]
            print(f"by the {way}: accuracy {both[0]:.4f}, balanced {both[1]:.4f}")


@contextmanager
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    path = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None:
        raise SystemExit("no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(BROWSER))
        try:
            yield chromium
        finally:
            chromium.close()


def press(page: Any, key: str) -> float:
    """Press a key, and wait for the next sheet; milliseconds until it was on the screen."""
    count = page.evaluate("window.waits.length")
    page.keyboard.press(key)
    page.wait_for_function("count => window.waits.length > count", arg=count)
    return float(page.evaluate("window.waits.at(-1)"))


def honest(page: Any, truth: list[str]) -> str:
    """What most of the nearest faces are, of equally many the first to be so many."""
    tiles = page.eval_on_selector_all(
        ".strip[data-part=nearest] canvas",
        "all => all.map((one) => [Number(one.dataset.row), Number(one.dataset.copies || 1)])",
    )
    counts: Counter[str] = Counter()
    best = ""
    for row, copies in tiles:
        counts[truth[row]] += copies
        if not best or counts[truth[row]] > counts[best]:
            best = truth[row]
    return best


def emotions(path: Path) -> list[str]:
    """True emotions of the rows of FER2013's CSV file."""
    csv.field_size_limit(1 << 20)
    with path.open(newline="") as file:
        return [EMOTIONS[int(row["emotion"])] for row in csv.DictReader(file)]


def shown(values: list[float], digits: int = 0) -> str:
    """Median and extremes."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def quantile(values: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
