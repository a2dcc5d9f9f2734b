"""The page's server: what it sends, and whom it refuses."""

from __future__ import annotations

import http.client
import io
import json
import re

import numpy as np
import psutil
import pytest
from name_page.conftest import CENTERS, NoTraining, serving
from PIL import Image

from daskfer.errors import InputError
from daskfer.name_page.server import MOST_BYTES, Page, listen

HTML = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def log_of(served) -> bytes:
    path = served.page.desk.log.path
    return path.read_bytes() if path.exists() else b""


def test_the_page_and_its_parts(served):
    status, headers, body = served.ask("GET", "")
    assert status == 200
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b'<script src="page.js" defer></script>' in body
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        status, headers, body = served.ask("GET", name)
        assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert len(body) > 1000
    assert served.ask("GET", "report")[2] == b"<h1>a report</h1>"


def test_pictures_hold_the_faces_of_the_sheet(served, planted):
    entry = json.loads(served.ask("GET", "state")[2])["next"][0]
    status, headers, body = served.ask("GET", f"faces/{entry['key']}.png")
    assert (status, headers["content-type"]) == (200, "image/png")
    picture = np.asarray(Image.open(io.BytesIO(body)))
    side, columns = entry["side"], entry["columns"]
    tiles = [*entry["nearest"], *entry["diverse"], *entry["borderline"]]
    assert len(tiles) > 24
    for number, (row, _) in enumerate(tiles):
        line, column = divmod(number, columns)
        tile = picture[line * side : (line + 1) * side, column * side : (column + 1) * side]
        assert np.array_equal(tile.ravel(), planted.pixels[row // 2])


def test_an_answer_is_on_the_disk_before_the_next_group_is_told(served):
    first = json.loads(served.ask("GET", "state")[2])["next"][0]["key"]
    status, state = served.post("answer", {"do": "name", "group": first, "name": "sad"})
    assert status == 200
    assert state["next"][0]["key"] != first
    assert [one["name"] for one in state["answered"]] == ["sad"]
    assert json.loads(log_of(served).splitlines()[-1])["name"] == "sad"


def test_an_answer_to_a_group_that_another_tab_split_changes_nothing_and_tells_how_it_is(served):
    assert served.post("answer", {"do": "split", "group": "c0"})[0] == 200
    before = log_of(served)
    status, found = served.post("answer", {"do": "mixed", "group": "c0"})
    assert status == 409
    assert "not there any more" in found["error"]
    assert found["state"]["next"][0]["number"] == 0
    assert log_of(served) == before
    assert served.ask("GET", "look/c0")[0] == 404
    assert served.ask("GET", "faces/c0.png")[0] in (200, 404)


@pytest.mark.parametrize(
    "value",
    [
        {"do": "begin"}, {"do": "names", "how": "file", "names": {"0": "x"}}, {"do": 3}, {},
        {"do": "name", "group": "c0"}, {"do": "name", "group": "c0", "name": ["sad"]},
        {"do": "name", "group": "c0", "name": "x" * 99}, {"do": "categories", "names": [1, 2]},
        {"do": "undo"},
    ],
)  # fmt: skip
def test_answers_that_do_not_fit_are_refused_in_words(served, value):
    status, found = served.post("answer", value)
    assert status == 400
    assert found["error"]
    assert log_of(served) == b""


def test_what_else_a_client_sends_is_not_kept(served):
    served.post("answer", {"do": "mixed", "group": "c0", "by": "root", "n": 99, "extra": "x" * 500})
    entry = json.loads(log_of(served).splitlines()[-1])
    assert set(entry) == {"n", "at", "do", "group"}
    assert entry["n"] == 1


def test_training_is_started_by_post_only(served):
    training = served.page.training
    assert json.loads(served.ask("GET", "train")[2]) == {"state": "none"}
    assert training.started == 0
    assert served.post("train", {}) == (200, {"state": "running", "stage": "classify"})
    assert training.started == 1


# ------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("path", ["", "state", "page.js", "faces/c0.png", "look/c0", "report"])
def test_a_wrong_token_is_refused(served, path):
    good = served.page.token
    for token in (good[:-1] + ("A" if good[-1] != "A" else "B"), "x", good + "x", good.swapcase()):
        status, _, body = served.ask("GET", f"/{token}/{path}", own=False)
        assert status == 403
        assert good not in body.decode()
    assert served.ask("GET", f"/{path}", own=False)[0] in (403, 404)


def test_a_wrong_token_writes_nothing(served):
    body = json.dumps({"do": "mixed", "group": "c0"}).encode()
    headers = {"Origin": served.origin, "Content-Type": "application/json"}
    assert served.ask("POST", "/wrong/answer", body, headers, own=False)[0] == 403
    assert served.ask("POST", "/answer", body, headers, own=False)[0] == 404
    assert log_of(served) == b""


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.:{port}"]
)
def test_a_host_that_is_not_ours_is_refused(served, host):
    # As when a name of somebody else's is made to point here (DNS rebinding).
    headers = {"Host": host.format(port=served.port)}
    assert served.ask("GET", "state", headers=headers)[0] == 403
    body = json.dumps({"do": "mixed", "group": "c0"}).encode()
    assert served.ask("POST", "answer", body, headers)[0] == 403
    assert log_of(served) == b""


def test_the_names_of_loopback_are_ours(served):
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert served.ask("GET", "state", headers={"Host": f"{name}:{served.port}"})[0] == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1", "file://", ""],
)
def test_a_foreign_origin_is_refused(served, origin):
    headers = {"Origin": origin.format(port=served.port)}
    body = json.dumps({"do": "mixed", "group": "c0"}).encode()
    assert served.ask("POST", "answer", body, headers)[0] == 403
    assert served.ask("POST", "train", b"{}", headers)[0] == 403
    if origin:
        assert served.ask("GET", "state", headers=headers)[0] == 403
    assert log_of(served) == b""
    assert served.page.training.started == 0


