"""Plural forms: which of a counted word's forms goes with a number, by the plural rules of Unicode's CLDR.

In a language's file such a word is an object: a form for each category that the language has, always with `other`. The page's
scripts choose among them with `Intl.PluralRules`, which has the same rules.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hfchat.i18n.language import Language

Forms = Mapping[str, str]
CATEGORIES = ("zero", "one", "two", "few", "many", "other")


def _other(_: int) -> str:
    return "other"


def _one(number: int) -> str:
    return "one" if number == 1 else "other"


def _one_or_million(number: int) -> str:
    return "one" if number == 1 else _million(number)


def _zero_is_one(number: int) -> str:
    return "one" if number in (0, 1) else _million(number)


def _million(number: int) -> str:
    return "many" if number and number % 1_000_000 == 0 else "other"


def _arabic(number: int) -> str:
    if number in (0, 1, 2):
        return ("zero", "one", "two")[number]
    rest = number % 100
    return "few" if 3 <= rest <= 10 else "many" if 11 <= rest <= 99 else "other"


# For whole numbers, by the language without its region: https://www.unicode.org/cldr/charts/latest/supplemental/language_plural_rules.html
RULES: Mapping[Language, Callable[[int], str]] = MappingProxyType(
    {
        "ar": _arabic,
        "es": _one_or_million,
        "fr": _zero_is_one,
        "ja": _other,
        "pt": _zero_is_one,
        "zh": _other,
    }
)


def category(number: int, language: Language) -> str:
    """The plural category of a whole number. A language without a rule here has two forms, as English has."""
    return RULES.get(language.partition("-")[0], _one)(number)


def plural(forms: Forms, number: int, language: Language) -> str:
    """The form that goes with the number; the one for `other` where the language's file has none of its category."""
    return forms.get(category(number, language), forms["other"])


def are_forms(content: object) -> bool:
    """Whether this part of a language's file is a word's plural forms."""
    return isinstance(content, Mapping) and "other" in content and content.keys() <= set(CATEGORIES)
