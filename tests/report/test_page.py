"""The report: every figure as written, nothing fetched, nothing unescaped, the right faces."""

from __future__ import annotations

import base64
import html
import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports import FITTED, SIDE, make_metrics, make_result, read

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.ingest.quarantine import BadRow
from daskfer.randomness import generator
from daskfer.recipe import load_recipe
from daskfer.report import sheets


def test_every_figure_is_shown_as_formatted(tmp_path: Path) -> None:
    text = read(tmp_path, make_result(tmp_path), make_metrics())[0].text
    for shown in (
        "120 faces in 3 clusters", "faces.csv",
        "These clusters follow emotion hardly better than chance.",
        "10% of the rows are held out by seed",
        "18.9%", "16.2%", "19.1%", "16.8%", "0.015", "0.336", "0.320", "0.987",
        "90.2%", "31.7%", "31.9%", "25.2%", "20.6%", "24.5%", "LogisticRegression(C=10.0)",
        "121", "71", "73", "Not used", "too few pixels",
        "12.3 s", "1 min 15 s", "1 min 28 s in all", "374.9 MB", "0.1.0", "2.4.6",
        "scores beside the true emotions", "3 looks", "no rows were held out for validation",
        "It never answers angry, disgust, fear, sad, surprise or neutral.",
        "hardly tighter than those of noise",
        "components: 20",
    ):  # fmt: skip
        assert shown in text, shown


def test_rows_that_serve_for_nothing_are_counted(tmp_path: Path) -> None:
    text = read(tmp_path, make_result(tmp_path), make_metrics())[0].text
    # 121 read, 1 quarantined, 90 fitted, 20 tested
    assert re.search(r"Not used good rows that .* left out 10 ", text)


@pytest.mark.parametrize(("recipe", "said"), [("hog", "nor are faces"), ("seed", "may have been")])
def test_copies_of_held_out_faces_are_told(tmp_path: Path, recipe: str, said: str) -> None:
    result = make_result(tmp_path, recipe=load_recipe(recipe))
    assert said in read(tmp_path, result, make_metrics())[0].text


@pytest.mark.parametrize(
    ("method", "said"), [("kmeans", "than to the next"), ("gmm", "Confidence is the probability")]
)
def test_what_confidence_is_depends_on_the_clusterer(
    tmp_path: Path, method: str, said: str
) -> None:
    result = make_result(tmp_path, recipe=load_recipe("hog", [f"cluster.method={method}"]))
    assert said in read(tmp_path, result, make_metrics())[0].text


