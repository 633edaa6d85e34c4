"""Estimates: what a run will need, measured by an engine on the queue, once for each plan."""

from tunery.schemas.estimate import Estimate, EstimateResult
from tunery.schemas.run import RunSpec
from tunery.services import analyses, runs
from tunery.services.context import Context
from tunery.services.estimated import KIND, subject_of


def ask(ctx: Context, spec: RunSpec) -> Estimate:
    """The estimate of a spec, or the task that measures it; queued where nobody asked before, or where it failed.

    Raises the Problem that submitting would.
    """
    resolved, inputs, start = runs.plan(ctx, spec)
    payload = {
        "resolved": resolved.model_dump(mode="json"),
        "inputs": inputs,
        "start": None if start is None else str(start),
    }
    found = analyses.ask(ctx, KIND, subject_of(resolved), resolved.recipe_hash, payload, engine=True)
    result = None if found.result is None else EstimateResult.model_validate(found.result)
    return Estimate(**found.status, found=result)
