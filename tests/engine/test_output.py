"""What the engine leaves behind loads elsewhere, and what goes wrong is said in words."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.engine.conftest import Engines, damage, events, losses
from tests.engine.test_resume import checkpoints
from tests.toys import attempt, evaluation, toy_conversations, toy_model
from tunery.core.files import read_json
from tunery.data.render import ChatRenderer
from tunery.data.rows import Conversation, Message
from tunery.engine.policy import Policy
from tunery.methods.sft import Settings
from tunery.models.folder import inspect_folder, load_family
from tunery.schemas.engine import EvaluatedRow
from tunery.schemas.event import EVENT

LEARN = {"epochs": 6, "batch_size": 4, "gradient_accumulation_steps": 1, "learning_rate": 1e-2}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_checkpoint_answers_as_the_model_in_training(
    engines: Engines, base: Path, tmp_path: Path, kind: str
) -> None:
    folder = attempt(tmp_path / "run", base, finetuning_type=kind, epochs=1, batch_size=8, checkpoint_steps=1)
    assert engines.run(folder)["status"] == "succeeded"
    saved = checkpoints(folder)[-1]
    found = inspect_folder(base)
    policy = Policy(
        found,
        load_family(found),
        Settings.model_validate({"finetuning_type": kind}),
        base_name="toy",
        resume=saved,
        dtype=torch.float32,
    )
    if kind == "lora":
        loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(saved))
    else:
        loaded = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32)
    ids = torch.arange(10, 40)[None]
    policy.training(False)
    policy.model.set_attn_implementation("eager")
    with torch.no_grad():
        assert torch.allclose(
            policy.model(input_ids=ids).logits, loaded.eval()(input_ids=ids).logits, atol=1e-5
        )
    assert AutoTokenizer.from_pretrained(saved).chat_template is not None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_output_is_in_the_dtype_of_the_base(engines: Engines, tmp_path: Path, dtype: str) -> None:
    base = toy_model(tmp_path / "base", "qwen2", dtype=dtype, tie_word_embeddings=True)
    folder = attempt(tmp_path / "run", base, finetuning_type="full", epochs=1, batch_size=16)
    assert engines.run(folder)["output_kind"] == "full"
    assert inspect_folder(folder.output).dtype == dtype
    assert read_json(folder.output / "config.json")["dtype"] == dtype
    assert inspect_folder(folder.output).parameters == inspect_folder(base).parameters


def test_training_then_evaluation_tells_tuned_from_base(engines: Engines, base: Path, tmp_path: Path) -> None:
    folder = attempt(
        tmp_path / "run", base, validation=toy_conversations(8, 5), eval_steps=16, logging_steps=5, **LEARN
    )
    result = engines.run(folder)
    assert result["status"] == "succeeded"
    assert result["last_loss"] < 0.7 * result["first_loss"]
    measured = [
        e["values"]["validation_loss"] for e in events(folder, "metric") if "validation_loss" in e["values"]
    ]
    assert measured[-1] < measured[0]
    everything = folder.read_events()[0]
    assert [event["seq"] for event in everything] == list(range(1, len(everything) + 1))
    assert [EVENT.validate_python(event).type for event in everything][-1] == "finished"
    assert all(step % 5 == 0 or step == result["steps"] for step in losses(folder))

    judged = evaluation(
        tmp_path / "judged", base, toy_conversations(12, 77), adapter=folder.output, max_new_tokens=12
    )
    scores = engines.run(judged)
    assert scores["status"] == "succeeded"
    assert scores["tuned"]["loss"]["high"] < scores["base"]["loss"]["low"]
    rows = [EvaluatedRow.model_validate_json(line) for line in judged.rows.read_bytes().splitlines()]
    assert len(rows) == scores["rows"] == 12
    assert {row.expected for row in rows} <= {row.messages[-1].text for row in toy_conversations(12, 77)}
    mean = sum(row.tuned["exact_match"] for row in rows) / len(rows)
    assert scores["tuned"]["exact_match"]["mean"] == pytest.approx(mean)


def test_a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_state(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    folder = attempt(
        tmp_path / "run", base, finetuning_type="full", learning_rate=1e30, epochs=3, max_grad_norm=0.0
    )
    result = engines.run(folder)
    assert (result["status"], result["error"]["code"]) == ("failed", "loss_not_finite")
    named = [int(row) for row in result["error"]["params"]["rows"].split(", ")]
    assert named
    assert all(1 <= row <= 64 for row in named)
    assert checkpoints(folder)
    assert "Traceback" not in str(result)


def test_rows_without_an_answer_within_the_limit_are_refused(
    engines: Engines, base: Path, tmp_path: Path
) -> None:
    long = Conversation((Message.of("user", "word " * 500), Message.of("assistant", "late")))
    folder = attempt(tmp_path / "run", base, rows=[long] * 4, max_sequence_length=64)
    result = engines.run(folder)
    assert result["error"]["code"] == "no_supervised_tokens"


def test_a_damaged_model_is_named(engines: Engines, tmp_path: Path) -> None:
    base = toy_model(tmp_path / "base")
    damage(base / "model.safetensors")
    result = engines.run(attempt(tmp_path / "run", base))
    assert result["error"]["code"] == "model_folder_incomplete"
    assert "cut off" in result["error"]["message"]


@pytest.mark.parametrize("method", ["sft", "pretrain"])
def test_a_base_without_chat_template_gives_a_model_with_the_one_it_was_taught_in(
    engines: Engines, tmp_path: Path, method: str
) -> None:
    base = toy_model(tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    folder = attempt(tmp_path / "run", base, method=method, max_steps=2, checkpoint_steps=1, batch_size=4)
    assert engines.run(folder)["status"] == "succeeded"
    for kept in (folder.output, *checkpoints(folder)):
        assert (kept / "chat_template.jinja").exists() == (method == "sft")
    if method == "pretrain":
        return
    messages = [Message.of("user", "What is the red house?")]
    told = ChatRenderer.open(base).prompt(messages)
    assert ChatRenderer.open(folder.output).prompt(messages) == told
    theirs = AutoTokenizer.from_pretrained(folder.output).apply_chat_template(
        [{"role": "user", "content": "What is the red house?"}], add_generation_prompt=True, return_dict=False
    )
    assert theirs == told
