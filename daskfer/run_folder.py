"""A run's folder: who it belongs to, and its results, which take their places together."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from daskfer import __version__, storage, switching
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

METRICS = "metrics.json"
"""Where it is, the run has finished."""

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
            When it belongs to another recipe or other inputs that left results or are computed
            now, or holds files of another kind. Nothing in it is changed then.
        """
        mine = self.check(recipe, sources)
        self._check_idle(mine["identity"])
        self._sign(mine, recipe)

    @contextmanager
    def at_work(self, recipe: Recipe, sources: list[Source]) -> Iterator[str]:
        """Claim the folder and keep it from other runs as long as this lasts; its identity.

        Raises
        ------
        RunFolderError
            As `claim` does.
        """
        from daskfer.at_work import working

        mine = self.check(recipe, sources)
        found: str = mine["identity"]
        # Said first, looked for others next, and signed last: of two that begin at the same time
        # no one works beside the other's signature.
        with working(self.path, found):
            self._check_idle(found)
            self._sign(self.check(recipe, sources), recipe)
            yield found

    def check(self, recipe: Recipe, sources: list[Source]) -> dict[str, Any]:
        """What run.json says, or would say, when the folder is this run's; changes nothing.

        Raises
        ------
        RunFolderError
            When it belongs to another run with results, or holds files of another kind.
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
        elif not storage.is_url(self.path) and os.path.exists(self.path):
            if not os.path.isdir(self.path):
                raise RunFolderError(f"--out {self.path} is a file: expected a folder")
            found = sorted(entry for entry in os.listdir(self.path) if not _is_passing(entry))
            if found:
                raise RunFolderError(
                    f"{self.path} holds {found[0]} and is no run's folder: choose another --out"
                )
        return mine

    def _sign(self, mine: dict[str, Any], recipe: Recipe) -> None:
        if self._identity() == mine["identity"]:
            owner = storage.read_json(self.file(OWNER))
            if "chosen" in mine and "chosen" not in owner:
                storage.write_json(self.file(OWNER), {**owner, "chosen": mine["chosen"]})
            if not storage.exists(self.file("recipe.yaml")):
                storage.write_text(self.file("recipe.yaml"), recipe.as_yaml())
            return
        # Signed first: a folder that was claimed and then killed is known again.
        storage.write_json(self.file(OWNER), mine)
        storage.write_text(self.file("recipe.yaml"), recipe.as_yaml())

    def _identity(self) -> str | None:
        """What run.json says whose the folder is; None where there is none."""
        path = self.file(OWNER)
        return str(storage.read_json(path)["identity"]) if storage.exists(path) else None

    def _check_idle(self, identity: str) -> None:
        """Refuse a folder in which a run of another identity is at work."""
        from daskfer.at_work import others

        found = next(others(self.path, identity), None)
        if found is not None:
            raise RunFolderError(
                f"another run is at work in {self.path} ({found}): wait for it, or choose another "
                "--out"
            )

    def _check_owner(self, identity: str) -> None:
        """Refuse to write results beside the recipe of another run."""
        found = self._identity()
        if found != identity:
            what = "is gone" if found is None else f"is that of run {found}"
            raise RunFolderError(
                f"{self.file(OWNER)} {what}, and the results are of run {identity}: they are not "
                "written (the same command with another --out finds all stages in the store)"
            )

    def _is_void(self) -> bool:
        """Whether the run that it belongs to left no result: it failed, or has not finished."""
        results = (METRICS, "labels.parquet", "names.yaml", "report.html", switching.SWITCHING)
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
        """The figures of the finished run, or None when it has not finished.

        What a process that was killed while it wrote results left to be moved is moved first.

        Raises
        ------
        RunFolderError
            When it cannot be.
        """
        self._settle()
        path = self.file(METRICS)
        return storage.read_json(path) if storage.exists(path) else None

    def _settle(self) -> None:
        from daskfer.model.writing import drop_parts

        if storage.is_url(self.path) or not switching.is_unsettled(self.path):
            return
        try:
            # One that is at work at that is waited for.
            with switching.alone(self.path) as tidy:
                switching.settle(self.path, METRICS)
                if tidy:
                    drop_parts(self.file("model"))
        except OSError as error:
            raise RunFolderError(
                f"{self.file(switching.SWITCHING)} has results that a killed process did not move "
                f"into place, nor can they be now ({storage.reason(error)}): make the folder "
                "writable"
            ) from error

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

    def write(self, result: Result, metrics: dict[str, Any], identity: str) -> None:
        """Write the results of the run of this identity, for the first time or again.

        On a disk, first the parts of the model, whose names are those of no other model's parts;
        then everything else into a folder of its own, from where all of it takes its place
        together (see `daskfer.switching`): at last metrics.json, which says that the run has
        finished. Killed before that, the folder is as it was; killed after, the next command
        that looks at the run moves what is left. Old parts of the model are deleted last.

        names.yaml does not wait for that: names may be given at any time, it says by itself from
        how many answers it follows, and nothing that was answered or written by hand meanwhile is
        lost.

        Behind a URL files take their places one after the other, metrics.json last. What is
        there is only written again by the same run, with the same results.

        Raises
        ------
        RunFolderError
            When the folder is another run's now, or names.yaml was made unreadable meanwhile, or
            holds names that are none. No result in it is changed then.
        """
        from daskfer import at_work
        from daskfer.model.writing import drop_parts

        self._check_owner(identity)
        if storage.is_url(self.path):
            self._write_into(self.path, result, metrics, identity)
            return
        with switching.alone(self.path) as tidy:
            with switching.replacing(self.path, METRICS, tidy=tidy) as place:
                self._write_into(place, result, metrics, identity)
            if tidy:
                drop_parts(self.file("model"))
        at_work.forget(self.path)

    def _write_into(
        self, place: str, result: Result, metrics: dict[str, Any], identity: str
    ) -> None:
        """Write all results, those that switch from old to new into the folder `place`."""
        from daskfer.ingest.quarantine import quarantine_csv
        from daskfer.model.card import CARD
        from daskfer.model.writing import HEAD, write_parts
        from daskfer.report import write_report

        new = RunFolder(place)
        storage.write_text(new.file("quarantine.csv"), quarantine_csv(result.faces.bad))
        storage.write_whole(new.file("labels.parquet"), labels_parquet(result))
        trained = result.trained
        head = write_parts(
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
        storage.write_json(new.file(f"model/{HEAD}"), head)
        storage.write_text(new.file(f"model/{CARD}"), _card(result, metrics))
        sweep = self.sweep(result.recipe)
        write_report(new.file("report.html"), result, metrics, self.simulation(), sweep=sweep)
        self._check_owner(identity)
        self._write_names(result)
        storage.write_json(new.file(METRICS), metrics)

    def _write_names(self, result: Result) -> None:
        """Write names.yaml, unless names were given since those of the result: they stand."""
        from daskfer.names_file import open_log, write_names

        if not storage.is_url(self.path) and self.metrics() is not None:
            # What was written by hand meanwhile is in the log then.
            log = open_log(self)
            if (len(log.entries) if log.answers.effective else None) != result.names.answers:
                write_names(self, log)
                return
        names = yaml.safe_dump(result.names.as_dict(), sort_keys=False)
        storage.write_text(self.file("names.yaml"), names)


def _is_passing(name: str) -> bool:
    """Whether a file is one that a process at work leaves when it is killed."""
    from daskfer.at_work import WORK

    return name.endswith(".part") or name.startswith((WORK, switching.NEW))


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
