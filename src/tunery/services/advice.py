"""What experience says of a run before it starts. Nothing here refuses anything; each is a sentence with its figures.

Pure: it is told the settings and what is known of the data, of which lengths and scripts only where rows were sampled.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunery.methods.point import METHODS
from tunery.schemas.run import Outlook
from tunery.schemas.settings import Origin
from tunery.services.recipe import DataFacts

_MANY_ROWS = 10_000
_FEW_ROWS = 1_000
_MOST_EPOCHS = 5
_FEW_STEPS = 30
_HARDLY = 0.2
"""Of the recommended learning rate: less hardly moves an adapter in one epoch."""
_LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
_CUT = 0.02
_SPLIT_UP = 1.2
"""Characters a token: a tokenizer that knows a script holds more in one."""
_FOREIGN = 0.3


def advice_of(
    method: str,
    values: Mapping[str, Any],
    origins: Mapping[str, Origin],
    train: Sequence[DataFacts],
    outlook: Outlook,
) -> list[str]:
    """Every sentence that applies."""
    return [
        *_epochs(values, outlook),
        *_rate(method, values, origins, outlook),
        *_alpha(values, origins),
        *_length(values, train),
        *_language(train),
    ]


def _epochs(values: Mapping[str, Any], outlook: Outlook) -> Iterator[str]:
    epochs, rows = values["epochs"], outlook.rows
    if values["max_steps"] >= 0:
        return
    if rows > _MANY_ROWS and epochs > _MOST_EPOCHS:
        yield (
            f"With more than {_MANY_ROWS:,} rows ({rows:,} here) at most {_MOST_EPOCHS} epochs are advised, not "
            f"{epochs}: more of them learn the rows by heart."
        )
    elif rows >= _FEW_ROWS and epochs > _MOST_EPOCHS:
        yield (
            f"1 to {_MOST_EPOCHS} epochs are usual, and {epochs} are asked for. With {rows:,} rows, watch a "
            "validation loss (validation_split_ratio, eval_steps) for over-fitting."
        )
    elif outlook.steps < _FEW_STEPS and not outlook.rough:
        yield (
            f"{outlook.steps} steps are few to learn from. With few rows ({rows:,}), take more epochs than "
            f"{epochs}, or fewer rows a step."
        )


def _rate(
    method: str, values: Mapping[str, Any], origins: Mapping[str, Origin], outlook: Outlook
) -> Iterator[str]:
    kind = values["finetuning_type"]
    usual = METHODS.load(method).recommended(kind).get("learning_rate")
    rate = values["learning_rate"]
    if kind != "lora" or usual is None or origins.get("learning_rate") == "recommended":
        return
    if rate < _HARDLY * usual and values["epochs"] == 1:
        yield (
            f"A learning_rate of {rate:g} hardly moves an adapter in one epoch of {outlook.steps:,} steps; "
            f"{usual:g} is recommended."
        )


def _alpha(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Iterator[str]:
    if values["finetuning_type"] != "lora" or "user" not in (
        origins.get("lora_alpha"),
        origins.get("lora_rank"),
    ):
        return
    times = values["lora_alpha"] / values["lora_rank"]
    if not 2 <= times <= 4:
        yield (
            f"lora_alpha is {times:.2g} times lora_rank; 2 to 4 times is usual "
            f"({2 * values['lora_rank']} to {4 * values['lora_rank']})."
        )


def _length(values: Mapping[str, Any], train: Sequence[DataFacts]) -> Iterator[str]:
    limit = values["max_sequence_length"]
    found = [length for one in train if one.row_kind != "text" for length in one.lengths]
    if not found:
        return
    longest, cut = max(found), sum(length > limit for length in found) / len(found)
    fits = next((length for length in _LENGTHS if length >= longest), longest)
    if cut > _CUT:
        yield (
            f"About {cut:.0%} of the rows are longer than max_sequence_length {limit:,} and will be cut; "
            f"{fits:,} would hold all that were looked at."
        )
    elif fits < limit and values["packing"]:
        yield (
            f"All rows looked at fit {fits:,} tokens (the longest has {longest:,}): choose "
            f"max_sequence_length {fits:,} instead of {limit:,}; steps are smaller then, and need less memory."
        )


def _language(train: Sequence[DataFacts]) -> Iterator[str]:
    for one in train:
        if one.lengths and one.foreign > _FOREIGN and one.per_token < _SPLIT_UP:
            yield (
                f"This model's tokens hold only {one.per_token:.2g} characters of {one.label}: it has hardly met that "
                "language. Train it fully (finetuning_type full) on text of the language first, best by "
                "method pretrain; then fine-tune with LoRA."
            )
