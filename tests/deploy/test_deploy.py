"""`python -m hfchat deploy` against a stub of the Hub: a new Space, a changed one, a kill after each call, and refusals."""

import base64
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hfchat.auth.own_tokens import verify_token
from hfchat.cli.main import main
from hfchat.config.settings import load_settings
from hfchat.deploy import build
from hfchat.deploy.dotenv_file import read_dotenv
from hfchat.deploy.plan import program_files
from tests.conftest import KEY
from tests.support.deploying import deploying
from tests.support.hub_sign_in import Browser, hub_app
from tests.support.openid_provider import openid_provider
from tests.support.stub_hub import HF_TOKEN, Body, Space, StubHub, whoami
from tests.support.stub_upstream import StubUpstream

pytestmark = pytest.mark.usefixtures("loggers_as_they_were")
NAME = "ana/chat"
ROOT = Path(__file__).parents[2]
# A clone with a file of each kind: to upload all of them takes a while.
PATHS = ("README.md", "requirements.txt", "app.py", ".github/page.png", "hfchat/__init__.py", "hfchat/app.py")
FILES = {path: content for path, content in program_files(ROOT).items() if path in PATHS}
WRITE_TOKEN = "hf_VmllbGVEYXRlaWVuU2Nocg"


@pytest.fixture
def hub() -> Iterator[StubHub]:
    with StubHub() as found:
        found.account = whoami(plan="pro")
        yield found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: StubHub) -> Path:
    """A folder with a `.env`; the clone itself is where the program is."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HFCHAT_", "JWT_", "HUGGINGFACE_", "GRADIO_", "SPACE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", WRITE_TOKEN)
    monkeypatch.setattr("hfchat.cli.deploy.POLL_S", 0.0)
    monkeypatch.setattr(build, "FAILURE_S", 0.0)
    clone = tmp_path / "clone"
    for path, content in FILES.items():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_bytes(content)
    monkeypatch.setattr("hfchat.cli.deploy.ROOT", clone)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_TITLE=Physics", "HFCHAT_STORE=memory://")
    return tmp_path


def write(folder: Path, *lines: str) -> None:
    (folder / ".env").write_text("".join(f"{line}\n" for line in lines), "utf-8")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def deploy(*arguments: str) -> tuple[int, str, str]:
        status = main(["deploy", NAME, *arguments])
        output = capsys.readouterr()
        return status, output.out, output.err

    return deploy


def as_it_is(hub: StubHub, name: str = NAME) -> dict[str, Any]:
    space = hub.spaces[name]
    return {
        "files": {path: content for path, content in space.files.items() if path != ".gitattributes"},
        "secrets": {key: item["value"] for key, item in space.secrets.items()},
        "variables": {key: item["value"] for key, item in space.variables.items()},
        "private": space.private,
        "hardware": space.hardware,
    }


def test_a_new_space_is_put_up_and_its_address_an_invite_link_and_the_next_step_are_printed(
    hub: StubHub, run: Run, folder: Path
) -> None:
    status, out, err = run()
    assert status == 0, err
    key = read_dotenv(folder / ".env")["JWT_SECRET"]
    assert as_it_is(hub) == {
        "files": FILES,
        "secrets": {"HUGGINGFACE_API_TOKEN": HF_TOKEN, "JWT_SECRET": key},
        "variables": {"HFCHAT_TITLE": "Physics"},
        "private": False,
        "hardware": "cpu-basic",
    }
    assert hub.spaces[NAME].commits == 1
    assert [change.rpartition("/")[2] for change in hub.changes] == ["create", "validate-yaml", "main"]
    assert hub.authorizations == {f"Bearer {WRITE_TOKEN}"}
    page, link, following = out.splitlines()
    assert page == "The page: https://ana-chat.hf.space"
    (token,) = re.findall(r"https://ana-chat\.hf\.space/login\?token=(\S+)$", link)
    caller = verify_token(key, token, load_settings({"JWT_SECRET": key}).policy)
    assert caller.scopes == {"chat", "admin"}
    assert "HFCHAT_PUBLIC_URL=https://ana-chat.hf.space python -m hfchat token issue NAME" in following
    for secret in (key, HF_TOKEN, WRITE_TOKEN):
        assert secret not in out + err


def test_the_whole_program_is_uploaded(hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfchat.cli.deploy.ROOT", ROOT)
    assert run()[0] == 0
    assert as_it_is(hub)["files"] == program_files(ROOT)


def test_what_is_done_is_shown_meanwhile(run: Run) -> None:
    _, _, err = run()
    places = [
        err.index(says)
        for says in (
            "forgotten whenever the Space restarts",
            "HFCHAT_STORE.",
            "Made a JWT_SECRET",
            "Create the public Space ana/chat on cpu-basic, with the secrets HUGGINGFACE_API_TOKEN, JWT_SECRET and the variable "
            "HFCHAT_TITLE.",
            f"Upload {len(FILES)} files, as one commit.",
            "0 s  building",
            "app starting",
            "running",
        )
    ]
    assert places == sorted(places)


def test_the_ledger_s_bucket_is_made_private_and_once(hub: StubHub, run: Run, folder: Path) -> None:
    bucket = "hf://buckets/ana/chat-ledger"
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", f"HFCHAT_STORE_COPY={bucket}")
    status, _, err = run()
    assert (status, hub.buckets) == (0, {"ana/chat-ledger": True})
    assert hub.spaces[NAME].secrets["HFCHAT_STORE_COPY"]["value"] == bucket
    assert err.index("Create the private bucket ana/chat-ledger.") < err.index("Create the public Space")
    assert f"write to the contents of {bucket}" in err
    assert "forgotten" not in err
    hub.calls.clear()
    assert run()[0] == 0
    assert hub.changes == []


def test_a_bucket_is_made_for_the_ledger_where_none_is_named(hub: StubHub, run: Run, folder: Path) -> None:
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_STORE=sqlite:///.hfchat/ledger.db")
    status, out, _ = run("--dry-run")
    assert (status, hub.changes, hub.buckets) == (0, [], {})
    assert "Create the private bucket ana/chat-ledger." in out
    status, out, err = run()
    assert (status, hub.buckets) == (0, {"ana/chat-ledger": True})
    assert "HFCHAT_STORE_COPY=hf://buckets/ana/chat-ledger python -m hfchat usage" in out.splitlines()[-1]
    assert as_it_is(hub)["secrets"]["HFCHAT_STORE_COPY"] == "hf://buckets/ana/chat-ledger"
    assert err.index("Create the private bucket ana/chat-ledger.") < err.index("Create the public Space")
    assert "forgotten" not in err
    # Tried with the token that the Space has, not with the one that deploys.
    assert hub.authorizations == {f"Bearer {WRITE_TOKEN}", f"Bearer {HF_TOKEN}"}
    hub.calls.clear()
    assert run()[0] == 0
    assert hub.changes == []


def test_a_token_that_may_only_call_models_gets_a_space_without_a_bucket_and_is_told_so(
    hub: StubHub, run: Run, folder: Path
) -> None:
    hub.writers = {WRITE_TOKEN}
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}")
    status, _, err = run()
    assert status == 0
    assert "HFCHAT_STORE_COPY" not in hub.environment(NAME)
    assert "ana/chat-ledger cannot keep the ledger: HUGGINGFACE_API_TOKEN may not read and write" in err
    assert "give HUGGINGFACE_API_TOKEN, at https://huggingface.co/settings/tokens, write access" in err
    assert "the ledger is kept there" not in err
    hub.writers.add(HF_TOKEN)
    assert run()[0] == 0
    assert as_it_is(hub)["secrets"]["HFCHAT_STORE_COPY"] == "hf://buckets/ana/chat-ledger"
    # Not tried again, for it is in use; not even where all that is set is set anew.
    hub.writers.clear()
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", f"JWT_SECRET={KEY}")
    assert run()[0] == 0
    assert as_it_is(hub)["secrets"]["HFCHAT_STORE_COPY"] == "hf://buckets/ana/chat-ledger"


@pytest.mark.parametrize("code", [402, 403, 404])
def test_an_account_that_gets_no_bucket_gets_its_space_all_the_same(
    hub: StubHub, run: Run, folder: Path, code: int
) -> None:
    hub.answers["POST /api/buckets/ana/chat-ledger"] = (code, {"error": "x"})
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}")
    status, _, err = run()
    assert (status, "HFCHAT_STORE_COPY" in hub.environment(NAME)) == (0, False)
    assert "does not give this account the private bucket ana/chat-ledger" in err
    assert "ZeroGPU" not in err
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_STORE_COPY=hf://buckets/ana/chat-ledger")
    status, _, err = run()  # who names one is to have it
    assert (status, "does not give this account" in err.splitlines()[-1]) == (1, True)


def test_a_hub_that_fails_meanwhile_is_not_taken_for_a_no(hub: StubHub, run: Run, folder: Path) -> None:
    hub.answers["POST /api/buckets/ana/chat-ledger"] = (503, {"error": "x"})
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}")
    status, _, err = run()
    assert (status, hub.spaces) == (1, {})
    assert "Run the command again" in err.splitlines()[-1]


@pytest.mark.parametrize("line", ["", "HFCHAT_STORE_COPY=hf://buckets/ana/chat-ledger"], ids=["ours", "the owner's"])
def test_a_public_bucket_keeps_no_ledger(hub: StubHub, run: Run, folder: Path, line: str) -> None:
    hub.buckets["ana/chat-ledger"] = False
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", line)
    status, _, err = run()
    assert (status, hub.changes) == (1, [])
    assert "ana/chat-ledger is public" in err


SIGN_INS = {
    "named": ("HFCHAT_SIGN_IN=token,huggingface", {"token", "huggingface"}),
    "the only way": ("HFCHAT_SIGN_IN=huggingface", {"huggingface"}),
    "members": ("HFCHAT_MEMBERS=acme", {"token", "huggingface"}),
}


@pytest.mark.parametrize(("line", "ways"), SIGN_INS.values(), ids=SIGN_INS)
def test_people_sign_in_with_hugging_face_where_env_says_so(
    hub: StubHub, run: Run, folder: Path, shared_stub: StubUpstream, line: str, ways: set[str]
) -> None:
    # As it is written for a server of one's own.
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_PUBLIC_URL=https://chat.example.org", line)
    status, out, err = run()
    assert status == 0, err
    assert ("login?token=" in out) is ("token" in ways)
    assert "Left out, because a Space decides it for itself: HFCHAT_PUBLIC_URL." in err
    with openid_provider() as provider:
        provider.client_secret = "s3cr3t"
        on_space = hub.environment(NAME) | {"HFCHAT_STORE_COPY": "", "HFCHAT_PUBLIC_URL": ""}
        assert load_settings(on_space).sign_in == ways
        with hub_app(provider, shared_stub, **{"HFCHAT_SIGN_IN": "", **on_space}) as served:
            browser = Browser(served)
            assert parse_qs(urlsplit(browser.start()).query)["client_id"] == ["c0ffee"]
            browser.sign_in()
    hub.calls.clear()
    assert run()[0] == 0
    assert hub.changes == []


def test_taken_out_of_env_it_is_taken_out_of_the_space(hub: StubHub, run: Run, folder: Path) -> None:
    write(folder, f"JWT_SECRET={KEY}", "HUGGINGFACE_API_TOKEN=" + HF_TOKEN, "HFCHAT_SIGN_IN=token,huggingface")
    run()
    assert "OAUTH_CLIENT_ID" in hub.environment(NAME)
    write(folder, f"JWT_SECRET={KEY}", "HUGGINGFACE_API_TOKEN=" + HF_TOKEN)
    run()
    assert "OAUTH_CLIENT_ID" not in hub.environment(NAME)
    assert "HFCHAT_SIGN_IN" not in hub.environment(NAME)


def test_a_copy_of_the_space_is_closed_and_has_nothing_of_its_owners(hub: StubHub, run: Run, folder: Path) -> None:
    lines = ("HFCHAT_MEMBERS=acme", "HF_CHAT_BILL_TO=acme", "HFCHAT_SIGN_IN=token,huggingface")
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", *lines)
    run()
    assert load_settings(hub.environment(NAME)).hfchat_store_copy == "hf://buckets/ana/chat-ledger"
    space = hub.spaces[NAME]
    hub.spaces["eve/chat"] = replace(space, secrets={})  # as the Hub duplicates
    settings = load_settings(hub.environment("eve/chat"))
    assert (settings.has_key, settings.hfchat_members, settings.hf_chat_bill_to) == (False, (), None)
    opened = load_settings({**hub.environment("eve/chat"), "JWT_SECRET": KEY, "HUGGINGFACE_API_TOKEN": HF_TOKEN})
    assert (opened.hfchat_store_copy, opened.hub_sign_in) == (None, True)


def test_a_second_run_changes_nothing(hub: StubHub, run: Run, folder: Path) -> None:
    run()
    before, dotenv = as_it_is(hub), (folder / ".env").read_text()
    hub.calls.clear()
    status, out, err = run()
    assert (status, hub.changes) == (0, [])
    assert as_it_is(hub) == before
    assert (folder / ".env").read_text() == dotenv
    assert "https://ana-chat.hf.space/login?token=" in out
    assert "Upload" not in err


def test_a_dry_run_says_what_it_would_do_and_does_nothing(hub: StubHub, run: Run, folder: Path) -> None:
    dotenv = (folder / ".env").read_text()
    status, out, _ = run("--dry-run", "--private")
    assert (status, hub.changes, hub.spaces) == (0, [], {})
    assert (folder / ".env").read_text() == dotenv
    first, second, third = out.splitlines()
    assert first.startswith("Make a JWT_SECRET and write it into ")
    assert second.startswith("Create the private Space ana/chat on cpu-basic, with the secrets ")
    assert third == f"Upload {len(FILES)} files, as one commit."
    run("--private")
    assert run("--dry-run", "--private")[1] == "Nothing: it is as it is to be.\n"


def test_what_has_changed_is_changed_and_what_is_others_stays(
    hub: StubHub, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    space = hub.spaces[NAME]
    key = space.secrets["JWT_SECRET"]["value"]
    space.secrets["BY_HAND"] = {"key": "BY_HAND", "value": "x", "description": ""}
    space.variables["HFCHAT_GREETING"] = {"key": "HFCHAT_GREETING", "value": "by hand", "description": "mine"}
    space.files |= {"hfchat/gone.py": b"old", "notes.md": b"by hand", "app.py": b"old"}
    write(folder, f"JWT_SECRET={key}", "HFCHAT_RATE=5/minute")
    hub.calls.clear()
    status, _, err = run()
    assert status == 0
    assert as_it_is(hub) == {
        "files": {**FILES, "notes.md": b"by hand"},
        "secrets": {"JWT_SECRET": key, "BY_HAND": "x"},
        "variables": {"HFCHAT_RATE": "5/minute", "HFCHAT_GREETING": "by hand"},
        "private": False,
        "hardware": "cpu-basic",
    }
    assert "Delete the secret HUGGINGFACE_API_TOKEN" in err
    assert "Upload 1 file, and delete 1, as one commit." in err
    assert space.commits == 2
    # The old build was RUNNING still, and was not taken for the new one.
    assert err.index("waiting for the build") < err.index("app starting") < err.rindex("running")


def test_a_changed_secret_is_set_again_and_one_in_a_variable_is_taken_out_of_there(
    hub: StubHub, run: Run, folder: Path
) -> None:
    run()
    space = hub.spaces[NAME]
    space.variables["JWT_SECRET"] = {"key": "JWT_SECRET", "value": "public", "description": ""}
    write(folder, f"JWT_SECRET={KEY}", f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_TITLE=Physics")
    hub.calls.clear()
    run()
    assert space.secrets["JWT_SECRET"]["value"] == KEY
    assert "JWT_SECRET" not in space.variables
    assert f"DELETE /api/spaces/{NAME}/variables" in hub.calls


def test_hardware_and_visibility_are_changed_where_they_are_named(hub: StubHub, run: Run) -> None:
    run()
    hub.calls.clear()
    run("--hardware", "zero-a10g", "--private")
    assert (hub.spaces[NAME].hardware, hub.spaces[NAME].private) == ("zero-a10g", True)
    hub.calls.clear()
    run("--hardware", "zero-a10g", "--private")
    run()
    assert hub.changes == []
    assert (hub.spaces[NAME].hardware, hub.spaces[NAME].private) == ("zero-a10g", True)


def test_a_free_account_is_offered_zerogpu(hub: StubHub, run: Run) -> None:
    hub.account = whoami()
    status, out, err = run()
    assert (status, out, hub.spaces) == (1, "", {})
    last = err.splitlines()[-1]
    assert "--hardware zero-a10g" in last
    assert "PRO" in last
    assert hub.calls.count("GET /api/whoami-v2") == 1
    status, out, _ = run("--hardware", "zero-a10g")
    assert (status, hub.spaces[NAME].hardware) == (0, "zero-a10g")


CREATE = "POST /api/repos/create"
REFUSALS: dict[str, tuple[str, str, int, Body, list[str], str]] = {
    "PRO, and payment asked": ("pro", CREATE, 402, {"error": "Payment required"}, [], "settings/billing"),
    "paid hardware without a card": ("free", CREATE, 402, {"error": "x"}, ["--hardware", "t4-small"], "t4-small costs money"),
    "ZeroGPU not given": ("free", CREATE, 403, {"error": "x"}, ["--hardware", "zero-a10g"], "verified e-mail address"),
    "a token that may not write": ("pro", CREATE, 403, {"error": "x"}, [], "may not change Spaces of ana"),
    "a token that is none": ("pro", f"GET /api/spaces/{NAME}", 401, {"error": "x"}, [], "hf auth login"),
    "too many requests": ("pro", CREATE, 429, {"error": "x"}, [], "in five minutes"),
    "a name that is refused": ("pro", CREATE, 400, {"error": "Name too odd"}, [], "Name too odd"),
    "no such organisation": ("pro", CREATE, 404, {"error": "x"}, [], "knows no account ana"),
    "the Hub fails": ("pro", f"GET /api/spaces/{NAME}", 500, {"error": "x"}, [], "HTTP 500"),
}  # fmt: skip


@pytest.mark.parametrize(("plan", "call", "code", "body", "arguments", "says"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_one_plain_sentence(
    hub: StubHub, run: Run, plan: str, call: str, code: int, body: Body, arguments: list[str], says: str
) -> None:
    hub.account = whoami(plan=plan)
    hub.answers[call] = (code, body)
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    last = err.splitlines()[-1]
    assert says in last
    assert ("zero-a10g" in last) is False
    assert "Traceback" not in err


@pytest.mark.parametrize("again", [False, True], ids=["at its creation", "later"])
def test_a_refusal_that_quotes_a_secret_does_not_show_it(hub: StubHub, run: Run, folder: Path, again: bool) -> None:
    if again:
        run()
        hub.spaces[NAME].secrets.clear()
    for call in (CREATE, f"POST /api/spaces/{NAME}/secrets"):
        hub.answers[call] = (400, {"error": f"the value {HF_TOKEN} is odd"})
    status, out, err = run()
    assert status == 1
    assert "the value ... is odd" in err
    assert HF_TOKEN not in out + err


def test_a_hub_that_is_away_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    status, _, err = run()
    assert status == 1
    assert "http://127.0.0.1:9 cannot be reached (ConnectError)" in err


OTHERS = {
    "another program": Space(files={"README.md": b"", "app.py": b"import gradio"}),
    "a Docker Space": Space(files={"README.md": b""}, sdk="docker"),
    "a page": Space(files={"README.md": b"", "index.html": b""}, sdk="static"),
}


@pytest.mark.parametrize("space", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("arguments", [[], ["--delete"]], ids=["deploy", "delete"])
def test_another_program_is_neither_overwritten_nor_deleted(
    hub: StubHub, run: Run, space: Space, arguments: list[str]
) -> None:
    hub.spaces[NAME] = space
    status, _, err = run(*arguments)
    assert (status, hub.changes) == (1, [])
    assert "another program" in err


FAILURES = {
    "the build": (["BUILDING", "BUILD_ERROR"], "does not build (BUILD_ERROR)", "logs/build"),
    "the configuration": (["CONFIG_ERROR"], "does not build (CONFIG_ERROR)", "logs/build"),
    "the start": (["BUILDING", "APP_STARTING", "RUNTIME_ERROR"], "does not start (RUNTIME_ERROR)", "logs/run"),
}


@pytest.mark.parametrize(("stages", "says", "log"), FAILURES.values(), ids=FAILURES)
def test_where_it_fails_its_own_log_is_shown(hub: StubHub, run: Run, stages: list[str], says: str, log: str) -> None:
    hub.build = stages
    status, out, err = run()
    assert (status, out) == (1, "")
    assert "  | ERROR: it does not build\n" in err
    assert says in err.splitlines()[-1]
    assert f"GET /api/spaces/{NAME}/{log}" in hub.calls


def test_a_failure_of_the_build_before_is_not_the_new_ones(hub: StubHub, run: Run, folder: Path) -> None:
    hub.build = ["BUILD_ERROR"]
    assert run()[0] == 1
    space = hub.spaces[NAME]
    old = space.sha
    space.files["app.py"] = b"old"
    hub.build = ["BUILDING", "RUNNING"]

    def still_old(call: str) -> None:
        if "/commit/" in call:
            space.stages[:0] = [("BUILD_ERROR", old)] * 2

    hub.after = still_old
    assert run()[0] == 0


def test_a_build_that_fails_without_naming_its_commit_is_a_failure(
    hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.build = ["BUILDING", "BUILD_ERROR"]
    monkeypatch.setattr(Space, "sha", "0" * 40)
    hub.answers[f"GET /api/spaces/{NAME}/runtime"] = (200, {"stage": "BUILD_ERROR", "hardware": {}, "sha": "1" * 40})
    monkeypatch.setattr(build, "OTHERS_FAILURE_S", 0.05)
    assert "does not build" in run()[2]


def test_the_start_that_a_changed_setting_causes_is_waited_for(
    hub: StubHub, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    hub.build = ["RUNNING", "RUNNING", "APP_STARTING", "RUNNING"]
    with (folder / ".env").open("a") as file:
        file.write("HFCHAT_RATE=5/minute\n")
    status, _, err = run()
    assert status == 0
    assert err.index("waiting for the build") < err.index("app starting") < err.rindex("running")
    # A Hub that starts nothing is not waited for for long.
    monkeypatch.setattr(build, "RESTART_S", 0.05)
    hub.build = ["RUNNING"]
    with (folder / ".env").open("a") as file:
        file.write("HFCHAT_STREAMS=2\n")
    assert run()[0] == 0


def test_a_new_key_says_what_ends_with_the_old_one(hub: StubHub, run: Run, folder: Path) -> None:
    run()
    write(folder, f"JWT_SECRET={KEY}", f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_STORE=memory://")
    out = run("--dry-run")[1]
    assert "Set the secret JWT_SECRET: tokens and links that were signed with the one before end.\n" in out


def test_a_paused_space_is_started_again(hub: StubHub, run: Run) -> None:
    run()
    hub.spaces[NAME].stages = [("PAUSED", None)]
    hub.calls.clear()
    assert run()[0] == 0
    assert hub.changes == [f"POST /api/spaces/{NAME}/restart"]


def test_one_that_stays_paused_is_said(hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    hub.build = ["PAUSED"]
    monkeypatch.setattr(build, "PAUSED_S", 0.05)
    hub.spaces[NAME].stages = [("PAUSED", None)]
    assert "paused and does not start" in run()[2]


def test_a_failed_start_is_not_final_where_a_new_one_is_about_to_come(
    hub: StubHub, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.build = ["RUNTIME_ERROR"]
    assert run()[0] == 1
    monkeypatch.setattr(build, "FAILURE_S", 60.0)
    hub.build = ["RUNTIME_ERROR", "RUNTIME_ERROR", "APP_STARTING", "RUNNING"]
    with (folder / ".env").open("a") as file:
        file.write("HFCHAT_RATE=5/minute\n")
    assert run()[0] == 0


def test_one_that_sleeps_is_up(hub: StubHub, run: Run) -> None:
    run()
    hub.spaces[NAME].stages = [("SLEEPING", None)]
    assert run()[0] == 0


def test_a_stage_that_goes_on_is_told_again(hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "STILL_S", 0.0)
    hub.build = [*["BUILDING"] * 5, "RUNNING"]
    assert run()[2].count(" s  building\n") == 5


@pytest.mark.parametrize(("failures", "status"), [(3, 0), (4, 1)], ids=["three times", "four times"])
def test_a_hub_that_fails_now_and_then_is_asked_again(hub: StubHub, run: Run, failures: int, status: int) -> None:
    runtime = f"GET /api/spaces/{NAME}/runtime"

    def fail(call: str) -> None:
        if "/commit/" in call:
            hub.answers[runtime] = (502, {"error": "Bad gateway"})
        if hub.calls.count(runtime) == failures:
            hub.answers.pop(runtime, None)

    hub.after = fail
    assert run()[0] == status


def test_a_build_that_does_not_end_is_not_waited_for_for_ever(
    hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.build = ["BUILDING"]
    monkeypatch.setattr(build.wait_for_build, "__kwdefaults__", {"poll_s": 0.0, "timeout_s": 0.0})
    status, _, err = run()
    assert status == 1
    assert "Run the command again to go on waiting" in err


def test_a_secret_in_base64_signs_the_link_with_its_bytes(run: Run, folder: Path) -> None:
    write(folder, f"JWT_SECRET=base64:{base64.b64encode(KEY.encode()).decode()}")
    (token,) = re.findall(r"login\?token=(\S+)", run()[1])
    assert verify_token(KEY, token, load_settings({"JWT_SECRET": KEY}).policy).subject == "owner"


def test_a_key_of_others_needs_no_secret_of_ours(hub: StubHub, run: Run, folder: Path) -> None:
    write(folder, "JWT_JWKS_URL=https://login.example.org/jwks.json", "JWT_AUDIENCE=chat")
    status, out, _ = run()
    assert status == 0
    assert "login?token" not in out
    assert set(hub.spaces[NAME].secrets) == {"JWT_JWKS_URL", "JWT_AUDIENCE"}
    assert "JWT_SECRET" not in (folder / ".env").read_text()
    # A copy of it, which has no secrets, starts: closed.
    hub.spaces["eve/chat"] = replace(hub.spaces[NAME], secrets={})
    assert not load_settings(hub.environment("eve/chat")).has_key


def test_a_key_that_only_the_environment_has_is_refused(
    run: Run, hub: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_SECRET", KEY)
    status, _, err = run()
    assert (status, hub.calls) == (2, [])
    assert "JWT_SECRET: the environment has one" in err


@pytest.mark.parametrize("name", ["chat", "ana/chat/x", "ana/", "/chat", "ana/../x", "a b/c", "https://hf.co/a/b"])
def test_a_name_is_an_owner_and_a_space(name: str, hub: StubHub) -> None:
    with pytest.raises(SystemExit):
        main(["deploy", name])
    assert hub.calls == []


def test_it_is_taken_down_after_asking(hub: StubHub, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run()
    for answer in ("", "yes\n", "ana/cha\n"):
        (tmp_path / "answer").write_text(answer)
        with (tmp_path / "answer").open() as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            status, _, err = run("--delete")
        assert (status, NAME in hub.spaces) == (1, True)
        assert err.endswith("Nothing was deleted.\n")
    assert run("--delete", "--dry-run")[1] == "Delete the Space ana/chat, with its secrets.\n"
    (tmp_path / "answer").write_text(f"{NAME}\n")
    copy = {"key": "HFCHAT_STORE_COPY", "value": "hf://buckets/ana/chat-ledger"}
    hub.spaces[NAME].secrets["HFCHAT_STORE_COPY"] = copy
    with (tmp_path / "answer").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        status, out, err = run("--delete")
    assert (status, out, hub.spaces) == (0, "Deleted: ana/chat\n", {})
    assert "The bucket with its ledger stays" in err
    assert run("--delete")[:2] == (0, "There is no Space ana/chat.\n")


def changed(hub: StubHub) -> None:
    """What a later deployment finds otherwise than it is to be."""
    space = hub.spaces[NAME]
    space.files |= {"hfchat/gone.py": b"old", "app.py": b"old"}
    space.variables["JWT_SECRET"] = {"key": "JWT_SECRET", "value": "public", "description": ""}
    space.variables["HFCHAT_RATE"] = {"key": "HFCHAT_RATE", "value": "1/minute", "description": "hfchat deploy"}
    space.secrets["HUGGINGFACE_API_TOKEN"]["description"] = "hfchat deploy of another value"
    space.secrets["HFCHAT_STORE"] = {"key": "HFCHAT_STORE", "value": "x", "description": "hfchat deploy 1"}
    space.hardware, space.stages = "cpu-basic", [("PAUSED", None)]


def killing(process: BaseProcess, call: int) -> Callable[[str], None]:
    """Kills the process once its call of this number was obeyed."""
    calls: list[str] = []

    def after(name: str) -> None:
        calls.append(name)
        if len(calls) == call and process.pid:
            os.kill(process.pid, signal.SIGKILL)

    return after


@pytest.mark.whole
@pytest.mark.parametrize("update", [False, True], ids=["a new Space", "a changed one"])
def test_killed_after_any_of_its_calls_and_run_again_it_ends_the_same(
    hub: StubHub, run: Run, folder: Path, update: bool
) -> None:
    arguments = (NAME, "--private", "--hardware", "zero-a10g")
    write(folder, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", "HFCHAT_TITLE=Physics", "HFCHAT_MEMBERS=acme")
    run(*arguments[1:])
    assert "HFCHAT_STORE_COPY" in hub.spaces[NAME].secrets
    whole, dotenv = as_it_is(hub), (folder / ".env").read_text()
    if not update:
        write(folder, *(line for line in dotenv.splitlines() if "JWT_SECRET" not in line))
    without_key = (folder / ".env").read_text()
    finished, killed_after = False, 0
    while not finished:
        if update:
            changed(hub)
        else:
            hub.spaces.clear()
            hub.buckets.clear()
            (folder / ".env").write_text(without_key)
        killed_after += 1
        process = deploying(folder / "clone", folder, hub.url, WRITE_TOKEN, *arguments)
        hub.after = killing(process, killed_after)
        process.start()
        process.join(60)
        finished = process.exitcode == 0
        hub.after = lambda _: None
        assert finished or process.exitcode == -signal.SIGKILL
        commits = hub.spaces[NAME].commits if NAME in hub.spaces else 0
        assert run(*arguments[1:])[0] == 0
        key = read_dotenv(folder / ".env")["JWT_SECRET"]
        assert as_it_is(hub) == {**whole, "secrets": {**whole["secrets"], "JWT_SECRET": key}}
        assert hub.spaces[NAME].commits <= commits + 1
    hub.calls.clear()
    run(*arguments[1:])
    assert hub.changes == []
    assert killed_after > 10
