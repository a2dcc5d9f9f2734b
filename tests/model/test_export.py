"""The ONNX file says what the model says, for each kind of classifier."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import daskfer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from trained import head_of, pixels_of, set_head

from daskfer import __version__
from daskfer.classify import Classifier, train
from daskfer.errors import ModelError
from daskfer.faces import EMOTIONS
from daskfer.model import read_model, write_model
from daskfer.model.export import to_onnx
from daskfer.model.model import Model
from daskfer.naming import Names
from daskfer.recipe import Classify, Expression, Recipe
from daskfer.represent import represent

runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

WITHOUT_ONNX = """
import sys
sys.modules["onnx"] = None
from daskfer.cli import main
main(sys.argv[1:])
"""

CODES = {1: [3], 2: [1, 4], 3: [0, 3, 6], 5: [0, 2, 3, 4, 6]}


def session_of(data: bytes) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def told(data: bytes, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities by ONNX Runtime."""
    label, probabilities = session_of(data).run(["label", "probabilities"], {"rows": rows})
    return label, probabilities


def seen(model: Model, pixels: np.ndarray) -> np.ndarray:
    """What the model's classifier sees of faces."""
    return model._points(pixels)[1]


@pytest.fixture
def another(hog_run: Path, tmp_path: Path, faces: Path) -> Any:
    """The model with another classifier, trained on so many names of its own components."""

    def made(kind: str, classes: int, temperature: float | None = None) -> Model:
        old = read_model(str(hog_run))
        points = seen(old, pixels_of(faces))
        near = old.predict(pixels_of(faces)).cluster
        names = np.array(CODES[classes], np.int8)[near % classes]
        found = train(points, names, Classify(model=kind), 1, lambda search, x, y: search.fit(x, y))
        assert found is not None
        if temperature is not None:
            found = Classifier(found.model, found.description, 0.0, temperature)
        named = Names(old.names, "page", 7, np.ones(7, np.int64), np.ones(7))
        write_model(
            str(tmp_path / "another"), Recipe(), old.side, old.reducer, old.clusters, named, found
        )
        return read_model(str(tmp_path / "another"))

    return made


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("kind", ["logistic", "nystroem", "svm", "boosting", "mlp"])
@pytest.mark.parametrize("temperature", [None, 0.4])
def test_the_file_says_what_the_model_says(
    kind: str, classes: int, temperature: float | None, another: Any, faces: Path
) -> None:
    model = another(kind, classes, temperature)
    pixels = pixels_of(faces)
    found = model.predict(pixels)
    label, probabilities = told(to_onnx(model), seen(model, pixels))
    assert label.tolist() == found.emotion.tolist()
    assert len(set(label.tolist())) > 1
    np.testing.assert_allclose(probabilities, found.probabilities, atol=1e-5, rtol=0)
    assert probabilities.dtype == np.float32
    if temperature is not None:
        assert model.classifier.temperature == temperature


def test_a_constant_answer(another: Any, faces: Path) -> None:
    model = another("auto", 1)
    pixels = pixels_of(faces)[:9]
    label, probabilities = told(to_onnx(model), seen(model, pixels))
    assert label.tolist() == [3] * 9
    assert probabilities.tolist() == [[1.0]] * 9


def test_rows_far_from_all_others(another: Any) -> None:
    # Where probabilities are as small as they can be told.
    model = another("logistic", 3, 0.05)
    rows = (np.random.default_rng(0).normal(size=(200, 20)) * 1000).astype(np.float32)
    expected = model.classifier.model.predict_proba(rows)
    log = np.log(np.maximum(expected, 1e-12)) / 0.05
    shares = np.exp(log - log.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    label, probabilities = told(to_onnx(model), rows)
    np.testing.assert_allclose(probabilities, shares, atol=1e-5, rtol=0)
    assert label.tolist() == model.classes[shares.argmax(axis=1)].tolist()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_rows(count: int, another: Any) -> None:
    label, probabilities = told(to_onnx(another("nystroem", 3)), np.zeros((count, 20), np.float32))
    assert label.shape == (count,)
    assert probabilities.shape == (count, 3)


def test_features_may_be_given_instead(hog_run: Path, faces: Path) -> None:
    model, pixels = read_model(str(hog_run)), pixels_of(faces)
    features = represent(pixels, model.side, model.normalization, model.representation)
    found = model.predict(pixels)
    data = to_onnx(model, "features")
    label, probabilities = told(data, features)
    assert label.tolist() == found.emotion.tolist()
    np.testing.assert_allclose(probabilities, found.probabilities, atol=1e-5, rtol=0)
    assert session_of(data).get_modelmeta().custom_metadata_map["input"] == "features"
    with pytest.raises(ModelError, match="features are those of a face model"):
        to_onnx(replace(model, representation=Expression()), "features")


def test_metadata_tell_where_it_is_from(hog_run: Path) -> None:
    model = read_model(str(hog_run))
    told_of = session_of(to_onnx(model)).get_modelmeta()
    found = told_of.custom_metadata_map
    assert json.loads(found["categories"]) == list(EMOTIONS)
    assert json.loads(found["classes"]) == [EMOTIONS[code] for code in model.classes]
    content = (hog_run / "model" / "model.json").read_bytes()
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert (found["daskfer"], found["input"]) == (__version__, "components")
    assert told_of.producer_name == "daskfer"


def test_other_classifiers_are_refused(hog_run: Path) -> None:
    model = read_model(str(hog_run))
    points = np.random.default_rng(0).normal(size=(50, 20))
    other = make_pipeline(MinMaxScaler(), SVC()).fit(points, np.arange(50) % 3)
    with pytest.raises(
        ModelError,
        match="a SVC of this form cannot be exported: train",
    ):
        to_onnx(replace(model, classifier=Classifier(other, "other", 0.0)))


def test_the_command_writes_the_file(
    hog_run: Path, faces: Path, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    file = tmp_path / "model.onnx"
    done = daskfer("export", hog_run, "--onnx", file, environment=clean_environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{file}: from components to angry, ")
    model, pixels = read_model(str(hog_run)), pixels_of(faces)
    label, _ = told(file.read_bytes(), seen(model, pixels))
    assert label.tolist() == model.predict(pixels).emotion.tolist()
    done = daskfer(
        "export", hog_run / "model", "--onnx", file, "--input", "features", "--json",
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["input"] == "features"
    assert found["bytes"] == file.stat().st_size
    done = daskfer("export", hog_run, "--onnx", file, "--input", "x", environment=clean_environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: --input x: expected components or features\n"


def test_a_model_without_a_classifier(
    hog_run: Path, tmp_path: Path, clean_environment: dict[str, str]
) -> None:
    model = Path(shutil.copytree(hog_run / "model", tmp_path / "model"))
    sums = head_of(model)["sha256"]
    set_head(model, sha256={name: sums[name] for name in ("reducer.npz", "clusters.npz")})
    file = tmp_path / "model.onnx"
    done = daskfer("export", model, "--onnx", file, environment=clean_environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {model} has no second model, so there is nothing to")
    assert done.stderr.count("\n") == 1
    assert not file.exists()


def test_without_the_package(hog_run: Path, tmp_path: Path, clean_environment: Any) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None; from daskfer.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "export", hog_run, "--onnx", tmp_path / "model.onnx"]
    done = subprocess.run(
        list(map(str, command)), env=clean_environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: ONNX files need a package that is not installed: pip install 'daskfer[onnx]'\n"
    )
    assert not (tmp_path / "model.onnx").exists()
