"""What a person has said of a run's clusters since the run."""

from __future__ import annotations

import yaml

from daskfer import storage
from daskfer.faces import UNKNOWN
from daskfer.naming import Given, read_names
from daskfer.run_folder import RunFolder


def given_names(folder: RunFolder) -> Given | None:
    """The names in names.yaml, or None where they are those that the recipe gave."""
    path = folder.file("names.yaml")
    content = yaml.safe_load(storage.read_bytes(path))
    if content["how"] == folder.recipe().name.how != "page":
        return None
    emotion, categories = read_names(path, len(content["clusters"]), any_name=True)
    if (emotion == UNKNOWN).all():
        return None
    by = tuple(one.get("by") for one in content["clusters"].values())
    return Given(content["how"], int(content["looks"]), categories, emotion, by if any(by) else ())
