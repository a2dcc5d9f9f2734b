"""Models are read back as they were written, and hostile ones are refused before they do harm."""

from __future__ import annotations

import functools
import io
import json
import operator
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import daskfer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from trained import (
    arrays_of,
    head_of,
    labels_of,
    npz,
    part_of,
    pixels_of,
    set_classifier,
    set_head,
    set_part,
)

from daskfer.errors import ModelError
from daskfer.model import FORMAT, load_estimator, read_clusters, read_model, save_estimator
from daskfer.model.model import Predictions
from daskfer.synthetic import write_csv

ELSEWHERE = """
import sys
import numpy as np
from daskfer.model import read_model
model, pixels, out = sys.argv[1:]
np.savez(out, **vars(read_model(model).predict(np.load(pixels))))
"""


def told_elsewhere(
    model: Path, pixels: np.ndarray, folder: Path, environment: dict[str, str]
) -> Predictions:
    """What another Python process reads from a model and says of faces."""
    np.save(folder / "pixels.npy", pixels)
    command = [sys.executable, "-c", ELSEWHERE, model, folder / "pixels.npy", folder / "out.npz"]
    done = subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return Predictions(**arrays_of(folder / "out.npz"))


def assert_as_labelled(found: Predictions, run: Path) -> None:
    """The same as in labels.parquet, for all of its rows."""
    labels, categories = labels_of(run), head_of(run / "model")["emotions"]
    assert [categories[code] for code in found.emotion] == labels["predicted"]
    cluster = [-1 if number is None else number for number in labels["cluster"]]
    assert found.cluster.tolist() == cluster
    np.testing.assert_allclose(found.confidence, labels["predicted_confidence"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (found.probabilities.max(axis=1) == found.confidence).all()


def test_a_model_says_what_the_run_said(hog_run: Path, faces: Path, tmp_path: Path) -> None:
    pixels = pixels_of(faces)
    here = read_model(str(hog_run)).predict(pixels)
    assert len(set(here.emotion.tolist())) > 2
    assert_as_labelled(here, hog_run)
    assert_as_labelled(
        told_elsewhere(hog_run / "model", pixels, tmp_path, dict(os.environ)), hog_run
    )


def test_a_face_alone_is_told_the_same(hog_run: Path, faces: Path) -> None:
    pixels, model = pixels_of(faces)[:20], read_model(str(hog_run))
    together = model.predict(pixels)
    alone = [model.predict(pixels[row : row + 1]) for row in range(len(pixels))]
    assert [one.emotion[0] for one in alone] == together.emotion.tolist()
    np.testing.assert_allclose([one.confidence[0] for one in alone], together.confidence, atol=1e-5)
    assert len(model.predict(pixels[:0]).emotion) == 0


@pytest.mark.slow
def test_a_model_of_expressions_says_what_the_run_said(
    tmp_path: Path, expression_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_csv(tmp_path / "faces.csv", 160, seed=5)
    changes = (
        "block_rows=64", "represent.mirrored=50", "cluster.clusters=6", "classify.components=20",
        "name.how=dominant", "classify.model=logistic", "evaluate.null_draws=0",
        "evaluate.stability_draws=0",
    )  # fmt: skip
    more = [part for change in changes for part in ("--set", change)]
    run = tmp_path / "run"
    done = daskfer(
        "run", tmp_path / "faces.csv", "--recipe", "expression", *more, "--out", run,
        environment=expression_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "face.npz" in head_of(run / "model")["sha256"]
    for name in ("DASKFER_MODELS", "DASKFER_OFFLINE"):
        monkeypatch.setenv(name, expression_environment[name])
    pixels = pixels_of(tmp_path / "faces.csv")
    model = read_model(str(run))
    assert model.measures
    assert_as_labelled(model.predict(pixels), run)
    assert_as_labelled(told_elsewhere(run, pixels, tmp_path, expression_environment), run)
    # No address is called because a model says so.
    represent = head_of(run / "model")["represent"]
    for place in ("http://127.0.0.1:1/face.task", "/nowhere/face.task"):
        set_head(run / "model", represent=represent | {"model": place})
        assert read_model(str(run)).representation.model is None


class Trap:
    """When it is unpickled, a file is there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def refused(model: Path, words: str) -> None:
    """A model is refused in one line that has these words."""
    with pytest.raises(ModelError, match=words) as caught:
        read_model(str(model))
    assert "\n" not in str(caught.value)
    assert str(model) in str(caught.value)


def test_a_pickle_is_not_read(model: Path, tmp_path: Path) -> None:
    data = pickle.dumps(Trap(tmp_path / "sprung"))
    set_classifier(model, data)
    refused(model, "pickles and other estimators are never read")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("schema.json", head_of(model)["daskfer"])
        archive.writestr("1.npy", data)
    set_classifier(model, packed.getvalue())
    refused(model, "pickles and other estimators are never read")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["clusters.npz", "reducer.npz"])
def test_objects_in_arrays_are_not_read(name: str, model: Path, tmp_path: Path) -> None:
    arrays = arrays_of(part_of(model, name))
    arrays[next(iter(arrays))] = np.array([Trap(tmp_path / "sprung")], object)
    set_part(model, name, npz(**arrays))
    refused(model, f"{name} cannot be read: a .npy of Python objects is not read")
    if name == "clusters.npz":
        with pytest.raises(ModelError, match="Python objects"):
            read_clusters(str(model))
    assert not (tmp_path / "sprung").exists()


def fitted(estimator: Any, classes: int = 3, rows: int = 300) -> Any:
    """A pipeline of a scaler and this, fitted to rows of 20 columns."""
    random = np.random.default_rng(0)
    points = random.normal(size=(rows, 20)).astype(np.float32)
    codes = (np.arange(rows) % classes).astype(np.int8)
    points[:, 0] += codes
    return make_pipeline(StandardScaler(), estimator).fit(points, codes)


def boosting(classes: int = 3) -> HistGradientBoostingClassifier:
    return fitted(HistGradientBoostingClassifier(max_iter=3, early_stopping=False), classes)


def foreign(kind: str) -> Any:
    """Something that a classifier's file must not hold."""
    logistic = LogisticRegression()
    if kind == "function":
        return os.system
    if kind == "partial":
        return functools.partial(os.system, "true")
    if kind == "method":
        return operator.methodcaller("touch")
    if kind == "ufunc":
        return fitted(make_pipeline(FunctionTransformer(func=np.abs), logistic))
    if kind == "forest":
        return fitted(RandomForestClassifier(3))
    if kind == "kernel":
        found = fitted(SVC())
        found[-1].kernel = np.dot
        return found
    found = fitted(logistic)
    found[-1].predict_proba = "predict"
    return found


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("function", "not trusted: posix.system"),
        ("partial", "not trusted: .*partial"),
        ("method", "not trusted: operator.methodcaller"),
        ("ufunc", "not trusted: .*FunctionTransformer"),
        ("forest", "not trusted: .*Forest"),
        ("kernel", "not trusted: .*dot"),
        ("shadow", "LogisticRegression.predict_proba is no method"),
    ],
)
def test_classifiers_that_daskfer_does_not_train_are_refused(
    kind: str, words: str, model: Path
) -> None:
    set_classifier(model, skops.io.dumps(foreign(kind)))
    refused(model, words)


def test_a_function_to_transform_by_is_not_called(model: Path, tmp_path: Path) -> None:
    found = fitted(make_pipeline(FunctionTransformer(func=np.abs), LogisticRegression()))
    found[-1].steps[0][1].func = functools.partial(os.system, f"touch {tmp_path}/sprung")
    set_classifier(model, skops.io.dumps(found))
    refused(model, "not trusted: functools.partial .*posix.system")
    assert not (tmp_path / "sprung").exists()


def spoilt_tree(what: str) -> Any:
    found = boosting()
    predictor = found[-1]._predictors[0][0]
    nodes = predictor.nodes
    assert nodes["is_leaf"][0] == 0
    if what == "leads out":
        nodes["left"][0] = 10**6
    elif what == "goes round":
        nodes["right"][0] = 0
    elif what == "other feature":
        nodes["feature_idx"][0] = 10**9
    elif what == "categorical":
        nodes["is_categorical"][0] = 1
    else:
        predictor.nodes = nodes[:0]
    return found


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("leads out", "branches lead out of it"),
        ("goes round", "branches lead out of it, or back"),
        ("other feature", "features that there are not"),
        ("categorical", "categorical"),
        ("empty", "no nodes"),
    ],
)
def test_trees_that_would_be_walked_out_of_memory_are_refused(
    what: str, words: str, model: Path
) -> None:
    set_classifier(model, save_estimator(spoilt_tree(what)))
    refused(model, words)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_n_support", np.array([10**6, 1, 1], np.int32)),
        ("_dual_coef_", np.zeros((1, 1))),
        ("_intercept_", np.zeros(1)),
        ("support_", np.zeros(1, np.int32)),
        ("kernel", "poly"),
    ],
)
def test_support_vectors_that_libsvm_would_run_past_are_refused(
    name: str, value: Any, model: Path
) -> None:
    found = fitted(SVC())
    setattr(found[-1], name, value)
    set_classifier(model, save_estimator(found))
    refused(model, "SVC.|support vectors")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", [SVC(), boosting()[-1]])
