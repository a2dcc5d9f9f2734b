"""Images: pixels worked out by hand, files that are none, and folders of them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daskfer import storage
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, PRIVATE_TEST, PUBLIC_TEST, TRAINING, UNKNOWN
from daskfer.ingest import images
from daskfer.ingest.decoding import BadImage, decode
from daskfer.ingest.images import ImageFiles, gather
from daskfer.ingest.listing import Listing, find_images, is_image
from daskfer.ingest.rows import Rows, in_blocks, join

ANGRY, HAPPY, NEUTRAL = (EMOTIONS.index(name) for name in ("angry", "happy", "neutral"))


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def grey(values: Any) -> Image.Image:
    return Image.fromarray(np.array(values, np.uint8))


def noise(side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def pixels(data: bytes, side: int) -> list[list[int]]:
    found = decode(data, side)
    assert found.dtype == np.uint8
    assert found.shape == (side * side,)
    return found.reshape(side, side).tolist()


def reason(data: bytes, side: int = 48) -> str:
    with pytest.raises(BadImage) as caught:
        decode(data, side)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Pixels


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_a_grey_face_of_the_right_size_comes_back_exactly(form: str) -> None:
    face = noise(48)
    assert (decode(encoded(grey(face), form), 48) == face.ravel()).all()


def test_a_lossless_webp_comes_back_exactly() -> None:
    face = noise(48)
    data = encoded(grey(face).convert("RGB"), "WEBP", lossless=True)
    assert (decode(data, 48) == face.ravel()).all()


def test_a_jpeg_is_close() -> None:
    face = np.add.outer(np.arange(48), 2 * np.arange(48)).astype(np.uint8)
    found = decode(encoded(grey(face), "JPEG", quality=95), 48)
    assert np.abs(found.astype(int) - face.ravel()).max() <= 3


# Quarters of the picture as stored: 1 2 above 3 4; and as a viewer shows them.
ORIENTATIONS = {
    1: "1234", 2: "2143", 3: "4321", 4: "3412", 5: "1324", 6: "3142", 7: "4231", 8: "2413",
}  # fmt: skip


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.kron(np.array([[50, 100], [150, 200]]), np.ones((16, 16), int))
    options: dict[str, Any] = {"WEBP": {"lossless": True}}.get(form, {})
    found = decode(encoded(grey(stored).convert("RGB"), form, exif=exif, **options), 32)
    quarters = found.reshape(32, 32)[8::16, 8::16].ravel()
    shown = [50 * int(digit) for digit in ORIENTATIONS[orientation]]
    assert np.abs(quarters - shown).max() <= 2


def test_a_turned_picture_is_cropped_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    # Stored lying, so that its left end is the top of what is shown.
    data = encoded(grey([[1, 2, 3, 4], [5, 6, 7, 8]]), exif=exif)
    assert pixels(data, 2) == [[6, 2], [7, 3]]


def test_a_broken_exif_block_does_not_matter() -> None:
    for block in (b"", b"II", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x09\0" + b"\xff" * 40):
        assert pixels(encoded(grey([[1, 2], [3, 4]]), exif=block), 2) == [[1, 2], [3, 4]]
        assert decode(encoded(grey(noise(16)), "JPEG", exif=b"Exif\0\0" + block), 16).size == 256


SIXTEEN = np.array([[0, 128, 129], [257, 32768, 65535], [65406, 65407, 2570]], np.uint16)
EIGHT = [[0, 0, 1], [1, 128, 255], [254, 255, 10]]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    assert pixels(encoded(Image.fromarray(SIXTEEN)), 3) == EIGHT
    assert pixels(encoded(Image.fromarray(SIXTEEN), "TIFF"), 3) == EIGHT
    big = Image.frombytes("I;16B", (3, 3), SIXTEEN.astype(">u2").tobytes())
    assert encoded(big, "TIFF").startswith(b"MM")
    assert pixels(encoded(big, "TIFF"), 3) == EIGHT
    assert pixels(b"P5 3 3 65535\n" + SIXTEEN.astype(">u2").tobytes(), 3) == EIGHT


def test_sixteen_bits_of_another_size() -> None:
    assert set(decode(encoded(Image.fromarray(np.full((30, 20), 25700, np.uint16))), 8)) == {100}


def test_numbers_of_thirty_two_bits_pass_as_sixteen_or_not_at_all() -> None:
    assert pixels(encoded(Image.fromarray(SIXTEEN.astype(np.int32)), "TIFF"), 3) == EIGHT
    for value in (-1, 65536):
        data = encoded(Image.fromarray(np.array([[0, value]], np.int32)), "TIFF")
        assert reason(data).startswith("unsupported pixels: greys from ")


def test_floating_point_is_refused() -> None:
    data = encoded(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    assert reason(data).startswith("unsupported pixels: floating point")


def test_a_pgm_of_four_bits_fills_the_range() -> None:
    assert pixels(b"P5 2 2 15\n\x00\x01\x05\x0f", 2) == [[0, 17], [85, 255]]
    assert pixels(b"P2\n# by hand\n2 2 255 1 2 3 4\n", 2) == [[1, 2], [3, 4]]


COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
LUMA = [[76, 150], [29, 255]]


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_colours_become_luma(form: str) -> None:
    assert pixels(encoded(Image.fromarray(COLOURS), form), 2) == LUMA


def test_transparency_is_ignored() -> None:
    alpha = np.array([[[0], [255]], [[1], [128]]], np.uint8)
    assert pixels(encoded(Image.fromarray(np.concatenate([COLOURS, alpha], 2))), 2) == LUMA
    grey_alpha = np.concatenate([np.array([[[7], [8]], [[9], [10]]], np.uint8), alpha], 2)
    assert pixels(encoded(Image.fromarray(grey_alpha)), 2) == [[7, 8], [9, 10]]
    assert pixels(encoded(Image.fromarray(COLOURS), transparency=(0, 255, 0)), 2) == LUMA


@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": b"\0\x80\xff\1"}])
@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_a_palette(form: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even Pillow's own warning of several transparent colours depends on the filter.
    monkeypatch.setattr("daskfer.ingest.decoding._hush", lambda: None)
    if form == "GIF" and isinstance(options.get("transparency"), bytes):
        options = {}
    image = grey([[0, 1], [2, 3]]).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255])
    assert pixels(encoded(image, form, **options), 2) == LUMA


def test_one_bit() -> None:
    image = grey([[0, 255], [255, 0]]).convert("1")
    for form in ("PNG", "TIFF", "BMP"):
        assert pixels(encoded(image, form), 2) == [[0, 255], [255, 0]]


def test_a_cmyk_jpeg() -> None:
    for ink, light in ((0, 255), (255, 0), (128, 127)):
        image = Image.new("CMYK", (16, 16), (0, 0, 0, ink))
        found = decode(encoded(image, "JPEG"), 16)
        assert np.abs(found.astype(int) - light).max() <= 3


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_counts(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), (value,) * 3) for value in (40, 140, 240)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert np.abs(decode(data, 8).astype(int) - 40).max() <= 1


def test_the_longer_side_loses_its_ends() -> None:
    wide = np.arange(12).reshape(2, 6)
    assert pixels(encoded(grey(wide)), 2) == [[2, 3], [8, 9]]
    tall = np.arange(10).reshape(5, 2)
    assert pixels(encoded(grey(tall)), 2) == [[2, 3], [4, 5]]


def test_another_size_is_resampled_without_aliases() -> None:
    board = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    found = decode(encoded(grey(board)), 48)
    assert found.min() >= 124
    assert found.max() <= 131
    assert set(decode(encoded(Image.new("L", (20, 31), 77)), 48)) == {77}
    assert set(decode(encoded(Image.new("L", (2, 1), 77)), 48)) == {77}


def test_a_large_jpeg_is_like_its_png() -> None:
    ramp = np.add.outer(np.arange(1000), np.arange(1400)) // 10
    image = grey(ramp).convert("RGB")
    jpeg = decode(encoded(image, "JPEG", quality=95), 48)
    png = decode(encoded(image), 48)
    assert np.abs(jpeg.astype(int) - png).max() <= 3
    assert np.ptp(png) > 80


# Files that are no images


def header_of_a_png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def gif_with_a_frame(width: int, height: int) -> bytes:
    frame = struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a\1\0\1\0\0\0\0," + frame + b"\2\2D\1\0;"


def header_of_a_webp(width: int, height: int) -> bytes:
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size


@pytest.mark.parametrize(("width", "height"), [(10_000, 9_000), (30_000, 30_000), (2**31 - 1, 1)])
def test_a_bomb_is_known_by_its_header(width: int, height: int) -> None:
    expected = f"decompression bomb: {width}×{height} pixels, expected at most 89,478,485"
    assert reason(header_of_a_png(width, height)) == expected


@pytest.mark.parametrize(
    "data",
    [gif_with_a_frame(65535, 2000), gif_with_a_frame(65535, 65535), header_of_a_webp(16384, 16384)],
)
def test_a_bomb_that_pillow_itself_refuses(data: bytes) -> None:
    assert reason(data).startswith("decompression bomb: ")


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    assert decode(encoded(grey(noise(4))), 4).size == 16
    assert reason(encoded(Image.new("L", (17, 1)))).startswith("decompression bomb: 17×1 pixels")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decode(encoded(Image.new("L", (17, 1))), 4).size == 16


def test_no_warning_reaches_the_terminal_from_any_thread() -> None:
    bombs = [gif_with_a_frame(65535, 2000), header_of_a_png(10_000, 9_000)]
    malformed = encoded(grey(noise(8)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0" + b"\xff" * 9)
    start = threading.Barrier(8)

    def work(number: int) -> int:
        start.wait(timeout=60)
        bad = 0
        for data in [*bombs, malformed] * 20:
            try:
                decode(data, 8)
            except BadImage:
                bad += 1
        return bad

    decode(encoded(grey(noise(4))), 4)
    with warnings.catch_warnings(record=True) as seen:
        # In front of what the line above has set.
        warnings.simplefilter("always")
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [40] * 8
    assert seen == []


def test_other_peoples_warnings_are_left_alone() -> None:
    decode(encoded(grey(noise(4))), 4)
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", UserWarning, stacklevel=1)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_file_that_is_cut_off(form: str, share: float) -> None:
    data = encoded(grey(noise(48)).convert("RGB"), form)
    assert reason(data[: int(len(data) * share)]).startswith("image cannot be decoded: ")


def test_a_cut_off_file_says_so() -> None:
    for form in ("PNG", "JPEG", "BMP"):
        data = encoded(grey(noise(48)), form)
        assert "image file is truncated" in reason(data[:-200])


def test_what_is_no_image() -> None:
    assert reason(b"") == "empty file: expected an image"
    for data in (b"not an image", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 100, b"P"):
        assert reason(data).startswith("unknown image format: expected PNG, JPEG")


def test_flipped_bits_are_found_by_the_checksum() -> None:
    data = bytearray(encoded(grey(noise(48))))
    data[len(data) // 2] ^= 1
    assert reason(bytes(data)).startswith("image cannot be decoded: ")


def decoded_or_refused(data: bytes) -> bool:
    try:
        found = decode(data, 8)
    except BadImage as error:
        kind, colon, details = str(error).partition(": ")
        return bool(kind and colon and details) and "\n" not in details
    return found.shape == (64,) and found.dtype == np.uint8


@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF89a", b"P5 ",
                     b"RIFF\x40\0\0\0WEBPVP8 ", b"RIFF\x40\0\0\0WEBPVP8X", b"MM\0*"]),
    st.binary(max_size=200),
)  # fmt: skip
def test_any_bytes_are_an_image_or_a_bad_one(magic: bytes, rest: bytes) -> None:
    assert decoded_or_refused(magic + rest)


SEEDS = [
    encoded(Image.fromarray(COLOURS).resize((9, 7)), form, **options)
    for form, options in [
        ("PNG", {}), ("PNG", {"exif": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"}),
        ("JPEG", {}), ("JPEG", {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"}),
        ("GIF", {}), ("BMP", {}), ("WEBP", {}), ("PPM", {}), ("TIFF", {}),
    ]
]  # fmt: skip


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(20, 1000),
)
def test_damage_never_crashes(data: bytes, changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert decoded_or_refused(bytes(damaged[:length]))


# Rows


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder called faces, on disk and in fsspec's memory."""
    if request.param == "disk":
        yield str(tmp_path / "faces")
        return
    yield "memory://images-test/faces"
    memory = fsspec.filesystem("memory")
    if memory.exists("/images-test"):
        memory.rm("/images-test", recursive=True)


