"""`tunery train` without a server: the folder it leaves, stopping, going on, and refusing bad input."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import lay_out_desk
from tests.jobs.house import alpaca
from tests.patience import PATIENCE, wait
from tests.served import environment, tunery
from tunery.core.process import ProcessIdentity
from tunery.data.arrow import read_arrow

LONG = "base_model: bare\ndata: rows.jsonl\nsettings: {max_steps: 100000}\n"


def begin_long(desk: Path) -> "subprocess.Popen[str]":
    """A training of half an hour, once it has taken its first steps."""
    (desk / "run.yaml").write_text(LONG)
    process = subprocess.Popen(
        [sys.executable, "-m", "tunery.cli", "train", "run.yaml", "--out", "out", "--json"],
        cwd=desk,
        env=environment(desk),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for_checkpoint(desk / "out", process)
    return process


def wait_for_checkpoint(out: Path, process: "subprocess.Popen[str]") -> None:
    def saved() -> bool:
        assert process.poll() is None, process.communicate()
        return any(out.glob("*/checkpoints/step-*"))

    wait("a checkpoint", saved)


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_leaves_a_run_folder(desk: Path) -> None:
    done = tunery(desk, "train", "run.yaml", "--out", "here/out", "--seed", "7", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "Succeeded at step 12" in done.stdout
    result = json.loads((desk / "here/out/result.json").read_text())
    assert result["steps"] == 12
    promised = (
        "train_seconds tokens supervised_tokens tokens_per_second first_loss last_loss peak_rss_mb steps"
    )
    assert set(promised.split()) <= set(result)
    assert (desk / "here/out" / result["output"] / "model.safetensors").is_file()
    spec = yaml.safe_load((desk / "here/out/0001/spec.yaml").read_text())
    assert spec["resolved"]["spec"]["settings"]["seed"] == 7
    assert spec["resolved"]["origins"]["seed"] == "user"
    assert spec["resolved"]["spec"]["resources"]["threads"] == 1
    assert len(spec["resolved"]["base_model_hash"]) == 64
    assert {p for p in os.listdir(desk) if p.startswith(".")} == set()


def test_steps_and_json(desk: Path) -> None:
    done = tunery(desk, "train", "run.yaml", "--steps", "4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["steps"] == 4
    assert Path(result["folder"]).parent == desk / "tunery-runs"
    assert "step 4" not in done.stderr


def test_taking_turns_is_said_to_have_no_effect(desk: Path) -> None:
    turns = yaml.safe_load((desk / "run.yaml").read_text()) | {
        "resources": {"idle_time": True, "priority": 5}
    }
    (desk / "turns.yaml").write_text(yaml.safe_dump(turns))
    done = tunery(desk, "train", "turns.yaml", "--steps", "2")
    assert done.returncode == 0, done.stderr
    assert "has no effect: resources.idle_time, resources.priority." in done.stderr
    assert "no effect" not in tunery(desk, "train", "run.yaml", "--steps", "2", "--out", "calm").stderr


def test_paths_count_from_the_file(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = tunery(elsewhere, "train", desk / "run.yaml", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "out" / "result.json").is_file()


def test_works_without_database_packages(desk: Path) -> None:
    program = """
import sys
for name in ("sqlalchemy", "alembic", "fastapi", "uvicorn", "torch"):
    sys.modules[name] = None
from tunery.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "train", "run.yaml", "--out", "out"],
        cwd=desk,
        env=environment(desk),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_split_and_named_data(desk: Path) -> None:
    alpaca(desk / "more.jsonl", 30)
    (desk / "run.yaml").write_text(
        "base_model: bare\n"
        "data: {train: [rows.jsonl, {path: more.jsonl, format: alpaca}]}\n"
        "settings: {max_steps: 4, validation_split_ratio: 0.2, eval_steps: 2}\n"
    )
    assert tunery(desk, "train", "run.yaml", "--out", "out").returncode == 0
    train, validation = (
        read_arrow(desk / "out/data/train.arrow"),
        read_arrow(desk / "out/data/validation.arrow"),
    )
    assert (len(train), len(validation)) == (120, 30)
    assert "more.jsonl" in (desk / "out/0001/spec.yaml").read_text()


