"""The output of predicting as CSV, Parquet or JSON lines, written as the labels come."""

from __future__ import annotations

import csv
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daskfer import storage
from daskfer.errors import InputError
from daskfer.ingest.sources import Source

COLUMNS = ("row", "source", "emotion", "confidence", "cluster", "x", "y", "width", "height",
           "problem")  # fmt: skip
ENDINGS = (".csv", ".parquet", ".jsonl")


def check_path(path: str) -> None:
    """Refuse, before any work, a path whose ending says no form, or that is a URL or a folder.

    Raises
    ------
    InputError
    """
    if not path.lower().endswith(ENDINGS):
        raise InputError(f"--out {path}: expected a name that ends in {', '.join(ENDINGS)}")
    if storage.is_url(path):
        raise InputError(f"--out {path} is a URL: expected a local file")
    if os.path.isdir(path):
        raise InputError(f"--out {path} is a folder: expected a file")


def check_no_input(path: str, sources: list[Source]) -> None:
    """Refuse a path that is one of the files to be read.

    Raises
    ------
    InputError
    """
    if not os.path.exists(path):
        return
    for source in sources:
        files = [storage.join(source.path, file) for file in source.files] or [source.path]
        if any(os.path.exists(file) and os.path.samefile(path, file) for file in files):
            raise InputError(f"--out {path} is one of the inputs: expected another file")


class Output(ABC):
    """A file of labels that is there as a whole once it is closed, or not at all."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.part = self.path.with_name(f".{self.path.name[:80]}.{os.getpid()}.part")

    def __enter__(self) -> Output:
        self.open()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
        if kind is None:
            os.replace(self.part, self.path)
        self.part.unlink(missing_ok=True)

    @abstractmethod
    def open(self) -> None:
        """Begin the file."""

    @abstractmethod
    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add rows, whose keys are `COLUMNS`."""

    @abstractmethod
    def close(self) -> None:
        """End the file."""


class CsvOutput(Output):
    """CSV with a header; what is not known is empty."""

    def open(self) -> None:
        self._file = self.part.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._writer = csv.DictWriter(self._file, COLUMNS)
        self._writer.writeheader()

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._writer.writerows(rows)

    def close(self) -> None:
        self._file.close()


class JsonOutput(Output):
    """An object a line; what is not known is null."""

    def open(self) -> None:
        self._file = self.part.open("w", encoding="utf-8")

    def write(self, rows: list[dict[str, Any]]) -> None:
        self._file.writelines(json.dumps(row) + "\n" for row in rows)

    def close(self) -> None:
        self._file.close()


class ParquetOutput(Output):
    """Parquet; what is not known is null."""

    def open(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        whole, text = pa.int32(), pa.string()
        kinds = {"row": pa.int64(), "source": text, "emotion": text, "confidence": pa.float32(),
                 "cluster": whole, "x": whole, "y": whole, "width": whole, "height": whole,
                 "problem": text}  # fmt: skip
        self._schema = pa.schema([(name, kinds[name]) for name in COLUMNS])
        self._writer = pq.ParquetWriter(self.part, self._schema)

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa

        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, self._schema))

    def close(self) -> None:
        self._writer.close()


def output(path: str) -> Output:
    """The output whose form the path's ending says (see `check_path`)."""
    kinds: dict[str, Callable[[str], Output]] = {
        ".csv": CsvOutput,
        ".parquet": ParquetOutput,
        ".jsonl": JsonOutput,
    }
    return kinds[Path(path).suffix.lower()](path)
