"""Talk to a model that the server serves."""

import click

from tunery.cli.output import Command, answer, clean, note, say, wants_json

API_VERSION = 1


@click.command(cls=Command)
@click.argument("model")
@click.option("--message", "-m", help="One question; without it, an interactive chat starts.")
@click.option("--system", help="The system prompt.")
@click.option("--max-tokens", type=click.IntRange(1), help="The longest answer, in tokens.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, 2),
    help="Sampling temperature; 0 = always the most likely token.",
)
@click.option("--seed", type=int, help="The same seed gives the same answer.")
def command(
    model: str,
    message: str | None,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    seed: int | None,
) -> None:
    """Talk to MODEL: a base model, a published model, or `model:version`."""
    from tunery.sdk.client import Client

    options = {"max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    turns = [{"role": "system", "content": system}] if system else []
    if wants_json() and message is None:
        raise click.UsageError("--json needs --message.")
    with Client() as client:
        if message is not None:
            turns.append({"role": "user", "content": message})
            if wants_json():
                answer(vars(client.chat(model, turns, **options)), lambda: None)
            else:
                _spoken(client.chat(model, turns, stream=True, **options))
            return
        note("An empty line or Ctrl-D ends the conversation.")
        while question := _asked():
            turns.append({"role": "user", "content": question})
            said = _spoken(client.chat(model, turns, stream=True, **options))
            turns.append({"role": "assistant", "content": said})


def _asked() -> str:
    try:
        return click.prompt(">", prompt_suffix=" ", default="", show_default=False, err=True)
    except click.Abort:
        say("")
        return ""


def _spoken(parts) -> str:
    said = ""
    for part in parts:
        said += part
        click.echo(clean(part), nl=False)
    click.echo()
    return said
