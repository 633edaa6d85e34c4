"""The contract of every architecture: it trains, saves, reloads, merges, answers and resumes as any other does."""

from pathlib import Path

import pytest
import torch
import transformers
from peft import PeftModel
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

from tests.families.lab import PROMPTS, Trained, answers, differing, logits, plain, served
from tests.replica.asking import Asked, ask_all, running_decoder
from tests.toys import ARCHITECTURES, TEXT_TO_TEXT, toy_model
from tunery.models import catalog
from tunery.models.families.point import FAMILIES
from tunery.models.folder import inspect_folder, load_family

pytestmark = [
    # PEFT 0.21 asks transformers 5.23 under an old name; transformers holds that all of T5's matrices are tied.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Input and output embeddings are no longer tied:UserWarning"),
]

ANSWER = 12
EVERY = {**ARCHITECTURES, **TEXT_TO_TEXT}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("architecture", sorted(EVERY))
def test_every_weight_trains(architecture: str, tmp_path: Path) -> None:
    base = toy_model(tmp_path / "base", architecture)
    whole = Trained(tmp_path / "whole", base, finetuning_type="full", learning_rate=3e-3)
    assert whole.learnt(), whole.losses

    loaded = plain(whole.output)
    assert differing(whole.masters, loaded) == []
    assert whole.trainable == loaded.num_parameters()
    assert loaded.config.to_dict().keys() == plain(base).config.to_dict().keys()
    assert served(whole.output, ANSWER) == answers(loaded, ANSWER)

    resumed = Trained(
        tmp_path / "resumed",
        base,
        [whole.checkpoint],
        number=2,
        finetuning_type="full",
        learning_rate=3e-3,
    )
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert len(resumed.losses) == 4
    assert resumed.equals(whole)


@pytest.mark.parametrize("architecture", sorted(EVERY))
def test_an_adapter_trains(architecture: str, tmp_path: Path) -> None:
    settings = {"learning_rate": 1e-2, "lora_dropout": 0.1, "lora_rank": 4, "lora_alpha": 8}
    base = toy_model(tmp_path / "base", architecture)
    whole = Trained(tmp_path / "whole", base, **settings)
    assert whole.learnt(), whole.losses

    runs_with = load_family(inspect_folder(base)).RUNS_WITH
    tuned = PeftModel.from_pretrained(plain(base, **runs_with), str(whole.output)).eval()
    assert differing(whole.masters, tuned) == []
    expected, said = logits(tuned), answers(tuned, ANSWER)
    assert not torch.allclose(expected, logits(plain(base)), atol=1e-2)
    assert served(base, ANSWER, whole.output) == said

    tuned.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = plain(tmp_path / "merged")
    assert torch.allclose(logits(merged), expected, atol=max(1e-4, 3e-5 * float(expected.abs().max())))
    assert answers(merged, ANSWER) == said

    resumed = Trained(tmp_path / "resumed", base, [whole.checkpoint], number=2, **settings)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert resumed.equals(whole)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "falcon"])
def test_an_adapter_with_magnitudes_trains(architecture: str, tmp_path: Path) -> None:
    settings = {"learning_rate": 1e-2, "lora_dropout": 0.1, "lora_rank": 4, "lora_dora": True}
    base = toy_model(tmp_path / "base", architecture)
    whole = Trained(tmp_path / "whole", base, **settings)
    assert whole.learnt(), whole.losses
    magnitudes = {name: tensor for name, tensor in whole.masters.items() if "magnitude" in name}
    assert magnitudes

    tuned = PeftModel.from_pretrained(plain(base), str(whole.output)).eval()
    fresh = Trained(tmp_path / "fresh", base, **{**settings, "max_steps": 1, "learning_rate": 1e-6})
    assert all(not torch.allclose(tensor, fresh.masters[name]) for name, tensor in magnitudes.items())
    assert differing(whole.masters, tuned) == []
    expected, said = logits(tuned), answers(tuned, ANSWER)
    assert served(base, ANSWER, whole.output) == said
    with running_decoder(base) as (decoder, model):
        decoder.call(lambda: model.load_adapter("tuned", whole.output)).result()
        names = [None, "tuned"]
        alone = [ask_all(decoder, [Asked(PROMPTS[0], ANSWER, name)])[0] for name in names]
        assert ask_all(decoder, [Asked(PROMPTS[0], ANSWER, name) for name in names * 2]) == alone * 2

    tuned.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = plain(tmp_path / "merged")
    assert torch.allclose(logits(merged), expected, atol=1e-4)

    resumed = Trained(tmp_path / "resumed", base, [whole.checkpoint], number=2, **settings)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert resumed.equals(whole)


@pytest.mark.parametrize("architecture", ["mixtral", "qwen3_moe", "deepseek_v3", "ernie4_5_moe", "gpt_oss"])
def test_the_usual_adapter_of_experts_is_of_the_attention_and_a_full_one_is_of_the_experts_too(
    architecture: str, tmp_path: Path
) -> None:
    settings = {"learning_rate": 1e-2, "lora_rank": 2}
    base = toy_model(tmp_path / "base", architecture)
    usual = Trained(tmp_path / "usual", base, max_steps=1, **settings)
    assert all(".self_attn." in name for name in usual.masters)

    whole = Trained(tmp_path / "whole", base, lora_experts=True, **settings)
    assert whole.learnt(), whole.losses
    assert {name for name in whole.masters if ".experts." not in name} == set(usual.masters)
    assert len(whole.masters) > len(usual.masters)
    tuned = PeftModel.from_pretrained(plain(base), str(whole.output)).eval()
    assert differing(whole.masters, tuned) == []
    expected = logits(tuned)
    with running_decoder(base) as (decoder, model):
        load = lambda name, path: decoder.call(lambda: model.load_adapter(name, path), alone=True).result()  # noqa: E731
        load("usual", usual.output)
        load("whole", whole.output)
        names = [None, "usual", "whole"]
        alone = [ask_all(decoder, [Asked(PROMPTS[0], ANSWER, name)])[0] for name in names]
        assert ask_all(decoder, [Asked(PROMPTS[0], ANSWER, name) for name in names * 2]) == alone * 2
    assert alone[2] == answers(tuned, ANSWER)[0]
    merged = tuned.merge_and_unload()
    assert torch.allclose(logits(merged), expected, atol=1e-4)


def _model_types() -> set[str]:
    return {getattr(transformers, config).model_type for config, _ in EVERY.values()}


def test_whoever_claims_to_be_laid_out_packed_is_proved_here() -> None:
    claimed = {kind for _, family in FAMILIES.all() if family.PACKED for kind in family.MODEL_TYPES}
    assert claimed <= _model_types()


def test_every_text_architecture_of_the_catalog_is_here() -> None:
    named = {**MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES, **MODEL_FOR_CAUSAL_LM_MAPPING_NAMES}
    proved = {named[kind] for kind in _model_types()}
    offered = {
        entry.architecture
        for entry in catalog.entries()
        if entry.task in ("text-generation", "text2text-generation")
        and not catalog.native_successor(entry.name)
    }
    assert offered <= proved


def test_families_name_types_that_there_are() -> None:
    for _, family in FAMILIES.all():
        assert set(CONFIG_MAPPING) >= family.MODEL_TYPES