def write(root: str, files: dict[str, bytes]) -> tuple[str, ...]:
    for name, data in files.items():
        storage.write_whole(storage.join(root, name), data)
    return tuple(files)


def read(root: str, files: tuple[str, ...], first: int = 0, side: int = 4) -> Rows:
    return join(list(ImageFiles(root, files, first, side).pieces()))


def png(seed: int, side: int = 4) -> bytes:
    return encoded(grey(noise(side, seed)))


def test_rows_of_a_folder(root: str) -> None:
    files = write(
        root,
        {
            "train/Happiness/1.png": png(1),
            "train/angry/odd [1]*?.png": png(2),
            "validation/neutral/ä.png": png(3),
            "test/4.png": png(4),
            "5.png": png(5),
        },
    )
    rows = read(root, files, first=10)
    assert rows.records == 5
    assert rows.row.tolist() == [10, 11, 12, 13, 14]
    assert (rows.pixels == [noise(4, seed).ravel() for seed in range(1, 6)]).all()
    assert rows.emotion.tolist() == [HAPPY, ANGRY, NEUTRAL, UNKNOWN, UNKNOWN]
    assert rows.usage.tolist() == [TRAINING, TRAINING, PUBLIC_TEST, PRIVATE_TEST, UNKNOWN]
    assert rows.names == tuple(storage.join(root, name) for name in files)
    assert rows.bad == ()
    dtypes = [array.dtype for array in (rows.row, rows.pixels, rows.emotion, rows.usage)]
    assert dtypes == [np.int64, np.uint8, np.int8, np.int8]


