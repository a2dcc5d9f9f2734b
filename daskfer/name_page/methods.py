"""Names for all clusters at once, by a method rather than by a person."""

from __future__ import annotations

import numpy as np

from daskfer.answers import Group
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.name_page.gallery import Gallery
from daskfer.naming import among


def names_by(
    how: str, gallery: Gallery, emotion: np.ndarray, classes: tuple[str, ...] = EMOTIONS
) -> dict[str, str | None]:
    """The name of each cluster, with those that splits made; None where it gets none.

    Parameters
    ----------
    how : {"facs", "dominant"}
        By action units, or by the most frequent true class of the fitted faces.
    gallery : Gallery
    emotion : int8 array (n,)
        True classes of all faces, or UNKNOWN; read for ``dominant`` only.
    classes : tuple of str
        What true labels may be.

    Raises
    ------
    InputError
        When no cluster would get a name.
    """
    codes = []
    for number in range(gallery.clusters):
        group = Group(f"part{number}.{gallery.clusters}", (number,))
        if how == "facs":
            hint = gallery.hint(group)
            if hint is None:
                raise InputError(
                    "--how facs: this run's recipe measures no action units; expected one with "
                    "represent.method=expression"
                )
            codes.append(int(among(np.array([hint.emotion]), classes)[0]))
            continue
        true = emotion[gallery.members(group)]
        true = true[true != UNKNOWN]
        codes.append(int(np.bincount(true).argmax()) if len(true) else UNKNOWN)
    if all(code == UNKNOWN for code in codes):
        reason = "no face has a label" if how == "dominant" else "none shows an emotion clearly"
        raise InputError(f"--how {how} names no cluster: {reason}")
    return {
        str(number): None if code == UNKNOWN else classes[code] for number, code in enumerate(codes)
    }
