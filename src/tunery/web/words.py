"""How numbers, sizes, moments and scores are put into words. It knows nothing of pages."""

import re
from collections.abc import Iterable
from urllib.parse import quote

from markupsafe import Markup, escape

from tunery.core.clock import now_us, to_datetime
from tunery.schemas.run import Stage

_PARTS = re.compile(r"[^-_.@:/,]*[-_.@:/,]+|[^-_.@:/,]+")
_CODE = re.compile(r"`([^`]+)`")
_UNITS = ("B", "KB", "MB", "GB", "TB")


def count(value: float | None) -> str:
    """12345 as `12,345`."""
    return "–" if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """12345 as `12.3k`."""
    if value is None:
        return "–"
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.1f}".removesuffix(".0") + letter
    return f"{value:g}"


def size(value: int | None) -> str:
    """Bytes as `1.2 MB`."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in _UNITS:
        if amount < 1000 or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("the last unit takes everything")


def duration(seconds: float | None) -> str:
    """Seconds as `under 1 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s" if whole else "under 1 s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def between(started: int | None, ended: int | None) -> str:
    """The time from one moment to another, or until now."""
    if started is None:
        return "–"
    return duration(((ended or now_us()) - started) / 1e6)


def worked(stage: Stage) -> float:
    """Seconds that were worked on a stage of a run: neither its pauses nor the server's count."""
    if stage.started is None:
        return 0.0
    return max(0, (stage.ended or now_us()) - stage.started - stage.idle) / 1e6


def worked_all(stages: Iterable[Stage]) -> float | None:
    """The same of all stages; None before the first begins."""
    begun = [worked(stage) for stage in stages if stage.started is not None]
    return sum(begun) if begun else None


def ago(moment: int) -> str:
    """How long ago a moment was, roughly; an old one as its date."""
    seconds = (now_us() - moment) / 1e6
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86400:
        return f"{round(seconds / 3600)} h ago"
    if seconds < 7 * 86400:
        return f"{round(seconds / 86400)} d ago"
    return to_datetime(moment).strftime("%d %b %Y")


def iso(moment: int) -> str:
    """A moment for the `datetime` attribute."""
    return to_datetime(moment).isoformat(timespec="seconds")


def clock(moment: int) -> str:
    """A moment in full, UTC."""
    return to_datetime(moment).strftime("%Y-%m-%d %H:%M:%S UTC")


def hms(moment: int) -> str:
    """The time of day, UTC."""
    return to_datetime(moment).strftime("%H:%M:%S")


def number(value: object) -> str:
    """A measured value with four significant digits; small ones without an exponent where that stays short."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def measured(value: float, *, share: bool) -> str:
    """A score: a share of the rows in per cent, anything else with three significant digits."""
    if share:
        return f"{100 * value:.1f}".removesuffix(".0") + " %"
    return f"{value:.3g}"


def changed(value: float, *, share: bool) -> str:
    """A difference of two scores, with its sign; of shares in percentage points."""
    told = f"{100 * value:+.1f}".removesuffix(".0") + " points" if share else f"{value:+.3g}"
    return told.replace("-", "−")


def parameters(billions: float | None) -> str:
    """Billions of parameters as `7B` or `3.4M`."""
    return "–" if billions is None else short(billions * 1e9)


def model_address(name: str) -> str:
    """The page of a model version: `orders:2` has its place on the page of `orders`."""
    model, _, version = name.rpartition(":")
    return f"/models/{quote(model, safe='')}#v{version}"


def dataset_address(label: str) -> str:
    """The page of a dataset version: `orders@2`."""
    name, _, version = label.rpartition("@")
    return f"/datasets/{quote(name, safe='')}?version={version}"


def breakable(text: object) -> Markup:
    """A name that a line may be broken in, after its signs and not within its words."""
    return Markup("<wbr>").join(escape(part) for part in _PARTS.findall(str(text)))


def marked(text: str, words: str) -> Markup:
    """A text with every place marked where some words stand, whatever their capitals."""
    if not words:
        return escape(text)
    parts = re.split(f"({re.escape(words)})", text, flags=re.IGNORECASE)
    return Markup("").join(
        Markup("<mark>{}</mark>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def coded(text: object) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(_CODE.split(str(text)))
    )


def title(name: str) -> str:
    """`learning_rate` as `Learning rate`."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
