"""What an engine can do before it knows its work: import everything, and let the libraries set themselves up.

Nothing of it may show in a result: a run on a warmed engine equals one on a new engine bit for bit.
"""

import gc
import importlib
import sys
import tempfile
from pathlib import Path

_LATE = (
    "tunery.engine.train",
    "tunery.engine.evaluate",
    "peft",
    "transformers.models.qwen2.modeling_qwen2",
)
_HIDDEN = 64


def up() -> None:
    """Import what trainings and evaluations need, and train something tiny once."""
    for name in _LATE:
        importlib.import_module(name)
    _train_something()
    gc.collect()
    gc.freeze()  # what is imported stays: the collector needn't look through it again and again


def hold_threads(count: int) -> None:
    """Hold torch to `count` threads where it has been imported with another number."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(count)


def _train_something() -> None:
    """One step of a LoRA on a model of some kilobytes: tables that transformers and PEFT make at the first model,
    kernels that are chosen at the first product. What it draws is forgotten: a training seeds everything anew."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunery.data.example import Example
    from tunery.engine import weights
    from tunery.engine.batches import join
    from tunery.engine.optim import Optimizer
    from tunery.engine.policy import Likelihood, compute_dtype
    from tunery.methods.point import METHODS
    from tunery.models.families.point import FAMILIES

    llama, sft = FAMILIES.load("llama"), METHODS.load("sft")

    config = LlamaConfig(
        vocab_size=_HIDDEN,
        hidden_size=_HIDDEN,
        intermediate_size=_HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    with tempfile.TemporaryDirectory(prefix="tunery-") as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        dtype = compute_dtype()
        model = weights.load_model(Path(folder), dtype, llama)
    wrapped = weights.add_adapter(model, sft.Settings(), llama, "")
    optimizer = Optimizer(wrapped, dtype, weight_decay=0.0, max_grad_norm=1.0)
    batch = join([Example(range(_HIDDEN), [False] + [True] * (_HIDDEN - 1))])
    Likelihood(model, llama).nll(batch).backward()
    optimizer.step(0.0, batch.supervised, optimizer.gradient_norm(batch.supervised))
