"""Predict: from sources to a table of what a trained model says of each face in them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from daskfer.engine import Engine
from daskfer.errors import ModelError
from daskfer.faces import UNKNOWN
from daskfer.ingest.archives import ArchivedImages
from daskfer.ingest.decoding import BadImage, decode, decode_photo, size_of
from daskfer.ingest.images import PIECE, Content, ImageFiles
from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Part
from daskfer.ingest.sizes import resized
from daskfer.ingest.sources import Source
from daskfer.model.model import Model, Predictions
from daskfer.predictor import UNSURE, cut_out_all, find_boxes, whole_box
from daskfer.stages.parts import DEFAULT_RANGE, plan
from daskfer.store import absolute

PART_ROWS = 2_048
"""Rows that a task labels."""

PHOTO_SIDE = 128
"""Pixels of an image's shorter side from which it may show more than a face."""

NO_FACE = "no face found: expected one that is seen from near its front"


@dataclass(frozen=True)
class Labels:
    """What a model says of the faces in a part of a source, or why it says nothing.

    Attributes
    ----------
    records : int
        Records of the source in this part.
    record : int64 array (n,)
        Number of each face's record in its source; of a photo, the same for all its faces.
    name : list of str
        The source of each, or its own file.
    emotion : int8 array (n,)
        Codes of the model's categories; UNKNOWN where it says none.
    confidence : float32 array (n,)
    cluster : int32 array (n,)
    box : int32 array (n, 4)
        Left, top, width and height in a photo; of other images −1.
    problem : list of str
        Why there is no face to label; empty where there is one.
    """

    records: int
    record: np.ndarray
    name: list[str]
    emotion: np.ndarray
    confidence: np.ndarray
    cluster: np.ndarray
    box: np.ndarray
    problem: list[str]


@dataclass(frozen=True)
class Asked:
    """What workers are told: which model, and whether images are searched for faces.

    Attributes
    ----------
    model : str
        Its folder.
    digest : str
        The sha256 of its model.json as it is to be: what the folder holds may be replaced.
    faces : {"auto", "find", "none"}
        Large ones are searched, all or none.
    """

    model: str
    digest: str
    faces: str = "auto"


def label(
    sources: list[Source], model: Model, engine: Engine, faces: str = "auto"
) -> Iterator[tuple[int, Labels]]:
    """Label the faces of some sources, part by part, in reading order.

    Parameters
    ----------
    sources : list of Source
    model : Model
        What `opened` gave; workers read it for themselves, from the same folder.
    engine : Engine
    faces : {"auto", "find", "none"}
        See `Asked`.

    Yields
    ------
    int
        Number of the first record of the part's source over all inputs.
    Labels

    Raises
    ------
    InputError
        When a file is no table of faces.
    ModelError
        When a worker finds another model in the folder.
    """
    asked = Asked(model.folder, model.digest, faces)
    planned = plan(engine, sources, model.side, PART_ROWS, DEFAULT_RANGE, classes=())
    cut = [
        (smaller, owner)
        for part, owner in zip(planned.parts, planned.owners, strict=True)
        for smaller in _cut(part)
    ]
    names = [sources[owner].name for _, owner in cut]
    tasks = engine.map("predict", label_part, [part for part, _ in cut], names, shared=(asked,))
    records = [0] * len(sources)
    for start in range(0, len(tasks), AT_ONCE):
        for number, found in enumerate(engine.gather(tasks[start : start + AT_ONCE]), start):
            owner = cut[number][1]
            yield sum(records[:owner]), found
            records[owner] += found.records


AT_ONCE = 16
"""Parts whose labels are fetched at once."""

PART_IMAGES = 64
"""Image files of a task: photos take long."""


def _cut(part: Part) -> list[Part]:
    """A set of image files in smaller parts; everything else as it is."""
    if not isinstance(part, ImageFiles):
        return [part]
    return [
        replace(part, files=part.files[start : start + PART_IMAGES], first=part.first + start)
        for start in range(0, len(part.files), PART_IMAGES)
    ]


def label_part(part: Part, owner: str, asked: Asked) -> Labels:
    """What the model says of one part of the source that is called `owner`."""
    model = model_of(asked)
    if isinstance(part, ImageFiles | ArchivedImages):
        return _images(part, model, asked)
    return joined([_rows(rows, owner, model) for rows in part.pieces()])


def _rows(rows: Any, owner: str, model: Model) -> Labels:
    """Labels of rows that are faces, with the bad ones between them."""
    found = model.predict(resized(rows.pixels, model.side))
    names = list(rows.names) if rows.names is not None else [owner] * len(rows.row)
    good = _labels(rows.records, rows.row, names, found)
    bad = _bad(rows.bad_row, list(rows.bad), model)
    return in_order(joined([good, bad]))


def _labels(records: int, record: np.ndarray, names: list[str], found: Predictions) -> Labels:
    count = len(record)
    box = np.full((count, 4), -1, np.int32)
    return Labels(
        records, record, names, found.emotion, found.confidence, found.cluster, box, [""] * count
    )


def _bad(record: np.ndarray, bad: list[BadRow], model: Model) -> Labels:
    count = len(bad)
    return Labels(
        0,
        record,
        [row.source for row in bad],
        np.full(count, UNKNOWN, np.int8),
        np.zeros(count, np.float32),
        np.full(count, UNKNOWN, np.int32),
        np.full((count, 4), -1, np.int32),
        [row.reason if row.line is None else f"line {row.line}: {row.reason}" for row in bad],
    )


