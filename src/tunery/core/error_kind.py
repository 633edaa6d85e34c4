"""What one error code means. Knows no code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What one code means: HTTP status, the sentence, the cure. The texts are format strings."""

    status: int
    says: str
    cure: str
    cli: str = ""
    """The cure at the command line, where it is another: a command or an option to give."""
