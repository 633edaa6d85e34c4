"""Stop sequences over text that comes in pieces: no part of one is ever released."""


class StopScanner:
    """Releases text as soon as it can't be the beginning of a stop sequence any more."""

    def __init__(self, stops: list[str]) -> None:
        self._stops = stops
        self._held = ""
        self.stopped = False
        """A stop sequence was met; everything from it on is dropped."""

    def feed(self, text: str) -> str:
        """Take the next piece; returns what may be shown now."""
        if self.stopped:
            return ""
        text = self._held + text
        # The one that is complete first, so that it doesn't matter in which pieces the text comes.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        hold = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - hold :]
        return text[: len(text) - hold]

    def finish(self) -> str:
        """The answer ends here: what was held back is text after all."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
