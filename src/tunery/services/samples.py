"""What a model answered while it trained, row by row."""

from sqlalchemy import select

from tunery.db.tables import event
from tunery.schemas.run import AnswerAtStep, SampledRow
from tunery.services.context import Context
from tunery.services.find_run import need_run


def samples(ctx: Context, id: str) -> list[SampledRow]:
    """Validation rows in their order, each with its answers by step. Raises Problem `not_found`."""
    bodies = ctx.conn.scalars(
        select(event.c.body)
        .where(event.c.run_id == need_run(ctx, id).id, event.c.type == "sample")
        .order_by(event.c.seq)
    )
    expected: dict[str, str | None] = {}
    answers: dict[str, dict[int, str]] = {}
    for body in bodies:
        if body["step"]:  # an evaluation has none
            expected[body["prompt"]] = body["expected"]
            # What an attempt said again after it went on from a checkpoint stands.
            answers.setdefault(body["prompt"], {})[body["step"]] = body["answer"]
    return [
        SampledRow(
            prompt=prompt,
            expected=expected[prompt],
            answers=[AnswerAtStep(step=step, answer=said[step]) for step in sorted(said)],
        )
        for prompt, said in answers.items()
    ]
