"""What the curves of a local run say, read from the events in its folder."""

from tunery.core.attempt import RunFolder
from tunery.diagnosis.history import of_events
from tunery.diagnosis.look import diagnose
from tunery.methods.point import learns_words
from tunery.schemas.diagnosis import Diagnosis
from tunery.schemas.engine import EngineSpec


def diagnosis_of(folder: RunFolder) -> Diagnosis:
    """Looks at the events of all attempts."""
    attempts = [folder.attempt(number) for number in folder.attempts()]
    spec = EngineSpec.model_validate(attempts[-1].read_spec())
    run = spec.resolved.spec
    history = of_events(
        (event for attempt in attempts for event in attempt.read_events()[0]),
        settings=run.settings,
        words=learns_words(run.method),
        ended=True,
    )
    return diagnose(spec.run, history)
