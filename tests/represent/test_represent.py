"""Features: their number, and that stored ones are those made on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.errors import RecipeError
from daskfer.normalize import normalize
from daskfer.recipe import Hog, Pixels
from daskfer.represent import Features, feature_count, is_stored, represent
from daskfer.store import StageFolder


def test_number_of_features_by_hand() -> None:
    assert feature_count(48, Pixels()) == 2304
    # 48 - 8 = 40 pixels: 5 cells, 4 × 4 blocks of 4 cells of 8 directions.
    assert feature_count(48, Hog()) == 4 * 4 * 4 * 8
    assert feature_count(48, Hog(cell=16, block=3, margin=0, orientations=9)) == 81


def test_faces_too_small_are_refused_with_the_keys_to_change() -> None:
    with pytest.raises(RecipeError, match=r"20×20.*hold 1 cells.*needs 2.*represent\.cell"):
        feature_count(20, Hog())
    with pytest.raises(RecipeError, match="hold 0 cells"):
        feature_count(6, Hog())


def test_pixels_are_the_normalized_ones() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16), dtype=np.uint8)
    assert not is_stored(Pixels())
    assert (represent(pixels, 4, "zscore", Pixels()) == normalize(pixels, "zscore")).all()


@pytest.mark.parametrize("method", [Pixels(), Hog(cell=4, margin=0)])
def test_blocks_and_rows_agree_stored_or_not(method: Pixels | Hog, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (10, 144), dtype=np.uint8)
    folder = StageFolder(str(tmp_path))
    source = BlockFiles(folder, "pixels.npy", starts_of([4, 0, 6]))
    stored = BlockFiles(folder, "features.npy", source.starts)
    plain = Features(source, None, 12, "minmax", method)
    for number, (start, stop) in enumerate(zip(source.starts, source.starts[1:], strict=False)):
        storage.write_array(source.path(number), pixels[start:stop])
        storage.write_array(stored.path(number), plain.block(number))
    kept = Features(source, stored, 12, "minmax", method)
    whole = represent(pixels, 12, "minmax", method)
    assert whole.dtype == np.float32
    assert whole.shape == (10, plain.dimensions)
    positions = np.array([9, 0, 4, 3, 9])
    for features in (plain, kept):
        blocks = [features.block(number) for number in range(3)]
        assert (np.concatenate(blocks) == whole).all()
        assert (features.rows(positions) == whole[positions]).all()