def test_figures_of_each_cluster(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    text = read(tmp_path, result, make_metrics())[0].text
    for number, name in enumerate(("angry", "happy", "angry")):
        members = np.flatnonzero(result.clusters.cluster[:FITTED] == number)
        own = (result.faces.table.emotion[members] == EMOTIONS.index(name)).mean()
        assert f"Cluster {number}: {name} Faces 30 (33.3% of all)" in text
        assert f"Purity {own:.1%} are {name}" in text
        confidence = np.median(result.clusters.confidence[members])
        assert f"Confidence {confidence:.3f}" in text


def test_what_comes_from_the_run_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    metrics = make_metrics()
    metrics["verdict"] = metrics["classifier"]["model"] = evil
    metrics["notes"] = [evil]
    metrics["labels_used"] = [{"stage": evil, "why": evil}]
    metrics["versions"] = {evil: evil}
    metrics["seconds"] = {evil: 1.0}
    metrics["naming"]["how"] = evil
    result = make_result(tmp_path, sources=("/data/<script>alert(1)<&script>.csv",))
    result.faces = replace(result.faces, bad=(BadRow("a", 1, 1, evil, evil),))
    reader, page = read(tmp_path, result, metrics)
    assert "<script" not in page
    assert "<script>alert(1)<&script>.csv" in reader.text
    assert reader.text.count(evil) == 11


def test_only_file_names_of_inputs_are_told(tmp_path: Path) -> None:
    signed = "https://bucket.example/private/b.csv?X-Amz-Signature=secret"
    result = make_result(tmp_path, sources=("/home/ada/private/a.csv", signed))
    reader, page = read(tmp_path, result, make_metrics())
    assert "a.csv and b.csv" in reader.text
    for hidden in ("ada", "private", "secret", "bucket"):
        assert hidden not in page


def test_nothing_is_fetched(tmp_path: Path) -> None:
    reader, page = read(tmp_path, make_result(tmp_path), make_metrics())
    assert not re.search(r"https?://|@import|url\(", page)
    assert not reader.of("script")
    assert not reader.of("iframe")
    for tag, attributes in reader.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        allowed = ("data:image/",) if tag == "image" else ("#", "data:,")
        assert (attributes.get("href") or allowed[0]).startswith(allowed)
        assert not {"srcset", "poster", "action"} & set(attributes)
    policies = [meta.get("content") or "" for meta in reader.of("meta")]
    assert any("default-src 'none'" in policy for policy in policies)


def test_links_lead_to_sections_and_headings_are_in_order(tmp_path: Path) -> None:
    reader, _ = read(tmp_path, make_result(tmp_path), make_metrics())
    anchors = {attributes.get("id") for attributes in reader.of("section")}
    assert {f"#{anchor}" for anchor in anchors} == {link["href"] for link in reader.of("a")}
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(reader.of("caption")) == len(reader.of("table"))
    assert all("scope" in attributes for attributes in reader.of("th"))
    assert all(attributes.get("alt") for attributes in reader.of("img"))


def absent_everywhere(text: str) -> None:
    assert not re.search(r"\b(None|nan|NaN|Undefined)\b", text)


def test_run_without_labels(tmp_path: Path) -> None:
    result = make_result(tmp_path, labelled=False, named=False)
    metrics = make_metrics() | {"verdict": None, "classifier": None, "labels_used": []}
    metrics["naming"] = {"how": "none", "looks": 0}
    keys = ("nmi", "ari", "hungarian_accuracy", "hungarian_chance", "majority_accuracy",
            "chance_accuracy", "hungarian_p")  # fmt: skip
    metrics["cluster"] |= dict.fromkeys(keys)
    text = read(tmp_path, result, metrics)[0].text
    absent_everywhere(text)
    for said in (
        "Whether these clusters follow emotion cannot be said",
        "Not measured: no fitted row states its emotion.",
        "Not measured: no classifier was trained.",
        "The clusters were not named",
        "Cluster 0: unnamed",
        "True emotions not known",
        "there are no classes to count",
        "the clusters cannot be set beside emotions",
        "it learns the names of the clusters, and none has one",
        "No stage read a true label.",
    ):
        assert said in text, said


def test_metrics_without_a_single_figure(tmp_path: Path) -> None:
    text = read(tmp_path, make_result(tmp_path), {})[0].text
    absent_everywhere(text)
    for said in (
        "Which stages read true labels was not recorded.",
        "Versions were not recorded.",
        "Times were not recorded.",
        "Peak memory: not known",
        "Read all rows of the inputs not known",
        "This run recorded no verdict.",
        "Not measured: not recorded.",
    ):
        assert said in text, said


def test_figures_that_are_not_numbers_are_missing(tmp_path: Path) -> None:
    metrics = make_metrics()
    metrics["cluster"] = dict.fromkeys(metrics["cluster"], float("nan"))
    metrics["classifier"] |= {"test_accuracy": float("nan"), "pseudo_label_accuracy": None}
    text = read(tmp_path, make_result(tmp_path), metrics)[0].text
    absent_everywhere(text)
    assert "Not measured: not cross-validated" in text


def test_classifier_that_the_recipe_does_not_want(tmp_path: Path) -> None:
    result = make_result(tmp_path, recipe=load_recipe("hog", ["classify.model=none"]))
    text = read(tmp_path, result, make_metrics() | {"classifier": None})[0].text
    assert "No classifier was trained: the recipe asks for none." in text


@pytest.mark.parametrize(
    ("accuracy", "said"),
    [
        (0.20, "The classifier is no better than chance"),
        (0.30, "The classifier is not clearly better than chance"),
        # Of 20 faces the standard error is 0.096: 3 of them above 0.245 is 0.533.
        (0.54, "The classifier is better than chance"),
    ],
)
def test_classifier_is_judged_beside_chance(tmp_path: Path, accuracy: float, said: str) -> None:
    metrics = make_metrics()
    metrics["classifier"]["test_accuracy"] = accuracy
    assert said in read(tmp_path, make_result(tmp_path), metrics)[0].text


def faces_in(image: dict[str, str | None], count: int) -> np.ndarray:
    """The faces of a sheet, uint8 (count, side²), cut out of its PNG."""
    data = base64.b64decode((image["src"] or "").removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as png:
        grey, alpha = np.moveaxis(np.asarray(png.convert("LA")), -1, 0)
    assert (str(grey.shape[1]), str(grey.shape[0])) == (image["width"], image["height"])
    step = SIDE + sheets.GAP
    corners = [divmod(number, sheets.COLUMNS) for number in range(count)]
    assert int((alpha == 255).sum()) == count * SIDE * SIDE
    cut = [grey[y * step : y * step + SIDE, x * step : x * step + SIDE] for y, x in corners]
    return np.array([face.ravel() for face in cut])


def test_sheets_hold_the_nearest_and_the_random_faces(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    images = read(tmp_path, result, make_metrics())[0].of("img")
    assert len(images) == 6
    for number in range(3):
        members = np.flatnonzero(result.clusters.cluster[:FITTED] == number)
        nearest = members[np.argsort(result.clusters.nearest[members])][:14]
        shown = faces_in(images[2 * number], 14)
        np.testing.assert_array_equal(shown, result.faces.pixels.rows(nearest))
        drawn = generator(42, "report-sheet", number).permutation(30)[:14]
        shown = faces_in(images[2 * number + 1], 14)
        np.testing.assert_array_equal(shown, result.faces.pixels.rows(members[drawn]))
        assert f"14 faces nearest to the centre of cluster {number}" in (
            images[2 * number]["alt"] or ""
        )


def test_copies_of_an_image_are_shown_once_among_the_nearest() -> None:
    images = np.array([[1, 0], [2, 0], [1, 0], [3, 0]], np.uint64)
    picked = sheets.pick(np.array([4, 5, 6, 7]), np.array([0.5, 0.1, 0.5, 0.2]), images, 0, 0)
    assert picked.nearest.tolist() == [5, 7, 4]
    assert sorted(picked.random.tolist()) == [4, 5, 6, 7]


def test_small_and_empty_clusters(tmp_path: Path) -> None:
    result = make_result(tmp_path, k=3)
    cluster = result.clusters.cluster.copy()
    cluster[:FITTED][cluster[:FITTED] == 2] = 0
    cluster[5] = 1
    cluster[:FITTED][6:][cluster[6:FITTED] == 1] = 0
    cluster[1] = cluster[4] = 0
    result.clusters = replace(result.clusters, cluster=cluster)
    rows = np.bincount(cluster[:FITTED], minlength=3)
    assert rows.tolist() == [89, 1, 0]
    result.names = replace(result.names, rows=rows)
    reader, _ = read(tmp_path, result, make_metrics())
    assert "No fitted face fell into this cluster." in reader.text
    images = reader.of("img")
    assert len(images) == 4
    np.testing.assert_array_equal(faces_in(images[2], 1), result.faces.pixels.rows(np.array([5])))
    assert "The 1 face nearest" in (images[2]["alt"] or "")


def test_of_many_clusters_the_largest_are_shown(tmp_path: Path) -> None:
    reader, _ = read(tmp_path, make_result(tmp_path, k=70), make_metrics(70))
    # 90 fitted rows over 70 clusters: the first 20 have two, the others one.
    assert "Of 70 clusters the 60 largest are shown." in reader.text
    assert "10 others" in reader.text
    assert len(reader.of("article")) == 60
    assert "Cluster 59:" in reader.text
    assert "Cluster 60:" not in reader.text
    assert "With 70 clusters only 7 can be matched" in reader.text


def test_large_faces_are_shrunk() -> None:
    faces = np.full((2, 200 * 200), 9, np.uint8)
    picture = sheets.sheet(faces)
    assert picture.shape[0] == sheets.LARGEST_SIDE
    assert set(picture[..., 0][picture[..., 1] == 255].tolist()) == {9}


def named_by_a_person(folder: Path, codes: list[int], by: tuple[str | None, ...] = ()) -> str:
    """The text of a page whose three clusters a person named so, with names of her own."""
    result = make_result(folder)
    categories = (*EMOTIONS, "calm <b>")
    result.names = replace(
        result.names, emotion=np.array(codes, np.int8), how="page", categories=categories, by=by
    )
    metrics = make_metrics() | {"naming": {"how": "page", "looks": 3}}
    return read(folder, result, metrics)[0].text


def test_names_that_a_person_gave(tmp_path: Path) -> None:
    text = named_by_a_person(tmp_path, [3, 0, 3])
    assert "The clusters were named by a person who looked at 3 sheets." in text
    assert "name page" in text, "the step says how they were named, not what the recipe says"
    text = named_by_a_person(tmp_path, [3, 0, UNKNOWN], ("page", "facs", "facs"))
    assert "looked at 3 sheets; 1 of 2 names were kept from action units." in text
    text = named_by_a_person(tmp_path, [UNKNOWN] * 3)
    assert "The clusters wait for a person to name them: run daskfer name on this folder." in text


def test_names_that_are_no_emotions(tmp_path: Path) -> None:
    text = named_by_a_person(tmp_path, [7, 3, UNKNOWN])
    absent_everywhere(text)
    assert "Cluster 0: calm <b>" in text
    assert "Purity no true label is called so" in text
    assert "What it is worth cannot be said: names beyond the seven emotions" in text
    assert "No cluster is named angry, disgust, fear, sad, surprise or neutral" in text
    # Where nobody used it, the classifier can never say it.
    assert "surprise, neutral or calm <b>" in named_by_a_person(tmp_path, [3, 0, 4])


def test_same_run_gives_the_same_page(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    first = read(tmp_path, result, make_metrics())[1]
    assert read(tmp_path, result, make_metrics())[1] == first


def test_a_set_with_classes_of_its_own(tmp_path: Path) -> None:
    classes = ("cat", "dog", "<script>bird</script>", *(f"kind {number}" for number in range(6)))
    result, metrics = make_result(tmp_path), make_metrics()
    result.faces.table.emotion[:90] = np.arange(90) % 9
    result.names = replace(result.names, categories=(*classes, "furry"), classes=classes)
    confusion = np.zeros((9, 9), int)
    confusion[:8, 3] = 2
    metrics |= {"classes": list(classes)}
    metrics["classifier"]["test_confusion"] = confusion.tolist()
    reader, page = read(tmp_path, result, metrics)
    assert "it means the classes of this set: cat, dog, <script>bird</script>," in reader.text
    assert "<script" not in page
    heads = re.findall(r'<table class="heat">.*?</thead>', page, re.S)
    assert len(heads) == 2
    for head in heads:
        named = re.findall(r'<th scope="col" class="col"><span>(.*?)</span>', head)
        assert [html.unescape(name) for name in named] == [*classes, "faces"]
    assert "It never answers cat, dog, <script>bird</script>, kind 1," in reader.text
    assert "are kind 0" in reader.text, "the purity of a cluster named so"
