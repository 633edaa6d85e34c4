"""Adapters train on a base in 8 or 4 bits, in less memory, and work on the base as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from tests.families.lab import Trained, answers, differing, loss_of, plain, served
from tests.toys import toy_model
from tunery.core.errors import Problem
from tunery.engine import quantised
from tunery.engine.quantised import quantisation
from tunery.engine.weights import load_model
from tunery.methods.sft import Settings
from tunery.models.folder import inspect_folder, load_family

pytestmark = [
    # PEFT 0.21 asks transformers 5.23 under an old name; bitsandbytes says in which numbers it multiplies.
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
    pytest.mark.filterwarnings("ignore:MatMul8bitLt:UserWarning"),
]
KINDS = ["int8", "nf4"]
LEARN: dict[str, Any] = {"learning_rate": 1e-2, "lora_rank": 4, "lora_dropout": 0.1}


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantised, "PACKAGE", "no_such_package")
    with pytest.raises(Problem) as caught:
        quantisation(Settings.model_validate({"nf4_quantization": True}), torch.float32)
    assert caught.value.code == "missing_extra"
    assert "quantised" in caught.value.cure


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_trains_on_it_and_resumes_exactly(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = toy_model(tmp_path / "base")
    settings = {**LEARN, f"{kind}_quantization": True}
    whole = Trained(tmp_path / "whole", base, **settings)
    assert whole.learnt(), whole.losses
    assert whole.losses != Trained(tmp_path / "plain", base, **LEARN).losses

    resumed = Trained(tmp_path / "resumed", base, [whole.checkpoint], number=2, **settings)
    assert resumed.losses == whole.losses[-len(resumed.losses) :]
    assert resumed.equals(whole)

    tuned = PeftModel.from_pretrained(plain(base), str(whole.output)).eval()
    assert differing(whole.masters, tuned) == []
    assert loss_of(tuned, base) < 0.9 * loss_of(plain(base), base)
    assert served(base, 8, whole.output) == answers(tuned, 8)


@pytest.mark.parametrize(("kind", "most"), [("int8", 0.6), ("nf4", 0.4)])
def test_the_base_takes_less_memory(kind: str, most: float, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = toy_model(tmp_path, hidden_size=256, intermediate_size=512)
    family = load_family(inspect_folder(base))
    settings = Settings.model_validate({f"{kind}_quantization": True})
    small = load_model(base, torch.bfloat16, family, quantisation=quantisation(settings, torch.bfloat16))
    usual = load_model(base, torch.bfloat16, family)
    matrices = [name for name, layer in usual.named_modules() if name.endswith("_proj")]

    def size(model: Any) -> int:
        return sum(model.get_submodule(name).weight.nbytes for name in matrices)

    assert matrices
    assert size(small) < most * size(usual)
