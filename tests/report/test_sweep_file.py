"""sweep.json read back: the same sweep, and a line about whatever is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from swept import SUPPORTED, cells, content_of

from daskfer.errors import RunFolderError
from daskfer.recipe import load_recipe
from daskfer.report import sweep_file
from daskfer.report.sweep import FORMAT
from daskfer.report.sweep_file import parse
from daskfer.sweep.choices import Cell
from daskfer.sweep.statement import judge, state

EVIL = "<script>alert(1)</script>\x1b[2J"


def read(content: Any) -> sweep_file.Swept:
    return parse("s/sweep.json", json.dumps(content).encode())


def test_what_was_written_is_read_to_the_last_bit() -> None:
    results = cells(better={("hog", 5, 7): SUPPORTED})
    recipe = load_recipe("hog", ["seed=3", "represent.cell=6"])
    found = read(content_of(results, recipe))
    assert [one.result for one in found.judged] == results
    assert found.judged == judge(results)
    assert found.statement == state(judge(results))
    assert found.statement.choice == Cell("hog", 5, 7)
    assert (found.fitted, found.scored) == (120, 90)
    assert found.recipe == recipe
    assert found.represents == ("hog", "pixels")


def test_sweeps_without_noise_or_components_and_of_the_first_format() -> None:
    content = content_of(cells(("hog",), (None,), noise=False))
    del content["format"]
    found = read(content)
    assert {one.result.components for one in found.judged} == {None}
    assert all(one.result.null is None for one in found.judged)
    # What later versions may add is left alone.
    assert read(content | {"cells": [one | {"new": EVIL} for one in content["cells"]]}) == found


def test_a_single_draw_of_noise_has_no_spread() -> None:
    results = cells(
        better={
            (name, column, number): SUPPORTED | {"null_spread": None, "null_draws": 1}
            for name in ("hog", "pixels")
            for column in (2, 5, 20)
            for number in (6, 7, 8)
        }
    )
    content = content_of(results)
    assert "Infinity" not in json.dumps(content)
    assert content["cells"][0]["spread"] is None
    assert not any(one.above for one in read(content).judged)


def cell_with(**values: Any) -> Callable[[dict[str, Any]], Any]:
    def changed(content: dict[str, Any]) -> dict[str, Any]:
        content["cells"][4] |= values
        return content

    return changed


def cell_without(name: str) -> Callable[[dict[str, Any]], Any]:
    def changed(content: dict[str, Any]) -> dict[str, Any]:
        del content["cells"][4][name]
        return content

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: [content], "is no sweep's: expected keys and values"),
        (lambda content: content | {"format": FORMAT + 1}, f"has format {FORMAT + 1} and this"),
        (lambda content: content | {"format": "1"}, "has format '1': expected 1"),
        (lambda content: content | {"format": True}, "has format True: expected 1"),
        (
            lambda content: content | {"format": 10**18},
            "has format 1000000000000000000: expected 1",
        ),
        (lambda content: content | {"cells": None}, "cells is None: expected a list"),
        (lambda content: content | {"cells": []}, "0 cells: expected 1 to 10,000"),
        (lambda content: content | {"cells": [7]}, "cells[0] is 7: expected a cell's figures"),
        (
            lambda content: content | {"cells": content["cells"] * 600},
            "10,800 cells: expected 1 to 10,000",
        ),
        (
            lambda content: content | {"cells": content["cells"][1:]},
            "17 cells: expected each of 2 representations, 3 numbers of components and 3 of",
        ),
        (
            lambda content: content | {"cells": content["cells"][1:] + content["cells"][-1:]},
            "18 cells: expected each of 2 representations",
        ),
        (
            lambda content: {key: content[key] for key in content if key != "rows"},
            "rows is missing: expected fitted and scored",
        ),
        (
            lambda content: content | {"rows": {"fitted": 1.5, "scored": 1}},
            "fitted is 1.5: expected a whole number",
        ),
        (lambda content: content | {"choice": {"clusters": 7}}, "its choice is not what"),
        (lambda content: content | {"choice": "hog"}, "choice is 'hog': expected a cell or null"),
        (lambda content: content | {"inputs": EVIL}, "inputs is '<script>"),
        (lambda content: content | {"recipe": None}, "recipe is None: expected a recipe's"),
        (lambda content: content | {"recipe": {"seed": -1}}, "seed=-1: expected 0 to"),
        (lambda content: content | {"recipe": {"magic": {}}}, "unknown recipe section 'magic'"),
        (lambda content: content | {"recipe": {"ingest": {EVIL: 1}}}, "unknown key ingest.<scri"),
        (lambda content: content | {"recipe": {"ingest": {"\ud800": 1}}}, r"ingest.\ud800"),
        (cell_with(silhouette=EVIL), "cells[4].silhouette is '<script>"),
        (cell_with(silhouette=[0.3]), "cells[4].silhouette is [0.3]: expected a number or null"),
        (cell_with(silhouette=True), "cells[4].silhouette is True: expected a number"),
        (cell_with(silhouette=1e200), "cells[4].silhouette is 1e+200: expected a number from -1"),
        (cell_with(silhouette=10**400), "a number of 401 digits, expected at most 20"),
        (cell_with(null_spread=-0.1), "cells[4].null_spread is -0.1: expected a number from 0"),
        (cell_with(inertia=10**400), "a number of 401 digits, expected at most 20"),
        (cell_with(components=0), "cells[4].components is 0: expected a whole number from 1"),
        (cell_with(components=None), "18 cells: expected each of 2 representations, 4 numbers"),
        (cell_with(clusters="7"), "cells[4].clusters is '7': expected a whole number"),
        (cell_with(clusters=10**18), "cells[4].clusters is 1000000000000000000: expected a whole"),
        (cell_with(represent=7), "cells[4].represent is 7: expected a name"),
        (cell_without("stability"), "cells[4].stability is missing: expected a number or null"),
        (cell_without("components"), "cells[4].components is missing: expected a whole number"),
    ],
)
def test_damage_is_one_line_that_says_where(change: Any, said: str) -> None:
    with pytest.raises(RunFolderError) as raised:
        read(change(content_of(cells())))
    text = str(raised.value)
    assert text.startswith("s/sweep.json ")
    assert said in text
    assert "daskfer" in text
    assert text.isprintable()
    assert len(text) < 400


def test_a_name_of_a_representation_is_one_that_there_is() -> None:
    content = content_of(cells(("hog",)))
    for one in content["cells"]:
        one["represent"] = EVIL
    with pytest.raises(RunFolderError, match="expected one of pixels, hog") as raised:
        read(content)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no sweep's JSON"),
        (b'{"format": 1', "is no sweep's JSON"),
        (b'{"cells": [NaN]}', "is no sweep's JSON: NaN is no number"),
        (b'{"cells": -Infinity}', "is no sweep's JSON: -Infinity is no number"),
        (b"\xff\xfe\x00", "is no sweep's JSON"),
        (b"[" * 200_000, "is no sweep's JSON"),
        (b"9" * 5_000, "is no sweep's JSON"),
    ],
)
def test_what_is_no_json(data: bytes, said: str) -> None:
    with pytest.raises(RunFolderError) as raised:
        parse("s/sweep.json", data)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_numbers_without_end_and_files_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    content = content_of(cells())
    content["cells"][4]["davies_bouldin"] = 12345.5
    text = json.dumps(content)
    assert parse("s/sweep.json", text.encode()).judged[4].result.davies_bouldin == 12345.5
    with pytest.raises(RunFolderError, match=r"davies_bouldin is inf: expected a number, or null"):
        parse("s/sweep.json", text.replace("12345.5", "1e999").encode())
    monkeypatch.setattr(sweep_file, "MOST_BYTES", len(text) - 1)
    with pytest.raises(RunFolderError, match="is no sweep's: expected at most"):
        parse("s/sweep.json", text.encode())


def test_a_choice_of_other_figures_is_refused() -> None:
    results = cells(better={("hog", 5, 7): SUPPORTED})
    content = content_of(results)
    worse = [replace(one, stability=0.1) for one in results]
    content["cells"] = content_of(worse)["cells"]
    with pytest.raises(RunFolderError, match="its choice is not what its figures support"):
        read(content)