def test_pages_of_other_sites_may_not_even_show_a_picture(served):
    assert served.ask("GET", "faces/c0.png", headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert served.ask("GET", "faces/c0.png", headers={"Sec-Fetch-Site": "same-origin"})[0] == 200


def test_a_link_may_lead_a_window_to_the_page_and_to_nothing_else(served):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert served.ask("GET", "", headers={**link, "Sec-Fetch-Dest": "document"})[0] == 200
    assert served.ask("GET", "", headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403
    assert served.ask("GET", "", headers={**link, "Sec-Fetch-Mode": "no-cors"})[0] == 403
    for path in ("state", "faces/c0.png", "look/c0", "report"):
        assert served.ask("GET", path, headers={**link, "Sec-Fetch-Dest": "document"})[0] == 403


def test_forms_cannot_post(served):
    body = json.dumps({"do": "mixed", "group": "c0"}).encode()
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        assert served.ask("POST", "answer", body, {"Content-Type": kind})[0] in (400, 415)
    assert log_of(served) == b""


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd", "faces/../../etc/passwd", "faces/..%2f..%2fetc%2fpasswd.png",
        "faces/%2e%2e/x.png", "faces/c0.png/../../state", "faces/c0%00.png", "faces/.png",
        "faces//etc/passwd", "look/..", "look/c0%2f..", "static/page.js", "page.py", "page.js%00",
        "faces/c99999999999999999999.png", "naming/log.jsonl", "names.yaml", "run.json",
    ],
)  # fmt: skip
def test_no_path_of_a_client_is_opened(served, path):
    status, _, body = served.ask("GET", path)
    assert status == 404
    assert b"root:" not in body


def test_groups_that_are_not_there_have_no_picture(served):
    assert served.ask("GET", f"faces/c{len(CENTERS)}.png")[0] == 404
    assert served.ask("GET", "faces/7.m.png")[0] == 404


