"""A run's folder: who it belongs to, and its files, each whole or absent."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from daskfer import __version__, storage
from daskfer.errors import RunFolderError
from daskfer.faces import UNKNOWN
from daskfer.ingest.listing import as_unicode
from daskfer.ingest.quarantine import TooManyBad
from daskfer.ingest.sources import Source, chosen_of
from daskfer.recipe import NameByFile, Recipe, recipe_from_dict
from daskfer.store import FORMAT, fingerprint

if TYPE_CHECKING:
    from daskfer.pipeline import Result
    from daskfer.report.sweep_file import Swept

OWNER = "run.json"

UNSURE_SHARE = 0.1
"""Share of the fitted faces of which a model would say that it is unsure."""


@dataclass(frozen=True)
class RunFolder:
    """A folder, local or by fsspec URL, for the results of one recipe on one set of inputs."""

    path: str

    def file(self, name: str) -> str:
        """Path of one of its files."""
        return storage.join(self.path, name)

    def claim(self, recipe: Recipe, sources: list[Source]) -> None:
        """Take the folder for this run, or find that it is this run's already.

        Raises
        ------
        RunFolderError
            When it belongs to another recipe or other inputs, or holds files of another kind.
            Nothing in it is changed then.
        """
        if self.path.startswith("memory:"):
            raise RunFolderError(
                f"--out {self.path} would vanish with this process: expected a folder or a URL"
            )
        mine: dict[str, Any] = {
            "daskfer": __version__,
            "identity": identity(recipe, sources),
            "inputs": [source.key() for source in sources],
        }
        if any(source.chosen for source in sources):
            # A folder alone would not tell which of its images were meant.
            mine["chosen"] = chosen_of(sources)
        if storage.exists(self.file(OWNER)):
            owner = storage.read_json(self.file(OWNER))
            if owner["identity"] != mine["identity"] and not self._is_void():
                raise RunFolderError(
                    f"{self.path} belongs to {self._difference(owner, mine, recipe)}: choose "
                    "another --out, or leave it out"
                )
            if owner["identity"] == mine["identity"]:
                if "chosen" in mine and "chosen" not in owner:
                    storage.write_json(self.file(OWNER), {**owner, "chosen": mine["chosen"]})
                if not storage.exists(self.file("recipe.yaml")):
                    storage.write_text(self.file("recipe.yaml"), recipe.as_yaml())
                return
        elif not storage.is_url(self.path) and os.path.exists(self.path):
            if not os.path.isdir(self.path):
                raise RunFolderError(f"--out {self.path} is a file: expected a folder")
            found = sorted(entry for entry in os.listdir(self.path) if not entry.endswith(".part"))
            if found:
                raise RunFolderError(
                    f"{self.path} holds {found[0]} and is no run's folder: choose another --out"
                )
        # Signed first: a folder that was claimed and then killed is known again.
        storage.write_json(self.file(OWNER), mine)
        storage.write_text(self.file("recipe.yaml"), recipe.as_yaml())

    def _is_void(self) -> bool:
        """Whether the run that it belongs to left no result: it failed, or has not finished."""
        results = ("metrics.json", "labels.parquet", "names.yaml", "report.html")
        return not any(storage.exists(self.file(name)) for name in results)

    def _difference(self, owner: dict[str, Any], mine: dict[str, Any], recipe: Recipe) -> str:
        if owner["inputs"] != mine["inputs"]:
            there = [source["path"] for source in owner["inputs"]]
            same = there == [source["path"] for source in mine["inputs"]]
            return f"an earlier version of {there[0]}" if same else f"a run on {', '.join(there)}"
        theirs = {}
        if storage.exists(self.file("recipe.yaml")):
            theirs = yaml.safe_load(storage.read_bytes(self.file("recipe.yaml")))
        changed = changed_keys(theirs, recipe.as_dict())
        listed = ", ".join(f"{key}={old} there, {new} here" for key, old, new in changed[:3])
        return f"another recipe ({listed or 'another version of it, of its names or of daskfer'})"

    def recipe(self) -> Recipe:
        """The recipe of the run that has claimed the folder.

        Raises
        ------
        RunFolderError
            When none has.
        """
        try:
            return recipe_from_dict(yaml.safe_load(storage.read_bytes(self.file("recipe.yaml"))))
        except FileNotFoundError:
            raise RunFolderError(f"{self.path} has no recipe.yaml: expected a run folder") from None

    def metrics(self) -> dict[str, Any] | None:
        """The figures of the finished run, or None when it has not finished."""
        path = self.file("metrics.json")
        return storage.read_json(path) if storage.exists(path) else None

    def simulation(self) -> dict[str, Any] | None:
        """What simulated naming found of the run, or None where nobody simulated it."""
        path = self.file("simulate.json")
        return storage.read_json(path) if storage.exists(path) else None

    def sweep(self, recipe: Recipe) -> Swept | str | None:
        """The sweep that was brought to the run, None, or why it cannot be shown."""
        if not storage.exists(self.file("sweep.json")):
            return None
        from daskfer.report.run_sweep import of_run

        return of_run(self, recipe)

    def refuse(self, error: TooManyBad) -> TooManyBad:
        """Write down the bad rows of a run that they stop; the error that says where they are."""
        from daskfer.ingest.quarantine import quarantine_csv

        path = self.file("quarantine.csv")
        storage.write_text(path, quarantine_csv(error.rows))
        return TooManyBad(f"{error}; all of them are in {path}", error.rows)

    def write(self, result: Result, metrics: dict[str, Any]) -> None:
        """Write all files; metrics.json comes last and says that the run has finished."""
        from daskfer.ingest.quarantine import quarantine_csv
        from daskfer.model import write_model
        from daskfer.model.card import CARD
        from daskfer.report import write_report

        storage.write_text(self.file("quarantine.csv"), quarantine_csv(result.faces.bad))
        storage.write_whole(self.file("labels.parquet"), labels_parquet(result))
        names = yaml.safe_dump(result.names.as_dict(), sort_keys=False)
        storage.write_text(self.file("names.yaml"), names)
        trained = result.trained
        write_model(
            self.file("model"),
            result.recipe,
            result.faces.side,
            result.reduced.reducer,
            result.clusters.model,
            result.names,
            None if trained is None else trained.classifier,
            None if trained is None else trained.face,
            unsure_below(result),
        )
        storage.write_text(self.file(f"model/{CARD}"), _card(result, metrics))
        sweep = self.sweep(result.recipe)
        write_report(self.file("report.html"), result, metrics, self.simulation(), sweep=sweep)
        storage.write_json(self.file("metrics.json"), metrics)


def _card(result: Result, metrics: dict[str, Any]) -> str:
    """The model card of a run's model."""
    import numpy as np

    from daskfer.model.card import model_card

    names, trained = result.names, result.trained
    codes = np.unique(names.emotion[names.emotion != UNKNOWN])
    if trained is not None:
        codes = trained.classifier.model.classes_
    return model_card(
        result.recipe, metrics, names, result.faces.sources, result.faces.side,
        [names.categories[code] for code in codes.tolist()], unsure_below(result),
    )  # fmt: skip


