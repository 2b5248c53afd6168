"""Errors that a user can fix, and the operating system's errors in the same form."""

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
    """What a user can fix: the message names the file or the setting at fault and says what to do.

    Commands and stages show it without a stack trace; whatever is not one is a bug, and shown with one.
    """


def is_system_error(error: BaseException) -> bool:
    """Whether an error tells of the machine (no permission, a full disk, a time-out) and not of what a file holds.

    Libraries raise ``OSError`` itself, without a number, for files that are damaged.
    """
    return isinstance(error, OSError) and (error.errno is not None or type(error) is not OSError)


def system_message(error: OSError) -> str:
    """What happened and to which file, on one line, as in ``data/x: Permission denied``."""
    what = error.strerror or " ".join(str(error).split()) or type(error).__name__
    named = [str(name) for name in (error.filename, error.filename2) if name is not None and not isinstance(name, int)]
    return f"{' and '.join(named)}: {what}" if named else what


def remedy_of(error: OSError) -> str:
    """What to do about it."""
    return _REMEDIES.get(error.errno or 0, "fix that, or name another place")