def test_an_oversized_body_is_refused(served):
    big = b'{"do": "mixed", "group": "c0"' + b" " * MOST_BYTES + b"}"
    # One that is only announced is not waited for.
    announced = {"Content-Length": str(10**12)}
    for request in (("POST", "answer", big), ("POST", "answer", b"{", announced),
                    ("GET", "state", None, {"X-Long": "x" * (1 << 17)})):  # fmt: skip
        try:
            status = served.ask(*request)[0]
        except (ConnectionError, http.client.BadStatusLine):
            continue  # hung up on, in the middle of it
        assert status in (400, 413, 431)
    assert log_of(served) == b""
    assert served.ask("GET", "state")[0] == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"1" * 5000, b"[" * 60000])
def test_bodies_that_are_no_object_are_refused(served, body):
    assert served.ask("POST", "answer", body)[0] == 400
    assert log_of(served) == b""


def test_other_methods_are_refused(served):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert served.ask(method, "answer", headers={"Origin": served.origin})[0] in (403, 405)
    assert served.ask("GET", "answer")[0] == 405


def test_every_answer_says_what_a_browser_may_do_with_it(served):
    for path in ("", "state", "page.js", "faces/c0.png", "nothing"):
        _, headers, _ = served.ask("GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    report = served.ask("GET", "report")[1]["content-security-policy"]
    assert "sandbox" in report
    assert "script" not in report


def test_titles_and_names_are_text(planted):
    desk = planted.desk(title=HTML)
    page = Page(desk, NoTraining(), lambda: None)  # type: ignore[arg-type]
    with serving(page) as served:
        name = "</script><script>alert(3)</script>"
        assert served.post("answer", {"do": "name", "group": "c0", "name": name})[0] == 200
        body = served.ask("GET", "")[2].decode()
        assert "<script>alert" not in body
        assert "<img" not in body
        data = body.split('id="state">')[1].split("</script>")[0]
        found = json.loads(data)
        assert found["title"] == HTML
        assert found["answered"][0]["name"] == name
        assert served.ask("GET", "report")[0] == 404


def test_a_folder_whose_name_is_not_utf8_has_a_page(planted):
    page = Page(planted.desk(title="run\udcff"), NoTraining(), lambda: None)  # type: ignore[arg-type]
    with serving(page) as served:
        status, _, body = served.ask("GET", "")
        assert (status, "<title>Naming run?" in body.decode()) == (200, True)


def test_it_listens_on_loopback_alone(served):
    listening = {
        connection.laddr.ip
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == served.port
    }
    assert listening == {"127.0.0.1"}


def test_a_port_that_is_taken_and_a_host_of_others_are_said(served):
    page = served.page
    taken = re.escape(f"--host 127.0.0.1 --port {served.port}: Address already in use")
    with pytest.raises(InputError, match=taken):
        listen(page, "127.0.0.1", served.port)
    with pytest.raises(InputError, match=r"--host 192\.0\.2\.1 "):
        listen(page, "192.0.2.1", 0)


def test_a_log_that_was_taken_away_is_said_with_every_answer(served):
    assert served.post("answer", {"do": "mixed", "group": "c0"})[0] == 200
    served.page.desk.log.path.unlink()
    status, found = served.post("answer", {"do": "mixed", "group": "c1"})
    assert status == 400
    assert "is gone or shorter than it was" in found["error"]
    status, _, body = served.ask("GET", "state")
    assert status == 500
    assert json.loads(body) == found


@pytest.mark.parametrize("do", ["mixed", "split"])
def test_an_answer_whose_next_faces_are_gone_is_said_to_be_written(served, monkeypatch, do):
    first = json.loads(served.ask("GET", "state")[2])["next"][0]["key"]

    def gone(*arguments: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "store/points.npy")

    monkeypatch.setattr(served.page.desk.gallery, "follow", gone)
    monkeypatch.setattr(served.page.desk, "_catch_up", served.page.desk.log.refresh)
    monkeypatch.setattr(served.page.desk, "state", gone)
    status, found = served.post("answer", {"do": do, "group": first})
    assert status == 500
    assert found == {"error": "No such file or directory: store/points.npy", "written": True}
    assert json.loads(log_of(served).splitlines()[-1])["do"] == do