def unsure_below(result: Result) -> float:
    """The confidence that the least sure tenth of the fitted faces stays below; reads no label.

    At most a half: an emotion that is likelier than all others together is not unsure.
    """
    import numpy as np

    if result.trained is None:
        return 0.0
    confidence = result.trained.confidence[result.selection.fit]
    return min(round(float(np.quantile(confidence, UNSURE_SHARE)), 4), 0.5)


def identity(recipe: Recipe, sources: list[Source]) -> str:
    """A fingerprint of what a run computes, and of what.

    A file of names counts by its content: with other names it is another run.
    """
    names = ""
    if isinstance(recipe.name, NameByFile) and os.path.exists(recipe.name.file):
        names = Path(recipe.name.file).read_text(errors="replace")
    return fingerprint(FORMAT, recipe.as_dict(), names, [source.key() for source in sources])


def default_path(recipe_name: str, recipe: Recipe, sources: list[Source]) -> str:
    """Where a run goes that was not told: under runs/, by input, recipe and fingerprint."""
    # Short enough for any file system, whatever the input is called.
    stem = as_unicode(Path(sources[0].path).name.partition(".")[0])[:60]
    name = Path(recipe_name).stem
    return storage.join("runs", f"{stem}-{name}-{identity(recipe, sources)[:8]}")


def labels_parquet(result: Result) -> bytes:
    """The file labels.parquet: a row for every good row of the inputs, in reading order.

    Columns: row (int64), source (text), cluster (int32, null for a face without landmarks),
    emotion (text, null where the cluster has no name), confidence (float32), role (fit,
    validation, test or none); and where there is a second model, predicted (text) and
    predicted_confidence (float32).
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, clusters, categories = result.faces.table, result.clusters, list(result.names.categories)
    emotion = result.names.of(clusters.cluster)
    role = np.zeros(len(table), np.int8)
    for code, positions in enumerate(
        (result.selection.fit, result.selection.validation, result.selection.test), start=1
    ):
        role[positions] = code
    columns = {
        "row": pa.array(table.row, pa.int64()),
        "source": _coded(table.source, list(result.faces.sources)),
        "cluster": pa.array(clusters.cluster, pa.int32(), mask=clusters.cluster == UNKNOWN),
        "emotion": _coded(emotion, categories, emotion == UNKNOWN),
        "confidence": pa.array(clusters.confidence, pa.float32()),
        "role": _coded(role, ["none", "fit", "validation", "test"]),
    }
    if result.trained is not None:
        columns["predicted"] = _coded(result.trained.emotion, categories)
        columns["predicted_confidence"] = pa.array(result.trained.confidence, pa.float32())
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def _coded(codes: Any, names: list[str], missing: Any = None) -> Any:
    """A column of texts, each stored once."""
    import numpy as np
    import pyarrow as pa

    indices = pa.array(np.maximum(codes, 0), pa.int32(), mask=missing)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def changed_keys(old: Any, new: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """The keys at which two nested dictionaries differ, with both values."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [(prefix, old, new)] if old != new else []
    found = []
    for key in [*new, *(key for key in old if key not in new)]:
        name = f"{prefix}.{key}" if prefix else str(key)
        found += changed_keys(old.get(key), new.get(key), name)
    return found
