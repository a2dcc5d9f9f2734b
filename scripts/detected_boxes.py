"""Where the face detector's boxes lie in FER2013's training images, which is how photos are cut.

    python scripts/detected_boxes.py fer2013.csv

Each image is drawn as the landmark model sees it, 168 of 256 pixels wide with its border repeated,
and the likeliest box is compared with the image: its middle and its side, as shares of the image's,
and from their medians the margin and the raising that `daskfer.represent.expression.detector` has.
Reads no label.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from daskfer.bundle import find_bundle
from daskfer.represent.expression.detector import Detector

DRAWN, CANVAS = 168, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--every", type=int, default=14, help="look at every so many-th image")
    options = parser.parse_args()
    table = pd.read_csv(options.file)
    table = table[table["Usage"] == "Training"].iloc[:: options.every]
    detector = Detector(find_bundle())
    found = []
    for text in table["pixels"]:
        pixels = np.array(text.split(), np.uint8)
        side = round(len(pixels) ** 0.5)
        image = Image.fromarray(pixels.reshape(side, side)).resize((DRAWN, DRAWN))
        edge = (CANVAS - DRAWN) // 2
        boxes = detector.candidates(np.pad(np.asarray(image), edge, mode="edge"))
        if boxes:
            best = max(boxes, key=lambda box: box.score)
            middle = best.x + best.width / 2 - edge, best.y + best.height / 2 - edge
            found.append((*(value / DRAWN for value in middle), best.width / DRAWN))
    x, y, share = np.median(found, axis=0)
    print(f"{len(table):,} images, a box in {len(found):,}")
    print(f"middle {x:.3f}, {y:.3f} and side {share:.3f} of the image's")
    print(f"margin {1 / share:.2f}, raised {(y - 0.5) / share:.2f}")


if __name__ == "__main__":
    main()
