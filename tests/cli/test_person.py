"""`python -m hfchat person`: what it prints, what it refuses, and what it changes at every door of a running program."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfchat.auth.hub_account import name_record
from hfchat.cli.ledger import with_ledger
from hfchat.config.settings import find_dotenv, load_settings
from hfchat.ledger.ledger import Ledger
from hfchat.types import Usage
from tests.cli.test_commands import a_folder_with_a_key, run, spend, write
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.support.raw_client import UNSET, Said, ask, functions
from tests.support.stub_upstream import Answer, StubUpstream, event

__all__ = ["a_folder_with_a_key"]
pytestmark = pytest.mark.usefixtures("loggers_as_they_were", "a_folder_with_a_key")
CHAT = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
DEFAULTS = {"blocked": "no", "rate": "30/minute", "budget": "200000/day", "streams": "4"}


def facts(out: str) -> dict[str, str]:
    """The lines of an answer, by their name."""
    return dict(line.split(": ", 1) for line in out.splitlines())


def test_what_holds_for_a_person_and_what_they_used(capsys: pytest.CaptureFixture[str]) -> None:
    spend("alice", Usage(7, 5))
    spend("alice", Usage(1, 1), issuer="https://id.example")
    spend("bob", Usage(1, 1))
    status, out, err = run(capsys, "person", "alice")
    assert (status, err) == (0, "")
    windows = "0 of 30/minute requests, 0 of 200000/day tokens, 0 of 4 streams"
    told = {"used": windows, "used (https://id.example)": windows}
    assert facts(out) == {"subject": "alice", **DEFAULTS, **told}


CHANGES: dict[str, tuple[list[str], dict[str, str]]] = {
    "block": (["--block"], {"blocked": "yes"}),
    "more": (["--budget", "900000/day"], {"budget": "900000/day (set for this person)"}),
    "less": (
        ["--rate", "5/minute", "--streams", "1"],
        {"rate": "5/minute (set for this person)", "streams": "1 (set for this person)"},
    ),
    "all at once": (
        ["--block", "--budget", "5000/week", "--rate", "9/hour", "--streams", "2", "--reset"],
        {
            "blocked": "yes",
            "budget": "5000/week (set for this person)",
            "rate": "9/hour (set for this person)",
            "streams": "2 (set for this person)",
        },
    ),
}


@pytest.mark.parametrize(("options", "told"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_kept_and_taken_back(
    capsys: pytest.CaptureFixture[str], options: list[str], told: dict[str, str]
) -> None:
    for arguments in (options, []):
        status, out, _ = run(capsys, "person", "alice", *arguments)
        assert (status, facts(out)) == (0, {"subject": "alice", **DEFAULTS, **told})
    back = ["--unblock", "--budget", "default", "--rate", "default", "--streams", "default"]
    assert facts(run(capsys, "person", "alice", *back)[1]) == {"subject": "alice", **DEFAULTS}


def test_a_change_leaves_the_others_and_names_are_one_in_every_spelling(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "person", "jose\u0301", "--budget", "900000/day")
    out = run(capsys, "person", "ｊosé", "--block")[1]
    assert (facts(out)["subject"], facts(out)["blocked"]) == ("josé", "yes")
    assert facts(out)["budget"] == "900000/day (set for this person)"
    assert facts(run(capsys, "person", "jose")[1])["blocked"] == "no"


def signed_in(**names: str) -> None:
    """People who signed in with Hugging Face and used something."""

    async def remember(ledger: Ledger) -> None:
        for number, name in names.items():
            await ledger.store_record(name_record(f"hf:{number}"), name.encode(), until=2**33)

    with_ledger(load_settings(os.environ, find_dotenv()), remember)
    for number in names:
        spend(f"hf:{number}", Usage(7, 5))


@pytest.mark.parametrize("typed", ["alison", "Alison", "hf:n1"])
def test_who_signed_in_with_hugging_face_is_known_by_name(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    signed_in(n1="alison", n2="bob")
    status, out, err = run(capsys, "person", typed, "--block")
    found = facts(out)
    assert (status, found["subject"], found["name"], found["blocked"]) == (0, "hf:n1", "alison", "yes")
    assert (f"{typed}, signed in with Hugging Face, is hf:n1\n" in err) is (typed != "hf:n1")
    assert facts(run(capsys, "person", "bob")[1])["blocked"] == "no"


def test_a_name_that_several_have_had_is_nobody_s(capsys: pytest.CaptureFixture[str]) -> None:
    signed_in(n1="alison", n2="alison")
    status, out, err = run(capsys, "person", "alison", "--block")
    assert (status, out) == (2, "")
    assert "write one of: hf:n1, hf:n2" in err
    for subject in ("hf:n1", "hf:n2"):
        assert facts(run(capsys, "person", subject)[1])["blocked"] == "no"


@pytest.mark.parametrize("known_by", ["use", "limits"])
def test_a_subject_comes_before_a_name_and_the_others_are_said(
    capsys: pytest.CaptureFixture[str], known_by: str
) -> None:
    if known_by == "use":
        spend("alison", Usage(1, 1))
    else:
        run(capsys, "person", "alison", "--streams", "1")
    signed_in(n1="alison")
    status, out, err = run(capsys, "person", "alison", "--block")
    assert (status, facts(out)["subject"]) == (0, "alison")
    assert "With Hugging Face signed in as alison: hf:n1" in err
    assert facts(run(capsys, "person", "hf:n1")[1])["blocked"] == "no"


def test_without_a_ledger_there_is_nobody_and_a_change_makes_one(capsys: pytest.CaptureFixture[str]) -> None:
    for options in ([], ["--reset"]):
        status, out, err = run(capsys, "person", "alice", *options)
        assert (status, out) == (1, "")
        assert err.startswith("There was no ledger at ")
    status, out, err = run(capsys, "person", "alice", "--block")
    assert (status, facts(out)["blocked"]) == (0, "yes")
    assert err.startswith("There was no ledger at ")
    status, out, err = run(capsys, "person", "bob")
    assert (status, facts(out)["blocked"], err) == (0, "no", "bob has used nothing yet.\n")


def test_a_change_for_somebody_who_has_used_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    spend("hf:42", Usage(7, 5))
    status, _, err = run(capsys, "person", "alice", "--block")
    assert status == 0
    assert "alice has used nothing yet. Who signed in with Hugging Face is known as hf:NUMBER" in err
    assert "used nothing" not in run(capsys, "person", "hf:42", "--block")[2]


def test_a_budget_too_small_for_any_question_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "person", "alice", "--budget", "10/day")
    assert status == 0
    assert "more than the whole budget of 10: nothing can be asked." in err
    assert "HF_CHAT_DEFAULT_TOKENS" in err


WRONG: dict[str, list[str]] = {
    "both": ["alice", "--block", "--unblock"],
    "no name": [],
    "a budget without a window": ["alice", "--budget", "5000"],
    "a budget of nought": ["alice", "--budget", "0/day"],
    "no rate": ["alice", "--rate", "fast"],
    "no streams": ["alice", "--streams", "0"],
    "streams with a fraction": ["alice", "--streams", "1.5"],
    "an empty budget": ["alice", "--budget", ""],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_a_wrong_call_changes_nothing(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(capsys, "person", *arguments)
    assert (ended.value.code, capsys.readouterr().out) == (2, "")
    assert not Path(".hfchat").exists()


@pytest.mark.parametrize("name", ["", "a\nb", " a", "a" * 256, "a\u200b"], ids=repr)
def test_what_is_no_name_is_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    status, out, err = run(capsys, "person", name, "--block")
    assert (status, out) == (2, "")
    assert "a person's name has 1 to 255 characters" in err
    assert not Path(".hfchat").exists()


def test_a_ledger_in_memory_is_out_of_reach(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(), "HFCHAT_STORE=memory://")
    status, out, err = run(capsys, "person", "alice", "--block")
    assert (status, out) == (2, "")
    assert "no command reaches it" in err


def test_a_ledger_that_does_not_answer_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path(), "HFCHAT_STORE=redis://127.0.0.1:9")
    status, out, _ = run(capsys, "person", "alice", "--block")
    assert (status, out) == (2, "")


@pytest.fixture
def here(stub: StubUpstream, a_folder_with_a_key: Path) -> Iterator[RunningApp]:
    """The program, on the ledger of this folder."""
    store = f"sqlite:///{a_folder_with_a_key}/.hfchat/ledger.db"
    settings = make_settings(HF_CHAT_BASE_URL=stub.base_url, HFCHAT_STORE=store)
    with running(settings) as app:
        yield app


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


DOORS = {
    "the API": ("POST", "/api/ai/chat", CHAT),
    "a stream": ("POST", "/api/ai/chat", CHAT[:-1] + b', "stream": true}'),
    "/v1": ("POST", "/v1/chat/completions", CHAT),
    "usage": ("GET", "/api/ai/usage", b""),
    "models": ("GET", "/v1/models", b""),
    "the page": ("GET", "/config", b""),
}


def test_who_is_blocked_is_out_at_every_door_at_once(here: RunningApp, capsys: pytest.CaptureFixture[str]) -> None:
    token, other = make_token("alice"), make_token("bob")
    question = {
        "data": ["hello", [], *UNSET],
        "fn_index": functions(here)["chat"],
        "session_hash": "a",
        "trigger_id": None,
    }
    doors = {**DOORS, "a question on the page": ("POST", "/gradio_api/queue/join", json.dumps(question).encode())}

    def knock(token: str) -> dict[str, Said]:
        return {name: ask(here, method, path, bearer(token), body) for name, (method, path, body) in doors.items()}

    assert {said.status for said in knock(token).values()} == {200}
    assert run(capsys, "person", "alice", "--block")[0] == 0
    for name, said in knock(token).items():
        assert (name, said.status, said.code) == (name, 401, "revoked_token")
        assert "has blocked the person" in said.json["error"]["message"]
    assert {said.status for said in knock(other).values()} == {200}
    spanish = ask(here, "POST", "/api/ai/chat", {**bearer(token), "Accept-Language": "es"}, CHAT)
    assert "ha bloqueado a la persona" in spanish.json["error"]["message"]
    link = ask(here, "GET", f"/login?token={token}")
    assert link.headers["Location"] == "/login?why=revoked_token&detail=token_person_blocked"
    assert b"has blocked the person" in ask(here, "GET", link.headers["Location"]).body
    assert run(capsys, "person", "alice", "--unblock")[0] == 0
    assert {said.status for said in knock(token).values()} == {200}


def test_a_reply_in_progress_of_who_is_blocked_ends(
    here: RunningApp, stub: StubUpstream, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("word ")], ending="hang")
    heard: dict[str, Said] = {}

    def listen(name: str) -> None:
        heard[name] = ask(here, "POST", "/api/ai/chat", bearer(make_token(name)), CHAT[:-1] + b', "stream": true}')

    listeners = [threading.Thread(target=listen, args=(name,)) for name in ("alice", "bob")]
    for listener in listeners:
        listener.start()
    wait_until(lambda: stub.in_progress == 2)
    run(capsys, "person", "alice", "--block")
    listeners[0].join(30)
    assert b'"code": "revoked_token"' in heard["alice"].body
    assert "has blocked the person" in heard["alice"].body.decode()
    wait_until(lambda: stub.in_progress == 1)
    run(capsys, "person", "bob", "--block")
    listeners[1].join(30)
    used = facts(run(capsys, "person", "alice")[1])["used"]
    assert "0 of 4 streams" in used


def test_a_limit_is_in_force_with_the_next_call_and_answers_say_it(
    here: RunningApp, capsys: pytest.CaptureFixture[str]
) -> None:
    token = bearer(make_token("alice"))
    assert ask(here, "POST", "/api/ai/chat", token, CHAT).headers["RateLimit-Limit"] == "1000000"
    run(capsys, "person", "alice", "--rate", "3/day", "--budget", "50000/day", "--streams", "2")
    usage = ask(here, "GET", "/api/ai/usage", token).json
    assert [usage[name]["limit"] for name in ("rate", "budget", "streams")] == [3, 50_000, 2]
    said = [ask(here, "POST", "/api/ai/chat", token, CHAT) for _ in range(4)]
    assert [one.status for one in said].count(429) >= 1
    assert said[0].headers["RateLimit-Limit"] == "3"
    assert said[-1].code == "rate_limit_exceeded"
    run(capsys, "person", "alice", "--reset")
    assert ask(here, "POST", "/api/ai/chat", token, CHAT).status == 200
