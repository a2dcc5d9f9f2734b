"""names.yaml and the log of answers of a run folder: which follows from which.

The log is the truth. ``names.yaml`` is written from it, and says from how many of its lines; what
it says otherwise than these lines, somebody wrote by hand, and goes into the log as answers.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import yaml

from daskfer import storage
from daskfer.answer_log import Log
from daskfer.answers import Told
from daskfer.errors import RunFolderError, one_line
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.naming import Given, Names
from daskfer.recipe import fault_of
from daskfer.run_folder import OWNER, RunFolder
from daskfer.stated import load_yaml, spelt

NAMES = "names.yaml"

TELLING = ("facs", "file")
"""How a run may name its clusters so that these names stand until a person gives others. Names by
labels do not: a person's names would be mixed with what labels say."""


def open_log(folder: RunFolder) -> Log:
    """The answers to a finished run so far, with what was written into names.yaml by hand.

    Raises
    ------
    RunFolderError
        When the folder is no finished run's, or names.yaml cannot be read.
    AnswerError
        When its log is another run's.
    """
    metrics = folder.metrics()
    if metrics is None:
        raise RunFolderError(f"{folder.path} has not finished: expected a finished run")
    clusters = int(metrics["cluster"]["k"])
    content = _read(folder)
    identity = storage.read_json(folder.file(OWNER))["identity"]
    classes = tuple(metrics.get("classes", EMOTIONS))
    log = Log(folder.path, identity, clusters, _told(content, clusters, classes), classes)
    _take_over(folder, log, content)
    return log


def take_over(folder: RunFolder, log: Log) -> None:
    """Put into the log what was written into names.yaml by hand since it was written.

    Raises
    ------
    RunFolderError, AnswerError
        When it cannot be read, or a name in it is none.
    """
    log.refresh()
    _take_over(folder, log, _read(folder))


def given_names(folder: RunFolder) -> Given | None:
    """The names that a finished run's clusters were given since; None where nobody gave any."""
    log = open_log(folder)
    return log.answers.given(len(log.entries)) if log.answers.effective else None


def write_names(folder: RunFolder, log: Log) -> None:
    """Write names.yaml from the log; how many faces clusters have, the file tells already."""
    given = log.answers.given(len(log.entries))
    known = _read(folder).get("clusters", {})
    rows = [_faces(known.get(number)) for number in range(len(given.emotion))]
    write_given(folder, given, np.array(rows, np.int64))


def written_from(folder: RunFolder) -> int:
    """From how many lines of the log names.yaml says that it was written; -1 where it does not."""
    found = _read(folder).get("answers")
    return found if isinstance(found, int) else -1


def write_given(folder: RunFolder, given: Given, rows: np.ndarray) -> bytes:
    """Write names.yaml.

    Parameters
    ----------
    folder : RunFolder
    given : Given
    rows : int array (k,)
        Fitted faces in each cluster, with those that splits made.

    Returns
    -------
    bytes
        What was written.
    """
    unknown = np.full(len(given.emotion), np.nan)
    names = Names(
        given.emotion, given.how, given.looks, rows, unknown, score=given.trust,
        categories=given.categories, classes=given.classes, by=given.by, splits=given.splits,
        answers=given.answers,
    )  # fmt: skip
    data = as_yaml(names.as_dict()).encode()
    storage.write_whole(folder.file(NAMES), data)
    return data


def _faces(entry: Any) -> int:
    found = entry.get("faces") if isinstance(entry, dict) else None
    return int(found) if found is not None else 0


