"""The model in training: what is trained, in which numbers, and the likelihood of a batch under it."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from tunery.core.errors import Problem
from tunery.engine import weights
from tunery.engine.batches import Batch, fill
from tunery.engine.loss import linear_nll
from tunery.engine.machine import has_bf16
from tunery.engine.optim import Optimizer
from tunery.models.families.point import Family
from tunery.models.folder import ModelFolder
from tunery.schemas.settings import TrainingSettings

_HEAD_TWISTS = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier")
"""Configuration keys of families that change logits after the output layer."""


def compute_dtype() -> torch.dtype:
    """bf16 where the processor multiplies it, else fp32."""
    return torch.bfloat16 if has_bf16() else torch.float32


_SMALL = 1_000_000_000
"""Models up to so many parameters answer in fp32."""


def answer_dtype(parameters: int) -> torch.dtype:
    """In which numbers a model answers, when it is judged as when it is served.

    In bf16 the best token may change with what else is in the batch, so that served and judged answers would
    differ. Small models can afford fp32, where that doesn't happen.
    """
    return torch.float32 if parameters <= _SMALL else compute_dtype()


class Likelihood:
    """The log-likelihood of batches under a causal language model."""

    def __init__(self, model: PreTrainedModel, family: Family) -> None:
        self._model = model
        self._packed = family.PACKED
        self._plain_head = not any(getattr(model.config, key, None) for key in _HEAD_TWISTS)

    def nll(self, batch: Batch) -> torch.Tensor:
        """Sum over the N supervised tokens of their negative log-likelihood, in nats; fp32 scalar."""
        return self.token_nll(batch).sum()

    def token_nll(self, batch: Batch) -> torch.Tensor:
        """The negative log-likelihood of each of the N supervised tokens, in nats; fp32."""
        head = self._model.get_output_embeddings()
        if not self._plain_head or type(head) is not torch.nn.Linear:
            return self._by_logits(batch)
        hidden_NH = self._hidden(batch)[batch.predictors_N]
        return linear_nll(hidden_NH.to(head.weight.dtype), head.weight, head.bias, batch.targets_N)

    def _hidden(self, batch: Batch) -> torch.Tensor:
        """Last hidden states [T, H]."""
        decoder = self._model.base_model
        if self._packed:
            filled = fill(batch)
            out = decoder(
                input_ids=filled.tokens_T[None],
                position_ids=filled.positions_T[None],
                segments=filled.lengths,
                use_cache=False,
            )
            return out.last_hidden_state[0]
        # Attention of these families can't be told where a segment ends, so each goes alone: no padding either way.
        parts = [
            decoder(input_ids=part[None], use_cache=False).last_hidden_state[0]
            for part in batch.tokens_T.split(batch.lengths)
        ]
        return torch.cat(parts)

    def _by_logits(self, batch: Batch) -> torch.Tensor:
        """The same through the model's own output layer, for families that do more there than a product."""
        if self._packed:
            out = self._model(
                input_ids=batch.tokens_T[None],
                position_ids=batch.positions_T[None],
                segments=batch.lengths,
                use_cache=False,
                logits_to_keep=batch.predictors_N,
            )
            logits_NV = out.logits[0]
        else:
            parts = [
                self._model(input_ids=part[None], use_cache=False).logits[0]
                for part in batch.tokens_T.split(batch.lengths)
            ]
            logits_NV = torch.cat(parts)[batch.predictors_N]
        return torch.nn.functional.cross_entropy(logits_NV.float(), batch.targets_N, reduction="none")


class Policy(Likelihood):
    """A model with its trained weights. Frozen ones are kept in the dtype of computation, trained ones in fp32."""

    def __init__(
        self,
        base: ModelFolder,
        family: Family,
        settings: TrainingSettings,
        *,
        base_name: str,
        resume: Path | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.dtype = dtype or compute_dtype()
        self.adapter = settings.finetuning_type == "lora"
        self._base = base
        if self.adapter:
            model = weights.load_model(base.path, self.dtype, family)
            self._wrapped = weights.add_adapter(model, settings, family.lora_targets(base.config), base_name)
        else:
            model = weights.load_model(resume or base.path, torch.float32, family)
            self._wrapped = None
        self.model = model
        super().__init__(model, family)
        self.optimizer = Optimizer(
            self._module,
            self.dtype,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
        )
        if self.adapter and resume is not None:
            masters = self.optimizer.masters()
            self.optimizer.load_masters(weights.load_adapter_masters(resume, masters))
        if not self.optimizer.groups:
            raise Problem("engine_failed", detail="no weight of this model is trained by these settings")

    @property
    def parameters(self) -> int:
        """Weights in all, adapters included."""
        return sum(p.numel() for p in self._module.parameters())

    @property
    def trainable(self) -> int:
        """Weights that train."""
        return sum(p.numel() for p in self._module.parameters() if p.requires_grad)

    @property
    def _module(self) -> Any:
        return self.model if self._wrapped is None else self._wrapped

    def training(self, on: bool) -> None:
        """Turn dropout on or off."""
        self._module.train(on)

    def save(self, folder: Path, *, exact: bool) -> None:
        """Write a folder that transformers or PEFT loads. `exact` keeps fp32; else the dtype of the base."""
        kind = torch.float32 if exact else getattr(torch, self._base.dtype)
        masters = self.optimizer.masters()
        if self._wrapped is None:
            weights.save_model(self.model, masters, folder, kind)
        else:
            weights.save_adapter(self._wrapped, masters, folder, kind)
        weights.copy_tokenizer(self._base.path, folder)
