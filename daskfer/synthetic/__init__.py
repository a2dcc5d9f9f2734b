"""Synthetic faces in FER2013's form, whose true answers are known: for the demo and the tests."""

from daskfer.synthetic.drawing import draw_faces
from daskfer.synthetic.expressions import ACTIONS, EXPRESSIONS
from daskfer.synthetic.parameters import FaceParameters, Identity, Light, Pose
from daskfer.synthetic.sampling import (
    DEFAULT_DIFFICULTY,
    FER2013_WEIGHTS,
    PEOPLE,
    UNIFORM_WEIGHTS,
    Difficulty,
    draw_parameters,
    draw_people,
)
from daskfer.synthetic.sheet import contact_sheet
from daskfer.synthetic.writing import format_rows, truth_columns, write_csv

__all__ = [
    "ACTIONS",
    "DEFAULT_DIFFICULTY",
    "EXPRESSIONS",
    "FER2013_WEIGHTS",
    "PEOPLE",
    "UNIFORM_WEIGHTS",
    "Difficulty",
    "FaceParameters",
    "Identity",
    "Light",
    "Pose",
    "contact_sheet",
    "draw_faces",
    "draw_parameters",
    "draw_people",
    "format_rows",
    "truth_columns",
    "write_csv",
]
