"""A run goes on from an earlier one: which state, which rows, what is refused, and who came from whom."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tests.continuing.conftest import FULL, Place
from tests.recipes.rows import question, rows_in, write
from tunery.core.attempt import attempt_folder, run_data_folder, run_folder
from tunery.core.clock import MICROSECONDS, now_us
from tunery.core.errors import Problem
from tunery.data.laid_out import TRAIN, VALIDATION
from tunery.data.rows import encode_row
from tunery.db.tables import checkpoint, run
from tunery.schemas.engine import EngineInput
from tunery.schemas.model import PublishRequest
from tunery.schemas.run import RunSpec
from tunery.services import dataset_deletion, models, runs
from tunery.services.resolve import as_written

ON = {"data": "second", "settings": {"max_steps": 3}}


def lines(place: Place, id: str, name: str = TRAIN) -> list[bytes]:
    return list(map(encode_row, rows_in(run_data_folder(place.settings.folder, id) / name)))


def refused(place: Place, **fields: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        place.resolve(**{**ON, **fields})
    return caught.value


def test_a_name_is_enough(place: Place) -> None:
    earlier = place.run("line #1")
    found = place.done(name="next", continue_from="line", **ON)
    spec = found.resolved.spec
    assert spec.base_model == earlier.base_model == found.base_model
    assert spec.continue_from is not None
    assert (spec.continue_from.run, spec.continue_from.step, spec.continue_from.replay) == ("line #1", 7, 0.1)
    assert spec.settings["finetuning_type"] == "full"
    assert found.resolved.origins["finetuning_type"] == "continued"
    told = EngineInput.model_validate(attempt_folder(place.settings.folder, found.id, 1).read_attempt())
    assert told.start is not None
    assert (Path(told.start) / "model.safetensors").read_bytes() == b"weights"
    assert told.base_model == str(place.model)
    assert [one.name for one in found.ancestors] == ["line #1"]
    assert [(one.name, one.step) for one in place.run("line #1").continued_by] == [("next #1", 7)]


def test_a_tenth_of_the_rows_it_learnt_is_mixed_in(place: Place) -> None:
    earlier = place.run("line #1").id
    found = place.done(name="next", continue_from="line #1", **ON)
    learnt, mixed = lines(place, earlier), lines(place, found.id)
    again = mixed[200:]
    assert len(learnt) == 150
    assert 12 <= len(again) <= 18
    assert set(again) <= set(learnt)
    assert not set(again) & set(lines(place, earlier, VALIDATION))
    with place.context() as ctx:
        report = runs.recipe(ctx, found.id)
        expected = runs.preview(ctx, RunSpec.model_validate(as_written(found.resolved)))
    part = report.parts[-1]
    assert (part.dataset, part.kind, part.rows_in, part.rows) == ("first@1", "replay", 150, len(again))
    guess = expected.parts[-1]
    assert (guess.dataset, guess.kind, guess.rows_in, guess.rows) == ("first@1", "replay", 150, 15)
    assert expected.replay_tokens
    assert expected.recipe_hash == report.recipe_hash == found.resolved.recipe_hash
    assert found.resolved.data_hashes["first@1"] == place.run(earlier).resolved.data_hashes["first@1"]


def test_the_share_and_the_seed_choose_the_rows(place: Place) -> None:
    def made(name: str, **fields: Any) -> tuple[list[bytes], str]:
        found = place.done(**{"name": name, **ON, **fields})
        return lines(place, found.id)[200:], found.resolved.recipe_hash

    from_line = {"run": "line #1", "replay": 0.4}
    first, again = made("a", continue_from=from_line), made("b", continue_from=from_line)
    other = made("c", continue_from=from_line, data={"train": ["second"], "seed": 5})
    none = made("d", continue_from={"run": "line #1", "replay": 0})
    anew = made("e", base_model=str(place.model), settings=FULL)
    assert first == again
    assert 50 <= len(first[0]) <= 70
    assert other[0] != first[0]
    assert none[0] == anew[0] == []
    assert len({first[1], other[1], none[1]}) == 3
    assert none[1] == anew[1]


def test_rows_come_down_a_line_of_runs(place: Place) -> None:
    place.done(name="next", continue_from={"run": "line #1", "replay": 0.5}, **ON)
    pairs = {"data": "pairs", "method": "dpo", "settings": {"max_steps": 3}}
    assert (
        refused(place, **pairs, continue_from={"run": "next", "replay": 0.5}).code == "setting_without_effect"
    )
    dpo = place.done(name="prefer", continue_from="next", **pairs)
    assert dpo.resolved.spec.continue_from is not None
    assert dpo.resolved.spec.continue_from.replay == 0
    assert any("can't learn from such rows" in note for note in dpo.resolved.notes)
    place.import_rows(
        "fresh", write(place.folder / "fresh.jsonl", [question(f"Q{n}", "A") for n in range(100)])
    )
    place.wait("the rows", place.has_rows)
    third = place.done(
        name="third", continue_from={"run": "next", "replay": 1}, data="fresh", settings={"max_steps": 3}
    )
    assert third.resolved.continues is not None
    assert third.resolved.continues.replayed == ["second@1", "first@1"]
    assert lines(place, third.id)[100:] == lines(place, place.run("next #1").id)
    assert third.resolved.learnt_from == ["fresh@1", "second@1", "first@1"]
    assert [one.name for one in third.ancestors] == ["line #1", "next #1"]


@pytest.mark.parametrize("state", ["line #1@7", "line #1@5", "line #1"])
def test_the_weights_stay_whatever_becomes_of_the_other_run(place: Place, state: str) -> None:
    found = place.create(name="next", continue_from=state, **ON)
    wanted = 5 if state.endswith("@5") else 7
    assert found.resolved.continues is not None
    assert found.resolved.continues.label == f"line #1 @ step {wanted}"
    kept = run_folder(place.settings.folder, found.id).start
    shutil.rmtree(attempt_folder(place.settings.folder, place.run("line #1").id, 1).path)
    assert kept.is_dir()
    assert place.wait_for_state(found.id, "succeeded").progress.step == 3
    gone = refused(place, continue_from=state)
    assert (gone.code, gone.status) == ("continue_weights_gone", 410)


def test_what_is_published_can_be_gone_on_from(place: Place) -> None:
    with place.context() as ctx:
        models.publish(ctx, PublishRequest(run="line #1", name="kept"))
    place.wait("the model", lambda: place.run("line #1").model is not None)
    shutil.rmtree(attempt_folder(place.settings.folder, place.run("line #1").id, 1).path)
    found = place.done(name="next", continue_from="kept:1", publish={"auto": True, "name": "kept"}, **ON)
    assert found.resolved.continues is not None
    assert found.resolved.continues.model == "kept:1"
    with place.context() as ctx:
        version = models.list_versions(ctx, "kept")[0]
    assert version.continued_from == ["line #1 @ step 7"]
    assert version.dataset_versions == ["second@1", "first@1"]
    assert [one.model for one in place.run("next #1").ancestors] == ["kept:1"]


def test_a_name_means_its_newest_run_that_left_a_model(place: Place) -> None:
    crash = place.create(name="line", base_model=str(place.model), data="first", settings=FULL)
    place.ask(crash.id, "cancel")
    place.wait_for_state(crash.id, "cancelled", "succeeded")
    with place.context() as ctx:
        state = runs.get_run(ctx, crash.id).state
    expected = "line #1" if state == "cancelled" else "line #2"
    assert place.resolve(continue_from="line", **ON).continues.name == expected


def test_refusals(place: Place) -> None:
    assert refused(place, continue_from="line #9").code == "not_found"
    assert refused(place, continue_from="line #1@6").code == "continue_no_model"
    assert refused(place, continue_from="line", base_model="tunery-starter").code == "continue_other_base"
    assert refused(place, continue_from="line", method="reward", data="pairs").code == "continue_method"
    same = refused(place, continue_from={"run": "line", "replay": 0.1}, data="first")
    assert (same.code, same.params["reason"]) == (
        "setting_without_effect",
        "this run learns from the same data",
    )
    (place.model / "config.json").write_text((place.model / "config.json").read_text() + " ")
    assert refused(place, continue_from="line").code == "continue_base_changed"


def test_an_old_model_is_refused_unless_the_server_says_otherwise(place: Place) -> None:
    old = now_us() - 32 * 86_400 * MICROSECONDS
    with place.context() as ctx:
        ctx.conn.execute(update(run).values(ended=old))
        ctx.conn.execute(update(checkpoint).values(created=old))
    problem = refused(place, continue_from="line")
    assert (problem.code, problem.params["days"], problem.params["limit"]) == ("continue_too_old", "32", "31")
    for days in (33.0, 0.0):
        place.settings.continue_days = days
        assert place.resolve(continue_from="line", **ON).continues.step == 7


def test_deleted_rows_are_told_and_can_be_done_without(place: Place) -> None:
    with place.context() as ctx:
        dataset_deletion.delete_version(ctx, "first", 1)
    problem = refused(place, continue_from="line")
    assert (problem.code, problem.params["dataset"]) == ("replay_rows_gone", "first@1")
    assert place.resolve(continue_from={"run": "line", "replay": 0}, **ON).continues.replayed == []


def test_rows_that_wait_to_be_mixed_in_are_not_deleted(place: Place) -> None:
    for worker in place.workers:
        worker.kill()
        worker.wait()
    place.create(name="next", continue_from="line", **ON)
    with place.context() as ctx, pytest.raises(Problem) as caught:
        dataset_deletion.delete_version(ctx, "first", 1, even_if_used=True)
    assert caught.value.code == "version_in_run"


def test_an_adapter_keeps_its_shape(place: Place) -> None:
    earlier = place.done(
        name="small",
        base_model=str(place.model),
        data="first",
        settings={"max_steps": 5, "lora_rank": 4, "lora_alpha": 12, "lora_dropout": 0.1},
    )
    output = attempt_folder(place.settings.folder, earlier.id, 1).output
    (output / "adapter_config.json").write_text("{}")
    problem = refused(place, continue_from="small", settings={"max_steps": 3, "lora_rank": 8})
    assert (problem.code, problem.params["value"]) == ("adapter_shape_fixed", "4")
    found = place.resolve(continue_from="small", **ON)
    settings, origins = found.spec.settings, found.origins
    assert (settings["lora_rank"], settings["lora_alpha"], origins["lora_rank"]) == (4, 12, "continued")
    assert origins["lora_dropout"] != "continued"
    assert found.continues.kind == "adapter"
    merged = place.resolve(continue_from="small", data="second", settings={"finetuning_type": "full"})
    assert any("merged" in note for note in merged.notes)
