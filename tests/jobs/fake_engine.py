"""An engine that only counts: enough to test everything that happens around one.

Given `-` for a folder, it waits to be told one.
An estimate is given at once. An evaluation takes a step's time for each of `evaluate.max_rows` rows, which the base
gets wrong and the tuned right.
Step n has the loss 1 / n, and that of the m-th dataset is m / n; validations give twice as much, and one answer. It
checkpoints every fifth step and goes on from the furthest it is given. Where the test holds engines (tests/hold.py) it
waits.
`settings.max_steps` says how many steps there are; a base model named `crash` ends it at once.
"""

import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # it is started as a file, from anywhere

from tests.hold import held
from tunery.core.attempt import AttemptFolder
from tunery.core.clock import now_us
from tunery.core.errors import Problem
from tunery.core.standby import WAIT, Told, speak_into
from tunery.schemas.engine import EngineInput, EngineSpec, EvaluatedRow, EvaluationResult, Score, TrainResult
from tunery.schemas.estimate import Band, EstimateResult, Probe

STEP_SECONDS = 0.02


def main() -> None:
    folder = AttemptFolder(Path(sys.argv[1]) if sys.argv[1] != WAIT else Told().folder())
    if sys.argv[1] == WAIT:
        speak_into(folder.log)
    spec = EngineSpec.model_validate(folder.read_spec())
    inputs = EngineInput.model_validate(folder.read_attempt())
    if inputs.kind == "evaluate":
        judge(folder, spec, inputs)
        return
    if inputs.kind == "estimate":
        foretell(folder, spec, inputs)
        return
    if spec.resolved.spec.base_model == "crash":
        sys.exit("the base model is cursed")
    wants_end: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: wants_end.append("pause"))
    step = max(
        (json.loads((Path(p) / "manifest.json").read_text())["step"] for p in inputs.resume_from), default=0
    )
    settings = spec.resolved.spec.settings
    seq, steps = 0, settings["max_steps"]

    def tell(type: str, **fields: object) -> None:
        nonlocal seq
        seq += 1
        common = {"v": 1, "seq": seq, "attempt": inputs.attempt, "step": step, "time": now_us()}
        folder.append_event({**common, "type": type, **fields})

    def save() -> None:
        path = folder.checkpoints / f"step-{step:08d}"
        aside = folder.checkpoints / f".{path.name}"
        aside.mkdir(parents=True, exist_ok=True)
        (aside / "manifest.json").write_text(json.dumps({"step": step}))
        if not path.exists():
            aside.rename(path)
        tell("checkpoint", name=path.name, bytes=1, hash="0" * 64)

    def losses(curve: str, factor: int) -> dict[str, float]:
        own = {f"{curve}/{part.title}": factor * at / step for at, part in enumerate(inputs.parts, 1)}
        return {curve: factor / step, **own}

    tell("started", steps=steps, resumed_from=step or None)
    status = "succeeded"
    while step < steps:
        want = wants_end[0] if wants_end else folder.wanted()
        if want != "run":
            status = {"stop": "stopped", "pause": "paused", "cancel": "cancelled"}[want]
            break
        time.sleep(STEP_SECONDS)
        if held(step):
            continue
        step += 1
        tell("metric", values=losses("train_loss", 1))
        if settings["eval_steps"] and step % settings["eval_steps"] == 0:
            tell("metric", values=losses("validation_loss", 2))
            tell("sample", prompt="What is it?", answer=f"It is {step}.", expected=f"It is {steps}.")
        if step % 5 == 0:
            save()
    if status == "paused":
        save()
    kept = status in ("succeeded", "stopped")
    if kept:
        folder.output.mkdir()
        (folder.output / "model.safetensors").write_bytes(b"weights")
    result = TrainResult(status=status, steps=step, output="output" if kept else None)  # pyright: ignore[reportArgumentType]
    tell("finished", status=status)
    folder.write_result(result.model_dump())


def foretell(folder: AttemptFolder, spec: EngineSpec, inputs: EngineInput) -> None:
    """As long as its steps take, from where the training would begin. A base model whose name ends in `huge` is
    refused."""
    if spec.resolved.spec.base_model.endswith("huge"):
        result = EstimateResult(status="failed", error=Problem("out_of_memory", step=0).as_dict())
        folder.write_result(result.model_dump())
        sys.exit(1)
    if spec.resolved.continues is not None:
        assert inputs.start is not None
        assert Path(inputs.start).is_dir()
    steps = spec.resolved.spec.settings["max_steps"]
    seconds = STEP_SECONDS * steps
    result = EstimateResult(
        status="succeeded",
        rows=120,
        tokens=50 * steps,
        steps=steps,
        batches=steps,
        longest_batch=50,
        train_seconds=Band(value=seconds, low=seconds / 2, high=seconds * 2),
        memory_mb=Band(value=100, low=90, high=120),
        machine_mb=1000,
        probes=[Probe(tokens=50, seconds=STEP_SECONDS)],
    )
    folder.write_result(result.model_dump())


def judge(folder: AttemptFolder, spec: EngineSpec, inputs: EngineInput) -> None:
    rows, seq = spec.resolved.spec.evaluate.max_rows, 0

    def tell(type: str, **fields: object) -> None:
        nonlocal seq
        seq += 1
        common = {"v": 1, "seq": seq, "attempt": inputs.attempt, "step": 0, "time": now_us()}
        folder.append_event({**common, "type": type, **fields})

    tell("started", steps=0, rows=rows)
    for done in range(1, rows + 1):
        time.sleep(STEP_SECONDS)
        tell("progress", stage="base model answers", done=done, total=rows)
        while held(done):
            time.sleep(STEP_SECONDS)
    scored = [
        EvaluatedRow(
            row=n,
            prompt=f"What is {n}?",
            expected="It.",
            base_answer="over and over " * 200,
            tuned_answer="It.",
            base={"exact_match": 0},
            tuned={"exact_match": 1},
        )
        for n in range(rows)
    ]
    folder.write_rows([row.model_dump() for row in scored])
    scores = [{"exact_match": Score(mean=mean, low=mean, high=mean, rows=rows)} for mean in (0, 1)]
    result = EvaluationResult(status="succeeded", rows=rows, base=scores[0], tuned=scores[1])
    tell("finished", status="succeeded")
    folder.write_result(result.model_dump())


if __name__ == "__main__":
    main()
