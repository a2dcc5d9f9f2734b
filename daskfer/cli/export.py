"""``daskfer export``: a trained classifier in a form that other programs read."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a finished run, or its model/.")
    ],
    onnx: Annotated[
        str, typer.Option("--onnx", metavar="FILE", help="Write the classifier there, as ONNX.")
    ],
    takes: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="components|features",
            help="What it is given: what the classifier sees, or (without a face model) the HOG "
            "or normalized grey values that this is made of.",
        ),
    ] = "components",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON instead of a sentence.")
    ] = False,
) -> None:
    """Write the second model of a trained model as ONNX, with its temperature and its names.

    Needs pip install 'daskfer[onnx]'.
    """
    from daskfer import storage
    from daskfer.errors import InputError
    from daskfer.model import read_model
    from daskfer.model.export import to_onnx

    if takes not in ("components", "features"):
        raise InputError(f"--input {takes}: expected components or features")
    if not onnx.lower().endswith(".onnx"):
        # Whatever is called otherwise may be somebody's faces.
        raise InputError(f"--onnx {onnx}: expected a name that ends in .onnx")
    found = read_model(model)
    data = to_onnx(found, "features" if takes == "features" else "components")
    storage.write_whole(onnx, data)
    names = [found.categories[code] for code in found.classes]
    if as_json:
        facts = {"file": onnx, "bytes": len(data), "input": takes, "classes": names}
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        typer.echo(f"{onnx}: from {takes} to {', '.join(names)} ({len(data):,} bytes)")
