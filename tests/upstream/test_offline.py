"""The stand-in: honest, deterministic, in the question's language."""

import re

import pytest

from hfchat.i18n.errors import TOKEN_PAGE
from hfchat.types import Call, Delta, Finish, Message, Usage
from hfchat.upstream.offline import MODEL, OfflineUpstream, reply_to
from tests.support.rows import each_row

ASKED = {"en": "What is the capital of France?", "es": "¿Cuál es la capital de Francia?"}
HONEST = {"en": "not a language model", "es": "no un modelo de lenguaje"}


def call(*contents: str, max_tokens: int = 1024, system: str | None = None) -> Call:
    roles: tuple[str, str] = ("user", "assistant")
    talk = [Message(roles[place % 2], content) for place, content in enumerate(contents)]
    return Call("a/b", (*([Message("system", system)] if system else []), *talk), max_tokens)


async def answer(call: Call) -> tuple[list[str], Finish]:
    upstream = OfflineUpstream(pause_s=0)
    parts = [part async for part in upstream.stream(call)]
    await upstream.close()
    finish = parts.pop()
    assert isinstance(finish, Finish)
    assert all(isinstance(part, Delta) and part.content for part in parts)
    return [part.content for part in parts if isinstance(part, Delta)], finish


@pytest.mark.parametrize("language", ASKED)
@pytest.mark.anyio
async def test_it_says_what_it_is_and_how_to_get_a_real_model(language: str) -> None:
    words, finish = await answer(call(ASKED[language]))
    text = "".join(words)
    assert HONEST[language] in text
    assert f"<{TOKEN_PAGE}>" in text
    assert "HUGGINGFACE_API_TOKEN=hf_" in text
    assert "`.env`" in text
    assert "python app.py" in text
    assert f"> {ASKED[language]}\n" in text
    assert (finish.model, finish.finish_reason) == (MODEL, "stop")


LANGUAGES = [
    ("Hola", "es"),
    ("hello", "en"),
    ("Explica la fotosíntesis", "es"),
    ("explica esto por favor", "es"),
    ("Write me a poem about El Niño", "en"),
    ("Who was José Martí?", "en"),
    ("me puedes ayudar", "es"),
    ("2 + 2", "en"),
    ("日本語", "en"),
    ("¿Qué significa “the cat is on the mat”? Dímelo en español, por favor", "es"),
]


@each_row(("question", "language"), LANGUAGES, ids=[question for question, _ in LANGUAGES])
def test_it_answers_in_the_questions_language(question: str, language: str) -> None:
    assert HONEST[language] in reply_to(call(question).messages)


@pytest.mark.anyio
async def test_the_same_conversation_has_the_same_reply() -> None:
    first, second = await answer(call("hi", "x", "why?")), await answer(call("hi", "x", "why?"))
    assert first == second
    assert first[0] != (await answer(call("hi", "x", "where?")))[0]


HISTORY = [
    ("en", "And why is that?", "Before that you wrote: “{}”."),
    ("es", "¿Y por qué es así?", "Antes escribiste: «{}»."),
]


@pytest.mark.parametrize(("language", "asked", "before"), HISTORY, ids=ASKED)
def test_it_knows_the_history(language: str, asked: str, before: str) -> None:
    alone = reply_to(call(asked).messages)
    later = reply_to(call("Zq8 first", "an answer", "Zq8 second", "another", asked, system="Be brief.").messages)
    assert before.format("Zq8 second") in later
    assert before[:10] not in alone
    assert re.search(r"(message|mensaje) 3 ", later)
    assert re.search(r"(message|mensaje) 1 ", alone)
    assert HONEST[language] in later


def test_a_question_is_quoted_on_one_line_and_cut() -> None:
    long = reply_to(call("first line\n\n# second\r\n```" + "a" * 300).messages)
    quoted = next(line for line in long.splitlines() if line.startswith("> "))
    assert quoted.startswith("> first line # second ```aaa")
    assert quoted.endswith("a…")
    assert len(quoted) == 202


def test_braces_in_a_question_are_only_braces() -> None:
    assert "> {page} {0} {} %s\n" in reply_to(call("{page} {0} {} %s").messages)


@pytest.mark.parametrize("limit", [1, 2, 17])
@pytest.mark.anyio
async def test_it_stops_at_max_tokens(limit: int) -> None:
    whole, _ = await answer(call("hello there", system="Be brief."))
    words, finish = await answer(call("hello there", max_tokens=limit, system="Be brief."))
    assert words == whole[:limit]
    assert finish.finish_reason == "length"
    assert finish.usage == Usage(prompt_tokens=4, completion_tokens=limit)


@pytest.mark.parametrize("more", [0, 1], ids=["just enough", "one to spare"])
@pytest.mark.anyio
async def test_a_reply_that_fits_is_whole_and_counted(more: int) -> None:
    whole, _ = await answer(call("hello there"))
    words, finish = await answer(call("hello there", max_tokens=len(whole) + more))
    assert "".join(words) == reply_to(call("hello there").messages)
    assert finish.finish_reason == "stop"
    assert finish.usage == Usage(2, len(whole))
    assert finish.usage.total_tokens == 2 + len(whole)
