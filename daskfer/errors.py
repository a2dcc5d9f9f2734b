"""The errors that a user can mend; the command line prints each in one line."""

from __future__ import annotations


class DaskferError(Exception):
    """Base of all errors that name a value, what was expected and the way out."""


class InputError(DaskferError):
    """An input that is missing, unreadable or not a set of faces."""


class RecipeError(DaskferError):
    """A recipe with a wrong key or value."""


class RunFolderError(DaskferError):
    """A run folder that cannot be used for this run."""


class MissingPackage(DaskferError):
    """An optional package that is not installed."""


class Stopped(DaskferError):
    """The person at the terminal, or a polite kill, ended the command."""


class SchedulerError(DaskferError):
    """A scheduler, workers or a cluster file that cannot be used."""


class SchedulerGone(SchedulerError):
    """A scheduler, or too many workers, that went away during the work."""


class JobError(DaskferError):
    """A job that cannot be found, or not be dealt with as asked."""


class CacheError(DaskferError):
    """A store that cannot be listed or cleared as asked, or not now."""


class ModelFileError(DaskferError):
    """A model file that cannot be found or is not the one that is expected."""


class ModelError(RunFolderError):
    """A trained model that is missing, was changed, or holds what no model may hold."""


def one_line(error: BaseException) -> str:
    """What an error says, in one line of at most 200 characters; its kind when it says nothing."""
    return " ".join(str(error).split())[:200] or type(error).__name__