def test_the_same_are_read_as_they_are(estimator: Any, classes: int) -> None:
    found = fitted(estimator, classes)
    points = np.random.default_rng(1).normal(size=(50, 20))
    again = load_estimator(save_estimator(found), "it")
    np.testing.assert_array_equal(again.predict(points), found.predict(points))


def test_a_changed_byte_is_found_in_each_part(model: Path) -> None:
    for name in head_of(model)["sha256"]:
        part = part_of(model, name)
        data = part.read_bytes()
        part.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        refused(model, f"{part.name} is not what was written: its sha256 is")
        part.write_bytes(data)
    read_model(str(model))


def test_a_missing_part_is_told(model: Path) -> None:
    missing = part_of(model, "classifier.skops")
    missing.unlink()
    refused(model, f"lacks {missing.name}, which model.json lists")
    sums = head_of(model)["sha256"]
    set_head(model, sha256={name: sums[name] for name in sums if name != "clusters.npz"})
    refused(model, "lists no parts")


@pytest.mark.parametrize("name", ["../x", "/etc/hostname", "model.json", "reducer.npz/../x", ""])
def test_no_other_file_is_opened(name: str, model: Path) -> None:
    (model.parent / "x").write_bytes(b"")
    set_head(model, sha256=head_of(model)["sha256"] | {name: "0"})
    refused(model, "expected no parts but reducer.npz")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format", FORMAT + 1, f"has format {FORMAT + 1} and this daskfer reads up to {FORMAT}"),
        ("format", True, "states no format"),
        ("format", "3", "states no format"),
        ("format", None, "states no format"),
        ("format", 0, "states no format"),
        ("side", 0, "side is 0"),
        ("side", 10**9, "side is 1000000000"),
        ("side", True, "side is True"),
        ("side", 48.0, "side is 48.0"),
        ("side", 8, "reducer.npz cannot be read: represent: faces of 8×8 pixels"),
        ("side", 64, "reducer.npz cannot be read: axes has shape"),
        ("emotions", None, "emotions: expected a list of 2 to 127 names"),
        ("emotions", "angry", "emotions: expected a list"),
        ("emotions", ["angry", 3], "the name 3: YAML takes it for a number"),
        ("emotions", ["angry", "Angry"], "all different"),
        ("emotions", ["a\nb", "c"], "control character"),
        ("emotions", ["angry", "disgust"], "a cluster has a name that there is not"),
        ("temperature", -1, "temperature: -1: expected a number"),
        ("temperature", "warm", "temperature: 'warm': expected a number"),
        ("unsure_below", 2, "unsure_below: 2: expected a number from 0 to 1"),
        ("unsure_below", [], None),
        ("classifier_input", "../face.npz", "classifier_input is '../face.npz'"),
        ("classifier_input", "face.npz", "classifier_input is 'face.npz', expected reducer.npz"),
        ("represent", {"method": "pixels"}, "reducer.npz cannot be read: axes has shape"),
        ("represent", {"method": "magic"}, "magic"),
        ("represent", [], "represent"),
        ("normalize", {"method": "minmax", "code": "x"}, "code"),
        ("sha256", [], "lists no parts"),
        ("sha256", {"reducer.npz": 1, "clusters.npz": None}, "sha256 of reducer.npz is '1'"),
        ("sha256", {"reducer.npz": "/../../x", "clusters.npz": ""}, "'/../../x', expected 64"),
        ("sha256", {"reducer.npz": "A" * 64, "clusters.npz": ""}, "expected 64 hexadecimal digits"),
        ("sha256", {"reducer.npz": "0" * 64 + "\n", "clusters.npz": ""}, "expected 64"),
        ("sha256", {"reducer.npz": "0" * 64, "clusters.npz": ""}, "lacks reducer-000000000000.npz"),
        ("format", 3, "lacks reducer.npz, which model.json lists"),
    ],
)
def test_what_model_json_may_not_say(key: str, value: Any, words: str | None, model: Path) -> None:
    set_head(model, **{key: value})
    if words is None:
        assert read_model(str(model)).unsure_below == 0
    else:
        refused(model, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "states no format"),
        (b"3", "states no format"),
    ],
)
def test_a_model_json_that_is_none(text: bytes, words: str, model: Path) -> None:
    (model / "model.json").write_bytes(text)
    refused(model, words)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    refused(tmp_path, "holds no model")


