"""`python -m tunery.engine ATTEMPT_DIR`: does what the folder says and leaves result.json as its last word.

With `-` for the folder it imports everything and waits on standard input to be told one.
Ends with 0 when it did as asked (a pause or a cancel included), with 1 when result.json holds an error.
"""

from tunery.core.allocator import use_allocator

if __name__ == "__main__":
    use_allocator()  # before the time that the other imports take is spent twice

import logging
import os
import sys
from pathlib import Path

from pydantic import ValidationError

from tunery.core.attempt import AttemptFolder
from tunery.core.errors import Problem
from tunery.core.spared import BITS, spare
from tunery.core.standby import WAIT, Told, speak_into
from tunery.engine import machine, warm
from tunery.engine.control import Control
from tunery.engine.events import Events
from tunery.engine.outcome import as_problem
from tunery.models.folder import stored_in_fewer_bits
from tunery.schemas.engine import EngineInput, EngineSpec, EvaluationResult, TrainResult
from tunery.schemas.estimate import EstimateResult


def main(path: str) -> int:
    """Work on one attempt folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    folder = AttemptFolder(Path(path))
    control = Control(folder)
    control.listen()
    try:
        spec = EngineSpec.model_validate(folder.read_spec())
        given = EngineInput.model_validate(folder.read_attempt())
    except (Problem, ValidationError) as error:
        logging.exception("The attempt folder can't be used")
        problem = (
            error
            if isinstance(error, Problem)
            else Problem("attempt_folder_invalid", path=path, detail=str(error))
        )
        folder.write_result(TrainResult(status="failed", error=problem.as_dict()).model_dump())
        return 1
    _set_up(given.threads)
    events = Events(folder, given.attempt)
    try:
        folder.reserve()
        result = _work(folder, spec, given, events, control)
    except Exception as error:
        logging.exception("The engine stopped")
        problem = as_problem(error, events.step, folder.path)
        result = _failed(given, problem, events.step)
    folder.free_reserve()
    events.write("finished", status=result.status, error=result.error)
    folder.write_result(result.model_dump())
    return 0 if result.error is None else 1


def stand_by() -> int:
    """Get ready for any attempt, wait to be told which, and work on it."""
    told = Told()
    _set_up(0)
    warm.up()
    folder = told.folder()
    speak_into(AttemptFolder(folder).log)
    return main(str(folder))


def _set_up(threads: int) -> None:
    """What libraries are told before they are imported. Threads can be told again."""
    warm.hold_threads(machine.limit_threads(threads))
    machine.keep_freed_memory()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")


def _work(
    folder: AttemptFolder, spec: EngineSpec, given: EngineInput, events: Events, control: Control
) -> TrainResult | EvaluationResult | EstimateResult:
    """torch is imported here at the latest, after threads and allocator are set."""
    settings = spec.resolved.spec.settings
    fewer_bits = settings.get("int8_quantization") or settings.get("nf4_quantization")
    if not (fewer_bits or stored_in_fewer_bits(Path(given.base_model))):
        spare(BITS)
    if given.kind == "evaluate":
        from tunery.engine.evaluate import evaluate

        return evaluate(folder, spec, given, events, control)
    if given.kind == "estimate":
        from tunery.engine.estimate import estimate

        return estimate(folder, spec, given, events, control)
    from tunery.engine.train import train

    return train(folder, spec, given, events, control)


def _failed(
    given: EngineInput, problem: Problem, step: int
) -> TrainResult | EvaluationResult | EstimateResult:
    if given.kind == "estimate":
        return EstimateResult(status="failed", error=problem.as_dict())
    if given.kind == "evaluate":
        return EvaluationResult(status="failed", error=problem.as_dict())
    return TrainResult(status="failed", error=problem.as_dict(), steps=step)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tunery.engine ATTEMPT_DIR")
    sys.exit(stand_by() if sys.argv[1] == WAIT else main(sys.argv[1]))
