"""Looks at a history with every finding there is."""

from tunery.diagnosis.findings.point import FINDINGS, Seen
from tunery.diagnosis.history import History
from tunery.schemas.diagnosis import Diagnosis, Finding

_ORDER = ("problem", "warning", "hint")


def diagnose(run: str, history: History) -> Diagnosis:
    """What the curves of a run say, the most severe first."""
    found = [
        _told(code, sign.TITLE, seen)
        for code, sign in FINDINGS.all()
        if (seen := sign.look(history)) is not None
    ]
    found.sort(key=lambda one: (_ORDER.index(one.severity), one.first_step))
    return Diagnosis(
        run=run,
        step=history.train.steps[-1] if history.train.steps else 0,
        points=len(history.train),
        complete=history.ended,
        findings=found,
    )


def _told(code: str, title: str, seen: Seen) -> Finding:
    figures = {name: _shown(value) for name, value in seen.values.items()}
    steps = {"first_step": f"{seen.first_step:,}", "last_step": f"{seen.last_step:,}"}
    return Finding(
        code=code,
        severity=seen.severity,
        title=title,
        message=seen.says.format(**figures, **steps),
        advice=[one.format(**figures, **steps) for one in seen.advice],
        first_step=seen.first_step,
        last_step=seen.last_step,
        steps=list(seen.steps),
        values=dict(seen.values),
        rows=list(seen.rows),
    )


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
