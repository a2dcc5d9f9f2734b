"""The model card: what a model was made of, how good it is, and what it is not for.

After M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019. It is Markdown, for people;
programs read model.json, which does not know of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from daskfer import __version__
from daskfer.faces import UNKNOWN
from daskfer.naming import Names
from daskfer.recipe import Recipe
from daskfer.report.words import classes_of, count, file_name, look_up, score

CARD = "MODEL_CARD.md"

LONGEST = 200
"""Letters that are shown of a text that is not daskfer's own."""

FIGURES = (
    ("silhouette of the clusters (chance: structureless data)",
     ("cluster", "silhouette"), ("cluster", "silhouette_null")),
    ("clusters matched to emotions one to one, accuracy",
     ("cluster", "hungarian_accuracy"), ("cluster", "hungarian_chance")),
    ("clusters named by their majority, accuracy",
     ("cluster", "majority_accuracy"), ("cluster", "chance_accuracy")),
    ("normalized mutual information of clusters and emotions",
     ("cluster", "nmi"), ("cluster", "nmi_chance")),
    ("classifier, accuracy on test rows",
     ("classifier", "test_accuracy"), ("classifier", "chance_accuracy")),
    ("classifier, balanced accuracy on test rows",
     ("classifier", "test_balanced_accuracy"), ("classifier", "balanced_chance_accuracy")),
)  # fmt: skip
"""What each figure is called, and where metrics.json has it and its chance."""

HOW = {
    "dominant": "Each cluster has the most frequent true label of its fitted faces as its name.",
    "facs": "Each cluster is named by what the Facial Action Coding System says of its action "
    "units. Nobody looked, and no label was read for it.",
    "file": "A file states the names of the clusters.",
    "page": "A person looked at faces of the clusters and named them.",
    "none": "The clusters have no names.",
}

LIMITS = """\
- Emotions are inferred from the look of a face alone. What a face looks like to others is not what
  a person feels; people differ in how, and whether, they show it.
- Public sets of faces hold posed pictures and pictures found on the web. How the faces of everyday
  life, of other cameras, light, poses and ages are told is not known.
- Some emotions are told much worse than others, and rare ones worst: see the confusions, where
  there are any.
- Bias is likely: sets of faces from the web hold people of different skin, age, sex and origin in
  unequal numbers, and those who labelled them saw some of them otherwise than others. daskfer has
  no data about that, so it could not be measured here. Measure it before the model meets people.
- Labels were given by people who disagree with one another; a figure beside them is no better than
  they are.
"""

USES = """\
Fit: research on expressions and on clustering; sorting one's own pictures; finding examples to
look at; teaching what such a model can and cannot do.

Not fit: any decision about a person (hiring, schools, insurance, credit, health, policing,
borders); watching people at work, in class or in public; telling lies, intent, health or character;
anything about people who have not agreed to it. Some of that is forbidden by law in some places.
"""