def as_yaml(content: dict[str, Any]) -> str:
    """Plain values as YAML; by libyaml, where it is there: it is ten times as fast."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(content, Dumper=dumper, sort_keys=False, allow_unicode=True))


def _read(folder: RunFolder) -> dict[str, Any]:
    path = folder.file(NAMES)
    if not storage.exists(path):
        return {}
    try:
        content = load_yaml(storage.read_bytes(path))
    except yaml.YAMLError as error:
        raise RunFolderError(f"{path}: {one_line(error)}: expected YAML, each key once") from error
    if not isinstance(content, dict) or not isinstance(content.get("clusters"), dict):
        raise RunFolderError(f"{path}: expected a key clusters with cluster: emotion in it")
    return content


def _names_in(content: dict[str, Any]) -> dict[int, str | None]:
    """The names that the content of names.yaml states, by cluster."""
    found = {}
    for number, one in content.get("clusters", {}).items():
        name = one.get("emotion") if isinstance(one, dict) else one
        if isinstance(number, int):
            found[number] = name
    return found


def _checked_name(path: str, number: int, name: Any, categories: tuple[str, ...]) -> str | None:
    """A name that somebody wrote into names.yaml, as the categories spell it."""
    if name is None:
        return None
    if fault := fault_of(name):
        raise RunFolderError(f"{path}: the name {str(name)[:80]!r} of cluster {number}: {fault}")
    return spelt(name, categories)


def _told(content: dict[str, Any], clusters: int, classes: tuple[str, ...]) -> Told | None:
    if content.get("how") not in TELLING:
        return None
    emotion, score = [UNKNOWN] * clusters, [0.0] * clusters
    for number, name in _names_in(content).items():
        if 0 <= number < clusters and name in classes:
            emotion[number] = classes.index(str(name))
            entry = content["clusters"][number]
            found = entry.get("score") if isinstance(entry, dict) else None
            score[number] = 1.0 if found is None else float(found)
    return Told(str(content["how"]), tuple(emotion), tuple(score))


def _take_over(folder: RunFolder, log: Log, content: dict[str, Any]) -> None:
    """Put into the log what names.yaml says otherwise than what it was written from."""
    stated = _names_in(content)
    written = _written_names(folder, log, content)
    path, k = folder.file(NAMES), log.answers.k
    for number in content.get("clusters", {}):
        if not isinstance(number, int) or not 0 <= number < k:
            raise RunFolderError(
                f"{path}: cluster {str(number)[:80]!r}: expected a number from 0 to {k - 1}"
            )
    changed = {
        number: _checked_name(path, number, name, log.answers.categories)
        for number, name in stated.items()
        if number in written and name != written[number]
    }
    if changed:
        known = by_cluster(log.answers.given())
        # Another server of this run may have taken them already, and be about to write the file.
        if not log.begun or any(
            (name or "").casefold() != (known.get(number) or "").casefold()
            for number, name in changed.items()
        ):
            names = {str(number): name for number, name in changed.items()}
            log.append({"do": "names", "how": "file", "names": names})
        # Else it would be found again, also after it was undone.
        write_names(folder, log)


def _written_names(folder: RunFolder, log: Log, content: dict[str, Any]) -> dict[int, str | None]:
    """The names that names.yaml had when it was written, as far as that is known."""
    count = content.get("answers")
    if isinstance(count, int):
        return by_cluster(log.replayed(log.entries[:count]).given())
    path, metrics = folder.file(NAMES), folder.file("metrics.json")
    if storage.is_url(path) or not os.path.exists(path):
        return {}
    # Written before metrics.json by the run itself: nobody has touched it since.
    if os.stat(path).st_mtime <= os.stat(metrics).st_mtime:
        return {}
    return _names_in_labels(folder)


def by_cluster(given: Given) -> dict[int, str | None]:
    """Names by cluster, None where it has none."""
    return {
        number: None if code == UNKNOWN else given.categories[code]
        for number, code in enumerate(given.emotion.tolist())
    }


def _names_in_labels(folder: RunFolder) -> dict[int, str | None]:
    """The names of clusters that labels.parquet has, for a names.yaml that was changed since."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder.file("labels.parquet"), columns=["cluster", "emotion"])
    table = table.set_column(1, "emotion", table["emotion"].cast("string"))
    pairs = table.group_by("cluster").aggregate([("emotion", "max")]).to_pylist()
    return {
        int(pair["cluster"]): pair["emotion_max"] for pair in pairs if pair["cluster"] is not None
    }