@pytest.mark.parametrize(
    "emotion",
    [
        np.zeros(3, np.int8),
        np.zeros(8, np.int8),
        np.full(7, 7, np.int8),
        np.full(7, -2, np.int8),
        np.zeros((7, 1), np.int8),
        np.zeros(7),
        np.full(7, 256, np.int64),
    ],
)
def test_names_that_do_not_fit_the_clusters(emotion: np.ndarray, model: Path) -> None:
    arrays = arrays_of(part_of(model, "clusters.npz"))
    set_part(model, "clusters.npz", npz(**arrays | {"emotion": emotion}))
    refused(model, "clusters.npz cannot be read: (emotion has|a cluster has a name)")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", np.arange(7) + 1j),
        ("classes", np.arange(7) + 256),
        ("classes", np.int8(3)),
        ("mean", np.full(20, np.nan)),
        ("coef", np.zeros((7, 19))),
        ("gamma", np.zeros(2)),
        ("basis", np.zeros((3, 20), np.int64)),
    ],
)
def test_plain_arrays_that_are_no_classifier(name: str, value: Any, model: Path) -> None:
    arrays = arrays_of(part_of(model, "classifier.npz"))
    set_part(model, "classifier.npz", npz(**arrays | {name: value}))
    refused(model, "classifier.npz cannot be read")


