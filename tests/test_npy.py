"""The reader of .npy files: what NumPy writes is read back, and no parser is called."""

import ast
import io

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer import npy, storage

DTYPES = st.sampled_from(["u1", "i4", "i8", "f4", "f8", "?", "U7", "<u2"])


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@given(DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_side=0))))
def test_what_numpy_writes_is_read_back(array):
    found = npy.from_bytes(saved(array))
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("read", [npy.read, npy.mapped])
def test_files_of_any_shape(shape, read, tmp_path):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape)
    path = tmp_path / "a.npy"
    for order in (np.ascontiguousarray, np.asfortranarray):
        path.write_bytes(saved(order(array)))
        np.testing.assert_array_equal(read(str(path)), np.load(path))


def test_the_parser_is_never_called(tmp_path, monkeypatch):
    one, many = str(tmp_path / "a.npy"), str(tmp_path / "b.npz")
    storage.write_array(one, np.arange(5))
    storage.write_arrays(many, a=np.arange(3), b=np.array(["x", "yy"]))
    monkeypatch.setattr(ast, "parse", lambda *_, **__: pytest.fail("the parser was called"))
    np.testing.assert_array_equal(storage.read_array(one), np.arange(5))
    np.testing.assert_array_equal(storage.read_array(one, mapped=True), np.arange(5))
    found = storage.read_arrays(many)
    np.testing.assert_array_equal(found["a"], np.arange(3))
    assert found["b"].tolist() == ["x", "yy"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04 something else", "not a .npy file of format 1.0"),
        (saved(np.zeros(2, [("a", "i4"), ("b", "f8")])), "not a .npy of plain values"),
        (saved(np.zeros(3)).replace(b"'<f8'", b"'|O' "), "not a .npy of plain values"),
        (saved(np.zeros(3)).replace(b"'<f8', ", b"'|O',  "), "not a .npy of plain values"),
        (saved(np.zeros(3)).replace(b"'<f8'", b"'|O8'"), "Python objects"),
    ],
)
def test_other_files_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        npy.from_bytes(data)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(saved(np.arange(100))[:-9])
    with pytest.raises(ValueError, match="cut off: 98 of 100"):
        npy.read(str(path))
