"""Errors that a user can fix, including those of the operating system."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.EACCES: "see to its permissions",
    errno.EPERM: "see to its permissions",
    errno.EROFS: "it can only be read; name another place",
    errno.ENOSPC: "the disk is full; make room",
    errno.EDQUOT: "the quota is used up; make room",
    errno.ENOENT: "name one that is there",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a folder",
    errno.ENAMETOOLONG: "name a shorter path",
}


class ExplainedError(Exception):
    """An error that the user can fix: the message names the file or setting at fault and the remedy.

    Commands and stages show it without a stack trace. All other exceptions are bugs and are shown with one.
    """


def is_system_error(error: BaseException) -> bool:
    """Whether an error is caused by the machine (no permission, full disk, time-out) and not by the contents of a file.

    Libraries raise plain ``OSError`` without a number for damaged files.
    """
    return isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError)


def system_message(error: OSError) -> str:
    """The problem and the file on one line, as in ``data/x: Permission denied``."""
    what = error.strerror or " ".join(str(error).split()) or type(error).__name__
    named = [str(name) for name in (error.filename, error.filename2) if name is not None and not isinstance(name, int)]
    return f"{' and '.join(named)}: {what}" if named else what


def remedy_of(error: OSError) -> str:
    """The remedy for the error."""
    return _REMEDIES.get(error.errno or 0, "fix that, or name another place")
