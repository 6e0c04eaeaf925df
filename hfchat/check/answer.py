"""Answer: what a question of the check found, as data, and its sentences in each language. It never holds a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from hfchat.errors import HfchatError
from hfchat.http.error_response import say
from hfchat.i18n.amounts import dollars
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import section

Status = Literal["good", "wrong", "unknown"]
_CHECK: Mapping[Language, Any] = section("check")


class Words(NamedTuple):
    """An answer for people: the question's title, what is so, and what to do about it; `fix` is empty where nothing is."""

    title: str
    says: str
    fix: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question found. `unknown`: it could not be asked, or the thing that was asked does not say.

    `reason` is the key of its sentences, with `params` for the placeholders, a float being dollars; or else `error` has them.
    """

    question: str
    status: Status
    reason: str = ""
    params: Mapping[str, str | int | float] = field(default_factory=dict)
    error: HfchatError | None = None

    def words(self, language: Language) -> Words:
        """The sentences in this language."""
        texts, params = _CHECK[language], self._written(language)
        title = texts["questions"][self.question].format(**params)
        if self.error is not None:
            return Words(title, *say(self.error, language, to_owner=True))
        answer = texts["answers"][self.reason]
        return Words(title, answer["says"].format(**params), answer.get("fix", "").format(**params))

    def _written(self, language: Language) -> dict[str, str]:
        return {
            name: dollars(value, language) if isinstance(value, float) else str(value)
            for name, value in self.params.items()
        }


def good(question: str, reason: str, **params: str | int | float) -> Answer:
    """A yes."""
    return Answer(question, "good", reason, params)


def wrong(question: str, reason: str, **params: str | int | float) -> Answer:
    """A no, which has a fix."""
    return Answer(question, "wrong", reason, params)


def unknown(question: str, reason: str, **params: str | int | float) -> Answer:
    """Neither."""
    return Answer(question, "unknown", reason, params)


def failed(question: str, error: HfchatError, **params: str | int | float) -> Answer:
    """A no in the sentences of an error."""
    return Answer(question, "wrong", params=params, error=error)
