"""What is large is looked at in a thread, and others go on meanwhile."""

import asyncio
import threading
import time

import pytest

from hfchat.api.openai_body import read_completion
from hfchat.chat.token_count import max_prompt_tokens
from hfchat.chat.turns import Turns
from hfchat.http.in_thread import LARGE_BYTES, in_thread
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.types import Call, Caller, Message, Policy
from tests.http.test_json_bounds import turns_during

CALLER = Caller("alice", "j1", 2**40, Policy("a/b", None))


@pytest.mark.parametrize(("size", "here"), [(0, True), (LARGE_BYTES - 1, True), (LARGE_BYTES, False)])
def test_only_what_is_large_is_worth_a_thread(size: int, here: bool) -> None:
    thread = asyncio.run(in_thread(size, threading.current_thread))
    assert (thread is threading.current_thread()) is here


@pytest.mark.parametrize("sign", ["字", "\u0301", "\u0958", "か\u3099"], ids=["Chinese", "marks", "decomposed", "kana"])
@pytest.mark.parametrize("known", [True, False], ids=["by its body", "by its texts"])
def test_others_go_on_while_a_large_prompt_is_counted(sign: str, known: bool) -> None:
    async def reserve() -> None:
        ledger = Ledger(SqliteStore(None))
        messages = tuple(Message("user", sign * 25_000) for _ in range(50))
        call = Call("a/b", messages, 10, body_bytes=5_000_000 if known else 0)
        turns = Turns(ledger, time.time)
        with turns.begin(CALLER, lambda _: None) as turn:
            await turn.reserve(call)
            assert turn.reservation is not None
            assert turn.reservation.prompt_tokens == max_prompt_tokens(messages)
            await turn.settle()
        await turns.close()
        await ledger.close()

    assert asyncio.run(turns_during(reserve())) > 10


def test_a_body_says_its_size_and_two_of_one_meaning_are_equal() -> None:
    body = b'{"messages": [{"role": "user", "content": "hi"}]}'
    one, other = read_completion(body), read_completion(body + b" ")
    assert (one.body_bytes, other.body_bytes) == (len(body), len(body) + 1)
    assert one == other