def _images(part: ImageFiles | ArchivedImages, model: Model, asked: Asked) -> Labels:
    """Labels of images, which are read one after the other and labelled some at a time."""
    contents, found, first = part.contents(), list[Labels](), part.first
    while (labels := _batch(first, islice(contents, PIECE), model, asked.faces)).records:
        found.append(labels)
        first += labels.records
    return joined(found)


def _batch(first: int, contents: Iterable[Content], model: Model, faces: str) -> Labels:
    """Labels of some images: large ones are searched for faces, small ones are labelled at once."""
    found, small, count = list[Labels](), [], 0
    for count, (name, _, data) in enumerate(contents, 1):
        number = first + count - 1
        record = np.array([number], np.int64)
        try:
            if isinstance(data, BadImage):
                raise data
            if _is_photo(data, faces):
                found.append(_photo(decode_photo(data), record, name, model))
            else:
                small.append((number, name, decode(data, model.side)))
        except BadImage as error:
            found.append(_bad(record, [BadRow(name, None, None, str(error), "")], model))
    if small:
        numbers, names, pixels = zip(*small, strict=True)
        said = model.predict(np.stack(pixels))
        found.append(_labels(0, np.array(numbers, np.int64), list(names), said))
    return replace(in_order(joined(found)), records=count)


def _is_photo(data: bytes, faces: str) -> bool:
    """Whether an image is searched for faces."""
    return faces == "find" or (faces == "auto" and min(size_of(data)) >= PHOTO_SIDE)


def _photo(photo: np.ndarray, record: np.ndarray, name: str, model: Model) -> Labels:
    """Labels of the faces that are found in one photo."""
    boxes = find_boxes(model, photo)
    if not boxes:
        return _bad(record, [BadRow(name, None, None, NO_FACE, "")], model)
    said = model.predict(cut_out_all(model, photo, boxes))
    labels = _labels(0, np.repeat(record, len(boxes)), [name] * len(boxes), said)
    return replace(labels, box=np.array([whole_box(one) for one in boxes], np.int32))


def joined(parts: list[Labels]) -> Labels:
    """Labels of parts that follow one another."""
    if not parts:
        nothing = Predictions(
            np.zeros(0, np.int8), np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros((0, 0))
        )
        return _labels(0, np.zeros(0, np.int64), [], nothing)
    return Labels(
        sum(part.records for part in parts),
        np.concatenate([part.record for part in parts]),
        [name for part in parts for name in part.name],
        np.concatenate([part.emotion for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.cluster for part in parts]),
        np.concatenate([part.box for part in parts]),
        [problem for part in parts for problem in part.problem],
    )


def in_order(labels: Labels) -> Labels:
    """The same, by the numbers of their records."""
    order = np.argsort(labels.record, kind="stable")
    return Labels(
        labels.records,
        labels.record[order],
        [labels.name[number] for number in order],
        labels.emotion[order],
        labels.confidence[order],
        labels.cluster[order],
        labels.box[order],
        [labels.problem[number] for number in order],
    )


def rows_of(
    labels: Labels, first: int, categories: tuple[str, ...], unsure_below: float
) -> list[dict[str, Any]]:
    """Labels as plain values, a dictionary for each line of an output.

    Parameters
    ----------
    labels : Labels
    first : int
        Number of the part's source's first record over all inputs.
    categories : tuple of str
    unsure_below : float
    """
    found = []
    for number, problem in enumerate(labels.problem):
        code, confidence = int(labels.emotion[number]), float(labels.confidence[number])
        emotion = None if code == UNKNOWN else categories[code]
        if emotion is not None and confidence < unsure_below:
            emotion = UNSURE
        cluster, box = int(labels.cluster[number]), labels.box[number].tolist()
        whole = box[2] < 0
        found.append(
            {
                "row": first + int(labels.record[number]),
                "source": labels.name[number],
                "emotion": emotion,
                "confidence": None if problem else round(confidence, 4),
                "cluster": None if cluster == UNKNOWN else cluster,
                "x": None if whole else box[0],
                "y": None if whole else box[1],
                "width": None if whole else box[2],
                "height": None if whole else box[3],
                "problem": problem or None,
            }
        )
    return found


_KEPT = 4
"""Models that a process keeps; one that predicts goes on with the same for a while."""

_models: dict[tuple[str, str], Model] = {}
_reading = threading.Lock()


def opened(path: str) -> Model:
    """The model that is now in a folder, or in the run's that holds it.

    Raises
    ------
    ModelError
        See `daskfer.model.read_model`.
    """
    with _reading:
        return _read_now(absolute(path))


def model_of(asked: Asked) -> Model:
    """The model that is asked for, read once in a process.

    Raises
    ------
    ModelError
        When its folder holds another one by now, or here.
    """
    with _reading:
        key = asked.model, asked.digest
        found = _models.get(key) or _read_now(asked.model)
        if found.digest != asked.digest:
            raise ModelError(
                f"{asked.model} holds another model than when this began (sha256 of model.json: "
                f"{found.digest[:16]}…, expected {asked.digest[:16]}…): expected the same on all "
                "machines, and none written meanwhile; the same command begins again"
            )
        return found


def _read_now(path: str) -> Model:
    from daskfer.model import read_model

    found = read_model(path)
    _models[found.folder, found.digest] = found
    while len(_models) > _KEPT:
        del _models[next(iter(_models))]
    return found
