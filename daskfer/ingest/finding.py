"""From inputs (files, folders, globs, URLs) to sources, and whether these have changed."""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from daskfer import storage
from daskfer.errors import DaskferError, InputError
from daskfer.ingest import forms
from daskfer.ingest.archives import members
from daskfer.ingest.listing import find_images, is_image, local_version
from daskfer.ingest.sources import Source
from daskfer.store import fingerprint


@dataclass(frozen=True)
class _File:
    path: str
    bytes: int
    version: str


def find_sources(inputs: list[str]) -> list[Source]:
    """What the inputs (files, folders, globs, fsspec URLs) name, in their order.

    Raises
    ------
    InputError
        For an input that does not exist, is empty or holds no faces, and for a file named twice.
    """
    found: list[Source | _File] = []
    for text in inputs:
        for path in _expand(text):
            found += _open(path)
    sources: list[Source] = []
    images: list[_File] = []
    # Images given one by one, as a shell expands a glob, are one set.
    for one in [*found, None]:
        if isinstance(one, _File):
            images.append(one)
            continue
        sources += _sets_of(images)
        images = []
        if one is not None:
            sources.append(one)
    _check_twice(sources)
    return sources


def find_again(
    keys: list[dict[str, Any]], chosen: list[list[str] | None] | None = None
) -> list[Source]:
    """The sources that once had these keys, as they are now: whether they changed, keys tell.

    Parameters
    ----------
    keys : list of dict
        See `Source.key`.
    chosen : list of (list of str or None), optional
        See `daskfer.ingest.sources.chosen_of`; without it, all images of a folder were meant.

    Raises
    ------
    InputError
        See `find_sources`.
    """
    inputs: list[str] = []
    for key, files in zip(keys, chosen or [None] * len(keys), strict=True):
        path = str(key["path"])
        inputs += [path] if files is None else [storage.join(path, name) for name in files]
    # An archive with several tables is a source for each.
    return find_sources(list(dict.fromkeys(inputs)))


def check_unchanged(sources: list[Source]) -> None:
    """Raise an `InputError` when a file is not what it was when the sources were found.

    Images behind a URL are not asked for again: it would be a request for each.
    """
    for source in sources:
        if source.files and storage.is_url(source.path):
            continue
        now = _look_again(source) if source.files else _describe(source.path, afresh=True)
        if (now.bytes, now.version) != (source.bytes, source.version):
            raise InputError(
                f"{source.path} changed while it was read: run again when it has been written"
            )


def _expand(text: str) -> list[str]:
    if not text:
        raise InputError(f"an input is empty: expected {forms.EXPECTED}")
    if storage.is_url(text):
        # A question mark in a web address begins its query, and a bracket may its host.
        if text.startswith(storage.WEB) or not glob.has_magic(text):
            return [text]
        with _readable(text):
            filesystem, inner = storage.filesystem_of(text)
            filesystem.invalidate_cache()
            if filesystem.exists(inner):
                return [text]
            found = sorted(filesystem.glob(inner))
        if not found:
            raise InputError(f"{text}: no file matches")
        return [str(filesystem.unstrip_protocol(path)) for path in found]
    text = os.path.expanduser(text)
    if os.path.exists(text) or not glob.has_magic(text):
        return [os.path.abspath(text)]
    folder, name = os.path.split(text)
    # A folder's own brackets, as in "photos [2024]/*.jpg", are no pattern.
    found = sorted(glob.glob(text, recursive=True)) or (
        sorted(glob.glob(os.path.join(glob.escape(folder), name))) if os.path.isdir(folder) else []
    )
    if not found:
        raise InputError(f"{text}: no file matches")
    return [os.path.abspath(path) for path in found]


def _open(path: str) -> list[Source | _File]:
    """The sources in a path, or the path itself where it is an image."""
    if _is_folder(path):
        return list(_in_folder(path))
    file = _describe(path)
    if file.bytes == 0 and not is_image(path):
        raise InputError(f"{path} is empty: expected {forms.EXPECTED}")
    with _readable(path):
        kind = forms.recognize(path)
        streamed = not storage.gives_ranges(path)
    # What is called an image and looks like nothing else is one, if only a bad one.
    if kind.form == "images" or (kind == forms.Kind("csv") and is_image(path)):
        return [file]
    if streamed and (kind.form == "parquet" or (kind.archive and not kind.compression)):
        what = "a Parquet file" if kind.form == "parquet" else f"a {kind.archive} archive"
        raise InputError(
            f"{path} is {what}, which is read in parts, but its server sends it only as a whole: "
            "get the file and give that"
        )
    source = Source(
        path, file.bytes, file.version, kind.form, kind.compression, kind.archive, streamed=streamed
    )
    return list(_in_archive(source)) if kind.archive else [source]


def _in_folder(path: str) -> Iterator[Source | _File]:
    with _readable(path):
        listing = find_images(path)
    tables = [name for name in listing.others if forms.is_table(name) or forms.is_archive(name)]
    if listing.images and tables:
        raise InputError(
            f"{path} holds {len(listing.images):,} images and {_counted(tables)}: expected one or "
            f"the other; give {storage.join(path, tables[0])}, or the images' folder or a glob"
        )
    if listing.images:
        files = [_File(image.path, image.bytes, image.version) for image in listing.images]
        yield _image_set(path, files, tuple(listing.others))
        return
    if not tables:
        found = ", ".join(sorted(listing.others)[:5]) or "nothing"
        raise InputError(
            f"{path} holds no faces: expected {forms.EXPECTED}, found {found}"
            + (f" ({forms.HEIC})" if any(map(forms.is_heic, listing.others)) else "")
        )
    opened = [source for name in tables for source in _open(storage.join(path, name))]
    ignored = tuple(name for name in listing.others if name not in tables)
    yield from _with_ignored(opened, ignored)


