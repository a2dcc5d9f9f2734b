"""The inner loop of reading: rows of text digits to uint8 pixels, checked digit by digit.

Compiled with numba, because this loop runs over every byte of the input. It tells good rows from
bad ones and says nothing about why a row is bad: `daskfer.ingest.quarantine` reads the few bad
rows again, slowly, and explains.
"""

from __future__ import annotations

import numba
import numpy as np

_LINE_FEED, _RETURN, _BLANK, _QUOTE = 10, 13, 32, 34
_ZERO, _TAB = 48, 9
_U32, _U64 = np.uint32, np.uint64


@numba.njit(nogil=True, cache=True)
def _parse_rest(buffer, position, size, out, wanted, count, tab):  # type: ignore[no-untyped-def]
    """Read on after `count` numbers, slowly: other spacing, leading zeros, errors, the end."""
    value = 0
    digits = 0
    while position < size:
        byte = buffer[position]
        digit = np.int32(byte) - _ZERO
        if 0 <= digit <= 9:
            value = value * 10 + digit
            digits += 1
            if value > 255:
                return position, False
        elif byte == _BLANK or byte == tab:
            if digits > 0:
                if count >= wanted:
                    return position, False
                out[count] = value
                count += 1
                value = 0
                digits = 0
        else:
            break
        position += 1
    if digits > 0:
        if count >= wanted:
            return position, False
        out[count] = value
        count += 1
    return position, count == wanted


@numba.njit(nogil=True, cache=True)
def _parse_pixels(buffer, position, size, out, wanted, tab=_TAB):  # type: ignore[no-untyped-def]
    """Read numbers 0-255 separated by blanks; return where they end and whether all is well.

    Blanks are spaces and `tab`, which is a space too where tabs separate the columns.

    The reading is of three digits at most, without a branch on how many there are: the lengths
    are as good as random, and a wrong guess by the processor costs more than the arithmetic.
    Its integers are unsigned, because a signed index may be negative, which has to be looked for
    at each access, and because a byte below the digit 0 then is a large number.
    """
    count = _U64(0)
    place = _U64(position)
    fast_end = _U64(max(size - 4, 0))
    while count < _U64(wanted) and place < fast_end:
        first = _U32(_U32(buffer[place]) - _U32(_ZERO))
        second = _U32(_U32(buffer[place + _U64(1)]) - _U32(_ZERO))
        third = _U32(_U32(buffer[place + _U64(2)]) - _U32(_ZERO))
        two = _U32(second <= _U32(9))
        three = _U32(two & _U32(third <= _U32(9)))
        value = _U32(first + two * (_U32(9) * first + second))
        value = _U32(value + three * (_U32(90) * first + _U32(9) * second + third))
        if first > _U32(9) or value > _U32(255):
            break
        out[count] = value
        count += _U64(1)
        place += _U64(1) + _U64(two) + _U64(three)
        if buffer[place] != _BLANK:
            if _U32(_U32(buffer[place]) - _U32(_ZERO)) <= _U32(9):
                # A fourth digit: the slow loop reads this number from its beginning.
                count -= _U64(1)
                place -= _U64(3)
            break
        place += _U64(1)
    position = np.int64(place)
    return _parse_rest(buffer, position, size, out, wanted, np.int64(count), tab)


@numba.njit(nogil=True, cache=True)
def parse_records(  # type: ignore[no-untyped-def]
    buffer,
    start,
    newline,
    separator,
    columns,
    pixel_column,
    kept_columns,
    pixels,
    good,
    places,
    fields,
):
    """Parse lines of a buffer, from `start`, where one begins, until the arrays are full.

    Parameters
    ----------
    buffer : uint8 array (size,)
        Bytes of whole lines.
    start : int
    newline, separator : int
        The bytes that end lines and separate columns.
    columns : int
        Number of columns that a row must have.
    pixel_column : int
        The column with the pixels.
    kept_columns : int64 array (m,)
        Columns whose place in the buffer is wanted (-1 for one that does not exist).
    pixels : uint8 array (n, wanted)
        Filled with a face a row; undefined where a row is bad.
    good : bool array (n,)
        Filled with whether each is a good row.
    places : int64 array (n, 3)
        Filled with the start and the end of each line in the buffer (without its line end), and
        the number of line ends between `start` and it.
    fields : int64 array (n, m, 2)
        Filled with the start and end of the kept columns' texts, without quotes; -1 where there
        is none.

    Returns
    -------
    records : int
        How many lines that are not empty were parsed, at most n.
    position : int
        Where the next line begins.
    line : int
        The number of line ends before it.
    """
    size = buffer.shape[0]
    wanted = pixels.shape[1]
    tab = _BLANK if separator == _TAB else _TAB
    # Where carriage returns end lines, none stands before a line end.
    carriage = _RETURN if newline == _LINE_FEED else -1
    position = start
    line = 0
    record = 0
    while position < size and record < pixels.shape[0]:
        if buffer[position] == newline:
            position += 1
            line += 1
            continue
        if buffer[position] == carriage and (
            position + 1 == size or buffer[position + 1] == newline
        ):
            position += 2
            line += 1
            continue
        places[record, 0] = position
        places[record, 2] = line
        fine = True
        column = 0
        for kept in range(kept_columns.shape[0]):
            fields[record, kept, 0] = -1
            fields[record, kept, 1] = -1
        while True:
            quoted = position < size and buffer[position] == _QUOTE
            if quoted:
                position += 1
            begin = position
            if column == pixel_column:
                position, fine = _parse_pixels(buffer, position, size, pixels[record], wanted, tab)
                if not fine:
                    break
            else:
                while position < size:
                    byte = buffer[position]
                    if byte == newline or (byte == separator and not quoted):
                        break
                    if byte == _QUOTE and quoted:
                        if position + 1 >= size or buffer[position + 1] != _QUOTE:
                            break
                        # Two quotes are one of the text.
                        position += 1
                    position += 1
            end = position
            if quoted:
                if position >= size or buffer[position] != _QUOTE:
                    fine = False
                    break
                position += 1
            elif end > begin and buffer[end - 1] == carriage:
                end -= 1
            for kept in range(kept_columns.shape[0]):
                if kept_columns[kept] == column:
                    fields[record, kept, 0] = begin
                    fields[record, kept, 1] = end
            column += 1
            if position < size and buffer[position] == separator:
                position += 1
                continue
            while position < size and buffer[position] == carriage:
                position += 1
            if position < size and buffer[position] != newline:
                fine = False
            break
        while position < size and buffer[position] != newline:
            position += 1
        end = position
        if end > places[record, 0] and buffer[end - 1] == carriage:
            end -= 1
        places[record, 1] = end
        good[record] = fine and column == columns
        position += 1
        line += 1
        record += 1
    return record, position, line


@numba.njit(nogil=True, cache=True)
def parse_texts(data, ends, wanted):  # type: ignore[no-untyped-def]
    """Parse texts that are pixels alone: text i is data[ends[i]:ends[i + 1]].

    Returns
    -------
    pixels : uint8 array (n, wanted)
        Undefined where a text is not good.
    good : bool array (n,)
    """
    rows = ends.shape[0] - 1
    pixels = np.empty((rows, wanted), np.uint8)
    good = np.zeros(rows, np.bool_)
    for row in range(rows):
        end = ends[row + 1]
        position, fine = _parse_pixels(data, ends[row], end, pixels[row], wanted)
        good[row] = fine and position == end
    return pixels, good
