"""A new user's way, from the README alone: each of its commands, in order, as it stands there."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from pages import commands_in, page
from PIL import Image
from processes import daskfer

from daskfer.faces import EMOTIONS
from daskfer.synthetic import write_csv

FACES = 420
QUICK = (
    "--recipe", "hog", "--set", "name.how=page", "--set", "cluster.restarts=3",
    "--set", "evaluate.null_draws=0", "--set", "evaluate.stability_draws=0",
)  # fmt: skip
"""What differs from the README: no face model, which knows no drawn faces, and less to compute."""


def draw(folder: Path) -> dict[str, str]:
    """A user's images without labels, my-faces/, new-faces/ and photo.jpg; the true emotions."""
    write_csv(folder / "drawn.csv", FACES, seed=11)
    drawn = pd.read_csv(folder / "drawn.csv")
    (folder / "drawn.csv").unlink()
    (folder / "my-faces").mkdir()
    (folder / "new-faces").mkdir()
    truth = {}
    for number, (emotion, pixels) in enumerate(zip(drawn["emotion"], drawn["pixels"], strict=True)):
        values = np.array(pixels.split(), np.uint8).reshape(48, 48)
        place = "new-faces" if number >= FACES - 20 else "my-faces"
        path = folder / place / f"{number:04d}.png"
        Image.fromarray(values).save(path)
        truth[path.name] = EMOTIONS[emotion]
    Image.open(folder / "new-faces" / f"{FACES - 1:04d}.png").save(folder / "photo.jpg", quality=95)
    return truth


def fill_in(names: Path, labels: Path, truth: dict[str, str]) -> None:
    """What a user writes into names.yaml after a look at the sheets: the majority of a cluster."""
    content = yaml.safe_load(names.read_text())
    table = pd.read_parquet(labels)
    emotion = table["source"].map(lambda source: truth[Path(source).name])
    clusters = content.get("clusters", content)
    for number in list(clusters):
        name = Counter(emotion[table["cluster"] == number]).most_common(1)[0][0]
        if isinstance(clusters[number], dict):
            clusters[number]["emotion"] = name
        else:
            clusters[number] = name
    names.write_text(yaml.safe_dump(content))


def assert_as_told(printed: str) -> None:
    """The demo ends as docs/first-run.md says; another processor may round otherwise."""
    number = re.compile(r"\d\.\d{3}")
    told = next(block for block in page("docs/first-run.md").blocks("text") if "rows read" in block)
    for line in filter(None, told.splitlines()):
        words = number.sub("#", line)
        (found,) = [one for one in printed.splitlines() if number.sub("#", one) == words]
        figures = [[float(one) for one in number.findall(which)] for which in (line, found)]
        assert figures[0] == pytest.approx(figures[1], abs=0.01), f"{found} (told: {line})"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_new_user_gets_there_by_the_readme(tmp_path):
    truth = draw(tmp_path)
    environment = {**os.environ, "DASKFER_STORE": str(tmp_path / "store"), "COLUMNS": "120"}
    environment["DASKFER_OFFLINE"] = "1"
    run = tmp_path / "runs" / "first"
    commands = [words for block in page("README.md").blocks("") for words in commands_in(block)]
    done, trained = [], None
    # Names are given before they are trained on, as the README says of the way without a browser.
    commands.sort(key=lambda words: words[0] == "train" or 2 * (words[0] == "predict"))
    for words in commands:
        if words == ["name", "runs/first"]:
            # tests/end_to_end/test_naming_page.py opens the page.
            continue
        if "--file" in words:
            fill_in(tmp_path / words[-1], run / "labels.parquet", truth)
        if words[0] in ("inspect", "run"):
            words = [*words, *(QUICK if words[0] == "run" else QUICK[:2])]
        ended = daskfer(*words, environment=environment, cwd=tmp_path)
        assert ended.returncode == 0, f"daskfer {' '.join(words)}: {ended.stdout} {ended.stderr}"
        done.append(words[0])
        if words == ["demo"]:
            assert_as_told(ended.stdout)
        if words[0] == "train":
            trained = json.loads((run / "metrics.json").read_text())
    assert done == ["demo", "inspect", "run", "name", "name", "train", "predict", "predict"]
    assert trained is not None
    assert trained["naming"]["how"] == "file"
    assert trained["classifier"]["rows"] > 0
    # Nothing was told of the images' emotions but the names of clusters.
    assert trained["cluster"]["nmi"] is trained["classifier"]["test_accuracy"] is None
    assert (run / "report.html").stat().st_size > 10_000
    (demo,) = (tmp_path / "daskfer-demo").glob("*/report.html")
    assert demo.stat().st_size > 10_000
    found = pd.read_csv(tmp_path / "labels.csv")
    assert len(found) == 20
    right = found["emotion"] == [truth[Path(source).name] for source in found["source"]]
    # Seven names, so 1 in 7 by chance.
    assert right.mean() > 0.6
