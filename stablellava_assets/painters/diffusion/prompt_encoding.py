"""Encodes prompts for a pipeline: emphasis as weights, long prompts in full, each text once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from stablellava_assets.abilities.prompt_format import fragments_of, without_brackets
from stablellava_assets.models.quiet import quiet
from stablellava_assets.painters.diffusion.pipeline_call import prompt_limit, refuse_emphasis, takes_negative_prompt
from stablellava_assets.painters.settings import DiffusionPainterSettings

if TYPE_CHECKING:
    import torch
    from compel import EmbeddingsProvider

_KEPT = 512
"""Number of cached encodings. One takes a third of a megabyte for SDXL, and up to 2.7 MB for Stable Diffusion 3."""
_T5_TOKENS = 256

Conditioning = Mapping[str, Any]
"""Keyword arguments of a pipeline call for one image: tensors with a first dimension of 1, and texts."""


class PromptTooLongError(ValueError):
    """The pipeline would truncate the prompt."""


class PromptEncoder:
    """Encodes prompts for a pipeline; the result of ``encode(prompt, negative)`` does not depend on earlier calls.

    compel applies the weights. For Stable Diffusion and SDXL, prompts longer than 77 tokens are encoded in chunks of
    77. T5 in Stable Diffusion 3 and FLUX reads up to 512 tokens; their CLIP encoders, and the pooled embedding of SDXL,
    read the first 77. Other pipelines get the texts without brackets.
    """

    def __init__(self, pipeline: Any, settings: DiffusionPainterSettings, device: str) -> None:
        with quiet("diffusers", "transformers"):
            from diffusers import (
                FluxPipeline,
                StableDiffusion3Pipeline,
                StableDiffusionPipeline,
                StableDiffusionXLPipeline,
            )

        guided, limit = takes_negative_prompt(pipeline, settings), prompt_limit(pipeline, settings)
        self._encode: Callable[[str, str], Conditioning]
        if isinstance(pipeline, (StableDiffusionPipeline, StableDiffusionXLPipeline)):
            with quiet("diffusers", "transformers"):
                self._encode = _Clip(pipeline, settings.emphasis, device, guided).encode
        elif isinstance(pipeline, (StableDiffusion3Pipeline, FluxPipeline)):
            tokens = settings.max_prompt_tokens or _T5_TOKENS
            self._encode = _T5(pipeline, settings.emphasis, tokens, device, guided).encode
        else:
            refuse_emphasis(pipeline, settings)
            self._encode = _AsText(getattr(pipeline, "tokenizer", None), limit, guided).encode

    def encode(self, prompt: str, negative: str) -> Conditioning:
        """Encode a prompt and a negative prompt.

        Raises:
            PromptTooLongError: the pipeline cannot read all of it.
        """
        import torch

        with torch.no_grad(), quiet("diffusers", "transformers"):
            return self._encode(prompt, negative)


def signature_of(conditioning: Conditioning) -> tuple[Any, ...]:
    """Images with equal signatures can be batched without padding."""
    return tuple((name, getattr(value, "shape", None)) for name, value in sorted(conditioning.items()))


def stacked(conditionings: list[Conditioning]) -> dict[str, Any]:
    """The keyword arguments for several images at once."""
    import torch

    arguments: dict[str, object] = {}
    for name in conditionings[0]:
        values = [conditioning[name] for conditioning in conditionings]
        arguments[name] = torch.cat(values) if isinstance(values[0], torch.Tensor) else values
    return arguments


class _Read(NamedTuple):
    embeds: torch.Tensor
    pooled: torch.Tensor | None


def _weighted(provider: EmbeddingsProvider, text: str, emphasis: float, device: str) -> torch.Tensor:
    """The embeddings of a text (1, tokens, width); ``emphasis`` is the weight per pair of brackets."""
    fragments = fragments_of(text)
    texts, weights = [fragment.text for fragment in fragments], [emphasis**fragment.depth for fragment in fragments]
    embeds: torch.Tensor = provider.get_embeddings_for_weighted_prompt_fragments([texts], [weights], device=device)
    return embeds


class _Clip:
    """Stable Diffusion (one CLIP) and SDXL (two), through compel."""

    def __init__(self, pipeline: Any, emphasis: float, device: str, guided: bool) -> None:
        from compel import EmbeddingsProvider, ReturnedEmbeddingsType, SplitLongTextMode

        self._emphasis, self._device, self._guided = emphasis, device, guided
        self._pooled = hasattr(pipeline, "text_encoder_2")
        self._zeros = self._pooled and pipeline.config.force_zeros_for_empty_prompt
        parts = [(pipeline.tokenizer, pipeline.text_encoder)]
        if self._pooled:
            parts.append((pipeline.tokenizer_2, pipeline.text_encoder_2))
        returned = (
            ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
            if self._pooled
            else ReturnedEmbeddingsType.LAST_HIDDEN_STATES_NORMALIZED
        )
        # Bypass compel's prompt language: our prompts may contain its special characters, and it computes the pooled
        # embedding of SDXL from the prompt including those characters.
        self._providers = [
            EmbeddingsProvider(
                tokenizer,
                encoder,
                truncate=False,
                returned_embeddings_type=returned,
                split_long_text_mode=SplitLongTextMode.PHRASES,
                device=device,
            )
            for tokenizer, encoder in parts
        ]
        self._read_once = lru_cache(_KEPT)(self._read)

    def encode(self, prompt: str, negative: str) -> Conditioning:
        positive = self._read_once(prompt)
        if not self._guided:
            return self._named(positive, "")
        against = self._zero(positive) if self._zeros and not negative else self._read_once(negative)
        length = max(positive.embeds.shape[1], against.embeds.shape[1])
        return {
            **self._named(self._padded(positive, length), ""),
            **self._named(self._padded(against, length), "negative_"),
        }

    def _read(self, text: str) -> _Read:
        embeds = [_weighted(provider, text, self._emphasis, self._device) for provider in self._providers]
        if not self._pooled:
            return _Read(embeds[0], None)
        import torch

        pooled = self._providers[1].get_pooled_embeddings([without_brackets(text)], device=self._device)
        return _Read(torch.cat(embeds, dim=-1), pooled)

    def _padded(self, read: _Read, length: int) -> _Read:
        import torch

        if read.embeds.shape[1] == length:
            return read
        empty = torch.cat([provider.empty_z for provider in self._providers], dim=-1).to(read.embeds)
        missing = (length - read.embeds.shape[1]) // empty.shape[1]
        return _Read(torch.cat([read.embeds, *[empty] * missing], dim=1), read.pooled)

    @staticmethod
    def _zero(read: _Read) -> _Read:
        """The conditioning with which SDXL was trained for an empty prompt."""
        import torch

        return _Read(torch.zeros_like(read.embeds), None if read.pooled is None else torch.zeros_like(read.pooled))

    @staticmethod
    def _named(read: _Read, prefix: str) -> dict[str, Any]:
        named = {f"{prefix}prompt_embeds": read.embeds, f"{prefix}pooled_prompt_embeds": read.pooled}
        return {name: value for name, value in named.items() if value is not None}


class _T5:
    """Stable Diffusion 3 and FLUX, through their own text encoders, with compel's weights for T5."""

    def __init__(self, pipeline: Any, emphasis: float, tokens: int, device: str, guided: bool) -> None:
        from compel import EmbeddingsProvider

        self._pipeline, self._emphasis, self._tokens, self._device = pipeline, emphasis, tokens, device
        self._is_flux = not hasattr(pipeline, "tokenizer_3")
        self._tokenizer, encoder = (
            (pipeline.tokenizer_2, pipeline.text_encoder_2)
            if self._is_flux
            else (pipeline.tokenizer_3, pipeline.text_encoder_3)
        )
        self._weighing = EmbeddingsProvider(self._tokenizer, encoder, model_max_length=tokens, device=device)
        self._guided = guided
        self._read_once = lru_cache(_KEPT)(self._read)

    def encode(self, prompt: str, negative: str) -> Conditioning:
        positive = self._read_once(prompt)
        if not self._guided:
            return positive
        against = self._read_once(negative)
        return {**positive, **{f"negative_{name}": value for name, value in against.items()}}

    def _read(self, text: str) -> Conditioning:
        import torch

        pipeline, plain = self._pipeline, without_brackets(text)
        _refuse_beyond(self._tokens, self._tokenizer, plain)
        common = {"device": self._device, "max_sequence_length": self._tokens}
        if self._is_flux:
            embeds, pooled, _ = pipeline.encode_prompt(plain, None, **common)
        else:
            embeds, _, pooled, _ = pipeline.encode_prompt(
                plain, None, None, do_classifier_free_guidance=False, **common
            )
        if plain != text and self._emphasis != 1:
            # T5's tokens come last: they are the only ones in FLUX, and follow those of CLIP in Stable Diffusion 3.
            weighted = _weighted(self._weighing, text, self._emphasis, self._device)
            embeds = torch.cat([embeds[:, : -self._tokens], weighted.to(embeds)], dim=1)
        return {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}


class _AsText:
    """A pipeline that encodes texts itself; ``limit`` is how many tokens of ``tokenizer`` it reads."""

    def __init__(self, tokenizer: Any, limit: int | None, guided: bool) -> None:
        self._tokenizer, self._limit, self._guided = tokenizer, limit, guided

    def encode(self, prompt: str, negative: str) -> Conditioning:
        texts = {"prompt": without_brackets(prompt)}
        if self._guided:
            texts["negative_prompt"] = without_brackets(negative)
        if self._tokenizer is not None and self._limit is not None:
            for text in texts.values():
                _refuse_beyond(self._limit, self._tokenizer, text)
        return texts


def _refuse_beyond(limit: int, tokenizer: Any, text: str) -> None:
    """Raises:
    PromptTooLongError: ``text`` has more than ``limit`` tokens.
    """
    if (count := len(tokenizer(text).input_ids)) > limit:
        raise PromptTooLongError(
            f"the prompt has {count} tokens, of which the text encoder reads {limit} (painter.max_prompt_tokens)"
        )
