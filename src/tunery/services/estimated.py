"""Estimates that there are: found by what decides the need of time and memory, whoever asked for them."""

from typing import Any

from tunery.schemas.estimate import EstimateResult
from tunery.schemas.run import ResolvedSpec
from tunery.services import analyses
from tunery.services.context import Context

KIND = "estimate"
_REVISION = 2
"""Goes up when what is measured changes."""
_NO_MATTER = frozenset({"seed", "logging_steps", "checkpoint_steps", "checkpoint_limit", "learning_rate"})
"""Settings that change nothing of what a step needs."""


def subject_of(resolved: ResolvedSpec) -> str:
    """The hash of all that an estimate depends on."""
    spec = resolved.spec
    settings: dict[str, Any] = {n: value for n, value in spec.settings.items() if n not in _NO_MATTER}
    return analyses.subject_of(
        revision=_REVISION,
        recipe=resolved.recipe_hash,
        base=resolved.base_model_hash,
        method=spec.method,
        settings=settings,
        start=resolved.continues and resolved.continues.kind,
        threads=spec.resources.threads,
    )


def known(ctx: Context, resolved: ResolvedSpec) -> EstimateResult | None:
    """What was estimated for such a run, where somebody asked."""
    found = analyses.find(ctx, KIND, subject_of(resolved))
    return None if found is None or found.result is None else EstimateResult.model_validate(found.result)
