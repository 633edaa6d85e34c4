"""The model in training: what is trained, in which numbers, and the likelihood of a batch under it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from tunery.core.errors import Problem
from tunery.engine import weights
from tunery.engine.batches import Batch, fill
from tunery.engine.fusing import fuse
from tunery.engine.linear import train_by_tiles
from tunery.engine.loss import linear_nll
from tunery.engine.machine import has_bf16
from tunery.engine.noise import EmbeddingNoise, sequence_lengths
from tunery.engine.optim import Optimizer
from tunery.engine.quantised import quantisation
from tunery.engine.text_to_text import read_and_written
from tunery.models.families.point import Family
from tunery.models.folder import ModelFolder, is_adapter
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
        self._apart = family.TEXT_TO_TEXT
        self._noise: EmbeddingNoise | None = None
        self._plain_head = not any(getattr(model.config, key, None) for key in _HEAD_TWISTS)

    def nll(self, batch: Batch) -> torch.Tensor:
        """Sum over the N supervised tokens of their negative log-likelihood, in nats; fp32 scalar."""
        return self.token_nll(batch, alike=True).sum()

    def token_nll(self, batch: Batch, *, alike: bool = False) -> torch.Tensor:
        """The negative log-likelihood of each of the N supervised tokens, in nats; fp32.

        `alike` promises that the loss will be their sum, or a multiple of it: that takes less memory.
        """
        head = self._model.get_output_embeddings()
        if not self._plain_head or type(head) is not torch.nn.Linear:
            return self._by_logits(batch)
        hidden_NH = self._hidden(batch)[batch.predictors_N]
        hidden_NH = hidden_NH.to(head.weight.dtype)
        return linear_nll(hidden_NH, head.weight, head.bias, batch.targets_N, alike=alike)

    def sequence_nll(self, batch: Batch) -> torch.Tensor:
        """The sum of them over each of the S sequences; fp64."""
        return batch.by_sequence(self.token_nll(batch).double())

    def scores(self, batch: Batch) -> torch.Tensor:
        """What the reward head says at the end of each of the S sequences; fp32."""
        head: torch.nn.Module = self._model.get_submodule("score")
        return head(self._hidden(batch)[batch.ends_S].float())[:, 0]

    def _hidden(self, batch: Batch) -> torch.Tensor:
        """Last hidden states [T, H]."""
        if self._apart:
            return read_and_written(self._model, batch)
        decoder = self._model.base_model
        if self._packed:
            filled = fill(batch)
            if self._noise is not None:
                self._noise.lay_out(sequence_lengths(filled.shapes))
            out = decoder(
                input_ids=filled.tokens_T[None],
                position_ids=filled.positions_T[None],
                shapes=filled.shapes,
                use_cache=False,
            )
            return out.last_hidden_state[0]
        return self._one_by_one(
            batch, lambda ids: decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0]
        )

    def _one_by_one(self, batch: Batch, run: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What `run` gives for each token, laid out as the batch is.

        Attention of some families can't be told where a sequence ends, so each goes alone: no padding either way.
        """
        parts: list[torch.Tensor] = []
        for tokens, shape in zip(
            batch.tokens_T.split([sum(s) for s in batch.shapes]), batch.shapes, strict=True
        ):
            trunk, first = shape[0], sum(shape[:2])
            parts.append(run(tokens[:first]))
            for branch in tokens[first:].split(shape[2:]) if shape[2:] else ():
                parts.append(run(torch.cat([tokens[:trunk], branch]))[trunk:])
        return torch.cat(parts)

    def _by_logits(self, batch: Batch) -> torch.Tensor:
        """The same through the model's own output layer, for families that do more there than a product."""
        if self._packed:
            if self._noise is not None:
                self._noise.lay_out(sequence_lengths(batch.shapes))
            out = self._model(
                input_ids=batch.tokens_T[None],
                position_ids=batch.positions_T[None],
                shapes=batch.shapes,
                use_cache=False,
                logits_to_keep=batch.predictors_N,
            )
            logits_NV = out.logits[0]
        else:
            logits_TV = self._one_by_one(
                batch, lambda ids: self._model(input_ids=ids[None], use_cache=False).logits[0]
            )
            logits_NV = logits_TV[batch.predictors_N]
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
        start: Path | None = None,
        resume: Path | None = None,
        dtype: torch.dtype | None = None,
        scored: bool = False,
    ) -> None:
        self.dtype = dtype or compute_dtype()
        self.adapter = settings.finetuning_type == "lora"
        self._base, self._family, self._start = base, family, start
        self._frozen: PreTrainedModel | None = None
        self._first_adapter: dict[str, torch.Tensor] | None = None
        goes_on = self.adapter and start is not None and is_adapter(start)
        if self.adapter:
            below = base.path if start is None or goes_on else start
            model = weights.load_model(
                below, self.dtype, family, scored=scored, quantisation=quantisation(settings, self.dtype)
            )
            self._wrapped = weights.add_adapter(model, settings, family, base_name, scored=scored)
            from tunery.engine.lora import join_adapters  # brings PEFT, which takes a while to import

            join_adapters(self._wrapped)
        elif resume is not None:
            model = weights.load_model(resume, torch.float32, family, scored=scored)
            self._wrapped = None
        else:
            model = weights.load_start(base.path, start, torch.float32, family, scored=scored)
            self._wrapped = None
        self.model = model
        super().__init__(model, family)
        if settings.neftune:
            self._noise = EmbeddingNoise(model.get_input_embeddings(), settings.neftune)
        self.optimizer = Optimizer(
            self._module,
            self.dtype,
            exact=("score", *weights.EXACT) if scored else weights.EXACT,
            weight_decay=settings.weight_decay,
            max_grad_norm=settings.max_grad_norm,
        )
        if goes_on and start is not None:
            self._first_adapter = weights.load_adapter_masters(start, self.optimizer.masters())
            self.optimizer.load_masters(self._first_adapter)
        if self.adapter and resume is not None:
            masters = self.optimizer.masters()
            self.optimizer.load_masters(weights.load_adapter_masters(resume, masters))
        fuse(model)
        train_by_tiles(model)
        if not self.optimizer.groups:
            raise Problem("engine_failed", detail="these settings train no weight of this model")

    @property
    def parameters(self) -> int:
        """Weights in all, adapters included."""
        if self.adapter:
            # Several weights of a quantised base lie in one element.
            return self._base.parameters + self.trainable
        return sum(p.numel() for p in self._module.parameters())

    @property
    def trainable(self) -> int:
        """Weights that train."""
        return sum(p.numel() for p in self._module.parameters() if p.requires_grad)

    @property
    def unused_bytes(self) -> int:
        """Of the optimizer's memory, which lies empty, and so in no memory, until the first step."""
        return 8 * self.trainable

    def saving_bytes(self, *, exact: bool) -> int:
        """What `save` needs beside what is there: of all weights a copy in the numbers they are written in."""
        if self.adapter:
            return 4 * self.trainable
        return self.parameters * (4 if exact else getattr(torch, self._base.dtype).itemsize)

    @property
    def _module(self) -> Any:
        return self.model if self._wrapped is None else self._wrapped

    def reference(self, batch: Batch) -> torch.Tensor:
        """Log-likelihood of each of the S sequences' supervised tokens under the model as it was before training."""
        if batch.reference_S is not None:
            return batch.reference_S
        with torch.no_grad():
            if self._wrapped is None:
                nll_N = Likelihood(self._untrained(), self._family).token_nll(batch)
            else:
                training = self._wrapped.training
                self._wrapped.eval()
                with self._as_before():
                    nll_N = self.token_nll(batch)
                self._wrapped.train(training)
        return -batch.by_sequence(nll_N)

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """The adapter as it was before training: not there, or as an earlier run left it."""
        if self._first_adapter is None:
            with self._module.disable_adapter():
                yield
            return
        now = {name: weight.clone() for name, weight in self.optimizer.masters().items()}
        self.optimizer.load_masters(self._first_adapter)
        try:
            yield
        finally:
            self.optimizer.load_masters(now)

    def _untrained(self) -> PreTrainedModel:
        """What the training began with, beside the model in training; loaded when it is first asked for."""
        if self._frozen is None:
            began = weights.load_start(self._base.path, self._start, self.dtype, self._family)
            self._frozen = began.requires_grad_(False)
            fuse(self._frozen)
        return self._frozen

    def forget_reference(self) -> None:
        """Give back the memory of the untrained model, where it isn't asked any more."""
        self._frozen = None

    def training(self, on: bool) -> None:
        """Turn dropout on or off."""
        self._module.train(on)

    @contextmanager
    def answering(self) -> Iterator[PreTrainedModel]:
        """The model as it is now, able to generate; afterwards everything is as it was."""
        model, module = self.model, self._module
        kept = (model.config._attn_implementation, model.generation_config, module.training)
        module.eval()
        if self._family.PACKED:
            # One that knows caches and padding.
            model.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")
        try:
            with torch.random.fork_rng(devices=[]):
                yield model
        finally:
            if self._family.PACKED:
                model.set_attn_implementation(str(kept[0]))
            model.generation_config = kept[1]
            module.train(kept[2])

    def save(self, folder: Path, *, exact: bool) -> None:
        """Write a folder that transformers or PEFT loads. `exact` keeps fp32; else the dtype of the base."""
        kind = torch.float32 if exact else getattr(torch, self._base.dtype)
        masters = self.optimizer.masters()
        if self._wrapped is None:
            # transformers holds that T5's matrices are tied, whatever its folder says.
            kept = (*self._family.RUNS_WITH, *(("tie_word_embeddings",) if self._family.TEXT_TO_TEXT else ()))
            changed = {k: self._base.config[k] for k in kept if k in self._base.config}
            weights.save_model(self.model, masters, folder, kind, changed)
        else:
            weights.save_adapter(self._wrapped, masters, folder, kind)
        weights.copy_tokenizer(self._base.path, folder)
