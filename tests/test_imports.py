"""Imports point one way: cli → pipeline → stages → numerics; Dask stays in its package."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import daskfer

PACKAGE = Path(daskfer.__file__).parent

DASK = {"daskfer.dask", "dask", "distributed", "dask_ml"}
HEAVY = {
    "numpy", "pandas", "sklearn", "dask", "distributed", "dask_ml", "numba", "scipy", "pyarrow",
    "matplotlib", "skimage", "joblib",
}  # fmt: skip


def module_name(path: Path) -> str:
    parts = ["daskfer", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str, module: str, is_package: bool) -> set[str]:
    """Full names of all that a module imports, at its top, in functions and for types alike."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = module.split(".")
                up = up[: len(up) - node.level + is_package]
                base = ".".join([*up, base] if base else up)
            # `from daskfer import pipeline` imports the module daskfer.pipeline.
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


IMPORTS = {
    module_name(path): imported_names(
        path.read_text(), module_name(path), path.name == "__init__.py"
    )
    for path in sorted(PACKAGE.rglob("*.py"))
}


def within(name: str, packages: set[str]) -> bool:
    """Whether a module is one of these or lies in one of them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(packages: set[str]) -> set[str]:
    """Modules that import anything of these."""
    return {
        module for module, names in IMPORTS.items() if any(within(name, packages) for name in names)
    }


def outside(modules: set[str], allowed: set[str]) -> list[str]:
    return sorted(module for module in modules if not within(module, allowed))


def test_imports_are_read_in_all_their_forms() -> None:
    source = (
        "import a.b\nfrom c import d\n"
        "def f():\n    from .x import y\n    from .. import z\n    from . import w\n"
    )
    assert imported_names(source, "p.q.m", False) == {
        "a.b", "c", "c.d", "p.q.x", "p.q.x.y", "p", "p.z", "p.q", "p.q.w",
    }  # fmt: skip
    assert imported_names("from . import w", "p.q", True) == {"p.q", "p.q.w"}


def test_the_modules_are_found() -> None:
    assert {"daskfer", "daskfer.pipeline", "daskfer.stages.ingest", "daskfer.dask.ml"} <= set(
        IMPORTS
    )
    assert "daskfer.pipeline" in importers(DASK)
    assert "daskfer.stages.ingest" in importers({"daskfer.ingest"})


def test_dask_is_imported_by_its_package_the_pipeline_and_the_cli_only() -> None:
    assert outside(importers(DASK), {"daskfer.dask", "daskfer.pipeline", "daskfer.cli"}) == []


def test_the_cli_is_imported_by_nobody() -> None:
    assert outside(importers({"daskfer.cli"}), {"daskfer.cli", "daskfer.__main__"}) == []


def test_the_pipeline_is_imported_by_the_cli_and_by_those_who_write_its_result_down() -> None:
    writers = {"daskfer.run_folder", "daskfer.report"}
    assert (
        outside(importers({"daskfer.pipeline"}), {"daskfer.cli", "daskfer.__main__"} | writers)
        == []
    )
    # Nor does the pipeline call them: it hands its result back.
    assert not importers(writers) & {"daskfer.pipeline"}


def test_no_numerics_import_the_stages() -> None:
    above = {"daskfer.cli", "daskfer.pipeline", "daskfer.stages", "daskfer.dask", "daskfer.report",
             "daskfer.run_folder", "daskfer.inspection", "daskfer.name_page"}  # fmt: skip
    assert outside(importers({"daskfer.stages"}), above) == []


def test_stages_import_neither_pipeline_nor_report() -> None:
    above = {"daskfer.cli", "daskfer.pipeline", "daskfer.run_folder", "daskfer.report"}
    stages = {module for module in importers(above) if within(module, {"daskfer.stages"})}
    assert stages == set()


def test_the_cli_alone_imports_typer() -> None:
    assert outside(importers({"typer", "click"}), {"daskfer.cli", "daskfer.__main__"}) == []


def test_faces_errors_storage_and_the_recipe_stand_at_the_bottom() -> None:
    allowed = {"daskfer.errors", "daskfer.faces", "daskfer.npy", "daskfer.storage"}
    for module in ("errors", "faces", "storage", "randomness", "engine", "normalize"):
        names = IMPORTS[f"daskfer.{module}"]
        ours = {name for name in names if within(name, {"daskfer"})} - {"daskfer"}
        assert outside(ours, allowed) == [], module
    for module in importers({"daskfer"}):
        if within(module, {"daskfer.recipe"}):
            ours = {name for name in IMPORTS[module] if within(name, {"daskfer"})} - {"daskfer"}
            assert outside(ours, allowed | {"daskfer.recipe"}) == [], module


def test_no_module_imports_in_a_circle_at_its_top() -> None:
    graph: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        module = module_name(path)
        names: set[str] = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names |= imported_names(ast.unparse(node), module, path.name == "__init__.py")
        # A package is imported before its modules, and that is no circle.
        graph[module] = {
            name
            for name in names
            if name in IMPORTS and name != module and not module.startswith(f"{name}.")
        }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join([*trail, module])
        if module not in done:
            for name in sorted(graph[module]):
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("module", ["daskfer", "daskfer.cli"])
def test_importing_is_light(module: str) -> None:
    if module == "daskfer.cli" and find_spec(module) is None:
        pytest.skip("there is no daskfer.cli yet")
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    loaded = set(found.stdout.split())
    assert "daskfer" in loaded
    others = loaded - set(sys.stdlib_module_names)
    assert not loaded & HEAVY, f"import {module} loads {sorted(loaded & HEAVY)} of {sorted(others)}"
