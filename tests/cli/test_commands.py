"""`python -m hfchat`: answers alone on stdout, faults on stderr, and the promised exit status."""

import asyncio
import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from hfchat.auth.hub_account import name_record
from hfchat.auth.own_tokens import verify_token
from hfchat.auth.policy import PolicyClaim
from hfchat.cli.main import main
from hfchat.config.settings import load_settings
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import Limit
from hfchat.types import Caller, Policy, Usage
from tests.conftest import KEY, make_settings, make_token, running
from tests.support.identity_provider import public_pem, signed
from tests.support.raw_client import ask

pytestmark = pytest.mark.usefixtures("loggers_as_they_were")
REPOSITORY = Path(__file__).parents[2]
DAY_S = 86_400
MODEL = "meta-llama/Llama-3.2-3B-Instruct:fastest"


@pytest.fixture(autouse=True)
def a_folder_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands read the environment and the `.env` of the folder that they are called in."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HFCHAT_", "JWT_", "HUGGINGFACE_", "GRADIO_", "SPACE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"JWT_SECRET={KEY}\n", "utf-8")
    return tmp_path


def caller_of(token: str) -> Caller:
    return verify_token(KEY, token, load_settings({"JWT_SECRET": KEY}).policy)


def write(folder: Path, *variables: str) -> None:
    with (folder / ".env").open("a") as file:
        file.write("".join(f"{variable}\n" for variable in variables))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    output = capsys.readouterr()
    return status, output.out, output.err


def with_other_claims(token: str) -> str:
    header, _, signature = token.split(".")
    claims = json.dumps({"sub": "root", "iss": "hfchat", "iat": 1, "exp": 9_999_999_999, "jti": "x"}).encode()
    return f"{header}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.{signature}"


def issued(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, "token", "issue", *arguments)
    assert status == 0
    # A link to this machine alone says so, beside the answer.
    assert ("HFCHAT_PUBLIC_URL" in err) == ("http://127.0.0.1" in out)
    assert re.fullmatch(r"\S+\n", out), "the answer is alone on its line"
    return out.strip()


def test_a_token_is_issued_for_so_many_days(capsys: pytest.CaptureFixture[str]) -> None:
    caller = caller_of(issued(capsys, "alice", "--days", "30"))
    assert (caller.subject, set(caller.scopes)) == ("alice", {"chat"})
    assert abs(caller.expires_at - time.time() - 30 * DAY_S) < 60


def test_a_part_of_a_day_is_a_time_too(capsys: pytest.CaptureFixture[str]) -> None:
    hour = caller_of(issued(capsys, "alice", "--days", "0.0416667")).expires_at - time.time()
    assert abs(hour - 3600) < 60
    minute = caller_of(issued(capsys, "alice", "--days", "0.0006944444")).expires_at - time.time()
    assert 0 < minute <= 60


def test_a_scope_is_written_into_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    token = issued(capsys, "root", "--days", "1", "--scope", "chat admin")
    assert caller_of(token).scopes == {"chat", "admin"}


FLAGS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "no limit": ([], {}),
    "models": (["--models", "a/b, c/d:fastest,"], {"models": ["a/b", "c/d:fastest"]}),
    "rate": (["--rate", "10/minute"], {"rate": "10/minute"}),
    "budget": (["--budget", " 50000 / DAY "], {"budget": "50000/day"}),
    "streams": (["--streams", "2"], {"streams": 2}),
    "max_tokens": (["--max-tokens", "512"], {"max_tokens": 512}),
    "all": (
        ["--models=a/b", "--rate=1/hour", "--budget=9999/month", "--streams=1", "--max-tokens=7"],
        {"models": ["a/b"], "rate": "1/hour", "budget": "9999/month", "streams": 1, "max_tokens": 7},
    ),
}