def test_divisions_of_clusters_that_there_are_not(model: Path) -> None:
    arrays = arrays_of(part_of(model, "clusters.npz"))
    columns = arrays["centers"].shape[1]
    split = {
        "split_of": np.array([0]),
        "split_new": np.array([10**12]),
        "split_centers": np.zeros((1, 2, columns)),
        "emotion": np.zeros(8, np.int8),
    }
    set_part(model, "clusters.npz", npz(**arrays | split))
    refused(model, "split_new has numbers of clusters that there are not")
    set_part(model, "clusters.npz", npz(**arrays | split | {"split_new": np.array([7])}))
    assert len(read_clusters(str(model)).centers) == 8


PARTS = ("reducer.npz", "clusters.npz", "classifier.npz", "classifier.skops")


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_files_that_are_cut_off(name: str, share: float, model: Path) -> None:
    data = part_of(model, name).read_bytes()
    data = data[: int(len(data) * share)]
    if name == "classifier.skops":
        set_classifier(model, data)
    else:
        set_part(model, name, data)
    refused(model, name)


def header(shape: tuple[int, ...]) -> bytes:
    """The beginning of a .npy that states numbers of this shape."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def bomb(values: int, method: int) -> bytes:
    """A .npz whose array has so many values that are all 0."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", method) as archive,
        archive.open("centers.npy", "w", force_zip64=True) as member,
    ):
        member.write(header((values // 1000, 1000)))
        for _ in range(values * 8 >> 20):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


def overlapping(values: int) -> bytes:
    """A .npz that lists the same bytes many times."""
    member = header((values,)) + bytes(8 * values)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("centers.npy", member)
        for number in range(500):
            twin = zipfile.ZipInfo(f"{number}.npy")
            vars_of = archive.getinfo("centers.npy")
            for key in ("CRC", "compress_size", "file_size", "header_offset"):
                setattr(twin, key, getattr(vars_of, key))
            archive.filelist.append(twin)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bomb(1 << 24, zipfile.ZIP_DEFLATED), "would take 134,.* bytes and it has .*: expected"),
        (bomb(1 << 24, zipfile.ZIP_LZMA), "would take 134,"),
        (overlapping(20_000), "would take"),
        (npz(centers=np.zeros(2)).replace(b"(2,), }", b"(9**9,)"), "not a .npz|plain values"),
    ],
    ids=["deflate", "lzma", "overlapping", "changed"],
)
def test_a_zip_bomb_takes_no_memory(data: bytes, words: str, model: Path) -> None:
    for name in ("clusters.npz", "reducer.npz", "classifier.npz"):
        before = part_of(model, name).read_bytes()
        set_part(model, name, data)
        tracemalloc.start()
        refused(model, words)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * len(data) + (8 << 20)
        set_part(model, name, before)
    read_model(str(model))
    set_classifier(model, data)
    tracemalloc.start()
    refused(model, "bytes|skops's format")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(data) + (8 << 20)


