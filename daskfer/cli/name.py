"""``daskfer name``: a person, a file or a method names the clusters of a run."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from daskfer.cli import options
from daskfer.cli.finished import finished, sources_of
from daskfer.cli.session import place_of, place_to_measure, prepare_process, root_of, session

if TYPE_CHECKING:
    from daskfer.answer_log import Log
    from daskfer.ingest.sources import Source
    from daskfer.name_page.gallery import Gallery
    from daskfer.recipe import Recipe
    from daskfer.run_folder import RunFolder
    from daskfer.stages.look import Found

WAYS = ("page", "file", "facs", "dominant")


def name(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    how: Annotated[
        str,
        typer.Option(
            metavar="|".join(WAYS),
            help="By a person on a page in the browser, by a file of names, by action units "
            "(recipe expression), or by the most frequent true label.",
        ),
    ] = "page",
    file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="With --how file: YAML with lines cluster: name.",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Names to choose from instead of the set's classes: a,b,c."
        ),
    ] = None,
    sheets: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Write a picture of each cluster and a names.yaml to fill in, and end.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback let others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any.")] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    store: options.StoreFolder = None,
) -> None:
    """Name the clusters of a run, by looking at them.

    Opens a page that shows one cluster at a time: keys 1-7 name it, Enter accepts the suggestion, ?
    tells the others. Every answer is on the disk before the next cluster shows; Ctrl-C ends, and
    the same command goes on. Then daskfer train RUN (or Train on the page) makes a model of it.
    """
    from daskfer.errors import InputError
    from daskfer.names_file import open_log
    from daskfer.recipe import load_recipe
    from daskfer.run_folder import RunFolder

    prepare_process()
    if how not in WAYS:
        raise InputError(f"--how {how}: expected one of {', '.join(WAYS)}")
    if file is not None and how != "file":
        raise InputError(f"--file {file}: expected --how file with it")
    owner = finished(run)
    recipe = load_recipe(f"{run}/recipe.yaml")
    sources = sources_of(run, owner)
    folder = RunFolder(run)
    log = open_log(folder)
    if names is not None:
        _set_names(log, names)
    choices = log.answers.choices(getattr(recipe.name, "categories", None))
    if how == "file" and sheets is None:
        _by_file(folder, log, file, choices)
        return
    found = look(recipe, sources, store)
    from daskfer.name_page.serving import gallery_of

    gallery = gallery_of(found, recipe)
    gallery.follow(log.answers.splits)
    if sheets is not None:
        from daskfer.name_page.sheets import write_sheets

        count, to_fill_in = write_sheets(sheets, gallery, log, recipe.seed, choices)
        typer.echo(
            f"{count} pictures are in {sheets}: write names into {to_fill_in}, then daskfer name "
            f"{run} --how file --file {to_fill_in}"
        )
        return
    if how != "page":
        from daskfer.name_page.methods import names_by

        stated = names_by(how, gallery, found.faces.table.emotion, log.classes)
        _take(folder, log, {"do": "names", "how": how, "names": stated})
        origin = "by action units" if how == "facs" else "by their most frequent labels"
        typer.echo(_told(log, origin))
        return
    _page(folder, log, found, gallery, recipe, host, port, browser, store)


def look(recipe: Recipe, sources: list[Source], store: str | None) -> Found:
    """The run's faces and clusters, from the store; what is missing there is computed again."""
    from daskfer.stages.look import NotStoredError, collect, collect_stored
    from daskfer.store import Store

    try:
        return collect_stored(recipe, sources, Store(root_of(store)))
    except NotStoredError:
        pass
    from daskfer.cli.console import Progress

    progress = Progress()
    progress.say("the store lacks some of this run's results: they are computed again")
    place = place_to_measure(place_of("local", None, None, None), recipe, sources, store, progress)
    with session(place, store, progress, sources, recipe) as here:
        from daskfer.pipeline import METHODS
        from daskfer.stages.context import Context

        context = Context(recipe, here.store, here.engine, METHODS, progress)
        return collect(context, sources)


def _set_names(log: Log, names: str) -> None:
    """Take names to choose from, unless they are those already."""
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if log.answers.own != chosen:
        log.append({"do": "categories", "names": chosen})


def _by_file(folder: RunFolder, log: Log, file: str | None, choices: tuple[str, ...]) -> None:
    """Take the names in a file as answers; those that are none of the choices are told."""
    from daskfer.errors import InputError
    from daskfer.stated import read_names, told_new

    if file is None:
        raise InputError(
            "--how file needs the file too: --file names.yaml with lines cluster: name (what is "
            "written by hand into a run's own names.yaml counts without this command)"
        )
    stated = read_names(file, log.answers.k, choices, any_name=True)
    names = stated.names()
    if not names:
        raise InputError(f"{file} names no cluster: expected lines such as 0: {choices[0]}")
    _take(folder, log, {"do": "names", "how": "file", "names": names})
    left_out = sum(name is None for name in names.values())
    typer.echo(
        f"{len(names) - left_out:,} names are from {file}"
        + (f", which leaves {left_out:,} clusters out" if left_out else "")
    )
    # A run's own names.yaml may list names that no cluster has.
    used = set(names.values())
    if new := tuple(name for name in stated.categories[len(choices) :] if name in used):
        typer.echo(f"New names: {told_new(new, choices)}")
    typer.echo(_told(log))


def _take(folder: RunFolder, log: Log, entry: dict[str, object]) -> None:
    """Put names into the log, and write names.yaml from it."""
    from daskfer.names_file import write_names

    log.append(entry)
    write_names(folder, log)


def _told(log: Log, origin: str = "") -> str:
    """What a person at the terminal is told of names that were taken."""
    given = log.answers.given()
    named = int((given.emotion >= 0).sum())
    return (
        f"{named:,} of {len(given.emotion):,} clusters have names now{origin and ', '}{origin}. "
        "daskfer name RUN shows them, daskfer train RUN learns from them."
    )


def _page(
    folder: RunFolder,
    log: Log,
    found: Found,
    gallery: Gallery,
    recipe: Recipe,
    host: str,
    port: int,
    browser: bool,
    store: str | None,
) -> None:
    """Serve the page until Ctrl-C."""
    import asyncio

    from daskfer.name_page.desk import Desk
    from daskfer.name_page.opening import opened
    from daskfer.name_page.serving import serve
    from daskfer.name_page.training import Training

    choices = getattr(recipe.name, "categories", None)
    title = os.path.basename(os.path.abspath(folder.path))
    desk = Desk(log, gallery, found.faces.table.emotion, title, choices)
    training = Training([folder.path, *([] if store is None else ["--store", store])])
    if host not in ("127.0.0.1", "localhost", "::1"):
        typer.echo(
            f"warning: --host {host} lets whoever knows the address see the faces and answer; it "
            "is not encrypted",
            err=True,
        )

    def ready(address: str) -> None:
        typer.echo(f"Naming {title}: {address}")
        typer.echo("Ctrl-C ends; every answer is kept, and the same command goes on.")
        sys.stdout.flush()
        if browser and _has_screen():
            until_the_end.enter_context(opened(folder.path, address))

    with ExitStack() as until_the_end, suppress(KeyboardInterrupt):
        asyncio.run(serve(folder, desk, training, host, port, ready))
    typer.echo(f"\n{_told(log)}" if log.begun else "\nNothing was answered.")


def _has_screen() -> bool:
    """Whether a browser could open a window, rather than take the terminal for itself."""
    elsewhere = sys.platform in ("darwin", "win32")
    return elsewhere or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
