"""A model's folder is read without trusting it."""

from pathlib import Path

import orjson
import pytest

from tests.toys import toy_model
from tunery.core.errors import Problem
from tunery.models.catalog import entries
from tunery.models.folder import can_chat, inspect_folder, load_family, sequence_limit, template_note


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return toy_model(tmp_path / "m", tie_word_embeddings=True)


def refused(folder: Path) -> str:
    with pytest.raises(Problem) as caught:
        inspect_folder(folder)
    return caught.value.code


def change(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_bytes(orjson.dumps({**orjson.loads(file.read_bytes()), **values}))


def test_it_tells_what_the_model_is(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    found = inspect_folder(folder)
    assert (found.architecture, found.family, found.dtype) == ("LlamaForCausalLM", "llama", "float32")
    assert found.parameters == AutoModelForCausalLM.from_pretrained(folder).num_parameters()
    assert (found.context, found.limit, found.has_chat_template) == (256, 256, True)


def test_it_tells_in_which_form_conversations_will_be_written(folder: Path) -> None:
    found = inspect_folder(folder)
    family = load_family(found)
    assert template_note(found, family) is None
    (folder / "chat_template.jinja").unlink()
    bare = inspect_folder(folder)
    assert can_chat(bare, family)
    assert "a plain one (Human: … Assistant: …)" in str(template_note(bare, family))
    (folder / "tokenizer_config.json").unlink()
    endless = inspect_folder(folder)
    assert not can_chat(endless, family)
    assert template_note(endless, family) is None


def test_the_content_hash_follows_the_content(folder: Path) -> None:
    before = inspect_folder(folder).content_hash()
    assert inspect_folder(folder).content_hash() == before
    change(folder, rms_norm_eps=0.5)
    assert inspect_folder(folder).content_hash() != before


def test_what_is_wrong_is_named(folder: Path) -> None:
    assert refused(folder / "nowhere") == "unknown_base_model"
    change(folder, auto_map={"AutoModel": "evil.py"})
    assert refused(folder) == "remote_code"
    (folder / "config.json").write_text("[" * 100_000)
    assert refused(folder) == "model_folder_incomplete"


@pytest.mark.parametrize(("model_type", "successor"), [("chatglm", "GLM-4"), ("baichuan", "Qwen2")])
def test_a_model_that_needs_code_of_its_own_names_what_to_use_instead(
    folder: Path, model_type: str, successor: str
) -> None:
    change(folder, model_type=model_type, auto_map={"AutoModel": "modeling.py"})
    with pytest.raises(Problem) as caught:
        inspect_folder(folder)
    assert caught.value.code == "remote_code"
    assert successor in caught.value.cure


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refused(folder) == "pickled_weights"


@pytest.mark.parametrize(
    "damage", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{}", b"\x10" + b"\0" * 7 + b'{"a":{"dtype":1}}']
)
def test_damaged_weights_are_refused(folder: Path, damage: bytes) -> None:
    (folder / "model.safetensors").write_bytes(damage)
    assert refused(folder) == "model_folder_incomplete"


def test_a_tokenizer_that_does_not_load_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    assert refused(folder) == "model_folder_incomplete"


@pytest.mark.parametrize(
    ("wanted", "limit", "used", "told"),
    [
        (-1, None, 1024, False),
        (-1, 512, 512, False),
        (-1, 8192, 1024, False),
        (2048, 4096, 2048, False),
        (2048, 512, 512, True),
    ],
)
def test_sequence_limit(wanted: int, limit: int | None, used: int, told: bool) -> None:
    length, note = sequence_limit(wanted, limit)
    assert (length, note is not None) == (used, told)


def test_the_catalog_is_whole() -> None:
    found = entries()
    assert len(found) == len({entry.name for entry in found}) == 110
    assert not any(entry.available for entry in found)
    own_code = [entry for entry in found if "custom code" in (entry.note or "")]
    assert len(own_code) == 5