@pytest.mark.parametrize(("flags", "claim"), FLAGS.values(), ids=FLAGS)
def test_a_limit_is_written_into_the_token(
    capsys: pytest.CaptureFixture[str], flags: list[str], claim: dict[str, Any]
) -> None:
    status, out, _ = run(capsys, "token", "issue", "alice", "--days", "1", *flags)
    assert status == 0
    claims = jwt.decode(out.strip(), KEY, algorithms=["HS256"])
    assert claims.get("hfchat", {}) == claim
    assert ("hfchat" in claims) == bool(claim)
    assert caller_of(out.strip()).subject == "alice"


WARNINGS: dict[str, tuple[list[str], list[str]]] = {
    "nothing to say": (["--budget", "50000/day", "--models", MODEL], []),
    "a budget that no reply fits into": (["--budget", "1000/day"], ["more than the whole budget of 1000"]),
    "the same with a smaller reply": (["--budget", "1000/day", "--max-tokens", "100"], []),
    "a larger budget than the owner's": (["--budget", "9999999/day"], []),
    "a model that is not offered": (["--models", f"a/b,{MODEL},c/d"], ["Not offered by HF_CHAT_MODELS", "a/b, c/d."]),
}


@pytest.mark.parametrize(("flags", "lines"), WARNINGS.values(), ids=WARNINGS)
def test_what_will_surprise_whoever_uses_the_token_is_said_beside_it(
    capsys: pytest.CaptureFixture[str], flags: list[str], lines: list[str]
) -> None:
    status, out, err = run(capsys, "token", "issue", "alice", "--days", "1", *flags)
    assert (status, len(out.split())) == (0, 1)
    *warned, logged = err.splitlines()
    assert "token_issued" in logged
    assert len(warned) == bool(lines)
    assert all(part in warned[0] for part in lines)


def test_a_token_that_no_browser_keeps_is_issued_with_a_word_on_it(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path
) -> None:
    write(a_folder_with_a_key, "HF_CHAT_MODELS=*")
    models = ",".join(f"somebody/a-model-with-a-long-name-{number}" for number in range(100))
    status, out, err = run(capsys, "token", "issue", "alice", "--days", "1", "--models", models)
    assert (status, len(out) > 4000) == (0, True)
    assert err.startswith("It names so many models that no browser keeps it")
    assert run(capsys, "token", "show", out)[0] == 0


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_token_is_logged_with_its_id_and_never_itself(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, log_format: str
) -> None:
    write(a_folder_with_a_key, f"HFCHAT_LOG_FORMAT={log_format}")
    _, out, issuing = run(capsys, "token", "issue", "alice", "--days", "1")
    token = out.strip()
    _, _, revoking = run(capsys, "token", "revoke", token)
    jti = caller_of(token).token_id
    for event, said in (("token_issued", issuing), ("token_revoked", revoking)):
        (line,) = [line for line in said.splitlines() if event in line]
        facts = {"subject": "alice", "jti": jti}
        if log_format == "json":
            assert facts.items() <= json.loads(line).items()
        else:
            assert line.endswith(f"INFO {event} subject=alice jti={jti}")
        assert not any(part in said for part in token.split("."))


LINKS = [
    ("", "http://127.0.0.1:7860/login?token="),
    ("GRADIO_SERVER_PORT=8080", "http://127.0.0.1:8080/login?token="),
    ("HFCHAT_PUBLIC_URL=https://chat.example.org/", "https://chat.example.org/login?token="),
]


@pytest.mark.parametrize(("variable", "beginning"), LINKS, ids=["local", "port", "public"])
def test_a_link_signs_in(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, variable: str, beginning: str
) -> None:
    write(a_folder_with_a_key, variable)
    link = issued(capsys, "alice", "--days", "1", "--link")
    assert link.startswith(beginning)
    assert caller_of(link.removeprefix(beginning)).subject == "alice"


