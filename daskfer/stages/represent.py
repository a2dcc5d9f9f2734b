"""Represent: features of all faces, block by block, kept in the store where that pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from daskfer import storage
from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.bundle import find_bundle
from daskfer.errors import InputError
from daskfer.ingest.sources import Source
from daskfer.randomness import drawn_part
from daskfer.recipe import Expression, Parts, Recipe
from daskfer.represent import FeatureRows, Features, feature_count, is_stored
from daskfer.stages.context import Context
from daskfer.stages.ingest import Faces, array_fingerprint, stored_faces
from daskfer.store import StageFolder, Store

MIRRORED_ROWS = 512
"""Faces whose mirror images a task measures: fewer than a block, so that all workers have some."""


@dataclass(frozen=True)
class Represented:
    """The features of all faces, a fingerprint of what they are made from, and what they lack.

    Attributes
    ----------
    features : FeatureRows
    key : str
    placed : bool array (n,)
        The faces that can be clustered; the others have no landmarks.
    starts : tuple of int
        Where blocks start, and at last the number of faces.
    """

    features: FeatureRows
    key: str
    placed: np.ndarray
    starts: tuple[int, ...]

    def among(self, selection: Selection) -> Selection:
        """The selection with those fitted rows alone whose faces can be clustered.

        Raises
        ------
        InputError
            When none of them can.
        """
        positions = selection.fit
        placed = self.placed[positions]
        if not placed.any():
            raise InputError(
                f"no landmarks were found in any of the {len(positions):,} faces to fit: expected "
                "pictures that show a face from near its front and little else (a lower --set "
                "represent.presence=-40 takes doubtful ones; --recipe hog needs no landmarks)"
            )
        return replace(selection, fit=positions[placed], unplaced=positions[~placed])


def represent(context: Context, faces: Faces, selection: Selection) -> Represented:
    """The features of all faces.

    Raises
    ------
    RecipeError
        When the faces are too small for the recipe's method.
    InputError, ModelFileError, MissingPackage
        When an expression's model is not to be had.
    """
    recipe = context.recipe
    feature_count(faces.side, recipe.represent)
    if isinstance(recipe.represent, Expression):
        return _expressions(context, faces, selection, recipe.represent)
    folder = context.store.stage(
        "represent", faces.content, asdict(recipe.normalize), asdict(recipe.represent)
    )
    key = folder.path.rsplit("/", 1)[-1]
    everything = np.ones(len(faces.table), bool)
    method = recipe.normalize.method
    plain = Features(faces.pixels, None, faces.side, method, recipe.represent)
    if not is_stored(recipe.represent):
        return Represented(plain, key, everything, faces.pixels.starts)
    stored = BlockFiles(folder, "features.npy", faces.pixels.starts)
    with context.watch.stage("represent", len(faces.table)), context.turn(folder) as mine:
        if mine:
            tasks = context.engine.map(
                "represent", write_features, range(stored.count), shared=(plain, stored)
            )
            context.engine.gather(tasks, rows=stored.sizes)
            folder.finish({"rows": len(faces.table)})
        else:
            context.watch.reused()
    features = Features(faces.pixels, stored, faces.side, method, recipe.represent)
    return Represented(features, key, everything, faces.pixels.starts)


def write_features(number: int, features: Features, target: BlockFiles) -> None:
    """Compute one block of features and write it to the store, unless it is there."""
    if not storage.has_array(target.path(number)):
        storage.write_array(target.path(number), features.block(number), sync=False)


def _expressions(
    context: Context, faces: Faces, selection: Selection, method: Expression
) -> Represented:
    # It brings numba, which other representations do not need here.
    from daskfer.represent.expression.features import ExpressionFeatures
    from daskfer.represent.expression.landmarker import check_runtime
    from daskfer.represent.expression.measure import STORED

    recipe = context.recipe
    folder = _folder(context.store, faces, recipe)
    sample = _mirror_sample(context, selection, method)
    images = _folder(context.store, faces, recipe, "mirrored", array_fingerprint(sample))
    parts = {name: BlockFiles(folder, f"{name}.npy", faces.pixels.starts) for name in STORED}
    pieces = cut(sample, MIRRORED_ROWS)
    starts = starts_of([len(piece) for piece in pieces])
    mirrored = {name: BlockFiles(images, f"{name}.npy", starts) for name in STORED}
    total = len(faces.table) + len(sample)
    with context.watch.stage("represent", total), context.turn(folder, images) as mine:
        if not mine:
            context.watch.reused()
        else:
            check_runtime()
            meter = Meter(faces.side, recipe.normalize.method, method, _bundle(context))
            blocks = faces.pixels
            tasks = context.engine.map(
                "represent", measure_block, range(blocks.count), shared=(blocks, meter, parts)
            )
            tasks += context.engine.map(
                "represent",
                measure_mirrored,
                pieces,
                range(len(pieces)),
                shared=(blocks, meter, mirrored),
            )
            context.engine.gather(tasks, rows=[*blocks.sizes, *map(len, pieces)])
            folder.finish({"rows": len(faces.table)})
            images.finish({"rows": len(sample)})
    features = ExpressionFeatures(parts, mirrored, sample, faces.side, method)
    key = f"{folder.path.rsplit('/', 1)[-1]}-{images.path.rsplit('/', 1)[-1]}"
    placed = (features.presence() >= method.presence) & ~faces.table.blank
    return Represented(features, key, placed, faces.pixels.starts)


def check_model(recipe: Recipe, say: Callable[[str], None]) -> None:
    """Find the face model and its runtime where the recipe needs them, before any work.

    Raises
    ------
    MissingPackage, ModelFileError
    """
    if isinstance(recipe.represent, Expression):
        from daskfer.represent.expression.landmarker import check_runtime

        check_runtime()
        find_bundle(recipe.represent.model, say)


def is_measured(recipe: Recipe, sources: list[Source], store: Store) -> bool:
    """Whether no face of these sources is left for the face model, as far as the store knows."""
    if not isinstance(recipe.represent, Expression):
        return True
    faces = stored_faces(recipe, sources, store)
    return faces is not None and _folder(store, faces, recipe).summary() is not None


def _folder(store: Store, faces: Faces, recipe: Recipe, *more: str) -> StageFolder:
    """Where the measures of these faces are, or will be."""
    assert isinstance(recipe.represent, Expression)
    # Where the model's file lies and what is made of the measures changes no measure.
    keys = _measured_keys(recipe.represent)
    return store.stage("represent", faces.content, asdict(recipe.normalize), keys, *more)


def _measured_keys(method: Expression) -> dict[str, object]:
    keys = asdict(method)
    for later in ("model", "mirrored", "presence"):
        del keys[later]
    return keys


def _learns_mirror(recipe: Recipe) -> bool:
    """Whether a part is reduced of which a mirror image says something else."""
    from daskfer.represent.expression.features import LEARNED_MIRROR

    seen = recipe.classify.features == "face" and recipe.classify.model != "none"
    reduce = recipe.reduce
    return seen or (isinstance(reduce, Parts) and any(map(reduce.of, LEARNED_MIRROR)))


def _mirror_sample(context: Context, selection: Selection, method: Expression) -> np.ndarray:
    """Positions of the fitted faces that are also measured as mirror images, by seed."""
    recipe = context.recipe
    if method.mirrored == 0 or not _learns_mirror(recipe):
        return selection.fit[:0]
    return np.sort(drawn_part(selection.fit, method.mirrored, recipe.seed, "mirrored"))


def _bundle(context: Context) -> bytes:
    method = context.recipe.represent
    assert isinstance(method, Expression)
    return find_bundle(method.model, context.watch.say)


@dataclass(frozen=True)
class Meter:
    """How faces are measured: their side, normalization and method, and the face model itself."""

    side: int
    normalization: str
    method: Expression
    bundle: bytes

    def write(self, number: int, pixels: np.ndarray, targets: dict[str, BlockFiles]) -> None:
        """Measure faces (n, side * side) and write their parts as the block of this number."""
        from daskfer.represent.expression.measure import measure

        found = measure(pixels, self.side, self.normalization, self.method, self.bundle)
        for name, files in targets.items():
            storage.write_array(files.path(number), found[name], sync=False)


def measure_block(
    number: int, pixels: BlockFiles, meter: Meter, targets: dict[str, BlockFiles]
) -> None:
    """Measure one block of faces and write its parts to the store, unless they are there."""
    if not _is_written(targets, number):
        meter.write(number, pixels.block(number), targets)


def measure_mirrored(
    positions: np.ndarray,
    number: int,
    pixels: BlockFiles,
    meter: Meter,
    targets: dict[str, BlockFiles],
) -> None:
    """Measure the mirror images of the faces at these positions, as `measure_block` does."""
    from daskfer.represent.expression.measure import mirrored

    if not _is_written(targets, number):
        meter.write(number, mirrored(pixels.rows(positions), meter.side), targets)


def _is_written(targets: dict[str, BlockFiles], number: int) -> bool:
    return all(storage.has_array(files.path(number)) for files in targets.values())
