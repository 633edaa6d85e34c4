"""Token ids that come one by one -> text, never a broken character."""

from collections.abc import Callable, Sequence


class StreamDecoder:
    """Feed it ids; it gives the text that is certain. A character whose bytes aren't all there yet waits.

    Some tokenizers decode a token differently at the beginning of a text, so a few earlier tokens are decoded
    along and their text is taken off again.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._from = 0
        self._given = 0

    def add(self, token: int) -> str:
        """The text that is new and whole with this token; often empty inside a character."""
        self._ids.append(token)
        before = self._decode(self._ids[self._from : self._given])
        now = self._decode(self._ids[self._from :])
        if len(now) <= len(before) or now.endswith("\ufffd"):
            return ""
        self._from = self._given
        self._given = len(self._ids)
        return now[len(before) :]

    def finish(self) -> str:
        """What is left, broken or not."""
        before = self._decode(self._ids[self._from : self._given])
        now = self._decode(self._ids[self._from :])
        self._from = self._given = len(self._ids)
        return now[len(before) :]
