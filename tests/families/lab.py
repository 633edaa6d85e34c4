"""What proves the contract of families: trainings by the real engine in this process, and transformers alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from tests.replica.asking import Asked, ask_all, running_decoder
from tests.toys import attempt, toy_conversations
from tunery.core.attempt import AttemptFolder
from tunery.data.render import ChatRenderer
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.train import Training
from tunery.schemas.engine import EngineInput, EngineSpec

LEARN: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 4,
    "gradient_accumulation_steps": 1,
    "max_sequence_length": 48,
    "max_steps": 12,
    "checkpoint_steps": 8,
}
PROMPTS = [[5 + (7 * row + 3 * place) % 300 for place in range(9 + 13 * row)] for row in range(3)]


class Trained:
    """A finished training, still in memory, and what it wrote."""

    def __init__(
        self, folder: Path, base: Path, resume_from: Sequence[Path] = (), number: int = 1, **settings: Any
    ) -> None:
        self.folder: AttemptFolder = attempt(
            folder, base, resume_from=resume_from, number=number, **{**LEARN, **settings}
        )
        spec = EngineSpec.model_validate(self.folder.read_spec())
        given = EngineInput.model_validate(self.folder.read_attempt())
        training = Training(self.folder, spec, given, Events(self.folder, number), Control(self.folder))
        self.result = training.run()
        self.masters = training.policy.optimizer.masters()
        self.trainable = training.policy.trainable
        self.losses: list[float] = [
            event["values"]["train_loss"]
            for event in self.folder.read_events()[0]
            if event["type"] == "metric" and "train_loss" in event["values"]
        ]

    @property
    def output(self) -> Path:
        return self.folder.output

    @property
    def checkpoint(self) -> Path:
        (path,) = self.folder.checkpoints.glob("step-*")
        return path

    def learnt(self) -> bool:
        """The loss fell, by more than chance."""
        return sum(self.losses[-3:]) / 3 < 0.9 * self.losses[0]

    def equals(self, other: "Trained") -> bool:
        """The trained weights are the same bit for bit."""
        return all(torch.equal(tensor, other.masters[name]) for name, tensor in self.masters.items())


def plain(folder: Path, **changes: Any) -> Any:
    """A model as anyone loads it, perhaps with something changed in its configuration."""
    apart = AutoConfig.from_pretrained(folder).is_encoder_decoder
    kind = AutoModelForSeq2SeqLM if apart else AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32, **changes).eval()


def logits(model: Any) -> torch.Tensor:
    """Of the longest prompt; of the next one after it, where an encoder reads the prompt."""
    written = {"decoder_input_ids": torch.tensor(PROMPTS[1:2])} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        return model(input_ids=torch.tensor(PROMPTS[-1:]), use_cache=False, **written).logits


def loss_of(model: Any, base: Path) -> float:
    """Mean loss of the answers of unseen rows, a row at a time."""
    renderer = ChatRenderer.open(base)
    rows = [renderer.conversation(row, 48) for row in toy_conversations(8, 5)]
    total = 0.0
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([list(row.tokens)])
            labels = torch.where(torch.tensor([list(row.supervised)]), ids, -100)
            total += float(model(input_ids=ids, labels=labels, use_cache=False).loss)
    return total / len(rows)


def answers(model: Any, count: int) -> list[list[int]]:
    """What transformers alone goes on with, greedily, prompt by prompt."""
    found: list[list[int]] = []
    for prompt in PROMPTS:
        with torch.inference_mode():
            ids = torch.tensor([prompt])
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=count,
                eos_token_id=None,
                pad_token_id=1,
            )
        found.append(out[0, 1 if model.config.is_encoder_decoder else len(prompt) :].tolist())
    return found


def served(base: Path, count: int, adapter: Path | None = None) -> list[list[int]]:
    """What a replica answers to all prompts in one batch."""
    name = "tuned" if adapter else None
    with running_decoder(base) as (decoder, model):
        if adapter is not None:
            decoder.call(lambda: model.load_adapter("tuned", adapter)).result()
        return ask_all(decoder, [Asked(prompt, count, name) for prompt in PROMPTS])


def differing(ours: dict[str, torch.Tensor], loaded: Any) -> list[str]:
    """Names of trained weights that a loaded model doesn't hold bit for bit."""
    theirs = dict(loaded.named_parameters())
    return [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name].data)]