def model_card(
    recipe: Recipe,
    metrics: Mapping[str, Any],
    names: Names,
    inputs: Iterable[str],
    side: int,
    answers: Iterable[str],
    unsure_below: float,
) -> str:
    """The card of a model, as Markdown.

    Parameters
    ----------
    recipe : Recipe
    metrics : mapping
        What metrics.json says; all figures are from there.
    names : Names
    inputs : iterable of str
        Paths of the files that were read; their folders are left out.
    side : int
        Of the faces, in pixels.
    answers : iterable of str
        What the model can say of a face.
    unsure_below : float
        Confidence below which a face's emotion is better left open.
    """
    known = int((names.emotion != UNKNOWN).sum())
    what = ", ".join(map(literal, answers)) or "nothing: its clusters have no names yet"
    parts = [
        "# Model card",
        f"Written with the model by daskfer {__version__}. The same figures and more are in the "
        "run's metrics.json.",
        "## What it does",
        f"It takes grey images of faces, {side} × {side} pixels, and says of each its cluster, and "
        f"which of these it looks like, with a confidence: {what}.",
        "## Data",
        _bullets([f"input: {literal(file_name(path))}" for path in inputs] + _rows(metrics)),
        "## Recipe",
        _bullets(_recipe(recipe)),
        "## Labels that were used",
        _labels(metrics),
        "## Names of the clusters",
        f"{HOW.get(names.how, 'How: ' + literal(names.how) + '.')} "
        f"Clusters with a name: {known} of {len(names.emotion)}. Looks by a person: "
        f"{count(look_up(metrics, 'naming', 'looks'))}.",
        "## Figures",
        *_figures(metrics),
        "## Confidence",
        _confidence(metrics, unsure_below),
        "## Limits",
        LIMITS,
        "## Uses",
        USES,
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def literal(text: str) -> str:
    """Any text as a Markdown code span, which no reader takes for Markdown, HTML or a link."""
    plain = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter)[0] == "C" else letter
        for letter in " ".join(text.split())
    )
    if len(plain) > LONGEST:
        plain = plain[: LONGEST - 1] + "…"
    # A code span ends at the first run of as many backticks as began it.
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or not plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _cell(name: str) -> str:
    """A name in a table: as it is where it is plain words, which no reader takes for more."""
    return name if re.fullmatch(r"[\w ]+", name) else literal(name).replace("|", "\\|")


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _rows(metrics: Mapping[str, Any]) -> list[str]:
    """How many rows there were, and what became of them."""
    words = {
        "read": "rows that were read",
        "quarantined": "bad rows, set aside",
        "blank": "blank faces",
        "duplicate": "duplicates",
        "without_landmarks": "faces without landmarks, which have no cluster",
        "fitted": "rows that were fitted",
        "validation": "rows for choosing",
        "test": "rows for testing, which nothing was fitted to",
    }
    return [f"{text}: {count(look_up(metrics, 'rows', key))}" for key, text in words.items()]


def _recipe(recipe: Recipe) -> list[str]:
    """Each stage and its keys, without the folders of files."""
    found = []
    for stage, section in recipe.as_dict().items():
        keys = section if isinstance(section, dict) else {"": section}
        said = [
            f"{key}: {file_name(value) if value and (stage, key) in PATHS else value}"
            for key, value in keys.items()
        ]
        found.append(f"{stage}: {literal(', '.join(said).removeprefix(': '))}")
    return found


PATHS = (("name", "file"), ("represent", "model"))
"""Keys of a recipe that hold paths."""


def _labels(metrics: Mapping[str, Any]) -> str:
    used = look_up(metrics, "labels_used") or []
    if not used:
        return "None: no label of any face was read."
    lines = [f"{literal(str(one['stage']))}: {literal(str(one['why']))}" for one in used]
    return "No label reaches a fit of features, components or clusters.\n\n" + _bullets(lines)


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    """The verdict, each figure beside its chance, the confusions, and the run's notes."""
    lines = ["| | found | chance |", "|---|---|---|"]
    lines += [
        f"| {name} | {score(look_up(metrics, *found))} | {score(look_up(metrics, *chance))} |"
        for name, found, chance in FIGURES
    ]
    parts = ["\n".join(lines)]
    if verdict := look_up(metrics, "verdict"):
        parts.insert(0, literal(str(verdict)))
    if table := look_up(metrics, "classifier", "test_confusion"):
        parts.append("Test rows by their true label (a line each) and by what the classifier says:")
        classes = [_cell(name) for name in classes_of(metrics)]
        head = [
            "| |" + "".join(f" {name} |" for name in classes),
            "|---" * (1 + len(classes)) + "|",
        ]
        rows = [
            f"| {name} |" + "".join(f" {count(cell)} |" for cell in row)
            for name, row in zip(classes, table, strict=True)
        ]
        parts.append("\n".join(head + rows))
    if notes := look_up(metrics, "notes"):
        parts.append(_bullets(literal(str(note)) for note in notes))
    return parts


def _confidence(metrics: Mapping[str, Any], unsure_below: float) -> str:
    if look_up(metrics, "classifier") is None:
        return (
            "There is no classifier: a face has the name of its cluster, and the confidence is "
            "that of its cluster."
        )
    error = score(look_up(metrics, "classifier", "test_calibration_error"))
    return (
        "The confidence is that of the classifier, calibrated without true labels: it cannot be "
        f"better than the names are. Expected calibration error on test rows: {error}. "
        f"Below a confidence of {unsure_below:g} (what the least sure tenth of the fitted faces "
        "stays below, but at most a half) a face is better called unsure."
    )
