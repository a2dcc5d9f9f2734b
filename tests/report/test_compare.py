"""Two runs side by side: each figure at its place, what differs, and nothing unescaped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from reports import Reader, make_metrics

from daskfer.recipe import load_recipe
from daskfer.report.compare import write_comparison

EVIL = "<script>alert(1)</script>"


def folder_of(
    path: Path,
    metrics: dict[str, Any],
    changes: list[str],
    recipe: str = "hog",
    file: str = "a.csv",
) -> str:
    """A run's folder as far as the comparison reads it."""
    path.mkdir()
    (path / "metrics.json").write_text(json.dumps(metrics))
    (path / "recipe.yaml").write_text(load_recipe(recipe, changes).as_yaml())
    source = {"path": f"/home/ada/{file}", "bytes": 3, "version": "1", "form": "csv", "member": ""}
    (path / "run.json").write_text(json.dumps({"identity": "x", "inputs": [source]}))
    return str(path)


def compared(folder: Path, first: str, second: str) -> tuple[Reader, str]:
    write_comparison(str(folder / "out.html"), first, second)
    page = (folder / "out.html").read_text()
    return Reader(page), page


def cells(page: str, name: str) -> list[str]:
    """The cells of a row by its name."""
    row = re.search(rf'<th scope="row"[^>]*>{name}</th>(.*?)</tr>', page, re.S)
    assert row is not None, name
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


def test_each_run_s_figures_stand_in_its_column_beside_chance(tmp_path: Path) -> None:
    one, other = make_metrics(), make_metrics(5)
    other["cluster"] |= {"silhouette": 0.1, "silhouette_null": None, "majority_accuracy": 0.5}
    other["classifier"]["test_confusion"][3] = [0, 0, 1, 3, 0, 0, 0]
    one["peak_memory"] = {"ingest": 123_000_000}
    reader, page = compared(
        tmp_path,
        folder_of(tmp_path / "first", one, []),
        folder_of(tmp_path / "second", other, ["cluster.clusters=5"]),
    )
    assert cells(page, "Clusters") == ["3", "", "5", ""]
    assert cells(page, "Silhouette") == ["0.336", "0.320", "0.100", ""]
    assert cells(page, "Majority accuracy") == ["19.1%", "16.8%", "50.0%", "16.8%"]
    assert cells(page, "Accuracy on test faces") == ["31.9%", "24.5%", "31.9%", "24.5%"]
    assert cells(page, "cluster.clusters") == ["7", "5"]
    # Of 20 faces all are said to be happy; of 19, all but one.
    assert cells(page, "happy")[:4] == ["100.0%", "100.0%", "75.0%", "94.7%"]
    assert cells(page, "ingest") == ["12.3 s", "123.0 MB", "12.3 s", ""]
    assert "A: first" in reader.text
    assert "B: second" in reader.text
    assert page.count('<table class="heat">') == 2
    assert "different inputs" not in reader.text
    assert len(reader.of("caption")) == len(reader.of("table"))


def test_runs_that_have_little_in_common(tmp_path: Path) -> None:
    one, other = make_metrics(), make_metrics()
    one |= {"classifier": None, "verdict": None, "changes": ["classify.model=boosting"]}
    reader, page = compared(
        tmp_path,
        folder_of(tmp_path / "first", one, []),
        folder_of(tmp_path / "second", other, [], recipe="seed", file="b.csv"),
    )
    assert cells(page, "Accuracy on test faces") == ["–", "", "31.9%", "24.5%"]
    assert cells(page, "represent.method") == ["hog", "pixels"]
    assert cells(page, "changed by daskfer train") == ["classify.model=boosting", "–"]
    assert "The two runs read different inputs" in reader.text
    assert "A has no confusion matrix" in reader.text
    assert "This run has no verdict." in reader.text
    assert not re.search(r"\b(None|nan|Undefined)\b", reader.text)
    # Nobody needs to know where the files were.
    assert "/home/ada" not in page


def test_without_any_difference(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", make_metrics() | {"classifier": None}, [])
    reader, _ = compared(tmp_path, first, first)
    assert "Nothing: the two recipes are the same." in reader.text
    assert {f"#{one.get('id')}" for one in reader.of("section")} == {
        link["href"] for link in reader.of("a")
    }


def test_what_comes_from_the_runs_is_escaped(tmp_path: Path) -> None:
    metrics = make_metrics() | {
        "verdict": EVIL, "notes": [EVIL], "seconds": {EVIL: 1.0}, "changes": [EVIL],
    }  # fmt: skip
    name, named = "<script>x", ["name.how=page", "name.categories=[<script>, calm]"]
    first = folder_of(tmp_path / name, metrics, named)
    second = folder_of(tmp_path / "second", make_metrics(), [], file="<script>.csv")
    reader, page = compared(tmp_path, first, second)
    assert "<script" not in page
    assert f"A: {name}" in reader.text
    assert reader.text.count(EVIL) == 4
    assert "<script>.csv" in reader.text
    assert not re.search(r"https?://|@import|url\(", page)


def test_runs_with_different_classes(tmp_path: Path) -> None:
    one, other = make_metrics(), make_metrics()
    other["classes"] = ["happy", "<b>contempt</b>"]
    other["classifier"]["test_confusion"] = [[3, 1], [2, 2]]
    _, page = compared(
        tmp_path,
        folder_of(tmp_path / "first", one, []),
        folder_of(tmp_path / "second", other, ["ingest.classes=[happy, <b>contempt</b>]"]),
    )
    assert cells(page, "happy") == ["100.0%", "100.0%", "75.0%", "62.5%"]
    assert cells(page, "sad")[2:] == ["–", ""]
    assert cells(page, "&lt;b&gt;contempt&lt;/b&gt;")[0] == "–"
    assert "<b>contempt" not in page
    heads = re.findall(r'<table class="heat">.*?</thead>', page, re.S)
    assert [head.count('scope="col" class="col"') for head in heads] == [8, 3]
