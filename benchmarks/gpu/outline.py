"""What is built at full size, and what memory painting and tuning with it are expected to
take: found out without a GPU.

Networks are built on torch's meta device, where a denoiser's step is taken as well and the tensors alive are counted.
What a forward pass keeps for the backward one is counted, byte by byte, on two decoder layers of an eighth of the width
with the same proportions, and multiplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from gpu.shapes import FULL_SIZE, built_on
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_GB = 1e9
_NARROWER = 8
_RANK = 128
_ROW_TOKENS = {"LLaVA-1.5-7B": 700, "Qwen2.5-VL-7B": 260}
"""Tokens of a row of the tuning steps: a picture of 336 pixels, a question, 75 words on average."""


def outline() -> str:
    """Three Markdown tables: weights, bytes of painting a picture more, and bytes of tuning by rows at once."""
    lines = ["| model | network | weights | of the checkpoint | GB in bfloat16 |", "|---|---|---:|---:|---:|"]
    built = {}
    for model, parts in FULL_SIZE.items():
        for name, part in parts.items():
            with built_on("meta", torch.bfloat16):
                built[model, name] = network = part.build()
            count = sum(parameter.numel() for parameter in network.parameters())
            lines.append(f"| {model} | {name} | {count:,} | {part.weights:,} | {2 * count / _GB:.1f} |")
    lines += [
        "",
        "Painting 1024 pixels in bfloat16, with guidance where the model has it: GB beside the weights.",
        "",
        "| model | a picture more in a batch | decoding, one picture after the other |",
        "|---|---:|---:|",
    ]
    for model, step in (("SDXL base 1.0", _sdxl_step), ("FLUX.1-dev", _flux_step)):
        denoiser = built[model, "unet" if model.startswith("SDXL") else "transformer"]
        one, three = (
            _peak(lambda count=count, step=step, denoiser=denoiser: step(denoiser, count)) for count in (1, 3)
        )
        vae = built[model, "vae"]
        decoding = _peak(lambda vae=vae: vae.decode(torch.empty(1, vae.config.latent_channels, 128, 128)))
        lines.append(f"| {model} | {(three - one) / 2 / _GB:.2f} | {decoding / _GB:.1f} |")
    lines += [
        "",
        (
            f"LoRA of rank {_RANK}, bfloat16, all activations kept; weights, adapters with their gradients and Adam's "
            "moments, activations:"
        ),
        "",
        "| model | tokens a row | KB a token and layer | GB: rows at once 4 | 8 | 16 |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for model, tokens in _ROW_TOKENS.items():
        network = built[model, "model"]
        config = network.config.get_text_config()
        fixed = 2 * sum(parameter.numel() for parameter in network.parameters()) + 16 * _adapters(config)
        each = kept_bytes(config)
        totals = [(fixed + rows * tokens * config.num_hidden_layers * each) / _GB for rows in (4, 8, 16)]
        lines.append(
            f"| {model} | {tokens} | {each / 1e3:.0f} | " + " | ".join(f"{total:.0f}" for total in totals) + " |"
        )
    return "\n".join(lines)


def _sdxl_step(denoiser: Any, count: int) -> None:
    """A step for ``count`` pictures, each with and without its prompt."""
    both = 2 * count
    added = {"text_embeds": torch.empty(both, 1280), "time_ids": torch.empty(both, 6)}
    denoiser(torch.empty(both, 4, 128, 128), torch.tensor(1.0), torch.empty(both, 77, 2048), added_cond_kwargs=added)


def _flux_step(denoiser: Any, count: int) -> None:
    """A step for ``count`` pictures and prompts of 256 tokens."""
    denoiser(
        hidden_states=torch.empty(count, 4096, 64),
        encoder_hidden_states=torch.empty(count, 256, 4096),
        pooled_projections=torch.empty(count, 768),
        timestep=torch.empty(count),
        guidance=torch.empty(count),
        img_ids=torch.zeros(4096, 3),
        txt_ids=torch.zeros(256, 3),
    )


def _peak(run: Callable[[], Any]) -> int:
    """The most bytes alive at once of tensors that ``run`` makes on the meta device."""
    with torch.no_grad(), built_on("meta", torch.bfloat16), _fused_attention(), _Alive() as alive:
        run()
    return alive.peak


class _Alive(TorchDispatchMode):
    """Counts the bytes of tensors alive after each operation."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: dict[int, tuple[StorageWeakRef, int]] = {}
        self._total = 0
        self.peak = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operation(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                _, before = self._sizes.get(storage._cdata, (None, 0))
                self._sizes[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
                self._total += storage.nbytes() - before
        # Which are gone is asked only where it tells whether this is the peak.
        if self._total > self.peak:
            self._sizes = {place: each for place, each in self._sizes.items() if not each[0].expired()}
            self._total = sum(size for _, size in self._sizes.values())
            self.peak = max(self.peak, self._total)
        return made


@contextmanager
def _fused_attention() -> Iterator[None]:
    """Attention as a GPU's kernels do it, without the matrix that torch makes on the meta device."""
    functional: Any = torch.nn.functional
    own = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = lambda query, key, value, **_: torch.empty_like(query)
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = own


def _adapters(config: Any) -> int:
    """Weights of adapters on every linear layer of the language model."""
    width, inner = config.hidden_size, config.intermediate_size
    keys = config.num_key_value_heads * (width // config.num_attention_heads)
    shapes = [(width, width)] * 2 + [(width, keys)] * 2 + [(width, inner)] * 2 + [(inner, width)]
    return config.num_hidden_layers * _RANK * sum(one + other for one, other in shapes)


def kept_bytes(config: Any, tokens: int = 256) -> float:
    """Bytes that a decoder layer keeps of a token for the backward pass."""
    from peft import LoraConfig, get_peft_model
    from peft.helpers import disable_input_dtype_casting
    from transformers import LlamaConfig, LlamaModel

    heads = config.num_attention_heads
    head = config.hidden_size // heads // _NARROWER
    small = LlamaConfig(
        hidden_size=head * heads,
        intermediate_size=config.intermediate_size // _NARROWER,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=config.num_key_value_heads,
        vocab_size=64,
    )
    with built_on("cpu", torch.bfloat16):
        model = LlamaModel(small)
    adapted = get_peft_model(model, LoraConfig(r=_RANK // _NARROWER, lora_dropout=0.05, target_modules="all-linear"))
    for parameter in adapted.parameters():
        parameter.data = parameter.data.float() if parameter.requires_grad else parameter.data
    weights = {parameter.shape for parameter in adapted.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        # Adapters in the precision of the arithmetic are kept once, not for every token.
        if tensor.shape not in weights and tensor.t().shape not in weights if tensor.ndim == 2 else True:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    states = torch.randn(1, tokens, small.hidden_size, dtype=torch.bfloat16)
    with (
        disable_input_dtype_casting(adapted),
        torch.autocast("cpu", torch.bfloat16),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        adapted(inputs_embeds=states)
    return _NARROWER * sum(kept.values()) / tokens / small.num_hidden_layers
