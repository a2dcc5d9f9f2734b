"""Bad rows: the reason of each kind, the tolerated share, and quarantine.csv."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.errors import InputError
from daskfer.ingest.quarantine import (
    COLUMNS,
    BadRow,
    TooManyBad,
    check_share,
    explain_pixels,
    explain_row,
    quarantine_csv,
)

HEADER = ["emotion", "pixels", "Usage"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3 256", "pixel above 255: 256"),
        ("1 2 1000 4", "pixel above 255: 1000"),
        ("1 -1 3 4", "pixel below 0: -1"),
        ("1 2 3.5 4", "pixel not a whole number: 3.5"),
        ("1 2 nan 4", "pixel not a number: nan"),
        ("1 2 inf 4", "pixel not a whole number: inf"),
        ("1 abc 3 4", "pixel not a number: 'abc'"),
        ("1 ² 3 4", "pixel not a number: '²'"),
        ("1 2 3", "too few pixels: 3, expected 4"),
        ("1 2 3 4 5", "too many pixels: 5, expected 4"),
        ("1 2 3 4", "unusual spacing or quotes in the row"),
        ("", "no pixels"),
        ("   ", "no pixels"),
    ],
)
def test_reason_of_pixels(text: str, reason: str) -> None:
    assert explain_pixels(text.split(), 4) == reason


def test_the_first_fault_counts() -> None:
    assert explain_pixels(["300", "abc"], 4) == "pixel above 255: 300"


def test_pixels_run_together_are_explained_and_shortened() -> None:
    # Python refuses to turn more than 4,300 digits into a number.
    assert explain_pixels(["128" * 2304], 4) == "pixel above 255: 128128128128…"


def test_leading_zeros_are_not_above_255() -> None:
    assert explain_pixels(["0" * 5000 + "255"], 4).startswith("too few")
    assert explain_pixels(["0256"], 1) == "pixel above 255: 0256"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"3,1 2 3 4,Train\0ing", "NUL byte in the row"),
        (b"3,1 2 \xff 4,Training", "not UTF-8 text"),
        (b'3,"1 2 3 4,Training', "broken quotes"),
        (b'3,"1 2 3 4"x,Training', "broken quotes"),
        (b"3,1 2 3 4", "wrong column count: 2, expected 3"),
        (b"3,1 2 3 4,Training,1", "wrong column count: 4, expected 3"),
        (b"   ", "wrong column count: 1, expected 3"),
        (b"\r", "wrong column count: 1, expected 3"),
        (b"3,,Training", "no pixels"),
        (b"3,1 2 3 999,Training", "pixel above 255: 999"),
    ],
)
def test_reason_of_a_row(line: bytes, reason: str) -> None:
    assert explain_row(line, HEADER, 1, 4) == reason


@given(st.binary(max_size=60))
def test_any_bytes_have_a_reason_in_one_line(line: bytes) -> None:
    reason = explain_row(line.replace(b"\n", b""), HEADER, 1, 4)
    assert reason
    assert "\n" not in reason


def bad_rows(count: int, reason: str = "no pixels") -> list[BadRow]:
    return [BadRow("a.csv", 7 + number, 0, reason, "") for number in range(count)]


def test_a_tolerated_share_passes() -> None:
    check_share([], 0, 0.0)
    check_share(bad_rows(1), 100, 0.01)
    check_share(bad_rows(29), 100, 0.29)
    check_share(bad_rows(5), 5, 1.0)


def test_too_many_bad_rows_name_counts_reasons_place_and_the_way_out() -> None:
    rows = bad_rows(2) + bad_rows(1, "too few pixels: 3, expected 4")
    with pytest.raises(TooManyBad) as caught:
        check_share(rows, 50, 0.01)
    message = str(caught.value)
    assert "3 of 50 rows are bad" in message
    assert "2 × no pixels, 1 × too few pixels" in message
    assert "line 7 of a.csv" in message
    assert "--max-bad 0.07" in message
    assert caught.value.rows == tuple(rows)
    assert "\n" not in message


@given(st.integers(1, 400), st.integers(1, 400))
def test_the_limit_that_the_error_proposes_is_enough(bad: int, good: int) -> None:
    with pytest.raises(InputError) as caught:
        check_share(bad_rows(bad), bad + good, 0.0)
    check_share(bad_rows(bad), bad + good, float(str(caught.value).rpartition(" ")[2]))


def test_rows_that_are_all_bad_are_no_matter_of_a_limit() -> None:
    image = BadRow("x.png", None, None, "image cannot be decoded: truncated", "")
    with pytest.raises(
        TooManyBad, match=r"^none of 1 rows is a face .*first: x\.png, image"
    ) as caught:
        check_share([image], 1, 0.5)
    assert "--max-bad" not in str(caught.value)


def test_quarantine_csv_reads_back() -> None:
    row = BadRow('a "b".csv', 3, 120, "emotion '9': expected 0–6, or …", '9,"1 2\r3,x')
    image = BadRow("x.png", None, None, "no image", "")
    (header, found, last) = csv.reader(io.StringIO(quarantine_csv([row, image]), newline=""))
    assert last == ["x.png", "", "", "no image", ""]
    assert tuple(header) == COLUMNS
    assert found == ['a "b".csv', "3", "120", row.reason, row.beginning]


def test_quarantine_csv_without_bad_rows_is_its_header() -> None:
    assert quarantine_csv([]) == "source,line,byte offset,reason,beginning of the row\n"
