"""What the README and `.env.example` say is what the program does."""

import importlib
import json
import operator
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from hfchat.auth.policy import PolicyClaim
from hfchat.cli.main import main
from hfchat.config.settings import Settings, load_settings
from hfchat.errors import catalogue
from hfchat.gate.access import API, OPEN, PAGES
from tests.conftest import KEY, RunningApp, make_settings, make_token, running
from tests.support.browser import chromium, visiting

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
NOT_VARIABLES = {"key_made_for_this_run", "space_id", "space_host"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


class EmptyPage(BaseHTTPRequestHandler):
    """Another site's page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def app(origin: str) -> Iterator[RunningApp]:
    with running(make_settings(HFCHAT_CORS_ORIGINS=origin)) as served:
        yield served


def rows_of(section: str) -> list[list[str]]:
    """The cells of every table's rows in a section, without its heading and its line of dashes."""
    text = re.split(rf"^## {section}\n", README, flags=re.MULTILINE)[1].partition("\n## ")[0]
    tables = re.findall(r"^\|.*\n\|-.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for table in tables for row in table.splitlines()
    ]


def test_the_front_matter_makes_a_space() -> None:
    matter = yaml.safe_load(README.split("---")[1])
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert pinned
    assert (matter["sdk"], matter["sdk_version"], matter["app_file"]) == ("gradio", pinned[1], "app.py")
    assert (ROOT / matter["app_file"]).is_file()
    assert matter["title"] == "hfchat"
    assert matter["emoji"]
    assert len(matter["short_description"]) <= 60


def test_the_picture_is_there_and_small() -> None:
    picture = ROOT / re.search(r"!\[.*?\]\((.*?)\)", README)[1]  # type: ignore[index]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000


def test_both_commands_install_from_files_that_are_there() -> None:
    start, tests = (re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.DOTALL) for name in ("start", "tests"))
    assert start
    assert tests
    for command in (start[1], tests[1]):
        assert (ROOT / re.search(r"-r (\S+)", command)[1]).is_file()  # type: ignore[index]
    assert blocks("sh").count(start[1]) == 2  # in English and in Spanish