def test_interrupt_saves_and_resume_goes_on(desk: Path) -> None:
    process = begin_long(desk)
    process.send_signal(signal.SIGINT)
    said, noted = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Saving" in noted
    stopped = json.loads(said)
    assert stopped["status"] == "paused"
    assert 0 < stopped["steps"] < 100_000

    other = tunery(desk, "train", "run.yaml", "--resume", "out", "--steps", "99999")
    assert other.returncode == 1
    assert "settings.max_steps" in other.stderr
    assert not (desk / "out/0002").exists()

    shorten(desk / "out/0001/spec.yaml", stopped["steps"] + 3)
    gone_on = tunery(desk, "train", "--resume", "out", "--json")
    assert gone_on.returncode == 0, gone_on.stderr
    assert json.loads(gone_on.stdout)["steps"] == stopped["steps"] + 3
    first = json.loads((desk / "out/0002/events.jsonl").read_text().splitlines()[0])
    assert first["resumed_from"] == stopped["steps"]
    assert json.loads((desk / "out/result.json").read_text())["attempt"] == 2

    finished = tunery(desk, "train", "--resume", "out")
    assert finished.returncode == 1
    assert "is succeeded" in finished.stderr


def shorten(spec: Path, steps: int) -> None:
    """Rewrite the frozen number of steps, so that going on doesn't take a minute."""
    spec.write_text(spec.read_text().replace("max_steps: 100000", f"max_steps: {steps}"))


def test_second_interrupt_ends_at_once_and_nobody_else_may_drive(desk: Path) -> None:
    process = begin_long(desk)
    busy = tunery(desk, "train", "--resume", "out")
    assert busy.returncode == 1
    assert "running" in busy.stderr
    engine = json.loads((desk / "out/0001/process.json").read_text())["pid"]
    os.kill(engine, signal.SIGSTOP)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Saving" not in process.stderr.readline():  # two signals at once would be one
        assert process.poll() is None, "it doesn't wait for its engine"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    wait("the engine's end", lambda: ProcessIdentity.of(engine) is None)


def test_engine_that_dies_is_told_with_its_last_words(desk: Path) -> None:
    done = tunery(
        desk, "train", "run.yaml", "--out", "out",
        TUNERY_ENGINE_COMMAND=json.dumps([sys.executable, "-c", "raise SystemExit('the sky fell')"]),
    )  # fmt: skip
    assert done.returncode == 1
    assert "the sky fell" in done.stderr
    assert "log.txt" in done.stderr


