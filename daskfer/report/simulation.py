"""A simulation in words, figures and a picture, and its files in a run's folder."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from daskfer import __version__, storage
from daskfer.recipe import Recipe
from daskfer.report.curve import BLUE, VERMILION, Level, Line, Point, curves
from daskfer.simulate import mean_and_spread
from daskfer.stages.simulate import Figure, Plan, Simulation, Trial

MARK = "simulate.json"
"""Written last: where it is, the other files are whole and of the same simulation."""


@dataclass(frozen=True)
class Row:
    """All seeds of one number of looks: means and spreads, None where not known."""

    looks: int
    accuracy: float | None
    accuracy_spread: float | None
    balanced_accuracy: float | None
    balanced_accuracy_spread: float | None
    random_accuracy: float | None
    random_accuracy_spread: float | None
    random_balanced_accuracy: float | None
    random_balanced_accuracy_spread: float | None
    named: float
    labels: int
    seconds: float


def rows(simulation: Simulation) -> list[Row]:
    """The trials, all seeds of a number of looks together."""
    found = []
    for looks in sorted({trial.looks for trial in simulation.trials}):
        trials = [trial for trial in simulation.trials if trial.looks == looks]
        by_looks = [trial.found for trial in trials]
        random = [trial.random for trial in trials if trial.random is not None]
        found.append(
            Row(
                looks,
                *_told(by_looks),
                *_told(random),
                sum(trial.named for trial in trials) / len(trials),
                max(trial.found.labels for trial in trials),
                sum(trial.seconds for trial in trials) / len(trials),
            )
        )
    return found


def _told(figures: list[Figure]) -> tuple[float | None, float | None, float | None, float | None]:
    return (
        *mean_and_spread([one.accuracy for one in figures]),
        *mean_and_spread([one.balanced_accuracy for one in figures]),
    )


def as_dict(
    simulation: Simulation, plan: Plan, recipe: Recipe, inputs: list[Any], more: dict[str, Any]
) -> dict[str, Any]:
    """The content of simulate.json; `more` comes at its end."""
    ceiling = simulation.ceiling
    return {
        "daskfer": __version__,
        "on": plan.on,
        "rows": {"fitted": simulation.fitted, "scored": simulation.scored},
        "looks": list(plan.looks),
        "seeds": [recipe.seed + number for number in range(plan.seeds)],
        "person": asdict(plan.person),
        "figures": [asdict(row) for row in rows(simulation)],
        "trials": [_line(trial) for trial in simulation.trials],
        "ceiling": None if ceiling is None else asdict(ceiling),
        "chance_accuracy": simulation.chance,
        "balanced_chance_accuracy": simulation.balanced_chance,
        "labels_used": [{"stage": stage, "why": why} for stage, why in simulation.labels_used],
        "notes": list(simulation.notes),
        "inputs": inputs,
        "recipe": recipe.as_dict(),
        **more,
    }


def _line(trial: Trial) -> dict[str, Any]:
    """A trial as plain values by their names."""
    random = trial.random
    return {
        "looks": trial.looks,
        "seed": trial.seed,
        "accuracy": trial.found.accuracy,
        "balanced_accuracy": trial.found.balanced_accuracy,
        "labels": trial.found.labels,
        "named": trial.named,
        "wrong": trial.wrong,
        "random_accuracy": None if random is None else random.accuracy,
        "random_balanced_accuracy": None if random is None else random.balanced_accuracy,
        "random_labels": None if random is None else random.labels,
        "seconds": round(trial.seconds, 3),
        "reused": trial.reused,
    }


def as_csv(simulation: Simulation) -> str:
    """The text of simulate.csv: a line for each trial, what is not known left empty."""
    text = io.StringIO()
    lines = [_line(trial) for trial in simulation.trials]
    names = list(lines[0]) if lines else ["looks", "seed"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def table(simulation: Simulation, plan: Plan, folder: str) -> str:
    """What a person at a terminal sees."""
    lines = [
        f"{simulation.fitted:,} rows fitted, {simulation.scored:,} {plan.on} rows scored, "
        + ("one seed" if plan.seeds == 1 else f"{plan.seeds} seeds (mean ± standard deviation)"),
        "",
        f"{'':7}{'named by looks':>32}{'as many random labels':>34}",
        f"{'looks':>7}{'accuracy':>16}{'balanced':>16}{'accuracy':>18}{'balanced':>16}"
        f"{'seconds':>10}",
    ]
    for row in rows(simulation):
        lines.append(
            f"{row.looks:>7,}"
            f"{_number(row.accuracy, row.accuracy_spread):>16}"
            f"{_number(row.balanced_accuracy, row.balanced_accuracy_spread):>16}"
            f"{_number(row.random_accuracy, row.random_accuracy_spread):>18}"
            f"{_number(row.random_balanced_accuracy, row.random_balanced_accuracy_spread):>16}"
            f"{row.seconds:>10.1f}"
        )
    ceiling = simulation.ceiling
    if ceiling is not None:
        lines.append(
            f"ceiling: {_number(ceiling.accuracy)}, balanced {_number(ceiling.balanced_accuracy)} "
            f"(the same model, trained on all {ceiling.labels:,} labels)"
        )
    lines.append(
        f"chance:  {_number(simulation.chance)}, balanced {_number(simulation.balanced_chance)} "
        "(always the most frequent emotion)"
    )
    lines.append("")
    lines += [f"Labels were read: {stage} ({why})" for stage, why in simulation.labels_used]
    lines += [f"Note: {note}" for note in simulation.notes]
    lines.append(f"Results: {folder} (simulate.png, simulate.csv, simulate.json)")
    return "\n".join(lines)


def _number(value: float | None, spread: float | None = None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" + ("" if spread is None else f" ± {spread:.3f}")


def picture(simulation: Simulation, plan: Plan, title: str) -> bytes:
    """The curve over the looks as a PNG."""
    found = rows(simulation)
    lines = [
        Line(
            "clusters named by looks",
            tuple(
                Point(row.looks, row.accuracy, row.accuracy_spread)
                for row in found
                if row.accuracy is not None
            ),
            BLUE,
            numbered=True,
        ),
        Line(
            "as many random faces labelled",
            tuple(
                Point(row.looks, row.random_accuracy, row.random_accuracy_spread)
                for row in found
                if row.random_accuracy is not None
            ),
            VERMILION,
        ),
    ]
    levels = []
    if simulation.chance is not None:
        levels.append(Level(f"chance {simulation.chance:.3f}", simulation.chance))
    ceiling = simulation.ceiling
    if ceiling is not None and ceiling.accuracy is not None:
        name = f"all {ceiling.labels:,} labels {ceiling.accuracy:.3f}"
        levels.append(Level(name, ceiling.accuracy))
    return curves(lines, levels, title, caption(simulation, plan))


def caption(simulation: Simulation, plan: Plan) -> str:
    """What stands below the picture."""
    person = plan.person
    text = (
        f"Accuracy of the second model on {simulation.scored:,} {plan.on} rows. A look is at the "
        f"{person.faces} labelled faces nearest to a cluster's centre; the answer is the majority "
        "of their true emotions"
    )
    if person.error:
        text += f", and wrong in {person.error:.0%} of the looks"
    if person.mixed:
        text += f", and mixed where that is less than {person.mixed:.0%} of them"
    text += ". Chance is the most frequent emotion."
    if any(trial.looks == 0 for trial in simulation.trials):
        text += " With 0 looks, action units name the clusters."
    if plan.seeds > 1:
        text += f" Means of {plan.seeds} seeds with their standard deviation."
    return text


def write(folder: str, simulation: Simulation, plan: Plan, content: dict[str, Any]) -> None:
    """Write all files into a run's folder, simulate.json last."""
    inputs = ", ".join(Path(str(source["path"])).name for source in content["inputs"][:3])
    drawn = picture(simulation, plan, f"{inputs}: what looks at clusters are worth")
    storage.write_text(storage.join(folder, "simulate.csv"), as_csv(simulation))
    storage.write_whole(storage.join(folder, "simulate.png"), drawn)
    storage.write_json(storage.join(folder, MARK), content)