def _counted(names: list[str]) -> str:
    return f"{len(names):,} tables or archives such as {names[0]}" if len(names) > 1 else names[0]


def _in_archive(archive: Source) -> Iterator[Source]:
    """The tables in an archive, or the archive itself when it holds images."""
    assert archive.archive
    found = members(archive.path, archive.archive, archive.compression)
    tables = [member for member in found if member.name.lower().endswith((".csv", ".tsv"))]
    images = [member for member in found if is_image(member.name)]
    if images and tables:
        raise InputError(
            f"{archive.path} holds {len(images):,} images and {tables[0].name}: expected one or "
            "the other; unpack it and give what is wanted"
        )
    if images:
        others = tuple(member.name for member in found if not is_image(member.name))
        yield replace(archive, form="images", ignored=others)
    elif tables:
        others = tuple(member.name for member in found if member not in tables)
        for number, member in enumerate(tables):
            yield replace(archive, member=member.name, ignored=() if number else others)
    else:
        names = ", ".join(sorted(member.name for member in found)[:5]) or "nothing"
        raise InputError(
            f"{archive.path} holds no faces: expected CSV files or images in it, found {names}"
            + (" (an Excel workbook? save it as CSV)" if "xl/" in names else "")
        )


def _with_ignored(found: list[Source | _File], ignored: tuple[str, ...]) -> list[Source | _File]:
    """The same sources, the first of which tells what beside them is not read."""
    first, *rest = found
    if isinstance(first, Source) and ignored:
        first = replace(first, ignored=(*first.ignored, *ignored))
    return [first, *rest]


def _look_again(source: Source) -> _File:
    """What the images of a source are now, as one."""
    files = []
    for name in source.files:
        path = storage.join(source.path, name)
        files.append(replace(_describe(path), path=name))
    again = _image_set(source.path, files)
    return _File(again.path, again.bytes, again.version)


def _sets_of(files: list[_File]) -> list[Source]:
    """Sources of images that were given one by one: one for each file system and host."""
    return [_set_of(list(group)) for _, group in groupby(files, key=lambda file: _host(file.path))]


def _host(path: str) -> str:
    """What paths must share to have a common folder."""
    protocol, found, rest = path.partition("://")
    return f"{protocol}://{rest.partition('/')[0]}" if found else ""


def _set_of(files: list[_File]) -> Source:
    parents = [posixpath.dirname(file.path) for file in files]
    root = posixpath.commonpath(parents) if not storage.is_url(parents[0]) else _url_root(parents)
    inner = [replace(file, path=file.path[len(root) :].lstrip("/")) for file in files]
    return replace(_image_set(root, inner), chosen=True)


def _url_root(parents: list[str]) -> str:
    protocol, _, _ = parents[0].partition("://")
    inner = [parent.partition("://")[2] for parent in parents]
    return f"{protocol}://{posixpath.commonpath(inner)}"


def _image_set(root: str, files: list[_File], ignored: tuple[str, ...] = ()) -> Source:
    version = fingerprint([[file.path, file.bytes, file.version] for file in files])
    size = sum(file.bytes for file in files)
    names = tuple(file.path for file in files)
    return Source(root, size, version, "images", files=names, ignored=ignored)


def _check_twice(sources: list[Source]) -> None:
    seen = set()
    for source in sources:
        names = [storage.join(source.path, file) for file in source.files] or [source.name]
        # However it is spelt: ./faces, a link to faces and file:///…/faces are one.
        spelt, real = source.path, _real(source.path)
        for name in names:
            place = real + name.removeprefix(spelt)
            if place in seen:
                raise InputError(f"{name} is given twice: name each input once")
            seen.add(place)


def _real(path: str) -> str:
    local = path.removeprefix("file://")
    return path if storage.is_url(local) else os.path.realpath(local)


def _is_folder(path: str) -> bool:
    if not storage.is_url(path):
        return os.path.isdir(path)
    if path.startswith(storage.WEB):
        return False
    with _readable(path):
        filesystem, inner = storage.filesystem_of(path)
        return bool(filesystem.isdir(inner))


def _describe(path: str, *, afresh: bool = False) -> _File:
    """Its size and version; `afresh` asks again what a file system may remember."""
    with _readable(path):
        if not storage.is_url(path):
            return _File(path, *local_version(path))
        filesystem, inner = storage.filesystem_of(path)
        if afresh:
            filesystem.invalidate_cache(inner)
        info = filesystem.info(inner)
        if info.get("size") is None:
            raise InputError(
                f"{path}: its server does not say how long it is; get the file and give that"
            )
        return _File(path, int(info["size"]), storage.version_of(filesystem, inner, info))


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Errors of storage as a line that names the input."""
    try:
        yield
    except InputError:
        raise
    except DaskferError as error:
        raise InputError(str(error)) from error
    except FileNotFoundError as error:
        # A web server that does not answer, or refuses, is a missing file to fsspec.
        cause = error.__cause__ if path.startswith(storage.WEB) else None
        if cause is not None and getattr(cause, "status", None) not in (404, 410):
            raise InputError(f"{path} cannot be read: {storage.reason(cause)}") from error
        raise InputError(f"{path}: no such file; expected {forms.EXPECTED}") from None
    except Exception as error:
        if not storage.is_remote_error(error):
            raise
        raise InputError(f"{path} cannot be read: {storage.reason(error)}") from error
