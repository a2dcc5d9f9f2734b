"""A trained model in scikit-learn's manners: images in, emotions out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.blocks import is_lazy
from daskfer.errors import InputError, ModelError
from daskfer.faces import UNKNOWN, side_of
from daskfer.ingest.decoding import BadImage, decode, decode_photo
from daskfer.ingest.sizes import resized
from daskfer.model.model import Model, Predictions

if TYPE_CHECKING:
    import pandas as pd

    from daskfer.represent.expression.detector import Box

UNSURE = "unsure"
"""What is said of a face whose emotion is better left open."""


@dataclass(frozen=True)
class FoundFace:
    """A face in a photo.

    Attributes
    ----------
    emotion : str
    confidence : float
    cluster : int or None
    box : tuple of int
        Left, top, width and height in pixels of the upright photo.
    """

    emotion: str
    confidence: float
    cluster: int | None
    box: tuple[int, int, int, int]


class Predictor:
    """A trained model; made by `daskfer.load`.

    Images are a NumPy array of grey values or colours, (n, h, w), (n, h, w, 3) or flattened
    squares (n, side²); a Dask array of such; or a list of such images, of Pillow's, or of paths of
    image files. Whole numbers go from 0 to 255 and floats from 0 to 1, as in scikit-image; others
    are refused. Each is taken for a face that fills it, and brought to the model's size.

    Attributes
    ----------
    classes_ : array of str
        Emotions, or names of one's own, that it can answer, in the order of `predict_proba`.
    unsure_below : float
        Confidence that the least sure tenth of the faces that it was trained on stays below.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.classes_ = self._names(model.classes)
        self.unsure_below = model.unsure_below

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model.folder!r}: {', '.join(self.classes_)})"

    def predict(self, images: Any, unsure_below: float = 0.0) -> Any:
        """The emotion of each image, array of str (n,).

        Parameters
        ----------
        images : array or sequence
            See the class.
        unsure_below : float
            Those with less confidence are called ``unsure``; the attribute of this name is a
            sensible value.

        Raises
        ------
        InputError
            For anything but images.
        """
        if is_lazy(images):
            return images.map_blocks(
                self.predict, unsure_below, drop_axis=list(range(1, images.ndim)),
                dtype=self.classes_.dtype, meta=self.classes_[:0],
            )  # fmt: skip
        found = self._predict(images)
        names = self._names(found.emotion)
        return np.where(found.confidence < unsure_below, UNSURE, names).astype(object)

    def predict_proba(self, images: Any) -> Any:
        """How likely each emotion is, float32 (n, classes), in the order of `classes_`."""
        if is_lazy(images):
            count = len(self.classes_)
            return images.map_blocks(
                self.predict_proba, drop_axis=list(range(1, images.ndim)), new_axis=1,
                chunks=(images.chunks[0], (count,)), dtype=np.float32,
                meta=np.zeros((0, count), np.float32),
            )  # fmt: skip
        return self._predict(images).probabilities

    def describe(self, images: Any) -> pd.DataFrame:
        """Emotion, confidence and cluster (missing without landmarks) of each image, as a table."""
        import pandas as pd

        found = self._predict(images)
        cluster = pd.array(found.cluster, dtype="Int32")
        cluster[found.cluster == UNKNOWN] = pd.NA
        return pd.DataFrame(
            {
                "emotion": self._names(found.emotion),
                "confidence": found.confidence,
                "cluster": cluster,
            }
        )

    def find(self, photo: Any) -> list[FoundFace]:
        """The faces in an ordinary photo, from left to right, and their emotions.

        Parameters
        ----------
        photo : array (h, w) or (h, w, 3), Pillow image, or path

        Raises
        ------
        MissingPackage, ModelFileError
            Without the extra `expression`, or the face model's file.
        """
        pixels = _whole(photo)
        boxes = find_boxes(self.model, pixels)
        found = self.model.predict(cut_out_all(self.model, pixels, boxes))
        names = self._names(found.emotion)
        return [
            FoundFace(
                str(names[number]),
                float(found.confidence[number]),
                None if found.cluster[number] == UNKNOWN else int(found.cluster[number]),
                whole_box(box),
            )
            for number, box in enumerate(boxes)
        ]

    def _predict(self, images: Any) -> Predictions:
        return self.model.predict(to_pixels(images, self.model.side))

    def _names(self, codes: np.ndarray) -> np.ndarray:
        """Names of codes, array of str; None for UNKNOWN."""
        categories = np.array([*self.model.categories, None], object)
        return categories[codes]


def load(path: str | os.PathLike[str]) -> Predictor:
    """Read a trained model.

    Parameters
    ----------
    path : str or path
        The folder of a finished run, or its model/; local, or an fsspec URL.

    Raises
    ------
    ModelError
        When there is none, or it is not as daskfer wrote it.
    """
    from daskfer.model import read_model

    model = read_model(os.fspath(path))
    if len(model.classes) == 0:
        raise ModelError(f"{path}: no cluster has a name; name some (daskfer name RUN) and train")
    return Predictor(model)


