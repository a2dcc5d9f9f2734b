"""Write a set of synthetic faces in FER2013's CSV form."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from daskfer.synthetic import (
    DEFAULT_DIFFICULTY,
    FER2013_WEIGHTS,
    UNIFORM_WEIGHTS,
    contact_sheet,
    write_csv,
)

WEIGHTS = {"uniform": UNIFORM_WEIGHTS, "fer2013": FER2013_WEIGHTS}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.csv", help="file to write")
    parser.add_argument("--rows", type=int, default=10_000, help="faces (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: %(default)s)")
    parser.add_argument(
        "--difficulty",
        type=float,
        default=DEFAULT_DIFFICULTY,
        help="0, seven faces repeated, to 1, not to be clustered (default: %(default)s)",
    )
    parser.add_argument(
        "--weights",
        choices=WEIGHTS,
        default="uniform",
        help="shares of the emotions (default: %(default)s)",
    )
    parser.add_argument("--truth", type=Path, metavar="FILE", help="CSV of all true parameters")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="picture of 70 of the faces")
    return parser


def _save_sheet(path: Path, seed: int, difficulty: float) -> None:
    from PIL import Image  # only the picture needs Pillow

    Image.fromarray(contact_sheet(seed, difficulty)).save(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, write the files, say what was written."""
    parser = _parser()
    args = parser.parse_args(argv)
    weights = WEIGHTS[args.weights]
    try:
        write_csv(args.out, args.rows, args.seed, args.difficulty, weights, args.truth)
        if args.sheet is not None:
            _save_sheet(args.sheet, args.seed, args.difficulty)
    except (ImportError, OSError, ValueError) as error:
        parser.error(str(error))
    written = [str(path) for path in (args.out, args.truth, args.sheet) if path is not None]
    print(f"{args.rows} faces: {', '.join(written)}")


if __name__ == "__main__":
    main()
