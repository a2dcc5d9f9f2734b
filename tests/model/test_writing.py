"""Another model is written over one that is read: a reader finds one of them, and it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kills import killed_after
from trained import head_of, part_of, set_head

from daskfer import storage
from daskfer.errors import ModelError
from daskfer.model import read_clusters, read_model, reading, write_model
from daskfer.model.writing import PARTS, drop_parts, part_file, write_parts
from daskfer.naming import Names
from daskfer.recipe import Recipe


def another(model: Path) -> Callable[[], None]:
    """Writes other names of the clusters, and no second model, over a model."""
    old = read_model(str(model))
    emotion = (old.names + 1) % 7
    names = Names(emotion, "page", 7, np.ones(7, np.int64), np.ones(7))
    return lambda: write_model(
        str(model), Recipe(), old.side, old.reducer, old.clusters, names, None
    )


def told(model: Path) -> tuple[bool, list[int]]:
    """Whether a model has a second one, and its clusters' names; it is whole."""
    found = read_model(str(model))
    return found.classifier is not None, found.names.tolist()


def test_a_reader_finds_one_of_them_whenever_the_writer_is_killed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, seen = told(model), []
    for steps in range(20):
        copy = Path(shutil.copytree(model, tmp_path / f"copy-{steps}"))
        ended = killed_after(steps, ("replace", "remove"), monkeypatch, another(copy))
        seen.append(told(copy))
        if ended:
            break
    assert ended
    new = (False, [(name + 1) % 7 for name in old[1]])
    switch = seen.index(new)
    assert 0 < switch < len(seen) - 1
    assert seen == [old] * switch + [new] * (len(seen) - switch)
    # What a killed writer left is deleted by the next one.
    assert {path.name for path in copy.iterdir()} == {
        "model.json", "MODEL_CARD.md", part_of(copy, "reducer.npz").name,
        part_of(copy, "clusters.npz").name,
    }  # fmt: skip


def test_checksums_are_of_what_was_written(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of what another training has put there meanwhile."""
    write, whole = another(model), storage.write_whole

    def spoilt(path: str, data: Any, **options: Any) -> None:
        whole(path, b"of another" if path.endswith(".npz") else data, **options)

    monkeypatch.setattr(storage, "write_whole", spoilt)
    write()
    with pytest.raises(ModelError, match="is not what was written"):
        read_model(str(model))


def test_two_writers_in_turns_do_not_mix(model: Path, tmp_path: Path) -> None:
    old = read_model(str(model))
    heads = []
    for shift in (1, 2):
        names = Names((old.names + shift) % 7, "page", 7, np.ones(7, np.int64), np.ones(7))
        heads.append(
            write_parts(str(model), Recipe(), old.side, old.reducer, old.clusters, names, None)
        )
    for shift, head in enumerate(heads, start=1):
        storage.write_json(str(model / "model.json"), head)
        assert read_model(str(model)).names.tolist() == [(n + shift) % 7 for n in old.names]


def test_nothing_but_parts_is_deleted(model: Path) -> None:
    sums = head_of(model)["sha256"]
    kept = ["notes.txt", "reducer-old.npz", "classifier-0123456789ab.pkl", "x-reducer.npz"]
    gone = ["face.npz", "classifier.npz", "clusters-0123456789ab.npz"]
    for name in (*kept, *gone):
        (model / name).write_bytes(b"")
    drop_parts(str(model))
    there = {path.name for path in model.iterdir()}
    assert there == {
        "model.json", "MODEL_CARD.md", *kept, *(part_file(*one) for one in sums.items())
    }  # fmt: skip


def test_a_model_of_an_older_format_is_read(model: Path) -> None:
    """Its parts have their plain names."""
    before = told(model)
    for name in head_of(model)["sha256"]:
        part_of(model, name).rename(model / name)
    set_head(model, format=3)
    assert told(model) == before
    assert len(read_clusters(str(model)).centers) == 7
    drop_parts(str(model))
    assert told(model) == before
    another(model)()
    assert told(model) == (False, [(name + 1) % 7 for name in before[1]])
    assert not [name for name in PARTS if (model / name).exists()]


def test_a_reader_whose_parts_are_deleted_reads_the_new_model(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, checked = another(model), reading._checked_parts

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(reading, "_checked_parts", checked)
        write()
        return checked(*arguments)

    monkeypatch.setattr(reading, "_checked_parts", late)
    assert not told(model)[0]