def test_a_good_token_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    token = make_token("José", ttl_s=3600, scopes=("chat", "admin"), now=int(time.time()) // 60 * 60)
    caller = caller_of(token)
    status, out, err = run(capsys, "token", "show", f" {token}\n")
    assert (status, err) == (0, "")
    assert re.fullmatch(r"Good until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", out.splitlines()[0])
    assert out.splitlines()[1:] == [
        "subject: José",
        "scope: admin chat",
        f"jti: {caller.token_id}",
        f"models: {MODEL}",
        "rate: 30/minute",
        "budget: 200000/day",
        "streams: 4",
        "max_tokens: 4096",
    ]


# what the owner set, what the token says, what holds
NARROWED: dict[str, tuple[list[str], PolicyClaim, dict[str, str]]] = {
    "the narrower of the two": (
        ["HFCHAT_RATE=20/minute", "HFCHAT_STREAMS=9"],
        PolicyClaim(rate=Limit(10, "minute"), streams=10, max_tokens=512),
        {"rate": "10/minute", "streams": "9", "max_tokens": "512"},
    ),
    "both, where the windows differ": (
        ["HFCHAT_BUDGET=90000/day"],
        PolicyClaim(rate=Limit(100, "day"), budget=Limit(5000, "hour")),
        {"rate": "30/minute and 100/day", "budget": "90000/day and 5000/hour"},
    ),
    "some of the models": (
        ["HF_CHAT_MODELS=a/b,c/d"],
        PolicyClaim(models=("c/d", "e/f")),
        {"models": "c/d"},
    ),
    "none of the models": ([], PolicyClaim(models=("c/d",)), {"models": "none that is offered"}),
    "all models": (["HF_CHAT_MODELS=*"], PolicyClaim(), {"models": "all"}),
    "models out of all": (["HF_CHAT_MODELS=*"], PolicyClaim(models=("c/d", "a/b")), {"models": "a/b, c/d"}),
}


@pytest.mark.parametrize(("variables", "claim", "holds"), NARROWED.values(), ids=NARROWED)
def test_the_limits_that_hold_for_a_token_are_explained(
    capsys: pytest.CaptureFixture[str],
    a_folder_with_a_key: Path,
    variables: list[str],
    claim: PolicyClaim,
    holds: dict[str, str],
) -> None:
    write(a_folder_with_a_key, *variables)
    status, out, _ = run(capsys, "token", "show", make_token(policy=claim))
    assert status == 0
    assert holds.items() <= dict(line.split(": ", 1) for line in out.splitlines()[1:]).items()


def foreign(**claims: Any) -> dict[str, Any]:
    return {"sub": "carol", "exp": int(time.time()) + 3600, **claims}


@pytest.mark.parametrize(
    ("claims", "issuer", "jti"),
    [({"iss": "https://id.example", "jti": "theirs"}, "https://id.example", "theirs"), ({}, "none", r"x-[0-9a-f]{32}")],
    ids=["with an issuer", "without one"],
)
def test_a_backends_token_is_explained_with_its_issuer(
    capsys: pytest.CaptureFixture[str], claims: dict[str, str], issuer: str, jti: str
) -> None:
    token = jwt.encode(foreign(**claims), KEY, algorithm="HS256")
    status, out, _ = run(capsys, "token", "show", token)
    shown = dict(line.split(": ", 1) for line in out.splitlines()[1:])
    assert (status, shown["subject"], shown["issuer"], shown["scope"]) == (0, "carol", issuer, "chat")
    assert re.fullmatch(jti, shown["jti"])


def test_with_a_providers_key_alone_tokens_are_explained_and_none_is_issued(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path
) -> None:
    (a_folder_with_a_key / "key.pem").write_text(public_pem("ed25519"), "utf-8")
    (a_folder_with_a_key / ".env").write_text("JWT_PUBLIC_KEY=key.pem\n", "utf-8")
    status, out, _ = run(capsys, "token", "show", signed("EdDSA", foreign(iss="https://id.example")))
    assert (status, "issuer: https://id.example" in out) == (0, True)
    status, out, err = run(capsys, "token", "issue", "alice", "--days", "1")
    assert (status, out) == (2, "")
    assert err.startswith("JWT_SECRET: it is not set")


def revoked(capsys: pytest.CaptureFixture[str], token: str) -> bool:
    """Whether the program says of this good token that it was taken back."""
    status, out, _ = run(capsys, "token", "show", token)
    assert status == ("No: this token has been taken back." in out)
    return status == 1


WAYS: dict[str, Callable[[str], str]] = {
    "the token": lambda token: token,
    "with white space": lambda token: f" {token}\n",
    "a header": lambda token: f"Authorization: Bearer {token}",
    "an invite link": lambda token: f"https://chat.example.org/login?token={token}",
    "its id": lambda token: caller_of(token).token_id,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_token_is_taken_back(capsys: pytest.CaptureFixture[str], way: Callable[[str], str]) -> None:
    token, other = make_token(), make_token()
    assert not revoked(capsys, token)
    assert run(capsys, "token", "revoke", way(token))[:2] == (0, f"revoked: {caller_of(token).token_id}\n")
    assert revoked(capsys, token)
    assert not revoked(capsys, other)
    assert run(capsys, "token", "revoke", way(token))[0] == 0


def test_a_providers_token_is_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (jwt.encode(foreign(jti=jti), KEY, algorithm="HS256") for jti in ("one", "two"))
    assert run(capsys, "token", "revoke", one)[0] == 0
    assert revoked(capsys, one)
    assert not revoked(capsys, two)


NOT_REVOKED = [
    (with_other_claims(make_token()), "Its signature was not made with the key of this server."),
    (make_token()[:-6], "It is not a whole token"),
    (make_token().rpartition(".")[0], "It is neither a whole token nor a token's id."),
    (make_token().partition(".")[0], "It is neither a whole token nor a token's id."),
    ("two words", "It is neither a whole token nor a token's id."),
    ("a" * 256, "The request is not in the right form: `jti`"),
    ("", "The request is not in the right form: `jti`"),
    ("a\nb", "The request is not in the right form: `jti`"),
]


@pytest.mark.parametrize(
    ("token", "why"), NOT_REVOKED, ids=["forged", "cut", "half", "a third", "words", "long", "empty", "two lines"]
)
def test_what_is_no_token_of_this_server_is_not_taken_back(
    capsys: pytest.CaptureFixture[str], token: str, why: str
) -> None:
    status, out, err = run(capsys, "token", "revoke", token)
    assert status == 1
    assert out.startswith("No: ")
    assert why[1:] in out
    assert "token_revoked" not in err


def test_a_token_that_has_ended_need_not_be_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    ended = make_token(ttl_s=60, now=1000)
    jti = jwt.decode(ended, options={"verify_signature": False})["jti"]
    status, out, err = run(capsys, "token", "revoke", ended)
    assert (status, out) == (0, f"revoked: {jti}\n")
    assert "token_revoked" not in err


def test_a_ledger_that_is_made_for_the_revocation_is_said(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path
) -> None:
    store = a_folder_with_a_key / ".hfchat" / "ledger.db"
    first, second = (run(capsys, "token", "revoke", make_token()) for _ in range(2))
    assert first[2].startswith(f"There was no ledger at {store} yet: is it the one that the server uses?\n")
    assert "There was no ledger" not in second[2]
    assert (first[0], second[0], store.is_file()) == (0, 0, True)


# Long ago: nothing of it is in progress.
THEN = 1_750_000_000.0


def spend(subject: str, used: Usage | None, *, issuer: str = "hfchat", now: float = THEN) -> None:
    """Reserve a turn in the ledger of this folder, and settle it where `used` says what it took."""
    caller = Caller(subject, "jti", 2**40, Policy("a/b", None), issuer=issuer)

    async def turn() -> None:
        ledger = Ledger(SqliteStore(Path(".hfchat/ledger.db").resolve()), clock=lambda: now)
        reserved = await ledger.reserve(caller, Usage(72, 100), lambda _: None)
        if used is not None:
            await ledger.settle(caller, reserved, used, lambda _: None)
        await ledger.close()

    asyncio.run(turn())


TABLE = """\
subject  issuer              requests  prompt tokens  completion tokens  estimated tokens  held tokens  last seen
alice    hfchat                     2          1,007                 52                 9            0  2025-06-15T15:06:40Z
alice    https://id.example         1              1                  2                 0            0  2025-06-15T15:06:40Z
bob      hfchat                     1             72                100               172            0  2025-06-15T15:06:40Z
zoe      hfchat                     1              0                  0                 0          172  {now}
"""


@pytest.fixture
def books(a_folder_with_a_key: Path) -> str:
    """Two people called alice, one whose turn lapsed, and one whose reply is in progress; gives when it began."""
    began = int(time.time())
    spend("alice", Usage(1000, 50))
    spend("alice", Usage(7, 2, estimated=True))
    spend("alice", Usage(1, 2), issuer="https://id.example")
    spend("bob", None)
    spend("zoe", None, now=began)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))


