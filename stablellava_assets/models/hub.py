"""Models that a profile names: a folder or one of the Hugging Face hub, and why one of the hub could not be loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stablellava_assets.inputs.folders import files_below

_SAMPLES, _SAMPLE_BYTES = 64, 65_536


def is_folder(name: str) -> bool:
    """Whether a model's name is that of a folder, there or not: on the hub names have one slash at most, and no dot or tilde in front."""
    path = Path(name).expanduser()
    return path.exists() or path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1


def from_pretrained_name(name: str) -> str:
    """What ``from_pretrained`` takes: a model's name, with the home folder for a tilde where it is that of a folder."""
    return str(Path(name).expanduser()) if is_folder(name) else name


def folder_fingerprints(folder: Path) -> list[tuple[str, int, str]]:
    """What tells a model's folder from another of that name: path, size and a hash of 64 samples of each of its files.

    So it takes a moment, and still tells two trainings of one model apart; what is hidden does not count.

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
    """An error and everything that led to it."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def exception_types(error: BaseException) -> set[type]:
    """The classes of an error and of everything that led to it, with those they derive from."""
    return {kind for cause in causes_of(error) for kind in type(cause).__mro__}


def summary_of(error: BaseException) -> str:
    """What an error says, on one line of 300 characters at most."""
    return " ".join(str(error).split())[:300]


def hub_fault(setting: str, name: str, revision: str | None, error: BaseException, *, on_hub: bool) -> str | None:
    """What the hub held against loading a model; None where the hub is not at fault.

    Args:
        setting: the section of the profile whose ``model`` and ``revision`` name it.
        name: the model.
        revision: its revision.
        error: what the library raised.
        on_hub: whether ``name`` is one of the hub; False for a folder.
    """
    from huggingface_hub import errors

    found = exception_types(error)
    if errors.GatedRepoError in found:
        return (
            f"{setting}.model: {name} is gated: accept its licence on https://huggingface.co/{name} and put a token of that "
            "account into the environment variable HF_TOKEN"
        )
    if errors.RepositoryNotFoundError in found:
        return f"{setting}.model: the hub has no {name}, or the token in HF_TOKEN has no access to it; check the name"
    if errors.RevisionNotFoundError in found:
        return f"{setting}.revision: {name} has no revision {revision!r}"
    if on_hub and found & {errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, ConnectionError}:
        return (
            f"{setting}.model: {name} is not on this machine and the hub cannot be reached ({summary_of(error)}); download it "
            f"first (hf download {name}), or name a folder"
        )
    return None
