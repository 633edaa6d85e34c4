"""Stop sequences: whatever pieces text comes in, nothing of a stop sequence is shown and nothing else is lost."""

from hypothesis import given
from hypothesis import strategies as st

from tunery.replica.text import StopScanner

_TEXT = st.text(alphabet="ab\n€", max_size=30)
_STOPS = st.lists(st.text(alphabet="ab\n€", min_size=1, max_size=4), max_size=3)


def _shown(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    scanner = StopScanner(stops)
    shown = "".join(scanner.feed(piece) for piece in pieces) + scanner.finish()
    return shown, scanner.stopped


@given(st.lists(_TEXT, max_size=8), _STOPS)
def test_the_pieces_do_not_matter(pieces: list[str], stops: list[str]) -> None:
    text = "".join(pieces)
    shown, stopped = _shown(pieces, stops)
    assert (shown, stopped) == _shown([text], stops)
    assert text.startswith(shown)
    if stopped:
        assert any(text.startswith(stop, len(shown)) for stop in stops)
    else:
        assert shown == text
        assert not any(stop in text for stop in stops)


def test_text_that_only_might_be_a_stop_sequence_waits() -> None:
    scanner = StopScanner(["</end>"])
    assert scanner.feed("yes <") == "yes "
    assert scanner.feed("/en") == ""
    assert scanner.feed("try") == "</entry"
    assert scanner.feed("</end> never") == ""
    assert scanner.stopped
    assert scanner.feed("more") == ""
