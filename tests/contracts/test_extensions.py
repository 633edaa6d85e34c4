"""What every extension of a point must do, whoever wrote it."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import orjson
import pytest

from tests.patience import wait
from tests.toys import toy_model, toy_rows
from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem
from tunery.data.formats.point import FORMATS
from tunery.data.render import ChatRenderer
from tunery.data.rows import ROW_TYPES, RowError, decode_row, encode_row
from tunery.engine.batches import join
from tunery.engine.policy import Policy
from tunery.launch.point import LAUNCHERS
from tunery.methods.point import METHODS
from tunery.metrics.point import METRICS, Answer, Need
from tunery.models.families.point import FAMILIES
from tunery.models.folder import inspect_folder, load_family
from tunery.schemas.settings import resolve_settings


@pytest.mark.parametrize("name", METHODS.names())
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_method_presets_hold_to_their_own_ranges(name: str, kind: str) -> None:
    method = METHODS.load(name)
    preset = {**method.recommended(kind), "finetuning_type": kind}
    settings, origins = resolve_settings(name, method.Settings, preset, {}, allow_out_of_range=False)
    assert {key for key, origin in origins.items() if origin == "user"} == set(preset)
    assert method.TITLE
    assert method.HELP
    with pytest.raises(Problem):
        resolve_settings(name, method.Settings, {"learning_rat": 1}, {}, allow_out_of_range=False)
    assert settings.finetuning_type == kind


@pytest.mark.parametrize("name", METHODS.names())
def test_loss_falls_on_the_toy(name: str, tmp_path: Path) -> None:
    method = METHODS.load(name)
    base = inspect_folder(toy_model(tmp_path / "base"))
    settings = method.Settings.model_validate({"finetuning_type": "full", "max_sequence_length": 64})
    renderer = ChatRenderer.open(base.path, None)
    rows = toy_rows(name, 24)
    batch = join([example for row in rows for example in method.examples(row, renderer, settings)])
    policy = Policy(base, load_family(base), settings, base_name="toy", scored="score" in method.NEEDS)
    values: list[float] = []
    for _ in range(15):
        loss = method.loss(settings, policy, batch)
        loss.total.backward()
        values.append(float(loss.total.detach()) / loss.weight)
        policy.optimizer.step(5e-3, loss.weight, policy.optimizer.gradient_norm(loss.weight))
    assert values[-1] < 0.7 * values[0]


def test_methods_metrics_and_launchers_need_no_torch() -> None:
    code = (
        "import sys\n"
        "from tunery.methods.point import METHODS; from tunery.metrics.point import METRICS\n"
        "from tunery.launch.point import LAUNCHERS; from tunery.models.families.point import FAMILIES\n"
        "[list(p.all()) for p in (METHODS, METRICS, LAUNCHERS, FAMILIES)]\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", FORMATS.names())
def test_format_reads_its_own_example(name: str) -> None:
    form = FORMATS.load(name)
    record = orjson.loads(form.EXAMPLE)
    assert form.recognise(record)
    row = form.read(record)
    assert isinstance(row, ROW_TYPES[form.ROW_KIND])
    assert decode_row(encode_row(row)) == row
    with pytest.raises(RowError):
        form.read({"nothing": "of it"})


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_prefers_the_better_answer(name: str) -> None:
    metric = METRICS.load(name)
    right = Answer(prompt="2+2?", expected="four", generated="four", nll=0.1, tokens=1, preference=1.5)
    wrong = Answer(prompt="2+2?", expected="four", generated="a horse", nll=9.0, tokens=1, preference=-0.5)
    better, worse = metric.score(right), metric.score(wrong)
    assert better > worse if metric.HIGHER_IS_BETTER else better < worse
    assert metric.NEEDS in get_args(Need)
    assert not metric.SHARE or {better, worse} <= {0.0, 1.0}


@pytest.mark.parametrize("name", LAUNCHERS.names())
def test_launcher_starts_and_kills(name: str, tmp_path: Path) -> None:
    launcher = LAUNCHERS.load(name)
    folder = AttemptFolder(tmp_path)
    assert not launcher.alive(folder)
    launcher.start([sys.executable, "-c", "import time; time.sleep(600)"], folder, {})
    assert launcher.alive(folder)
    launcher.kill(folder)
    wait("its end", lambda: not launcher.alive(folder))


def test_no_two_families_claim_a_model_type() -> None:
    claimed = [kind for _, family in FAMILIES.all() for kind in family.MODEL_TYPES]
    assert len(claimed) == len(set(claimed))
    for _, family in FAMILIES.all():
        assert bool(family.EXPERTS) <= bool(family.LORA_TARGETS)
        assert family.TITLE
