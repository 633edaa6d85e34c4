"""The catalog speaks to who chooses a model: whole sentences, and a way out where a model can't be used."""

import re

import pytest

from tunery.models import catalog


@pytest.mark.parametrize("note", sorted({entry.note for entry in catalog.entries() if entry.note}))
def test_notes_are_sentences(note: str) -> None:
    assert note[0].isupper()
    assert note.endswith(".")
    assert all(sentence[0].isupper() for sentence in re.split(r"\. ", note))


def test_models_that_need_their_own_code_name_a_successor() -> None:
    refused = {entry.name for entry in catalog.entries() if catalog.native_successor(entry.name)}
    assert refused == {
        "ChatGLM3-6B",
        "ChatGLM2-6B",
        "ChatGLM2-6B-32K",
        "Baichuan2-7B-Chat",
        "Baichuan2-13B-Chat",
    }
    assert "GLM-4" in str(catalog.native_successor("ChatGLM3-6B"))
    assert catalog.native_successor("Llama-3.2-1B") is None