def test_the_usage_is_a_table(capsys: pytest.CaptureFixture[str], books: str) -> None:
    assert run(capsys, "usage") == (0, TABLE.format(now=books), "")


def test_the_usage_of_one_person_is_theirs_alone(capsys: pytest.CaptureFixture[str], books: str) -> None:
    status, out, _ = run(capsys, "usage", "bob")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["subject", "bob"])
    status, out, _ = run(capsys, "usage", "alice")
    assert (status, len(out.splitlines())) == (0, 3)


def test_the_usage_is_csv_for_programs(capsys: pytest.CaptureFixture[str], books: str) -> None:
    spend('q"u,o\u2028te', Usage(1, 1))
    status, out, err = run(capsys, "usage", "--csv")
    assert (status, err) == (0, "")
    rows = {(row["subject"], row["issuer"]): row for row in csv.DictReader(io.StringIO(out, newline=""))}
    assert list(rows[("alice", "hfchat")].values()) == [
        "alice", "hfchat", "2", "1007", "52", "9", "0", "2025-06-15T15:06:40Z",
    ]  # fmt: skip
    assert rows[("zoe", "hfchat")]["held_tokens"] == "172"
    assert ('q"u,o\u2028te', "hfchat") in rows
    assert len(rows) == 5


def test_who_signed_in_with_hugging_face_is_found_by_name(capsys: pytest.CaptureFixture[str], books: str) -> None:
    async def name() -> None:
        ledger = Ledger(SqliteStore(Path(".hfchat/ledger.db").resolve()))
        await ledger.store_record(name_record("hf:63f0a1"), b"=alison", until=2**33)
        await ledger.close()

    spend("hf:63f0a1", Usage(5, 6))
    asyncio.run(name())
    status, out, _ = run(capsys, "usage", "=alison")
    assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["subject", "hf:63f0a1"])
    assert [line.split()[-1] for line in out.splitlines()] == ["name", "=alison"]
    assert run(capsys, "usage", "hf:63f0a1")[1] == out
    rows = list(csv.DictReader(io.StringIO(run(capsys, "usage", "--csv")[1])))
    assert [row["name"] for row in rows if row["name"]] == ["'=alison"]
    assert run(capsys, "usage", "hf:other")[0] == 1


