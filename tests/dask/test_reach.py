"""Inputs and folders that workers do not see are refused, with the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from daskfer.dask import reach
from daskfer.dask.connect import Where, connected
from daskfer.dask.reach import check_reach
from daskfer.errors import SchedulerError
from daskfer.ingest.finding import find_sources


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n0,1 2 3 4\n")
    (source,) = find_sources([str(path)])
    return source


def test_all_is_seen_and_nothing_is_left(client, source, tmp_path):
    folder = tmp_path / "store" / "leases"
    check_reach(client, [source], {"--store": str(folder)})
    assert list(folder.iterdir()) == []


def test_an_input_that_is_not_there(client, source, tmp_path):
    missing = replace(source, path=str(tmp_path / "none.csv"))
    with pytest.raises(SchedulerError) as caught:
        check_reach(client, [source, missing], {})
    for part in ("worker ", "none.csv (No such file or directory)", "s3://", "--upload"):
        assert part in str(caught.value)


def test_another_file_of_the_same_name(client, source):
    with pytest.raises(SchedulerError, match=r"another file there: 25 bytes instead of 1,000"):
        check_reach(client, [replace(source, bytes=1000)], {})


def test_a_folder_of_the_same_name_that_is_not_shared(client, source, monkeypatch, tmp_path):
    # What is written here is not seen there.
    monkeypatch.setattr(reach.storage, "write_text", lambda path, text: None)
    with pytest.raises(SchedulerError, match=r"cannot use the store X \(what was written there is"):
        check_reach(client, [source], {"the store X": str(tmp_path)})


def test_images_are_looked_for_by_the_first(client, tmp_path):
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("L", (48, 48)).save(tmp_path / name)
    (images,) = find_sources([str(tmp_path)])
    check_reach(client, [images], {})
    (tmp_path / "a.png").unlink()
    with pytest.raises(SchedulerError, match="No such file"):
        check_reach(client, [images], {})


def test_of_images_those_that_cannot_be_read_here_either_tell_nothing(client, tmp_path):
    from PIL import Image

    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere.png")
    Image.new("L", (48, 48)).save(tmp_path / "b.png")
    (images,) = find_sources([str(tmp_path)])
    assert images.files == ("a.png", "b.png")
    check_reach(client, [images], {})


def test_other_files_that_workers_read(client, source, tmp_path, monkeypatch):
    head = tmp_path / "model.json"
    head.write_text("{}")
    check_reach(client, [source], {}, {"the model": str(head)}, upload=False)
    # Here it is another one.
    monkeypatch.setattr(reach, "_size", lambda path: 100)
    with pytest.raises(SchedulerError) as caught:
        check_reach(client, [source], {}, {"the model": str(head)}, upload=False)
    for part in ("cannot read the model (another file there: 2 bytes instead of 100)", "s3://"):
        assert part in str(caught.value)
    assert "--upload" not in str(caught.value)


def test_a_command_that_cannot_upload_does_not_speak_of_it(client, source, tmp_path):
    missing = replace(source, path=str(tmp_path / "none.csv"))
    with pytest.raises(SchedulerError, match=r"s3://\.\.\.$"):
        check_reach(client, [missing], {}, upload=False)


def test_behind_a_url(client, tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n0,1 2 3 4\n")
    (source,) = find_sources([f"file://{path}"])
    check_reach(client, [source], {"--store": f"file://{tmp_path}/store"})
    with pytest.raises(SchedulerError, match=r"cannot read file://.*none\.csv"):
        check_reach(client, [replace(source, path=f"file://{tmp_path}/none.csv")], {})
