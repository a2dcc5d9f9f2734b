"""The model card: its figures are those of metrics.json, and no name in it becomes markup."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from daskfer.faces import UNKNOWN
from daskfer.model.card import FIGURES, LONGEST, literal, model_card
from daskfer.naming import Names
from daskfer.recipe import Expression, NameByFile, Recipe, recipe_from_dict
from daskfer.report.words import count, score
from daskfer.run_folder import RunFolder

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)*")


def metrics_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
    return found


def leaves(value: Any) -> list[Any]:
    """All plain values in nested ones."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def forms_of(value: Any) -> set[str]:
    """How the card may write a value: as a count, as a score, or as it is."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, int | float):
        texts = [str(value), f"{value:g}", score(value), count(value)]
    else:
        texts = [str(value)]
    return {number for text in texts for number in NUMBER.findall(text)}


def card_of(metrics: dict[str, Any], **more: Any) -> str:
    """A card of other metrics, with all else fixed."""
    names = Names(np.array([0, 1, UNKNOWN], np.int8), "page", 9, np.ones(3), np.ones(3))
    given = {
        "recipe": Recipe(), "metrics": metrics, "names": names, "inputs": ["faces.csv"],
        "side": 48, "answers": ["angry", "disgust"], "unsure_below": 0.25,
    } | more  # fmt: skip
    return model_card(**given)


def test_each_number_is_one_of_the_runs(hog_run: Path) -> None:
    card = (hog_run / "model" / "MODEL_CARD.md").read_text()
    head = json.loads((hog_run / "model" / "model.json").read_text())
    metrics, recipe = metrics_of(hog_run), RunFolder(str(hog_run)).recipe().as_dict()
    known = {form for leaf in leaves([metrics, recipe]) for form in forms_of(leaf)}
    own = {str(head["side"]), f"{head['unsure_below']:g}", *NUMBER.findall(head["daskfer"])}
    found = set(NUMBER.findall(card))
    assert found - known - own == set()
    assert len(found) > 20
    for name, value, chance in FIGURES:
        row = f"| {name} | {score(at(metrics, value))} | {score(at(metrics, chance))} |"
        assert row in card.splitlines(), row
    for key in ("read", "fitted", "validation", "test"):
        assert re.search(rf"^- .*: {metrics['rows'][key]:,}$", card, re.M), key
    for line in metrics["classifier"]["test_confusion"]:
        assert "".join(f" {cell} |" for cell in line) in card
    for used in metrics["labels_used"]:
        assert used["why"] in card
    assert metrics["verdict"] in card
    assert "- input: `faces.csv`" in card
    assert str(hog_run.parent) not in card


def at(metrics: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        metrics = metrics[key]
    return metrics


@pytest.mark.parametrize("path", [path for _, *both in FIGURES for path in both])
def test_each_figure_follows_metrics(path: tuple[str, str], hog_run: Path) -> None:
    metrics = metrics_of(hog_run)
    before = card_of(metrics)
    metrics[path[0]][path[1]] = 0.98765
    assert "0.988" not in before
    assert card_of(metrics).count("0.988") == 1
    metrics[path[0]][path[1]] = None
    assert card_of(metrics).count("not known") == before.count("not known") + 1


def test_a_run_without_labels_or_classifier() -> None:
    card = card_of({"rows": {"read": 1234}, "labels_used": [], "classifier": None})
    assert "None: no label of any face was read." in card
    assert "- rows that were read: 1,234" in card
    assert "There is no classifier" in card
    assert "Clusters with a name: 2 of 3." in card
    assert "| not known | not known |" in card


def test_it_says_what_it_is_not_for(hog_run: Path) -> None:
    card = " ".join((hog_run / "model" / "MODEL_CARD.md").read_text().split())
    for words in (
        "What a face looks like to others is not what a person feels",
        "any decision about a person",
        "Bias is likely",
        "posed pictures and pictures found on the web",
        "most frequent true label of its fitted faces",
        "Below a confidence of",
    ):
        assert words in card


def test_it_is_no_checked_part(hog_run: Path) -> None:
    assert (
        "MODEL_CARD.md" not in json.loads((hog_run / "model" / "model.json").read_text())["sha256"]
    )


def test_folders_of_files_stay_private() -> None:
    recipe = Recipe(
        name=NameByFile(file="/home/anna/names.yaml"),
        represent=Expression(model="/home/anna/face.task"),
    )
    card = card_of({}, recipe=recipe, inputs=["/home/anna/a.csv", "s3://key:x@b/c.csv?token=1"])
    for shown in ("names.yaml", "face.task", "a.csv", "c.csv"):
        assert shown in card
    assert "anna" not in card
    assert "token" not in card
    assert recipe_from_dict(recipe.as_dict()) == recipe


NASTY = (
    "<script>alert(1)</script>", "a | b", "`tick`", "``", "`", "[x](http://evil)", "# head",
    "http://evil.example", "a\n\n# b", "\u202eabc", "&lt;", "**bold**", "\\", "a\\`b", "",
    "<!--", "![x](y)", "x" * 1000, "www.evil.example", "```\nx\n```",
)  # fmt: skip


def rendered(text: str) -> str:
    """HTML of Markdown that lets HTML, tables and bare links through."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def shown(text: str) -> str:
    """What is left of a text in a span."""
    found = re.fullmatch(r"(?s)<p><code>(.*)</code></p>\n", rendered(literal(text)))
    assert found is not None, rendered(literal(text))
    return html.unescape(found[1])


@given(st.text() | st.sampled_from(NASTY) | st.text("`\\ <>|&[]()\n#*_!:", max_size=30))
@settings(max_examples=500)
def test_any_text_is_shown_as_it_is(text: str) -> None:
    plain = " ".join(text.split())
    found = shown(text)
    assert len(found) <= LONGEST or len(found.strip()) <= LONGEST
    if plain.isprintable() and len(plain) <= LONGEST:
        assert found.strip() == plain
    assert "\u202e" not in found
    assert "\x00" not in found


@pytest.mark.parametrize("text", NASTY)
def test_no_name_becomes_markup(text: str) -> None:
    metrics = {
        "labels_used": [{"stage": text, "why": text}], "notes": [text], "verdict": text or "x",
        "classifier": {"model": text},
    }  # fmt: skip
    plain = card_of(metrics, inputs=["a"], answers=["b", "c"])
    card = card_of(metrics, inputs=[text.replace("/", "")], answers=[text, "c"])
    tags = re.compile(r"<(\w+)")
    for one in (plain, card):
        assert set(tags.findall(rendered(one))) <= {
            "h1", "h2", "p", "ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td",
        }  # fmt: skip
    assert tags.findall(rendered(card)) == tags.findall(rendered(plain))