def test_who_has_used_nothing_is_a_no(capsys: pytest.CaptureFixture[str], books: str) -> None:
    assert run(capsys, "usage", "nobody") == (1, "", "nobody has used nothing yet.\n")
    assert run(capsys, "usage", "Alice")[0] == 1


def test_an_empty_ledger_is_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "token", "revoke", make_token())
    status, out, err = run(capsys, "usage")
    assert (status, err, len(out.splitlines())) == (0, "", 1)


def test_a_ledger_that_is_not_there_is_said_and_not_made(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path
) -> None:
    status, out, err = run(capsys, "usage")
    assert (status, out) == (1, "")
    assert err.startswith(f"There was no ledger at {a_folder_with_a_key / '.hfchat' / 'ledger.db'} yet")
    assert not (a_folder_with_a_key / ".hfchat").exists()
    assert run(capsys, "token", "show", make_token())[0] == 0
    assert not (a_folder_with_a_key / ".hfchat").exists()


@pytest.mark.parametrize("command", [["usage"], ["token", "revoke", "x"]], ids=["usage", "revoke"])
def test_a_ledger_in_memory_is_reached_by_no_command(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, command: list[str]
) -> None:
    write(a_folder_with_a_key, "HFCHAT_STORE=memory://")
    status, out, err = run(capsys, *command)
    assert (status, out) == (2, "")
    assert err.startswith("HFCHAT_STORE: memory:// is inside the running program")
    assert run(capsys, "token", "show", make_token())[0] == 0