def test_the_folder_itself_may_be_called_by_an_emotion(tmp_path: Path) -> None:
    folder = str(tmp_path / "sad" / "surprised")
    files = write(folder, {"1.png": png(1), "test/2.png": png(2)})
    for root in (folder, folder + "/"):
        rows = read(root, files)
        assert rows.emotion.tolist() == [EMOTIONS.index("surprise")] * 2
        assert rows.usage.tolist() == [UNKNOWN, PRIVATE_TEST]


def test_bad_files_are_set_aside_and_the_others_go_on(root: str) -> None:
    files = write(
        root,
        {
            "a.png": png(1),
            "text.png": b"not an image",
            "empty.jpg": b"",
            "b.png": png(2),
            "cut.png": encoded(grey(noise(48)))[:600],
            "folder.png/inner.txt": b"",
            "z.png": png(3),
        },
    )
    files = (*files[:5], files[6])
    rows = read(root, files)
    assert rows.records == 6
    assert rows.row.tolist() == [0, 3, 5]
    assert rows.bad_row.tolist() == [1, 2, 4]
    assert rows.names == tuple(storage.join(root, files[row]) for row in (0, 3, 5))
    assert [row.source for row in rows.bad] == [
        storage.join(root, files[row]) for row in rows.bad_row
    ]
    assert [row.reason.partition(":")[0] for row in rows.bad] == [
        "unknown image format",
        "empty file",
        "image cannot be decoded",
    ]
    assert {(row.line, row.offset, row.beginning) for row in rows.bad} == {(None, None, "")}


