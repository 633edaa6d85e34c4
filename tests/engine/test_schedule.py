"""How the learning rate goes, when a training ends early, and noise: by hand-made cases and by transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.engine.conftest import Engines, events, losses
from tests.toys import attempt, toy_conversations
from tunery.core.errors import Problem
from tunery.engine.noise import EmbeddingNoise, sequence_lengths
from tunery.engine.schedule import leads_no_further, learning_rate
from tunery.schemas.settings import TrainingSettings, resolve_settings

STEPS = 50
PEAK = 1e-3

SCHEDULES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"lr_scheduler": "linear"}, "linear", {}),
    ({"lr_scheduler": "constant"}, "constant", {}),
    ({"lr_scheduler": "cosine"}, "cosine", {}),
    ({"lr_scheduler": "cosine", "lr_cosine_waves": 1.5}, "cosine", {"num_cycles": 1.5}),
    (
        {"lr_scheduler": "cosine_with_restarts", "lr_cosine_restarts": 3},
        "cosine_with_restarts",
        {"num_cycles": 3},
    ),
    (
        {"lr_scheduler": "polynomial", "lr_polynomial_end": 1e-4, "lr_polynomial_power": 2.0},
        "polynomial",
        {"lr_end": 1e-4, "power": 2.0},
    ),
    (
        {"lr_scheduler": "warmup_stable_decay", "lr_decay_ratio": 0.3},
        "warmup_stable_decay",
        {"num_decay_steps": 15},
    ),
]


@pytest.mark.parametrize(("given", "name", "theirs"), SCHEDULES)
def test_rates_are_those_of_transformers(given: dict[str, Any], name: str, theirs: dict[str, Any]) -> None:
    settings = TrainingSettings.model_validate({"learning_rate": PEAK, **given})
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=PEAK)
    schedule = transformers.get_scheduler(
        name, optimizer, num_warmup_steps=0, num_training_steps=STEPS, scheduler_specific_kwargs=theirs
    )
    for step in range(STEPS):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(settings, step, STEPS) == pytest.approx(expected, abs=1e-9), step
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("given", [given for given, _, _ in SCHEDULES])
def test_rates_rise_over_the_warm_up_to_the_peak(given: dict[str, Any]) -> None:
    settings = TrainingSettings.model_validate({"learning_rate": PEAK, "warmup_ratio": 0.2, **given})
    rates = [learning_rate(settings, step, STEPS) for step in range(STEPS)]
    assert rates[:10] == pytest.approx([PEAK * (step + 1) / 10 for step in range(10)])
    assert rates[10] == pytest.approx(PEAK)
    assert all(0 <= rate <= PEAK * (1 + 1e-9) for rate in rates)


@pytest.mark.parametrize(
    ("given", "setting", "code"),
    [
        ({"lr_cosine_waves": 2}, "lr_cosine_waves", "setting_without_effect"),
        (
            {"lr_scheduler": "cosine", "lr_polynomial_power": 2},
            "lr_polynomial_power",
            "setting_without_effect",
        ),
        ({"lr_scheduler": "polynomial", "lr_polynomial_end": 0.1}, "lr_polynomial_end", "setting_invalid"),
        ({"early_stopping": True}, "early_stopping", "setting_without_effect"),
        (
            {"eval_steps": 5, "early_stopping_patience": 2},
            "early_stopping_patience",
            "setting_without_effect",
        ),
        ({"finetuning_type": "full", "lora_rslora": True}, "lora_rslora", "setting_without_effect"),
        ({"finetuning_type": "full", "lora_dora": True}, "lora_dora", "setting_without_effect"),
        ({"finetuning_type": "full", "lora_experts": True}, "lora_experts", "setting_without_effect"),
        ({"lora_experts": True, "lora_dora": True}, "lora_experts", "setting_without_effect"),
        ({"lora_experts": True, "lora_dropout": 0.1}, "lora_dropout", "setting_without_effect"),
        ({"neftune": 80}, "neftune", "setting_out_of_range"),
    ],
)
def test_what_does_nothing_or_makes_no_sense_is_refused(
    given: dict[str, Any], setting: str, code: str
) -> None:
    with pytest.raises(Problem) as caught:
        resolve_settings("sft", TrainingSettings, given, {}, allow_out_of_range=False)
    assert (caught.value.code, caught.value.where.setting) == (code, setting)


@pytest.mark.parametrize(
    ("mode", "values", "ends_after"),
    [
        ("change", [5, 4, 3.99, 3.985, 3.98], 5),
        ("change", [5, 4, 3.99, 3.5, 3.49, 3.49, 3.49], 7),
        ("change", [5, 4, 3, 2, 1], None),
        ("best", [5, 4, 4.5, 3.995, 4.1], 5),
        ("best", [5, 4, 4.5, 3.9, 4.2, 4.1, 4.0], 7),
        ("best", [5, 4, 3, 2, 1], None),
    ],
)
def test_a_training_ends_where_patience_does(mode: str, values: list[float], ends_after: int | None) -> None:
    settings = TrainingSettings.model_validate(
        {"early_stopping_mode": mode, "early_stopping_threshold": 0.01, "early_stopping_patience": 3}
    )
    ends = [at for at in range(1, len(values) + 1) if leads_no_further(settings, values[:at])]
    assert ends[:1] == ([] if ends_after is None else [ends_after])


def test_early_stopping_ends_the_run_and_keeps_the_model(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    folder = attempt(
        tmp_path / "run",
        base,
        validation=toy_conversations(4, 9),
        eval_steps=2,
        early_stopping=True,
        early_stopping_threshold=10.0,
        early_stopping_patience=2,
        logging_steps=5,
        epochs=4,
    )
    result = engines.run(folder)
    assert (result["status"], result["steps"], result["output"]) == ("succeeded", 6, "output")
    assert list(losses(folder)) == [5, 6]
    assert any("Early stopping" in event["message"] for event in events(folder, "log"))


def test_noise_is_as_strong_as_its_sequence_is_short_and_only_in_training() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Embedding(10, 4096)
    noise = EmbeddingNoise(layer, 5.0)
    tokens = torch.zeros(1, 30, dtype=torch.long)
    shapes = ((4, 2, 6), (18,))
    assert sequence_lengths(shapes).tolist() == [6] * 6 + [10] * 6 + [18] * 18
    noise.lay_out(sequence_lengths(shapes))
    added = (layer(tokens) - layer.weight[0])[0].detach()
    for token, length in ((0, 6), (8, 10), (20, 18)):
        bound = 5.0 / (length * 4096) ** 0.5
        assert 0.98 * bound < float(added[token].abs().max()) <= bound * 1.001
    layer.eval()
    assert torch.equal(layer(tokens)[0, 0], layer.weight[0])
