"""The inner loop of reading: rows of text digits to uint8 pixels, checked digit by digit.

Compiled with numba, because this loop runs over every byte of the input. It tells good rows from
bad ones and says nothing about why a row is bad: `daskfer.ingest.quarantine` reads the few bad
rows again, slowly, and explains.
"""

from __future__ import annotations

import numba
import numpy as np

_NEWLINE, _RETURN, _BLANK, _QUOTE, _COMMA = 10, 13, 32, 34, 44
_ZERO, _TAB = 48, 9


@numba.njit(nogil=True, cache=True)
def _parse_pixels(buffer, position, size, out, wanted):  # type: ignore[no-untyped-def]
    """Read numbers 0-255 separated by blanks; return where they end and whether all is well.

    The reading is of three digits at most, without a branch on how many there are: the lengths
    are as good as random, and a wrong guess by the processor costs more than the arithmetic.
    """
    count = 0
    fast_end = size - 4
    while count < wanted and position < fast_end:
        first = np.int32(buffer[position]) - _ZERO
        second = np.int32(buffer[position + 1]) - _ZERO
        third = np.int32(buffer[position + 2]) - _ZERO
        two = np.int32(0 <= second <= 9)
        three = two & np.int32(0 <= third <= 9)
        value = first
        value = value + two * (9 * first + second)
        value = value + three * (90 * first + 9 * second + third)
        if first < 0 or first > 9 or value > 255:
            break
        out[count] = value
        count += 1
        position += 1 + two + three
        if buffer[position] != _BLANK:
            if 0 <= np.int32(buffer[position]) - _ZERO <= 9:
                # A fourth digit: the slow loop reads this number from its beginning.
                count -= 1
                position -= 3
            break
        position += 1
    # What the fast loop does not take: other spacing, the buffer's end, leading zeros, errors.
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
        elif byte == _BLANK or byte == _TAB:
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
def parse_records(buffer, columns, pixel_column, kept_columns, wanted, records):  # type: ignore[no-untyped-def]
    """Parse the lines of a buffer that begins at the start of a line.

    Parameters
    ----------
    buffer : uint8 array (size,)
        Bytes of whole lines.
    columns : int
        Number of columns that a row must have.
    pixel_column : int
        The column with the pixels.
    kept_columns : int64 array (m,)
        Columns whose place in the buffer is wanted (-1 for one that does not exist).
    wanted : int
        Number of pixels of a face.
    records : int
        Number of lines in the buffer that are not empty.

    Returns
    -------
    pixels : uint8 array (records, wanted)
        Undefined where a row is bad.
    good : bool array (records,)
    places : int64 array (records, 3)
        Start and end of the line in the buffer (without its line end), and the number of line
        ends before it.
    fields : int64 array (records, m, 2)
        Start and end of the kept columns' texts, without quotes; -1 where there is none.
    """
    size = buffer.shape[0]
    pixels = np.empty((records, wanted), np.uint8)
    good = np.zeros(records, np.bool_)
    places = np.zeros((records, 3), np.int64)
    fields = np.full((records, kept_columns.shape[0], 2), -1, np.int64)
    position = 0
    line = 0
    record = 0
    while position < size and record < records:
        if buffer[position] == _NEWLINE:
            position += 1
            line += 1
            continue
        if buffer[position] == _RETURN and position + 1 < size and buffer[position + 1] == _NEWLINE:
            position += 2
            line += 1
            continue
        places[record, 0] = position
        places[record, 2] = line
        fine = True
        column = 0
        while True:
            quoted = position < size and buffer[position] == _QUOTE
            if quoted:
                position += 1
            start = position
            if column == pixel_column:
                position, fine = _parse_pixels(buffer, position, size, pixels[record], wanted)
                if not fine:
                    break
            else:
                while position < size:
                    byte = buffer[position]
                    if byte == _NEWLINE or (byte == _QUOTE if quoted else byte == _COMMA):
                        break
                    position += 1
            end = position
            if quoted:
                if position >= size or buffer[position] != _QUOTE:
                    fine = False
                    break
                position += 1
            elif end > start and buffer[end - 1] == _RETURN:
                end -= 1
            for kept in range(kept_columns.shape[0]):
                if kept_columns[kept] == column:
                    fields[record, kept, 0] = start
                    fields[record, kept, 1] = end
            column += 1
            if position < size and buffer[position] == _COMMA:
                position += 1
                continue
            if position < size and buffer[position] == _RETURN:
                position += 1
            if position < size and buffer[position] != _NEWLINE:
                fine = False
            break
        while position < size and buffer[position] != _NEWLINE:
            position += 1
        end = position
        if end > places[record, 0] and buffer[end - 1] == _RETURN:
            end -= 1
        places[record, 1] = end
        good[record] = fine and column == columns
        position += 1
        line += 1
        record += 1
    return pixels, good, places, fields
