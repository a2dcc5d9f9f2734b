"""Ranges, cells, and what too few rows cannot give."""

from __future__ import annotations

import pytest

from daskfer.errors import RecipeError
from daskfer.sweep.choices import Cell, cells, check_rows, names, whole_numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2:5", (2, 3, 4, 5)),
        ("7", (7,)),
        ("5:15:5", (5, 10, 15)),
        ("5:14:5", (5, 10)),
        ("2,3,5", (2, 3, 5)),
        ("5, 2 ,2:3", (2, 3, 5)),
        ("4:4", (4,)),
    ],
)
def test_ranges_and_lists(text: str, expected: tuple[int, ...]) -> None:
    assert whole_numbers("--clusters", text, 2) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is no whole number or range"),
        ("two", "'two' is no whole number or range"),
        ("2:", "'2:' is no whole number or range"),
        ("-2:5", "'-2:5' is no whole number or range"),
        ("2:5:1:1", "is no whole number or range"),
        ("2.5", "'2.5' is no whole number or range"),
        ("2,,3", "'' is no whole number or range"),
        ("5:2", "5:2 is empty: expected the smaller number first, 2:5"),
        ("1:5", "expected 2 or more, got 1"),
        ("2:5:0", "the step is 0"),
        ("2:100000", "99,999 values: expected at most 1,000; 2:100000:4999"),
        ("9" * 50, "is no whole number or range"),
    ],
)
def test_what_is_no_range(text: str, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        whole_numbers("--clusters", text, 2)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"--clusters {text}: ")
    assert "\n" not in str(caught.value)


def test_names() -> None:
    assert names("--represent", "pixels, hog,pixels") == ("pixels", "hog")
    with pytest.raises(RecipeError, match="a name is missing"):
        names("--represent", "pixels,")


def test_cells_in_the_order_of_the_table() -> None:
    assert cells(("hog",), (2, 3), (5, 6)) == [
        Cell("hog", 2, 5), Cell("hog", 2, 6), Cell("hog", 3, 5), Cell("hog", 3, 6),
    ]  # fmt: skip
    assert cells(("pixels", "hog"), None, (4,)) == [
        Cell("pixels", None, 4), Cell("hog", None, 4),
    ]  # fmt: skip
    with pytest.raises(RecipeError, match="12,000 cells"):
        cells(("a", "b", "c"), tuple(range(1, 41)), tuple(range(2, 102)))


def test_a_cell_in_words() -> None:
    assert str(Cell("hog", 1, 7)) == "hog, 1 component, 7 clusters"
    assert str(Cell("hog", None, 7)) == "hog, 7 clusters"


def test_too_few_rows_or_features() -> None:
    check_rows((2, 9), (2, 50), 10, 100, {"pixels": 9})
    with pytest.raises(RecipeError, match=r"--clusters 51: 100 rows .* at most 50"):
        check_rows((2,), (51,), 10, 100, {"pixels": 9})
    with pytest.raises(RecipeError, match="--components 10: representation hog of 9 features"):
        check_rows((10,), (5,), 10, 100, {"pixels": 99, "hog": 9})
    # A fold holds out ten rows; the others less their mean have 89 directions.
    with pytest.raises(RecipeError, match=r"--components 90: 90 rows of 500 .* at most 89"):
        check_rows((90,), (5,), 10, 100, {"pixels": 500})
    check_rows((90,), (5,), 0, 100, {"pixels": 500})
    with pytest.raises(RecipeError, match=r"--folds 51: 100 .* at most 50, or 0 for none"):
        check_rows((2,), (5,), 51, 100, {"pixels": 9})
