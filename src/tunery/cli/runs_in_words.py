"""A run in a few words: its name, what it will come to, how far it is, why it waits."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from tunery.cli.output import number

if TYPE_CHECKING:  # a command's help comes without loading schemas
    from tunery.schemas.cost import Cost
    from tunery.schemas.diagnosis import Diagnosis
    from tunery.schemas.estimate import EstimateResult
    from tunery.schemas.run import MetricSeries, ResolvedSpec, Run, RunDetail, SampledRow


_LOSSES = ("train_loss", "validation_loss")
_LINE = 160
"""Characters."""


def run_name(run: "Run") -> str:
    """`name #2`, which commands take as well."""
    return f"{run.name} #{run.number}"


def progress(run: "Run") -> str:
    """`step 3 of 30`, or the row an evaluation is at."""
    for stage in run.stages:
        if stage.state == "running" and stage.total:
            return f"{stage.doing}: row {stage.done:,} of {stage.total:,}"
    if run.waiting and run.state == "queued":
        return run.waiting.message
    if run.progress.steps:
        return f"step {run.progress.step:,} of {run.progress.steps:,}"
    return f"step {run.progress.step:,}"


def waits(run: "Run") -> str:
    """Why it isn't begun; empty when nothing of it waits."""
    return run.waiting.message if run.waiting else ""


def findings(diagnosis: "Diagnosis") -> Iterator[str]:
    """What the curves say, with what to do about it."""
    so_far = "" if diagnosis.complete else " so far"
    if not diagnosis.findings:
        yield (
            f"Nothing stands out in the {diagnosis.points:,} measurements up to step {diagnosis.step:,}{so_far}."
        )
    for found in diagnosis.findings:
        yield f"{found.title} ({found.severity}): {found.message}"
        if found.rows:
            yield f"  Training rows: {', '.join(map(str, found.rows))}"
        yield from (f"  - {line}" for line in found.advice)


def pause_costs(run: "Run") -> str:
    """What pausing a run loses: nothing, or what came after its newest checkpoint."""
    saved, again = run.progress.saved, max(0, run.progress.step - run.progress.saved)
    return (
        "It saves first, so nothing is lost. Should it fail to save within two minutes, it goes on from step "
        f"{saved:,} when resumed ({again:,} steps again)."
    )


def estimated(found: "EstimateResult") -> Iterator[str]:
    """What a run would need."""
    time, memory = found.train_seconds, found.memory_mb
    assert time is not None
    assert memory is not None
    yield (
        f"{found.tokens:,} tokens in {found.steps:,} steps of {found.batches:,} batches; the longest has "
        f"{found.longest_batch:,} tokens."
    )
    yield (
        f"Training takes about {time.value:,.0f} s ({time.low:,.0f} to {time.high:,.0f}), and about "
        f"{found.other_seconds:,.0f} s go beside it."
    )
    yield f"Memory: about {memory.value:,.0f} MB (up to {memory.high:,.0f}) of {found.machine_mb:,.0f} MB."
    if not found.fits:
        yield "It may not fit: lower batch_size or max_sequence_length, or train an adapter (finetuning_type lora)."


def held_against(run: "RunDetail") -> Iterator[str]:
    """What was predicted, and what came."""
    if run.estimate is None or run.result is None or not run.result.steps:
        return
    time, memory = run.estimate.train_seconds, run.estimate.memory_mb
    assert time is not None
    assert memory is not None
    yield (
        f"Predicted {time.value:,.0f} s ({time.low:,.0f} to {time.high:,.0f}) and {memory.value:,.0f} MB for "
        f"{run.estimate.steps:,} steps; it took {run.result.train_seconds:,.0f} s and "
        f"{run.result.peak_rss_mb:,.0f} MB for {run.result.steps:,}."
    )


def by_dataset(series: Iterable["MetricSeries"]) -> Iterator[tuple[str, str, str]]:
    """Each dataset's newest training and validation loss."""
    newest: dict[str, dict[str, float]] = {}
    for one in series:
        curve, slash, title = one.name.partition("/")
        if slash and curve in _LOSSES and one.values:
            newest.setdefault(title, {})[curve] = one.values[-1]
    for title, found in newest.items():
        train, validation = (number(found.get(curve)) for curve in _LOSSES)
        yield title, train, validation


def sampled(rows: Iterable["SampledRow"]) -> Iterator[str]:
    """The newest answer to each of the validation rows that were asked."""
    for row in rows:
        newest = row.answers[-1]
        yield f"Asked at step {newest.step:,}: {_short(row.prompt)}"
        yield f"  answer: {_short(newest.answer)}"
        if row.expected is not None:
            yield f"  expected: {_short(row.expected)}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE else f"{line[:_LINE]} …"


def outlook(resolved: "ResolvedSpec") -> Iterator[str]:
    """What would happen, and what would not."""
    found, spec = resolved.outlook, resolved.spec
    if found is None:
        return
    about = "about " if found.rough else ""
    data = ", ".join(ref.label for ref in spec.data.train)
    yield (
        f"Trains on {about}{found.rows:,} rows of {data} in {about}{found.steps:,} steps, "
        f"epochs: {spec.settings['epochs']}."
    )
    if found.validation_rows and spec.settings["eval_steps"]:
        yield f"Validation: {found.validation_rows:,} rows, every {spec.settings['eval_steps']:,} steps."
    else:
        yield "No validation during training: there are no validation rows, or eval_steps is 0."
    if spec.evaluate.dataset and found.held_out_rows:
        rows = f"{found.held_out_rows:,} held-out rows of {spec.evaluate.dataset.label}"
        yield f"Then the base and the tuned model are evaluated on {rows}."
    else:
        yield "No evaluation: no held-out rows are given."
    yield (
        f"The model is published as {spec.publish.name or spec.name}."
        if spec.publish.auto
        else "The model isn't published automatically; `tunery models publish` does it afterwards."
    )


def clone(resolved: "ResolvedSpec") -> Iterator[str]:
    """What it was cloned from, and what was changed."""
    from tunery.schemas.words import shown

    if resolved.clone is None:
        return
    yield f"Clone of {resolved.clone.name}{':' if resolved.clone.changes else ', with nothing changed.'}"
    for change in resolved.clone.changes:
        yield f"  {change.label}: {shown(change.before)} → {shown(change.after)}"


def lineage(run: "RunDetail") -> Iterator[str]:
    """What it goes on from, and what goes on from it."""
    if run.ancestors:
        line = [run.base_model, *(f"{one.name} @ step {one.step:,}" for one in run.ancestors), run_name(run)]
        yield f"Goes on from: {' → '.join(line)}"
    if run.continued_by:
        yield f"Continued by: {', '.join(f'{one.name} (step {one.step:,})' for one in run.continued_by)}"


def cost(found: "Cost") -> str:
    """What it costs, and by which prices."""
    stages = {"estimate": "Would cost about", "meter": "Cost so far", "bill": "Cost"}
    prices = found.prices
    by = [
        f"{price} {prices.currency} {unit}".replace("  ", " ")
        for price, unit in ((prices.per_hour, "an hour"), (prices.per_million_tokens, "a million tokens"))
        if price is not None
    ]
    measured = [
        *([f"{found.hours} h"] if found.hours is not None else []),
        *([f"{found.tokens:,} tokens"] if found.tokens is not None else []),
    ]
    said = f"{stages[found.stage]}: {found.amount}" if found.amount else "The time isn't known yet"
    basis = f"; {found.basis}" if found.basis else ""
    return f"{said} ({', '.join(measured)}; {' and '.join(by)}{', idle time' if prices.idle_time else ''}{basis})."