def test_the_curl_line_answers_as_it_says(app: RunningApp) -> None:
    curl = (
        next(block for block in blocks("sh") if "\ncurl" in block)
        .partition("\n")[2]
        .replace("http://127.0.0.1:7860", app.url)
    )
    completed = subprocess.run(
        ["bash", "-c", f"{curl.strip()} -s"],
        env={**os.environ, "TOKEN": make_token()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert list(json.loads(completed.stdout)) == ["reply", "model", "usage"]


def test_the_python_lines_answer(app: RunningApp, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for code in blocks("python"):
        exec(code.replace("http://127.0.0.1:7860", app.url).replace('"..."', repr(make_token()), 1), names)
        assert "stand-in" in capsys.readouterr().out
    names["client"].close()  # type: ignore[attr-defined]


@pytest.mark.browser
def test_the_javascript_client_answers_a_page_of_another_origin(app: RunningApp, origin: str) -> None:
    assert "`sendChatMessage(token, messages)` of [client.js](hfchat/client.js)" in README
    code = (ROOT / "hfchat" / "client.js").read_text("utf-8").replace("export ", "")
    code = code.replace("http://127.0.0.1:7860", app.url)
    with chromium() as browser, visiting(browser, app) as visit:
        visit.page.goto(origin)
        messages = [{"role": "user", "content": "hello"}]
        call = f"{code}; return sendChatMessage(token, messages)"
        reply = visit.page.evaluate(f"async ([token, messages]) => {{ {call} }}", [make_token(), messages])
        assert "stand-in" in reply
        with pytest.raises(Exception, match="This token is not valid here"):
            visit.page.evaluate(f"async ([token, messages]) => {{ {call} }}", ["x.y.z", messages])


@pytest.mark.usefixtures("loggers_as_they_were")
def test_the_commands_for_tokens_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("JWT_SECRET", KEY)
    monkeypatch.setenv("HFCHAT_STORE", f"sqlite:///{tmp_path}/ledger.db")
    code = "".join(blocks("sh")).replace("\\\n", " ")
    commands = re.findall(r"-m hfchat ((?:token|usage|person)\b[^#\n]*)", code)
    assert [command.split()[0] for command in commands].count("token") == 8
    assert [command.split()[0] for command in commands].count("usage") == 2
    assert [command.split()[0] for command in commands].count("person") == 3
    token = make_token()
    assert main(["token", "revoke", make_token()]) == 0  # as if the server had run: there is a ledger
    for command in commands:
        assert main(command.replace("TOKEN", token).split()) == 0, command
        assert capsys.readouterr().out.strip()


def test_the_form_of_an_error_has_its_keys() -> None:
    (row,) = [form for name, form, *_ in rows_of("The API") if name.startswith("an [error]")]
    assert re.match(r'`\{"error": ', row)
    assert re.findall(r'"(\w+)"', row)[1:] == [
        "code", "message", "hint", "fault", "retryable", "retry_after_s", "param", "type", "request_id",
    ]  # fmt: skip


def test_every_error_stands_in_the_readme_with_its_status_and_whose_fault_it_is() -> None:
    rows = [(codes, fault) for codes, fault, _ in rows_of("Errors")]
    listed = [
        (code, int(status), fault) for codes, fault in rows for code, status in re.findall(r"`(\w+)` (\d+)", codes)
    ]
    assert sorted(listed) == sorted((code, error.status, error.fault) for code, error in catalogue().items())


def test_the_routes_in_the_readme_are_those_that_the_gate_lets_pass() -> None:
    rows = "".join(routes for routes, *_ in rows_of("The API"))
    listed = set(re.findall(r"`(GET|POST) (/[\w./-]*)`", rows))
    doors = {(method, path) for path, methods in {**OPEN, **API}.items() for method in methods - {"HEAD"}}
    assert doors <= listed
    assert all(method in PAGES[path] for method, path in listed - doors)
    open_rows = "".join(routes for routes, said, *_ in rows_of("The API") if "(open)" in said)
    assert {path for _, path in re.findall(r"`(GET|POST) (/[\w./-]+)`", open_rows)} == OPEN.keys()


def test_the_limits_in_the_readme_are_settings_with_their_defaults_and_claims() -> None:
    rows = [row for row in rows_of("Limits") if len(row) == 4]
    assert {claim.strip("`") for *_, claim in rows} == {field.name for field in fields(PolicyClaim)}
    for _, default, setting, _ in rows:
        field = Settings.model_fields[setting.strip("`").lower()]
        assert not default.startswith("`") or default == f"`{field.default}`"


def test_the_files_that_the_readme_names_are_there_with_what_it_names_in_them() -> None:
    rows = rows_of("Develop")
    assert len(rows) >= 10
    for _, files in rows:
        paths = re.findall(r"`((?:hfchat|tests)/[\w./]*)`", files)
        assert paths
        assert all((ROOT / path).exists() for path in paths), files
        for path, name in re.findall(r"`([\w./]+\.py)`: (?:the protocol )?`([\w.]+)`", files):
            module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
            assert operator.attrgetter(name)(module), f"{path} has no {name}"


def variables() -> set[str]:
    return {name.upper() for name in Settings.model_fields if name not in NOT_VARIABLES}


def test_every_setting_stands_in_the_readme_and_in_the_example_file() -> None:
    table = README.split("## Settings")[1].split("## Deploy")[0]
    rows = {
        name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"[A-Z_]{4,}", row)
    }
    assert rows == variables()
    assert set(dotenv_values(ROOT / ".env.example")) == variables()


def test_the_example_file_as_it_is_means_the_defaults() -> None:
    from_example = load_settings({"JWT_SECRET": KEY}, ROOT / ".env.example")
    assert from_example == load_settings({"JWT_SECRET": KEY})


def test_the_example_file_has_a_sentence_above_every_variable() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    for paragraph in text.strip().split("\n\n")[1:]:
        assert paragraph.startswith("# "), paragraph
        assert "=" in paragraph.splitlines()[-1]


def test_the_defaults_in_the_readme_are_the_defaults() -> None:
    compared = 0
    for names, defaults, _ in rows_of("Settings"):
        variables = re.findall(r"`(\w+)`", names)
        each = defaults.split(", ") if len(variables) > 1 and ", " in defaults else [defaults] * len(variables)
        for variable, text in zip(variables, each, strict=True):
            default = Settings.model_fields[variable.lower()].default
            if text.startswith("`"):
                assert text == f"`{default}`", variable
                compared += 1
            elif text == "none":
                assert default in (None, ()), variable
    assert compared >= 14