@pytest.mark.parametrize("shape", [(10**15,), (2**40, 2**40), (2**63, 2), (10**30,)])
def test_an_array_that_states_more_than_there_is_takes_no_memory(
    shape: tuple[int, ...], model: Path
) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("centers.npy", header(shape) + bytes(64))
    clusters = part_of(model, "clusters.npz").read_bytes()
    set_part(model, "clusters.npz", buffer.getvalue())
    refused(model, "clusters.npz cannot be read: a .npy is cut off")
    set_part(model, "clusters.npz", clusters)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("1.npy", header(shape) + bytes(64))
    set_classifier(model, buffer.getvalue())
    refused(model, "1.npy is not a whole .npy")


def test_an_array_that_a_classifier_refers_to_a_thousand_times(model: Path) -> None:
    data = save_estimator(fitted(LogisticRegression()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        schema = json.loads(old.read("schema.json"))
        array = {
            "__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode",
            "type": "numpy", "file": "big.npy",
        }  # fmt: skip
        schema["content"]["content"]["more"] = {
            "__class__": "list", "__module__": "builtins", "__loader__": "ListNode",
            "content": [array] * 1000,
        }  # fmt: skip
        for name in old.namelist():
            if name != "schema.json":
                new.writestr(name, old.read(name))
        new.writestr("big.npy", header((100_000,)) + bytes(800_000))
        new.writestr("schema.json", json.dumps(schema))
    set_classifier(model, buffer.getvalue())
    refused(model, "its arrays would take 800,")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)
KEYS = (
    "format", "side", "emotions", "normalize", "represent", "clusters", "classifier",
    "classifier_input", "temperature", "unsure_below", "sha256",
)  # fmt: skip
PROPERTY = settings(
    max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def read_or_refused(head: Any, hog_run: Path, **parts: bytes) -> None:
    """Whatever is in a model, reading it raises nothing but a ModelError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in head_of(hog_run / "model")["sha256"]:
            file = part_of(hog_run / "model", part)
            os.symlink(file, folder / file.name)
        (folder / "model.json").write_text(json.dumps(head))
        for part, data in parts.items():
            part = part.replace("_", ".")
            if part == "classifier.skops":
                set_classifier(folder, data)
            else:
                set_part(folder, part, data)
        try:
            found = read_model(name)
        except ModelError:
            return
        pixels = np.zeros((3, found.side**2), np.uint8)
        if not found.measures:
            assert len(found.predict(pixels).emotion) == 3


@given(key=st.sampled_from(KEYS), value=PLAIN)
@PROPERTY
def test_any_value_in_model_json_is_taken_or_refused(hog_run: Path, key: str, value: Any) -> None:
    read_or_refused(head_of(hog_run / "model") | {key: value}, hog_run)


ARRAYS = st.builds(
    lambda shape, kind: np.ones(shape, kind),
    st.lists(st.integers(0, 8), max_size=3).map(tuple),
    st.sampled_from(["f8", "f4", "i8", "i1", "u1", "?", "U3", "c16", "S2"]),
)


@given(part=st.sampled_from(["clusters", "reducer", "classifier"]), new=ARRAYS, data=st.data())
@PROPERTY
def test_any_array_in_a_part_is_taken_or_refused(
    hog_run: Path, part: str, new: np.ndarray, data: st.DataObject
) -> None:
    arrays = arrays_of(part_of(hog_run / "model", f"{part}.npz"))
    more = [
        "split_of",
        "split_new",
        "split_centers",
        "covariances",
        "means",
        "parts",
        "ready",
        "basis",
    ]
    name = data.draw(st.sampled_from([*arrays, *more]))
    head = head_of(hog_run / "model")
    read_or_refused(head, hog_run, **{f"{part}_npz": npz(**arrays | {name: new})})


@given(data=st.data(), part=st.sampled_from(PARTS))
@PROPERTY
def test_any_changed_byte_under_a_right_checksum_is_taken_or_refused(
    hog_run: Path, part: str, data: st.DataObject
) -> None:
    content = bytearray(part_of(hog_run / "model", part).read_bytes())
    # Most of a file are numbers; what says how to read them is at the ends of its members.
    place = data.draw(st.integers(0, len(content) - 1) | st.integers(-400, -1))
    content[place] ^= data.draw(st.integers(1, 255))
    read_or_refused(head_of(hog_run / "model"), hog_run, **{part.replace(".", "_"): bytes(content)})
