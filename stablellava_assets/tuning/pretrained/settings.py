"""What a profile may say about tuning a checkpoint of the Hugging Face hub, or of a folder."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath


class LoraSettings(Document):
    """Low-rank adapters (Hu et al., 2021); the defaults are those of LLaVA-1.5's finetune_lora.sh."""

    rank: int = Field(128, ge=1, le=4096, description="Rank of the update of a matrix.")
    alpha: float = Field(256, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Share of an adapter's inputs that is dropped in training.")
    target_modules: list[str] | None = Field(
        None,
        min_length=1,
        description="Last names of the layers of the language model that get adapters, as in [q_proj, v_proj]; unset: all "
        "its linear layers.",
    )
    keep_adapter: bool = Field(
        False,
        description="Keep the adapter itself in the checkpoint's folder adapter/, beside the merged weights. No part of a "
        "checkpoint's identity: one that is tuned already gets none.",
    )


class PretrainedModelSettings(Document):
    """The checkpoint that is tuned, and which of its weights move."""

    kind: Literal["pretrained"]
    model: str = Field(
        min_length=1,
        description="Name on the hub, as in llava-hf/llava-1.5-7b-hf, or a folder that save_pretrained wrote.",
    )
    revision: str = Field("main", min_length=1, description="Branch, tag or commit on the hub; better a commit.")
    method: Literal["lora", "full"] = Field(
        "lora", description="lora: adapters in the language model, merged afterwards; full: all its weights."
    )
    lora: LoraSettings = Field(LoraSettings(), description="The adapters, where the method is lora.")
    tower: Literal["frozen", "trained"] = Field(
        "frozen", description="Whether the vision tower learns too: with lora, through adapters of its own."
    )
    system: str | None = Field(
        None,
        min_length=1,
        description="System sentence where the checkpoint's chat template has none; the tuned checkpoint carries it.",
    )
    max_length: int = Field(
        2048,
        ge=16,
        le=1_000_000,
        description="Longest row, vision tokens included; a longer one is rejected, never cut.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Precision of the arithmetic; auto: bfloat16 on a GPU, float32 on a processor."
    )


class PhaseSettings(Document):
    """One phase of training; the defaults are those of LLaVA-1.5's finetune_lora.sh."""

    epochs: float = Field(
        1, gt=0, le=1000, description="How often every row is seen; more often where the rows do not fill one batch."
    )
    batch_size: int = Field(128, ge=1, le=65_536, description="Rows an optimizer step, over all processes.")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="AdamW: the adapters, or the language model itself.")
    projector_learning_rate: float = Field(2e-5, ge=0, le=1, description="AdamW: the projector; 0 freezes it.")
    tower_learning_rate: float = Field(2e-6, gt=0, le=1, description="AdamW: the vision tower, where it is trained.")
    weight_decay: float = Field(0, ge=0, le=1, description="AdamW's decay of matrices.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps in which the rates rise.")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="How the rates go on after that."
    )


class ProjectorAlignmentSettings(Document):
    """A phase before the tuning in which the projector alone learns; the defaults are those of LLaVA-1.5's pretrain.sh."""

    rows: Literal["describe", "all"] = Field(
        "describe", description="What it learns from: the pairs that ask for a description, or every row."
    )
    epochs: float = Field(1, gt=0, le=1000, description="How often every such row is seen.")
    batch_size: int = Field(256, ge=1, le=65_536, description="Rows an optimizer step, over all processes.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="AdamW: the projector.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps in which the rate rises.")

    @property
    def phase(self) -> PhaseSettings:
        """The same as a phase in which only the projector has a rate."""
        return PhaseSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            projector_learning_rate=self.learning_rate,
            warmup=self.warmup,
        )


class MixSettings(Document):
    """Conversations of the user's own, in LLaVA's JSON, trained on together with the kept pairs."""

    conversations: UserPath = Field(
        description="JSON or JSON Lines file in LLaVA's layout, as llava_v1_5_mix665k.json: id, image (a name, several, "
        "or none), conversations."
    )
    images: UserPath = Field(description="Folder that the names of the pictures start at.")
    ratio: float | None = Field(
        None, gt=0, description="Rows of it for every kept pair, drawn by the seed; unset: all of it."
    )


class MachineSettings(Document):
    """How the machine is used. Nothing here is part of a checkpoint's identity."""

    device: Literal["auto", "cuda", "cpu"] = Field("auto", description="auto: a GPU where there is one.")
    processes: int = Field(1, ge=1, le=1024, description="Processes on this machine, a GPU each.")
    micro_batch: int = Field(
        8, ge=1, le=4096, description="Rows in memory at once, a process; halved when memory runs out."
    )
    workers: int = Field(4, ge=0, le=256, description="Processes that decode pictures, for each training process.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="Attention kernels; auto: what the checkpoint's classes choose, SDPA where they can."
    )
    gradient_checkpointing: bool = Field(
        False, description="Compute activations twice instead of keeping them: less memory, a third more time."
    )
    compile: bool = Field(
        False,
        description="Compile the language model's layers: a minute or two at the start, then faster and in less memory.",
    )
    save_every: int = Field(
        200, ge=1, description="Optimizer steps between saves that a killed run goes on from; the newest is kept."
    )


class PretrainedTuningSettings(Document):
    """A checkpoint and how it is tuned."""

    model: PretrainedModelSettings = Field(description="What is tuned, and which of its weights move.")
    alignment: ProjectorAlignmentSettings | None = Field(
        None, description="Unset: the projector is aligned already, as in every checkpoint that can answer."
    )
    stage: PhaseSettings = Field(PhaseSettings(), description="Instruction tuning.")
    mix: MixSettings | None = Field(None, description="The user's own data; unset: kept pairs alone.")
    machine: MachineSettings = Field(MachineSettings(), description="How the machine is used.")
    seed: int = Field(0, ge=0, description="Seed of the adapters, the dropout, the order of the rows and the mix.")

    @property
    def of_the_result(self) -> dict[str, object]:
        """The settings that shape the weights: all but the machine's, and the adapter's fate."""
        return self.model_dump(mode="json", exclude={"machine": True, "model": {"lora": {"keep_adapter"}}, "mix": True})

    @model_validator(mode="after")
    def _divides(self) -> Self:
        for key, size in (
            ("alignment", self.alignment.batch_size if self.alignment else 0),
            ("stage", self.stage.batch_size),
        ):
            if size % self.machine.processes:
                raise MistakeAtKeyError(
                    (key, "batch_size"), f"{size} cannot be shared by {self.machine.processes} processes"
                )
        return self
