"""Models named in a profile (a folder or a Hugging Face hub name), and explanations of hub errors."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stablellava_assets.inputs.folders import files_below

_SAMPLES, _SAMPLE_BYTES = 64, 65_536


def is_folder(name: str) -> bool:
    """Whether a model's name means a folder, existing or not: hub names have at most one slash and do
    not begin with a dot or tilde."""
    path = Path(name).expanduser()
    return path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1


def from_pretrained_name(name: str) -> str:
    """The argument for ``from_pretrained``: a hub name, or a folder with its tilde expanded."""
    return str(Path(name).expanduser()) if is_folder(name) else name


def folder_fingerprints(folder: Path) -> list[tuple[str, int, str]]:
    """Content fingerprint of a model's folder: path, size and a hash of 64 samples of each
    file; hidden files are skipped.

    It is fast, and still distinguishes two trainings of one model.

    Raises:
        OSError: a file cannot be read.
    """
    return [(path.relative_to(folder).as_posix(), path.stat().st_size, _sampled(path)) for path in files_below(folder)]


def _sampled(path: Path) -> str:
    digest, size = hashlib.blake2b(digest_size=16), path.stat().st_size
    with path.open("rb") as file:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            digest.update(file.read())
        else:
            for number in range(_SAMPLES):
                file.seek(number * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def causes_of(error: BaseException) -> list[BaseException]:
    """An exception and all of its causes."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def exception_types(error: BaseException) -> set[type]:
    """The classes of an exception and of all its causes, with their base classes."""
    return {kind for cause in causes_of(error) for kind in type(cause).__mro__}


def summary_of(error: BaseException) -> str:
    """The message of an exception, on one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


def hub_fault(setting: str, name: str, revision: str | None, error: BaseException, *, on_hub: bool) -> str | None:
    """Why the hub did not provide a model; None if the error has another cause.

    Args:
        setting: the section of the profile whose ``model`` and ``revision`` name it.
        name: the model.
        revision: its revision.
        error: the exception of the library.
        on_hub: whether ``name`` is a hub name; False for a folder.
    """
    from huggingface_hub import errors

    found = exception_types(error)
    if errors.GatedRepoError in found:
        return (
            f"{setting}.model: {name} is gated: accept its licence on https://huggingface.co/{name} and put a token of "
            "that account into the environment variable HF_TOKEN"
        )
    if errors.RepositoryNotFoundError in found:
        return f"{setting}.model: the hub has no {name}, or the token in HF_TOKEN has no access to it; check the name"
    if errors.RevisionNotFoundError in found:
        return f"{setting}.revision: {name} has no revision {revision!r}"
    if on_hub and found & {errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError}:
        return (
            f"{setting}.model: {name} is not on this machine and the hub cannot be reached ({summary_of(error)}); "
            f"download it first (hf download {name}), or name a folder"
        )
    return None
