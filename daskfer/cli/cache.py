"""``daskfer cache``: what the store holds, and clearing it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli.session import root_of
from daskfer.errors import Stopped

if TYPE_CHECKING:
    from daskfer.cache import Contents, Folder
    from daskfer.leases import Lease

StoreOption = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="The store; $DASKFER_STORE, or the user's cache."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def overview(
    context: typer.Context, store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """List or clear the store of results that runs share.

    Without a command of its own, the same as list.
    """
    from daskfer.errors import CacheError

    if context.invoked_subcommand is None:
        list_folders(store, as_json)
    elif store is not None or as_json:
        # Dropped in silence, --store would let another store be cleared than the one it names.
        name = context.invoked_subcommand
        option = "--json" if store is None else f"--store {store}"
        raise CacheError(f"{option} stands before {name}: expected daskfer cache {name} {option}")


def list_folders(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """List what the store holds, the last used first.

    A result was used when a run last took it over (to the hour); behind a URL, when it was made.
    Runs at work on the store are named at the end.
    """
    from daskfer.cache import look
    from daskfer.leases import users

    root = root_of(store)
    contents, at_work = look(root), users(root)
    if as_json:
        _print_json(contents, contents.folders, leases=[lease.as_dict() for lease in at_work])
    else:
        typer.echo("\n".join(_listing(contents, at_work)))


def clear(
    stage: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this stage, such as ingest.")
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="DAYS", help="Only what was last used (behind a URL: made) before that."
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", help="Only the folder of this key; repeatable."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Only what stopped and killed runs left.")
    ] = False,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Delete beside runs at work, which may fail then.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete what the store holds, or a part of it.

    Without options, all of it; otherwise what all of the options name. Only daskfer's own folders
    are deleted, and none while a run is at work on the store. Runs compute again what they miss.
    """
    from daskfer import cache
    from daskfer.leases import check_unused

    root = root_of(store)
    contents = cache.look(root)
    chosen = cache.select(
        contents, stage=stage, keys=keys or [], older_than=older_than, unfinished=unfinished
    )
    cleared = chosen
    if chosen and not dry_run:
        if not force:
            check_unused(root)
        if not yes:
            _ask(root, chosen)
        cleared = cache.clear(root, chosen, force=force)
    left = len(chosen) - len(cleared)
    if as_json:
        _print_json(contents, cleared, dry_run=dry_run, left=left)
        return
    if dry_run:
        typer.echo("\n".join(_table(chosen)))
    done = "would clear" if dry_run else "cleared"
    typer.echo(f"{done} {_amount(cleared)} of {root}" if chosen else f"nothing to clear in {root}")
    if left:
        typer.echo(f"{_count(left, 'folder')} changed meanwhile and left alone")
    if contents.others:
        typer.echo(_others(contents.others))


def _ask(root: str, chosen: Sequence[Folder]) -> None:
    from daskfer.errors import CacheError

    if not sys.stdin.isatty():
        raise CacheError(
            f"clearing {_amount(chosen)} of {root} has to be confirmed, and this is no terminal: "
            "give --yes, or --dry-run to look first"
        )
    # Not typer.confirm, which writes to stdout too: that is for --json alone.
    typer.echo(f"Clear {_amount(chosen)} of {root}? [y/N]: ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Stopped("nothing was cleared")


def _print_json(contents: Contents, folders: Sequence[Folder], **more: Any) -> None:
    value = {
        "store": contents.root,
        "folders": [folder.as_dict() for folder in folders],
        "total": {
            "folders": len(folders),
            "files": sum(folder.files for folder in folders),
            "bytes": sum(folder.bytes for folder in folders),
        },
        "others": contents.others,
        **more,
    }
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _listing(contents: Contents, at_work: Sequence[Lease]) -> list[str]:
    """The store as a person reads it."""
    from daskfer import storage

    if contents.folders:
        lines = [f"store: {contents.root}", "", *_table(contents.folders), ""]
        lines.append(f"total: {_amount(contents.folders)}")
    elif storage.exists(contents.root):
        lines = [f"the store {contents.root} is empty: no run has left a result here"]
    else:
        lines = [f"there is no store at {contents.root} yet: the first run makes it"]
    if contents.others:
        lines.append(_others(contents.others))
    return lines + [f"at work on it: {lease}" for lease in at_work]


def _table(folders: Sequence[Folder]) -> list[str]:
    rows = [
        (
            folder.stage,
            folder.key,
            f"{folder.files:,}",
            _size(folder.bytes),
            f"{folder.used.astimezone():%Y-%m-%d %H:%M}" if folder.used else "unknown",
            "complete" if folder.complete else "unfinished",
            # Last, because paths are long.
            folder.of,
        )
        for folder in folders
    ]
    head = ("stage", "key", "files", "size", "last used", "state", "of")
    return [
        f"{stage:<10}{key:<18}{files:>6}{size:>12}  {used:<18}{state:<12}{of}".rstrip()
        for stage, key, files, size, used, state, of in [head, *rows]
    ]


def _amount(folders: Sequence[Folder]) -> str:
    files = sum(folder.files for folder in folders)
    size = sum(folder.bytes for folder in folders)
    return f"{_count(len(folders), 'folder')}, {_count(files, 'file')}, {_size(size)}"


def _others(count: int) -> str:
    return f"{_count(count, 'other thing')} there: not the store's own, and never cleared"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _size(number: float) -> str:
    """Bytes as a person reads them: 1536 as 1.5 KiB."""
    if number < 1024:
        return f"{number:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        # What would be rounded to 1024 is written in the next unit.
        if number < 1023.95:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:,.1f} TiB"
