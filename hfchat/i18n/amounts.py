"""Amounts as a sentence writes them: numbers, dollars, waiting times, and the windows of limits."""

from collections.abc import Mapping
from typing import Any

from hfchat.i18n.language import Language
from hfchat.i18n.plurals import plural
from hfchat.i18n.sentences import section

_AMOUNTS: Mapping[Language, Any] = section("amounts")
# Of each window: `unit` follows "requests a", `period` follows "tokens for", `return` says when what was used comes back.
_PERIODS: Mapping[Language, Mapping[str, Mapping[str, str]]] = section("periods")


def spoken(facts: Mapping[str, int | str], language: Language) -> dict[str, str]:
    """The placeholders of a sentence about a limit: each number as it is written, `window` as {unit}, {period}, {return}.

    `reset_s`, the seconds until the window ends, is {time}; {requests} and {replies} are `limit` with its word.
    """
    words = {name: number(value, language) if isinstance(value, int) else value for name, value in facts.items()}
    limit = facts.get("limit", 0)
    for name in ("requests", "replies"):
        forms = _AMOUNTS[language][name]
        words[name] = plural(forms, limit if isinstance(limit, int) else 0, language).format(
            limit=words.get("limit", "")
        )
    words["time"] = _duration(int(facts.get("reset_s", 0)), language)
    if "window" in facts:
        period = _PERIODS[language][str(facts["window"])]
        words |= {name: text.format(**words) for name, text in period.items()}
    return words


def number(value: int, language: Language) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}".replace(",", _AMOUNTS[language]["thousands_separator"])


def dollars(amount: float, language: Language) -> str:
    """An amount of dollars; one under ten cents with three significant digits."""
    digits = f"{amount:.2f}" if amount >= 0.1 else f"{amount:.3g}"
    amounts = _AMOUNTS[language]
    text: str = amounts["dollars"].format(amount=digits.replace(".", amounts["decimal_mark"]))
    return text


def _duration(seconds: int, language: Language) -> str:
    count, unit = max(seconds, 1), "s"
    for length_s, longer in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length_s:
            count, unit = -(-seconds // length_s), longer
            break
    text: str = _AMOUNTS[language]["durations"][unit].format(count=count)
    return text
