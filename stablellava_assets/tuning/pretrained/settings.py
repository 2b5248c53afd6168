"""What a profile may say about tuning a checkpoint of the Hugging Face hub, or of a folder."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError, UserPath


class LoraSettings(Document):
    """Low-rank adapters (Hu et al., 2021); the defaults are those of LLaVA-1.5's finetune_lora.sh."""

    rank: int = Field(128, ge=1, le=4096, description="Rank of the update matrices.")
    alpha: float = Field(256, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="Dropout rate of the adapters' inputs in training.")
    target_modules: list[str] | None = Field(
        None,
        min_length=1,
        description=(
            "Layers of the language model that get adapters, such as [q_proj, v_proj]. Unset: all its linear layers."
        ),
    )
    keep_adapter: bool = Field(
        False,
        description=(
            "Keep the adapter in the checkpoint's folder adapter/, beside the merged weights. Not part of a "
            "checkpoint's identity: existing checkpoints get none."
        ),
    )


class PretrainedModelSettings(Document):
    """The checkpoint to tune, and which of its weights are trained."""

    kind: Literal["pretrained"]
    model: str = Field(
        min_length=1,
        description="Name on the hub, such as llava-hf/llava-1.5-7b-hf, or a folder written by save_pretrained.",
    )
    revision: str = Field("main", min_length=1, description="Branch, tag or commit on the hub; a commit is safest.")
    method: Literal["lora", "full"] = Field(
        "lora", description="lora: adapters in the language model, merged afterwards; full: all its weights."
    )
    lora: LoraSettings = Field(LoraSettings(), description="The adapters, if method is lora.")
    tower: Literal["frozen", "trained"] = Field(
        "frozen", description="Whether the vision tower is trained too; with lora, through its own adapters."
    )
    system: str | None = Field(
        None,
        min_length=1,
        description=(
            "System prompt, if the checkpoint's chat template has none; the tuned checkpoint's template carries it."
        ),
    )
    max_length: int = Field(
        2048,
        ge=16,
        le=1_000_000,
        description=(
            "Maximum row length in tokens, including vision tokens; longer rows are rejected, never truncated."
        ),
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Precision. auto: bfloat16 on a GPU, float32 on a processor."
    )


class PhaseSettings(Document):
    """One phase of training; the defaults are those of LLaVA-1.5's finetune_lora.sh."""

    epochs: float = Field(1, gt=0, le=1000, description="Passes over the rows; more if the rows do not fill one batch.")
    batch_size: int = Field(128, ge=1, le=65_536, description="Rows per optimizer step, over all processes.")
    learning_rate: float = Field(
        2e-4, gt=0, le=1, description="AdamW learning rate of the adapters, or of the language model itself."
    )
    projector_learning_rate: float = Field(
        2e-5, ge=0, le=1, description="AdamW learning rate of the projector; 0 freezes it."
    )
    tower_learning_rate: float = Field(
        2e-6, gt=0, le=1, description="AdamW learning rate of the vision tower, if it is trained."
    )
    weight_decay: float = Field(0, ge=0, le=1, description="AdamW weight decay of matrices.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps used for warm-up.")
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        "cosine", description="Learning rate schedule after the warm-up."
    )


class ProjectorAlignmentSettings(Document):
    """A first phase that trains only the projector; the defaults are those of LLaVA-1.5's pretrain.sh."""

    rows: Literal["describe", "all"] = Field(
        "describe", description="Training rows: the pairs that ask for a description, or all rows with images."
    )
    epochs: float = Field(1, gt=0, le=1000, description="Passes over these rows.")
    batch_size: int = Field(256, ge=1, le=65_536, description="Rows per optimizer step, over all processes.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="AdamW learning rate of the projector.")
    warmup: float = Field(0.03, ge=0, lt=1, description="Share of the steps used for warm-up.")

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
    """The user's own conversations, in LLaVA's JSON, added to the kept pairs."""

    conversations: UserPath = Field(
        description=(
            "JSON or JSON Lines file in LLaVA's layout, such as llava_v1_5_mix665k.json: id, image (one name, "
            "several, or none), conversations."
        )
    )
    images: UserPath = Field(description="Folder that the image names are relative to.")
    ratio: float | None = Field(None, gt=0, description="Rows of it per kept pair, drawn by the seed. Unset: all rows.")


class MachineSettings(Document):
    """Use of the machine. Nothing here is part of a checkpoint's identity."""

    device: Literal["auto", "cuda", "cpu"] = Field("auto", description="Device. auto: a GPU if there is one.")
    processes: int = Field(1, ge=1, le=1024, description="Processes on this machine, one per GPU.")
    micro_batch: int = Field(
        8, ge=1, le=4096, description="Rows per process and forward pass; halved when memory runs out."
    )
    workers: int = Field(4, ge=0, le=256, description="Processes per training process that decode images.")
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2"] = Field(
        "auto", description="Attention kernels. auto: the choice of the checkpoint's classes, SDPA if supported."
    )
    gradient_checkpointing: bool = Field(
        False, description="Recompute activations instead of keeping them: less memory, a third more time."
    )
    compile: bool = Field(
        False,
        description=(
            "Compile the language model's layers: a minute or two at the start, then faster and with less memory."
        ),
    )
    save_every: int = Field(
        200, ge=1, description="Optimizer steps between saves, from which a killed run resumes; the newest is kept."
    )


class PretrainedTuningSettings(Document):
    """A checkpoint and how it is tuned."""

    model: PretrainedModelSettings = Field(description="The model, and which of its weights are trained.")
    alignment: ProjectorAlignmentSettings | None = Field(
        None,
        description=(
            "Training of the projector alone. Unset: the projector is aligned already, as in every instruction-tuned "
            "checkpoint."
        ),
    )
    stage: PhaseSettings = Field(PhaseSettings(), description="Instruction tuning.")
    mix: MixSettings | None = Field(None, description="The user's own data. Unset: kept pairs only.")
    machine: MachineSettings = Field(MachineSettings(), description="Use of the machine.")
    seed: int = Field(0, ge=0, description="Seed of the adapters, the dropout, the row order and the mix.")

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