@pytest.mark.parametrize(
    "command",
    [["usage"], ["token", "revoke", "x"], ["token", "show", make_token()]],
    ids=["usage", "revoke", "show"],
)
def test_a_ledger_that_cannot_be_read_is_a_fault_that_says_why(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, command: list[str]
) -> None:
    store = a_folder_with_a_key / ".hfchat" / "ledger.db"
    store.parent.mkdir()
    store.write_text("no database" * 100)
    status, out, err = run(capsys, *command)
    assert (status, out) == (2, "")
    assert "HFCHAT_STORE" in err
    assert "file is not a database" in err
    assert "Traceback" not in err
    assert store.read_text().startswith("no database")


@pytest.mark.whole
def test_a_token_that_the_running_program_took_back_is_a_no_here_and_the_other_way_round(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path
) -> None:
    store = a_folder_with_a_key / ".hfchat" / "ledger.db"
    admin, ours, theirs = make_token(scopes=("admin",)), make_token(), make_token()
    with running(make_settings(HFCHAT_STORE=f"sqlite:///{store}")) as app:
        response = ask(
            app, "POST", "/api/ai/revoke", {"Authorization": f"Bearer {admin}"}, json.dumps({"token": theirs}).encode()
        )
        assert response.status == 200
        assert revoked(capsys, theirs)
        assert ask(app, "GET", "/api/ai/usage", {"Authorization": f"Bearer {ours}"}).status == 200
        assert run(capsys, "token", "revoke", ours)[0] == 0
        assert ask(app, "GET", "/api/ai/usage", {"Authorization": f"Bearer {ours}"}).code == "revoked_token"


def test_a_token_until_the_end_of_time_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    token = make_token(ttl_s=253_402_300_799 - 1, now=1)
    assert run(capsys, "token", "show", token)[1].startswith("Good until 9999-12-31 23:59 UTC.")


BAD = [
    (make_token(ttl_s=60, now=1000), "No: this token has expired."),
    (with_other_claims(make_token()), "Its signature was not made with the key of this server."),
    ("abc", "It is not a whole token"),
    ("", "It is not a whole token"),
    ("a" * 17_000, "It is longer than any token that is taken here."),
    (make_token(now=int(time.time()) + 86_400), "It is not valid yet."),
]


@pytest.mark.parametrize(("token", "why"), BAD, ids=["expired", "forged", "no token", "empty", "long", "early"])
def test_a_bad_token_is_a_no_and_a_reason(capsys: pytest.CaptureFixture[str], token: str, why: str) -> None:
    status, out, err = run(capsys, "token", "show", token)
    assert (status, err) == (1, "")
    assert out.startswith("No: ")
    assert why in out
    assert len(out.splitlines()) == 1


def test_a_fresh_secret_is_taken_as_a_key(capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path) -> None:
    (a_folder_with_a_key / ".env").unlink()
    status, out, err = run(capsys, "secret")
    assert (status, err) == (0, "")
    settings = load_settings({"JWT_SECRET": out.removesuffix("\n"), "GRADIO_SERVER_NAME": "0.0.0.0"})
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == out.strip()
    assert run(capsys, "secret")[1] != out


@pytest.mark.parametrize("command", [["issue", "alice", "--days", "1"], ["show", "abc"]], ids=["issue", "show"])
def test_without_a_key_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, command: list[str]
) -> None:
    (a_folder_with_a_key / ".env").unlink()
    status, out, err = run(capsys, "token", *command)
    assert (status, out) == (2, "")
    assert err.startswith("JWT_SECRET: it is not set")
    assert "python -m hfchat secret" in err
    assert ".env" in err


