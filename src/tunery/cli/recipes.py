"""What a recipe comes to, shown to people."""

from pathlib import Path

from tunery.cli.output import clean, note, say, table
from tunery.cli.runs_in_words import cost
from tunery.schemas.recipe import RecipePreview

_LEAKS_SHOWN = 5
_KINDS = {"own": "", "general": " (general)", "replay": " (again)"}


def show_preview(found: RecipePreview) -> None:
    """Datasets with their rates and shares, where the rows go, what leaks."""
    columns = ["data", "rows", "rate", "rows taken", "characters", "share", "tokens, about"]
    table(
        columns,
        [
            (
                _short(part.dataset) + _KINDS[part.kind],
                part.rows_in,
                f"{part.sampling_rate:.4g}",
                part.rows,
                part.characters,
                f"{part.share:.1f} %",
                part.tokens,
            )
            for part in found.parts
        ],
    )
    rows = found.rows
    aside = f" ({rows.set_aside:,} drawn, {rows.returned:,} returned to training)" if rows.returned else ""
    say(
        f"{rows.train:,} training rows, {rows.validation:,} validation rows{aside}; an epoch has about "
        f"{found.tokens or 0:,} tokens."
    )
    if found.general_tokens is not None:
        say(f"About {found.general_tokens:,} of these tokens come from the general corpus.")
    if found.replay_tokens is not None:
        say(f"About {found.replay_tokens:,} come from what the earlier run learnt from.")
    say(f"Rows needed: {found.minimum.minimum}. {found.minimum.arithmetic}.")
    if found.cost:
        say(cost(found.cost))
    leaks = [one.message for one in found.leaks.tests if one.message] if found.leaks else []
    for line in (*found.notes, *leaks):
        note(line)
    for leak in found.leaks.rows[:_LEAKS_SHOWN] if found.leaks else []:
        note(
            f"  {leak.kind} ({leak.likeness:.0%}): {_short(leak.test)} row {leak.test_row + 1} and "
            f"{_short(leak.train)} row {leak.train_row + 1}: {clean(leak.excerpt)}"
        )


def _short(label: str) -> str:
    return Path(label).name if "/" in label else label