@pytest.mark.parametrize("name", ["vanished.png", "folder.png"])
def test_a_file_that_cannot_be_read_now_is_no_bad_row(name: str, root: str) -> None:
    # It would be kept in the store as one, and be bad for ever.
    write(root, {"a.png": png(1), "folder.png/inner.txt": b""})
    with pytest.raises(InputError, match="cannot be read"):
        read(root, ("a.png", name))


def test_nothing_but_bad_files(root: str) -> None:
    rows = read(root, write(root, {"a.png": b"?", "b.png": b"?"}))
    assert rows.pixels.shape == (0, 16)
    assert (len(rows.row), len(rows.emotion), len(rows.usage), rows.names) == (0, 0, 0, ())
    assert rows.bad_row.tolist() == [0, 1]


def test_a_file_that_is_too_large(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = write(root, {"a.png": png(1), "b.png": png(2) + b"x" * 100})
    monkeypatch.setattr(images, "LIMIT", len(png(2)) + 99)
    rows = read(root, files)
    assert rows.row.tolist() == [0]
    assert rows.bad[0].reason.startswith("file too large: ")
    monkeypatch.setattr(images, "LIMIT", len(png(2)) + 100)
    assert read(root, files).row.tolist() == [0, 1]


def test_pieces_are_bounded_and_consecutive(root: str) -> None:
    files = write(root, {f"{number:03}.png": png(number % 7) for number in range(600)})
    pieces = list(ImageFiles(root, files, 1000, 4).pieces())
    assert [piece.records for piece in pieces] == [256, 256, 88]
    assert [int(piece.row[0]) for piece in pieces] == [1000, 1256, 1512]
    whole = join(pieces)
    assert (whole.pixels == [noise(4, number % 7).ravel() for number in range(600)]).all()
    blocks = list(in_blocks(pieces, 150, 1000))
    assert [block.records for block in blocks] == [150] * 4
    assert blocks[3].names == tuple(storage.join(root, name) for name in files[450:])


def test_a_part_without_files() -> None:
    assert list(ImageFiles("/nowhere", (), 0, 4).pieces()) == []


def test_a_part_goes_to_other_processes() -> None:
    part = ImageFiles("/faces", ("a.png", "b.png"), 3, 48)
    assert pickle.loads(pickle.dumps(part)) == part


def test_names_that_are_not_unicode_can_be_written_down(tmp_path: Path) -> None:
    name = os.fsdecode(b"happy/caf\xe9.png")
    (tmp_path / "happy").mkdir()
    Path(tmp_path, name).write_bytes(png(1))
    (found,) = find_images(str(tmp_path)).images
    rows = read(str(tmp_path), (found.path,))
    assert rows.emotion.tolist() == [HAPPY]
    assert rows.names == (f"{tmp_path}/happy/caf\\udce9.png",)
    assert rows.names[0].encode()


def test_gather_counts_from_its_first() -> None:
    rows = gather(7, [("a", ["fear"], png(1)), ("b", [], BadImage("gone: away"))], 4)
    assert (rows.records, rows.row.tolist(), rows.bad_row.tolist()) == (2, [7], [8])
    assert rows.bad[0].reason == "gone: away"
    assert gather(0, [], 4).records == 0


# Folders


def test_names_of_images() -> None:
    for name in ("a.png", "A.JPG", "b/c.jpeg", "x.y.TIFF", "a.webp", "a.gif", "a.pgm", "a.bmp"):
        assert is_image(name)
    for name in ("a.txt", "png", "a.png.txt", "a.csv", "jpeg", "a.svg", ""):
        assert not is_image(name)


def test_a_listing_is_sorted_and_without_what_systems_leave(root: str) -> None:
    write(
        root,
        {
            "b/2.png": b"22",
            "b/10.PNG": b"1",
            "b-/1.jpg": b"333",
            "a.png": b"",
            "x.png/y.png": b"4444",
            "notes.txt": b"",
            "b/faces.csv": b"",
            ".hidden.png": b"",
            ".git/1.png": b"",
            "__MACOSX/b/._2.png": b"",
            "b/Thumbs.db": b"",
            "b/desktop.ini": b"",
            "b/.DS_Store": b"",
        },
    )
    listing = find_images(root)
    assert [(file.path, file.bytes) for file in listing.images] == [
        ("a.png", 0),
        ("b-/1.jpg", 3),
        ("b/10.PNG", 1),
        ("b/2.png", 2),
        ("x.png/y.png", 4),
    ]
    assert listing.others == ("b/faces.csv", "notes.txt")


def test_a_listing_names_what_can_be_read(root: str) -> None:
    write(root, {"sad/1.png": png(1), "sad/2.png": png(2), "3.png": png(3)})
    files = tuple(file.path for file in find_images(root).images)
    assert files == ("3.png", "sad/1.png", "sad/2.png")
    assert (read(root, files).pixels == [noise(4, seed).ravel() for seed in (3, 1, 2)]).all()


def test_the_version_changes_with_the_file(root: str) -> None:
    write(root, {"a.png": b"1", "b.png": b"2"})
    before = [file.version for file in find_images(root).images]
    assert [file.version for file in find_images(root).images] == before
    write(root, {"b.png": b"3"})
    after = [file.version for file in find_images(root).images]
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_a_folder_without_files(tmp_path: Path) -> None:
    listing = find_images(str(tmp_path))
    assert listing == Listing((), ())


@pytest.mark.parametrize("backwards", [False, True])
def test_links_are_followed_once_and_never_in_a_circle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backwards: bool
) -> None:
    scan = os.scandir

    def scan_in_order(path: str) -> Any:
        with scan(path) as entries:
            found = sorted(entries, key=lambda entry: entry.name, reverse=backwards)
        return nullcontext(found)

    monkeypatch.setattr(os, "scandir", scan_in_order)
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "real" / "inner").mkdir(parents=True)
    other.mkdir()
    (root / "real" / "inner" / "1.png").touch()
    (other / "2.png").touch()
    (root / "alias").symlink_to(root / "real")
    (root / "real" / "circle").symlink_to(root)
    for name in ("away", "away-again"):
        (root / name).symlink_to(other)
    (other / "back").symlink_to(root)
    (root / "self").symlink_to(root / "self")
    (root / "link.png").symlink_to(other / "2.png")
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(root / "pipe.png")
    listing = find_images(str(root))
    assert [file.path for file in listing.images] == [
        "away/2.png", "gone.png", "link.png", "real/inner/1.png",
    ]  # fmt: skip
    assert listing.others == ("self",)
    (bad,) = read(str(root), ("gone.png",)).bad
    assert bad.reason.startswith("link to nothing")


def test_what_is_no_folder(root: str) -> None:
    with pytest.raises(InputError, match=r"faces.*(cannot be listed|no such folder)") as caught:
        find_images(root)
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refuse(path: str) -> Any:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=r"closed cannot be listed \(Permission denied\)"):
        find_images(str(tmp_path))
