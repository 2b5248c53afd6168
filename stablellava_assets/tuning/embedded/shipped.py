"""The base that comes with the package, so that nobody makes it again: its weights in half precision, in a file that is
named by the base's key. Tokenizer and configuration follow from catalog and settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FOLDER = Path(__file__).parent / "shipped"
_LICENCE = "Apache-2.0; trained on images composed of Twemoji, (c) Twitter, Inc and other contributors, CC-BY 4.0"


def shipped_weights(key: str) -> Path | None:
    """The file with the weights of the base ``key``, if it comes with the package."""
    path = _file(key, FOLDER)
    return path if path.exists() else None


def load_weights(model: torch.nn.Module, path: Path) -> None:
    """Give ``model`` the weights in ``path``."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(path)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weights[name])


def write_weights(model: torch.nn.Module, key: str, folder: Path) -> Path:
    """Write the weights of the base ``key``, in place of those of any other base."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().to(torch.float16).contiguous() for name, weight in model.named_parameters()}
    path = _file(key, folder)
    partial = path.with_suffix(".partial")
    save_file(weights, partial, {"format": "pt", "licence": _LICENCE})
    for other in folder.glob("base-*.safetensors"):
        other.unlink()
    return partial.replace(path)


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two models have the same weights in half precision."""
    import torch

    others = dict(other.named_parameters())
    return all(torch.equal(weight.half(), others[name].half()) for name, weight in one.named_parameters())


def _file(key: str, folder: Path) -> Path:
    return folder / f"base-{key}.safetensors"