def find_boxes(model: Model, photo: np.ndarray) -> list[Box]:
    """Where faces are in a photo, uint8 (h, w).

    Raises
    ------
    MissingPackage, ModelFileError
        Without the face model's runtime or file.
    """
    from daskfer.represent.expression.detector import detector
    from daskfer.represent.expression.landmarker import check_runtime

    instead = "take each image for a face that fills it (--faces none)"
    check_runtime("finding faces in photos", instead)
    path = getattr(model.representation, "model", None)
    return detector(model.bundle(path)).find(photo)


def cut_out_all(model: Model, photo: np.ndarray, boxes: list[Box]) -> np.ndarray:
    """Pixels, uint8 (n, side * side), of the faces in these boxes, as the model takes them."""
    from daskfer.represent.expression.detector import cut_out

    faces = [cut_out(photo, box, model.side) for box in boxes]
    return np.array(faces, np.uint8).reshape(len(faces), model.side**2)


def whole_box(box: Box) -> tuple[int, int, int, int]:
    """Left, top, width and height of a box in whole pixels."""
    return round(box.x), round(box.y), round(box.width), round(box.height)


def to_pixels(images: Any, side: int) -> np.ndarray:
    """Images as rows of grey values, uint8 (n, side * side).

    Raises
    ------
    InputError
        For anything but images.
    """
    if isinstance(images, str | os.PathLike):
        raise InputError(f"{images}: expected several images or files, such as ['{images}']")
    if isinstance(images, Sequence) and not isinstance(images, bytes):
        rows = [_one(image, side) for image in images]
        return np.array(rows, np.uint8).reshape(len(rows), side * side)
    array = np.asarray(images)
    if array.ndim == 2:
        if side_of(array.shape[1]) is None:
            raise InputError(
                f"images of shape {array.shape}: {array.shape[1]} values are no square; give one "
                "image as images[None]"
            )
        return resized(_as_bytes(array), side)
    if array.ndim not in (3, 4):
        raise InputError(
            f"images of shape {array.shape}: expected (n, h, w), (n, h, w, 3) or (n, side²)"
        )
    return np.array([_fitted(image, side) for image in array], np.uint8).reshape(-1, side * side)


def _one(image: Any, side: int) -> np.ndarray:
    if isinstance(image, str | os.PathLike):
        return _decoded(image, lambda data: decode(data, side))
    return _fitted(np.asarray(image), side)


def _decoded(path: str | os.PathLike[str], decoder: Any) -> np.ndarray:
    from daskfer import storage

    try:
        return np.asarray(decoder(storage.read_bytes(os.fspath(path))))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected an image") from None
    except BadImage as error:
        raise InputError(f"{path}: {error}") from error


def _whole(photo: Any) -> np.ndarray:
    """All of one image as grey values, uint8 (h, w)."""
    if isinstance(photo, str | os.PathLike):
        return _decoded(photo, decode_photo)
    return _grey(np.asarray(photo))


def _grey(image: np.ndarray) -> np.ndarray:
    """One image as grey values, uint8 (h, w), by the weights of ITU-R 601 where it has colours."""
    from PIL import Image

    if image.ndim == 2:
        return _as_bytes(image)
    if image.ndim == 3 and image.shape[2] in (1, 3, 4):
        whole = _as_bytes(image)
        return np.asarray(
            Image.fromarray(whole[..., 0] if image.shape[2] == 1 else whole).convert("L")
        )
    raise InputError(f"an image of shape {image.shape}: expected (h, w), (h, w, 3) or (h, w, 4)")


def _fitted(image: np.ndarray, side: int) -> np.ndarray:
    """The middle square of one image, uint8 (side * side,)."""
    grey = _grey(image)
    height, width = grey.shape
    edge = min(height, width)
    if edge == 0:
        raise InputError(f"an image of shape {image.shape} has no pixels")
    top, left = (height - edge) // 2, (width - edge) // 2
    square = np.ascontiguousarray(grey[top : top + edge, left : left + edge])
    return resized(square.reshape(1, edge * edge), side)[0]


def _as_bytes(values: np.ndarray) -> np.ndarray:
    """Grey values or colours as uint8: whole numbers from 0 to 255, or floats from 0 to 1.

    What a value means depends on its type alone, as for scikit-image, and never on the values
    beside it: a batch means the same however it is cut.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool or values.dtype.kind not in "iuf":
        raise InputError(f"images of {values.dtype}: expected {_EXPECTED}")
    floats = values.dtype.kind == "f"
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if low >= 0 and high <= (1 if floats else 255):
        return np.asarray(np.rint(values * 255.0 if floats else values)).astype(np.uint8)
    kind = f"{values.dtype} " if floats else ""
    way_out = ""
    if floats and low >= 0 and high <= 255:
        way_out = "; values from 0 to 255 are given as images.round().astype('uint8')"
    raise InputError(
        f"{kind}images with values from {low:g} to {high:g}: expected {_EXPECTED}{way_out}"
    )


_EXPECTED = "whole numbers from 0 to 255, or floats from 0 to 1"