def test_a_wrong_setting_is_said(capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path) -> None:
    (a_folder_with_a_key / ".env").write_text("JWT_SECRET=short\nHF_CHAT_MODLE=a\n", "utf-8")
    status, out, err = run(capsys, "token", "issue", "alice", "--days", "1")
    assert (status, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["HF_CHAT_MODLE", "JWT_SECRET"]


USAGE: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "COMMAND"),
    "unknown command": (["tokens"], "invalid choice"),
    "token alone": (["token"], "COMMAND"),
    "no subject": (["token", "issue", "--days", "1"], "subject"),
    "no days": (["token", "issue", "alice"], "--days"),
    "days a word": (["token", "issue", "alice", "--days", "many"], "--days: it must be a number more than 0"),
    "no time": (["token", "issue", "alice", "--days", "0"], "at most 3660"),
    "time back": (["token", "issue", "alice", "--days=-1"], "at most 3660"),
    "time without end": (["token", "issue", "alice", "--days", "inf"], "at most 3660"),
    "days nan": (["token", "issue", "alice", "--days", "nan"], "at most 3660"),
    "too long": (["token", "issue", "alice", "--days", "3661"], "at most 3660"),
    "unknown option": (["secret", "--long"], "--long"),
    "show without a token": (["token", "show"], "token"),
    "revoke without a token": (["token", "revoke"], "TOKEN_OR_JTI"),
    "usage of two": (["usage", "alice", "bob"], "bob"),
    "rate without a window": (["token", "issue", "alice", "--days", "1", "--rate", "10"], "--rate: it is not a limit"),
    "rate of nothing": (["token", "issue", "alice", "--days", "1", "--rate", "0/minute"], "--rate: it is not a limit"),
    "rate a year": (["token", "issue", "alice", "--days", "1", "--rate", "10/year"], "30/minute"),
    "budget a word": (["token", "issue", "alice", "--days", "1", "--budget", "much"], "--budget: it is not a limit"),
    "budget negative": (["token", "issue", "alice", "--days", "1", "--budget=-1/day"], "--budget: it is not a limit"),
    "no streams": (["token", "issue", "alice", "--days", "1", "--streams", "0"], "from 1 to 10000"),
    "too many streams": (["token", "issue", "alice", "--days", "1", "--streams", "10001"], "from 1 to 10000"),
    "streams a fraction": (["token", "issue", "alice", "--days", "1", "--streams", "1.5"], "from 1 to 10000"),
    "streams in other digits": (["token", "issue", "alice", "--days", "1", "--streams", "٣"], "from 1 to 10000"),
    "no tokens": (["token", "issue", "alice", "--days", "1", "--max-tokens", "0"], "from 1 to 1000000"),
    "too many tokens": (["token", "issue", "alice", "--days", "1", "--max-tokens", "1000001"], "from 1 to 1000000"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE)
def test_a_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr()
    assert (left.value.code, shown.out) == (2, "")
    assert shown.err.startswith("usage: python -m hfchat")
    assert said in shown.err


REFUSED = {
    "empty subject": (["", "--days", "1"], "subject"),
    "line break in the subject": (["a\nb", "--days", "1"], "subject"),
    "long subject": (["a" * 256, "--days", "1"], "subject"),
    "unknown scope": (["alice", "--days", "1", "--scope", "chat root"], "chat, admin"),
    "no scope": (["alice", "--days", "1", "--scope", ""], "chat, admin"),
    "no models": (["alice", "--days", "1", "--models", ","], "--models"),
    "a model that is an address": (["alice", "--days", "1", "--models", "a/b,http://x.example/v1"], "--models"),
    "too many models": (["alice", "--days", "1", "--models", ",".join(f"a/m{n}" for n in range(101))], "--models"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_would_be_refused_is_not_issued(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, err = run(capsys, "token", "issue", *arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_help_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["token", "issue", "--help"])
    assert left.value.code == 0
    assert "--days" in capsys.readouterr().out


@pytest.mark.whole
def test_it_runs_as_a_module_and_exits_with_the_status(a_folder_with_a_key: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT")}
    environ |= {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "hfchat", "token", "show"]
    for token, status in ((make_token(), 0), (make_token(now=1000), 1)):
        done = subprocess.run(
            [*command, token],
            cwd=a_folder_with_a_key,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert done.stdout.startswith("Good until" if status == 0 else "No: ")
