"""The main job on real rows: the same data by every way in, then train, judge, publish, ask."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import openai
import pytest

from tests.e2e.whole import Whole, spec

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
ROWS, DUPLICATES = 999, 14


def test_rows_in_by_every_way_then_trained_published_and_asked(
    whole: Whole, model: Path, real_rows: Callable[[str], Path], tmp_path: Path
) -> None:
    client = whole.start()
    file = real_rows("alpaca_en_demo.json")
    client.datasets.create(file, name="by-sdk")
    by_sdk = client.datasets.wait("by-sdk")
    said = subprocess.run(
        [sys.executable, "-m", "tunery.cli", "data", "import", str(file), "--name", "by-cli", "--json"],
        env={
            "PATH": "/usr/bin:/bin",
            "TUNERY_URL": whole.url,
            "TUNERY_TOKEN": (whole.folder / "token").read_text(),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout)
    by_cli = client.datasets.version("by-cli", 1)
    for version in (by_sdk, by_cli):
        assert version.report is not None
        assert (version.rows, version.report.rows_read, version.report.rows_rejected) == (ROWS, ROWS, 0)
        assert version.report.duplicates == DUPLICATES
    assert by_sdk.content_hash == by_cli.content_hash

    held_out = tmp_path / "held_out.json"
    short = [row for row in json.loads(file.read_text()) if len(str(row)) < 200]
    held_out.write_text(json.dumps(short[:6]))
    client.datasets.create(held_out, name="held-out")
    client.datasets.wait("held-out")
    run = client.runs.create(
        spec(
            model,
            "by-sdk",
            name="whole-job",
            settings={"max_steps": 12},
            evaluate={"dataset": "held-out", "max_new_tokens": 8},
            publish={"auto": True, "name": "tuned"},
        )
    )
    ended = client.runs.wait(run.id)
    assert (ended.state, ended.model) == ("succeeded", "tuned:1")
    assert ended.evaluation is not None
    evaluation = client.evaluations.get(ended.evaluation)
    assert evaluation.rows == 6
    assert set(evaluation.base) == set(evaluation.tuned) == {"exact_match", "loss"}
    assert evaluation.tuned["loss"].mean < evaluation.base["loss"].mean

    _ask(whole, "tuned")
    _refused(whole)


def _ask(whole: Whole, name: str) -> None:
    asker = openai.OpenAI(base_url=f"{whole.url}/v1", api_key=(whole.folder / "token").read_text())
    with asker:
        assert name in {served.id for served in asker.models.list()}
        stream = asker.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "Name a colour."}], max_tokens=8, stream=True
        )
        chunks = list(stream)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def _refused(whole: Whole) -> None:
    with (
        openai.OpenAI(base_url=f"{whole.url}/v1", api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.models.list()
    assert refused.value.status_code == 401
    with (
        openai.OpenAI(base_url=f"{whole.url}/v1", api_key=(whole.folder / "token").read_text()) as asker,
        pytest.raises(openai.NotFoundError) as unknown,
    ):
        asker.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "Hi"}])
    assert unknown.value.code == "model_not_found"
    assert httpx.get(f"{whole.url}/v1/models").json()["error"]["type"]
