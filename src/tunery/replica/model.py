"""A base model in memory with the adapters loaded on it. Used by one thread only.

Knows no requests. An adapter that isn't loaded is an error here, never quietly the base model.

Shapes: B rows, T new tokens, L columns of the cache, S columns that an encoder read, V words of the vocabulary.
"""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import torch
from peft import LoraConfig, PeftModel, PeftModelForCausalLM, PeftModelForSeq2SeqLM
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer
from transformers.modeling_outputs import BaseModelOutput

from tunery.core.errors import Problem
from tunery.replica import cache as caches

_BASE = "__base__"
"""What PEFT calls a row without an adapter."""
_CACHE_SHARE = 0.5
"""How much of the memory free after loading the caches of all answers may take."""


class ServedModel:
    """Computes next-token logits for rows that may each use another adapter."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self._base = model.eval().requires_grad_(False)
        self._peft: PeftModel | None = None
        self._inner: dict[str, str] = {}
        """PEFT's name of each adapter: PyTorch allows no dots in names."""
        self._alone: set[str] = set()
        """Adapters that PEFT can't mix with others in a batch."""
        self._experts: set[str] = set()
        """Adapters of experts: while there is one, PEFT mixes none at all."""
        self._loaded = 0
        self._composed: frozenset[str | None] | None = None
        self._takes = frozenset(inspect.signature(model.forward).parameters)
        self.apart = bool(model.config.is_encoder_decoder)
        """An encoder reads prompts, and the decoder's text begins with a token of its own."""
        config: Any = model.config.get_text_config()
        self.batches: bool = "past_key_values" in self._takes and _keeps_columns(config)
        """Rows of different answers can share a batch. Models with a running state answer one at a time."""
        self.cache_tokens = _cache_tokens(config, dtype) if self.batches else 0

    def load_adapter(self, name: str, path: Path) -> None:
        """Read an adapter. Raises Problem `adapter_unusable`; the model is then as it was."""
        config = _adapter_config(path)
        self._loaded += 1
        inner = f"adapter{self._loaded}"
        try:
            if self._peft is None:
                kind = PeftModelForSeq2SeqLM if self.apart else PeftModelForCausalLM
                self._peft = kind(self._base, config, adapter_name=inner, autocast_adapter_dtype=False)  # pyright: ignore[reportArgumentType]
            result = self._peft.load_adapter(
                str(path), adapter_name=inner, torch_device="cpu", autocast_adapter_dtype=False
            )
            if wrong := [*result.missing_keys, *result.unexpected_keys]:
                raise ValueError(f"{len(wrong)} tensors don't fit the base model, such as {wrong[0]}")
        except (ValueError, RuntimeError, KeyError) as error:
            if self._peft is not None and inner in self._peft.peft_config:
                self._drop(self._peft, inner)
            detail = " ".join(str(error).split())[:300]
            raise Problem("adapter_unusable", path=str(path), detail=detail) from error
        finally:
            self._composed = None
        self._peft.eval()
        self._inner[name] = inner
        if config.use_dora:
            self._alone.add(name)
        if config.target_parameters:
            self._experts.add(name)

    def unload_adapter(self, name: str) -> None:
        """Forget an adapter; no row may use it any more."""
        assert self._peft is not None
        self._drop(self._peft, self._inner.pop(name))
        self._alone.discard(name)
        self._experts.discard(name)
        self._composed = None

    def mixes(self, adapters: Iterable[str | None]) -> bool:
        """Whether rows that use these adapters can share a batch."""
        used = set(adapters)
        return len(used) == 1 or not (self._experts or used & self._alone)

    def _drop(self, tuned: PeftModel, inner: str) -> None:
        # PEFT chooses another active adapter by itself, but warns of it.
        if others := [other for other in tuned.peft_config if other != inner]:
            tuned.set_adapter(others[0], inference_mode=True)
        tuned.delete_adapter(inner)

    def new_cache(self) -> Cache | None:
        """An empty cache, for models whose rows share a batch."""
        if not self.batches:
            return None
        return caches.new_pair() if self.apart else caches.new_cache()

    def read(self, prompt: list[int], adapter: str | None, cache: Cache | None) -> torch.Tensor:
        """Logits [1, V] of an answer's first token."""
        ids_1T = torch.tensor([prompt])
        if not self.apart:
            return self.forward(ids_1T, [adapter], cache)
        start = torch.tensor([[self._base.config.decoder_start_token_id]])
        output = self._run(
            [adapter], input_ids=ids_1T, decoder_input_ids=start, past_key_values=cache, use_cache=True
        )
        return output.logits[:, -1].float()

    def go_on(
        self,
        ids_BT: torch.Tensor,
        adapters: list[str | None],
        cache: Cache,
        *,
        mask_BL: torch.Tensor | None,
        read_BS: torch.Tensor,
    ) -> torch.Tensor:
        """The same of the token after each row, where an encoder has read the prompts; `read_BS`: 1 for what is a
        row's own."""
        # What was read is in the cache; only its shape is still asked for.
        seen = torch.zeros(1).expand(*read_BS.shape, self._base.config.d_model)
        output = self._run(
            adapters,
            encoder_outputs=BaseModelOutput(last_hidden_state=seen),  # pyright: ignore[reportArgumentType]
            attention_mask=read_BS,
            decoder_input_ids=ids_BT,
            decoder_attention_mask=mask_BL,
            past_key_values=cache,
            use_cache=True,
        )
        return output.logits[:, -1].float()

    def forward(
        self,
        ids_BT: torch.Tensor,
        adapters: list[str | None],
        cache: Cache | None,
        *,
        positions_BT: torch.Tensor | None = None,
        mask_BL: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits of the token after each row, in float32; the cache grows by T columns."""
        offered: dict[str, Any] = {
            "past_key_values": cache,
            "use_cache": cache is not None,
            "position_ids": positions_BT,
            "attention_mask": mask_BL,
            "logits_to_keep": 1,
        }
        inputs = {name: value for name, value in offered.items() if name in self._takes and value is not None}
        logits_BV: torch.Tensor = self._run(adapters, input_ids=ids_BT, **inputs).logits[:, -1]
        return logits_BV.float()

    def _run(self, adapters: list[str | None], **inputs: Any) -> Any:
        """The model with each row's adapter."""
        if names := self._compose(adapters):
            assert self._peft is not None
            return self._peft(adapter_names=names, **inputs)
        return self._base(**inputs)

    def _compose(self, adapters: list[str | None]) -> list[str] | None:
        """Make the rows' adapters active; returns a name per row where they differ."""
        used = frozenset(adapters)
        if self._peft is None:
            assert used == {None}
            return None
        if used != self._composed:
            named = [self._inner[name] for name in used if name is not None]
            tuner: Any = self._peft.base_model
            if named:
                tuner.enable_adapter_layers()
                self._peft.set_adapter(named[0], inference_mode=True)
            else:
                tuner.disable_adapter_layers()
            self._composed = used
        if len(used) == 1:
            return None
        return [_BASE if name is None else self._inner[name] for name in adapters]


def _keeps_columns(config: Any) -> bool:
    """Whether the whole past of a model is keys and values by position."""
    return all(isinstance(layer, DynamicLayer) for layer in DynamicCache(config=config).layers)


def _cache_tokens(config: Any, dtype: torch.dtype) -> int:
    """How many tokens the caches of all answers may hold together."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * size * dtype.itemsize
    return int(psutil.virtual_memory().available * _CACHE_SHARE / token_bytes)


def adapts_experts(path: Path) -> bool:
    """Whether an adapter changes how rows of any adapters can be batched. Raises Problem `adapter_unusable`."""
    return bool(_adapter_config(path).target_parameters)


def _adapter_config(path: Path) -> LoraConfig:
    """The adapter's configuration, where this replica can mix it with others in a batch."""
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (path / name).is_file():
            raise Problem("adapter_unusable", path=str(path), detail=f"{name} is missing")
    try:
        config = LoraConfig.from_pretrained(str(path))
    except (TypeError, ValueError, KeyError) as error:
        raise Problem("adapter_unusable", path=str(path), detail=str(error)) from error
    if not isinstance(config, LoraConfig):
        raise Problem("adapter_unusable", path=str(path), detail="only LoRA and DoRA adapters are served")
    config.inference_mode = True
    return config
