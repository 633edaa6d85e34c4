"""The main job from end to end, as a stranger would do it: through the server's API, nothing by the back door.

Starts a server, imports the sample, fine-tunes the starter model, judges base against tuned on held-out rows,
publishes the result and asks it a question with the unmodified `openai` client.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tunery.cli.output import note
from tunery.cli.progress import training_view
from tunery.core.errors import Problem
from tunery.core.process import die_with_parent
from tunery.schemas.dataset import DatasetVersion
from tunery.schemas.engine import Score
from tunery.schemas.run import RunDetail
from tunery.sdk.client import Client
from tunery.starter import sample
from tunery.starter.place import DEMO_SPEC, HELD_OUT_ROWS, MODEL_NAME, TRAIN_ROWS

TRAIN, HELD_OUT, TUNED = "support-messages", "support-messages-held-out", "support-tickets"
_STOP_SECONDS = 20


@dataclass(frozen=True)
class Report:
    """What the demo measured; `demo-report.json`."""

    base_exact_match: float
    tuned_exact_match: float
    held_out_rows: int
    train_seconds: float
    steps: int
    train_tokens_per_second: float
    model: str
    question: str
    answer: str
    expected: str
    run: str
    seed: int


@contextmanager
def server(data: Path, port: int) -> Iterator[str]:
    """A server of its own process for as long as the block lasts; gives its address.

    Raises the Problem that `tunery up` ended with.
    """
    command = [sys.executable, "-m", "tunery.cli", "up", "--data", str(data), "--port", str(port), "--json"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A session of its own, so that Ctrl-C reaches this process only, which then ends the server in order.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    try:
        yield _address(process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    """Read the one JSON document that `tunery up --json` prints when it answers, or its error."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        try:
            document = json.loads(text)
        except ValueError:
            continue
        if "error" in document:
            raise Problem.from_dict(document["error"])
        return document["url"]
    raise Problem("engine_failed", detail="the server ended before it answered")


def run_demo(client: Client, folder: Path, seed: int) -> Report:
    """Everything from rows to answer, on a server that answers."""
    rows = folder / "sample"
    sample.write(rows, seed, TRAIN_ROWS, HELD_OUT_ROWS)
    _import(client, rows / "train.jsonl", TRAIN)
    held_out = _import(client, rows / "held_out.jsonl", HELD_OUT)
    run = _train(client)
    base, tuned = _scores(client, run)
    page = client.datasets.rows(HELD_OUT, held_out.version, 0, 1).rows[0]
    question, expected = (_text(message) for message in page["messages"][-2:])
    assert run.model is not None
    answer = _ask(client, run.model, question)
    measured = _measured(client, run)
    return Report(
        base_exact_match=base.mean,
        tuned_exact_match=tuned.mean,
        held_out_rows=tuned.rows,
        model=run.model,
        question=question,
        answer=answer,
        expected=expected,
        run=run.id,
        seed=seed,
        **measured,
    )


def write_report(report: Report, path: Path) -> None:
    path.write_text(json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _import(client: Client, file: Path, name: str) -> DatasetVersion:
    client.datasets.create(file, name=name)
    version = client.datasets.wait(name)
    note(f"Imported {name}@{version.version}: {version.rows:,} rows.")
    return version


def _train(client: Client) -> RunDetail:
    """Submit the run, show it, and come back when it has trained, judged and published."""
    spec = yaml.safe_load(DEMO_SPEC.read_text(encoding="utf-8"))
    spec |= {
        "base_model": MODEL_NAME,
        "data": {"train": [{"dataset": TRAIN}]},
        "evaluate": {
            "dataset": {"dataset": HELD_OUT},
            "metrics": ["exact_match", "loss"],
            "max_new_tokens": 96,
        },
        "publish": {"auto": True, "name": TUNED},
    }
    run = client.runs.create(spec)
    note(f"Run {run.id}: {run.method} on {run.base_model}.")
    with training_view() as view:
        for event in client.runs.stream(run.id):
            view.event(event.body)
    ended = client.runs.get(run.id)
    if ended.state != "succeeded":
        raise Problem.from_dict(ended.reason or {"message": f"the run is {ended.state}"})
    return ended


def _scores(client: Client, run: RunDetail) -> tuple[Score, Score]:
    assert run.evaluation is not None
    evaluation = client.evaluations.get(run.evaluation)
    return evaluation.base["exact_match"], evaluation.tuned["exact_match"]


def _measured(client: Client, run: RunDetail) -> dict[str, Any]:
    result = run.result
    assert result is not None
    return {
        "train_seconds": result.train_seconds,
        "steps": result.steps,
        "train_tokens_per_second": result.tokens_per_second,
    }


def _ask(client: Client, model: str, question: str) -> str:
    """A streamed chat answer through the `openai` client, as any program would ask."""
    try:
        from openai import OpenAI
    except ImportError as error:
        raise Problem("missing_extra", package="openai", extra="demo") from error
    openai = OpenAI(base_url=f"{client.config.url}/v1", api_key=client.config.token)
    stream = openai.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=96,
        stream=True,
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def _text(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["content"])


def wait_for_end() -> None:
    """Until Ctrl-C or SIGTERM."""
    try:
        while True:
            time.sleep(3600)  # a signal ends it
    except KeyboardInterrupt:
        return


def settings_from_environment() -> tuple[Path, int, int, bool]:
    """(data folder, port, seed, stop after the report): TUNERY_DATA, TUNERY_PORT, TUNERY_DEMO_SEED, …_ONCE."""
    return (
        Path(os.environ.get("TUNERY_DATA", "demo-data")).expanduser().absolute(),
        int(os.environ.get("TUNERY_PORT", "8420")),
        int(os.environ.get("TUNERY_DEMO_SEED", "0")),
        os.environ.get("TUNERY_DEMO_ONCE") == "1",
    )