BAD: dict[str, tuple[str, str]] = {
    "not yaml": ("base_model: [bare\n", "isn't YAML at line"),
    "not fields": ("- base_model\n", "holds no fields"),
    "missing field": ("data: rows.jsonl\n", "base_model is missing"),
    "no data": ("base_model: bare\n", "data is missing"),
    "unknown field": ("base_model: bare\ndata: rows.jsonl\nlearning_rate: 1\n", "learning_rate is not a field"),
    "unknown setting": ("base_model: bare\ndata: rows.jsonl\nsettings: {seeed: 1}\n", "Did you mean seed"),
    "out of range": ("base_model: bare\ndata: rows.jsonl\nsettings: {learning_rate: 1}\n", "allow_out_of_range"),
    "wrong kind of value": ("base_model: bare\ndata: rows.jsonl\nsettings: {epochs: many}\n", "epochs can't be many"),
    "no effect": (
        "base_model: bare\ndata: rows.jsonl\nsettings: {finetuning_type: full, lora_rank: 4}\n",
        "lora_rank has no effect",
    ),
    "unknown method": ("base_model: bare\ndata: rows.jsonl\nmethod: dop\n", "training method named “dop”"),
    "unknown base": ("base_model: nowhere\ndata: rows.jsonl\n", "no base model “nowhere”"),
    "no weights": ("base_model: hollow\ndata: rows.jsonl\n", "hollow is not a usable model"),
    "pickled weights": ("base_model: pickled\ndata: rows.jsonl\n", "pickled weights"),
    "no such file": ("base_model: bare\ndata: gone.jsonl\n", "no file gone.jsonl"),
    "dataset name": ("base_model: bare\ndata: support\n", "--server"),
    "publish": ("base_model: bare\ndata: rows.jsonl\npublish: {auto: true}\n", "--server"),
    "broken json": ("base_model: bare\ndata: cut.json\n", "cut off"),
    "bad rows": ("base_model: bare\ndata: mixed.jsonl\n", "1 of 121 rows can't be used"),
    "too few rows": ("base_model: bare\ndata: few.jsonl\n", "at least 100 rows; this run has 99"),
    "wrong format": ("base_model: bare\ndata: text.txt\n", "sft accepts"),
    "unknown launcher": ("base_model: bare\ndata: rows.jsonl\nresources: {launcher: moon}\n", "named “moon”"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    desk = tmp_path_factory.mktemp("bad")
    lay_out_desk(desk)
    for name in ("hollow", "pickled"):
        (desk / name).mkdir()
        for part in ("config.json", "tokenizer.json"):
            (desk / name / part).write_bytes((desk / "bare" / part).read_bytes())
    (desk / "pickled/pytorch_model.bin").write_bytes(b"\x80\x04")
    (desk / "cut.json").write_text('[{"instruction": "a", "output": "b"}, {"instr')
    mixed = alpaca(desk / "mixed.jsonl", 120)
    mixed.write_text(mixed.read_text() + '{"instruction": "unanswered"}\n')
    alpaca(desk / "few.jsonl", 99)
    (desk / "text.txt").write_text("Words.\n\n" * 300)
    return desk


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_with_its_cure_and_leaves_nothing(bad_desk: Path, case: str) -> None:
    text, expected = BAD[case]
    (bad_desk / "run.yaml").write_text(text)
    before = listing(bad_desk)
    done = tunery(bad_desk, "train", "run.yaml", "--out", "deep/out")
    assert done.returncode == 1
    assert done.stdout == ""
    assert expected in done.stderr
    assert done.stderr.count("Error: ") == 1
    assert listing(bad_desk) == before


def test_accepted_bad_rows_are_kept_apart(bad_desk: Path, tmp_path: Path) -> None:
    (bad_desk / "run.yaml").write_text("base_model: bare\ndata: mixed.jsonl\nsettings: {max_steps: 2}\n")
    done = tunery(bad_desk, "train", "run.yaml", "--out", tmp_path / "out", "--accept-bad-rows")
    assert done.returncode == 0, done.stderr
    assert "120 of 121 rows" in done.stderr
    assert "unanswered" in (tmp_path / "out/data/quarantine.jsonl").read_text()


def test_out_folder_in_use_is_left_alone(desk: Path) -> None:
    (desk / "out").mkdir()
    (desk / "out/mine.txt").write_text("keep")
    done = tunery(desk, "train", "run.yaml", "--out", "out")
    assert done.returncode == 1
    assert "isn't empty" in done.stderr
    assert listing(desk / "out") == {"mine.txt"}
    nothing = tunery(desk, "train", "--resume", "out")
    assert nothing.returncode == 1
    assert "not a run folder" in nothing.stderr


def test_changed_base_model_is_refused_on_resume(desk: Path) -> None:
    process = begin_long(desk)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    (desk / "bare/config.json").write_text((desk / "bare/config.json").read_text() + "\n")
    done = tunery(desk, "train", "--resume", "out")
    assert done.returncode == 1
    assert "isn't the one this run was started with" in done.stderr
