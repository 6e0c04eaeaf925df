"""What a Space is to have, out of a clone and its `.env`: nothing private as a variable, nothing that it cannot use."""

import base64
import subprocess
from pathlib import Path

import pytest
import yaml

from hfchat.config.settings import Settings, SettingsError
from hfchat.deploy.dotenv_file import read_dotenv, write_jwt_secret
from hfchat.deploy.plan import _SECRETS, Plan, default_bucket, make_plan, program_files
from tests.conftest import KEY
from tests.support.identity_provider import public_pem
from tests.support.stub_hub import HF_TOKEN

ROOT = Path(__file__).parents[2]
PIXEL = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=")


@pytest.fixture
def dotenv(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def plan(dotenv: Path, *lines: str) -> Plan:
    dotenv.write_text("\n".join((f"JWT_SECRET={KEY}", *lines)))
    return make_plan("ana/chat", ROOT, dotenv)


def test_what_is_private_is_a_secret_and_the_rest_a_variable(dotenv: Path) -> None:
    found = plan(
        dotenv,
        f"HUGGINGFACE_API_TOKEN={HF_TOKEN}",
        "HF_CHAT_MODEL=a/b:fastest",
        "HF_CHAT_SYSTEM_PROMPT='Be kind.'",
        "HFCHAT_RATE=10/minute",
        "HFCHAT_TITLE=Physics 101",
    )
    assert found.secrets == {
        "JWT_SECRET": KEY, "HUGGINGFACE_API_TOKEN": HF_TOKEN, "HF_CHAT_SYSTEM_PROMPT": "Be kind."
    }  # fmt: skip
    assert found.variables == {
        "HF_CHAT_MODEL": "a/b:fastest", "HFCHAT_RATE": "10/minute", "HFCHAT_TITLE": "Physics 101"
    }  # fmt: skip
    assert KEY not in f"{found}"
    assert HF_TOKEN not in f"{found}"


PRIVATE_VALUES = {
    "HUGGINGFACE_API_TOKEN": HF_TOKEN,
    "JWT_SECRET": KEY,
    "OAUTH_CLIENT_SECRET": "an-app-secret-of-its-own",
}


def test_no_secret_setting_is_ever_a_variable(dotenv: Path) -> None:
    private = {name.upper() for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert private == PRIVATE_VALUES.keys()
    assert private <= _SECRETS
    values = [f"{name}={value}" for name, value in PRIVATE_VALUES.items() if name != "JWT_SECRET"]
    found = plan(dotenv, *values, "OAUTH_CLIENT_ID=an-app")
    assert found.variables == {}
    assert not any(value in repr(found) for value in PRIVATE_VALUES.values())
    (left_out,) = [note for note in found.notes if note.startswith("Left out")]
    assert "OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET." in left_out


def test_hf_token_is_the_same_secret(dotenv: Path) -> None:
    assert plan(dotenv, f"HF_TOKEN={HF_TOKEN}").secrets["HUGGINGFACE_API_TOKEN"] == HF_TOKEN


def test_a_copy_of_the_example_sets_nothing_but_what_was_filled_in(dotenv: Path) -> None:
    dotenv.write_text((ROOT / ".env.example").read_text("utf-8"))
    write_jwt_secret(dotenv, KEY)
    found = make_plan("ana/chat", ROOT, dotenv)
    assert (found.secrets, found.variables) == ({"JWT_SECRET": KEY}, {})
    assert not any("Left out" in note for note in found.notes)


def test_what_a_space_decides_is_left_out_and_said(dotenv: Path) -> None:
    found = plan(
        dotenv,
        "GRADIO_SERVER_NAME=0.0.0.0",
        "GRADIO_SERVER_PORT=8000",
        "HFCHAT_PUBLIC_URL=https://chat.example.org",
        "HFCHAT_STORE=sqlite:////data/ledger.db",
        "PATH=/somewhere",
    )
    assert (found.variables, set(found.secrets)) == ({}, {"JWT_SECRET"})
    (left_out,) = [note for note in found.notes if note.startswith("Left out")]
    assert "GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, HFCHAT_PUBLIC_URL, HFCHAT_STORE." in left_out
    assert any("forgotten whenever the Space restarts" in note for note in found.notes)


README = b"---\ntitle: hfchat\nsdk: gradio\n---\n\n# hfchat\n\n---\n"
FRONT_MATTERS = {
    "usual": (README, "", b"sdk: gradio\nhf_oauth: true\nhf_oauth_scopes:\n  - inference-api\n---\n\n# hfchat"),
    "more is asked for": (
        README,
        "OAUTH_SCOPES=openid profile inference-api read-memberships",
        b"hf_oauth_scopes:\n  - inference-api\n  - read-memberships\n---\n",
    ),
    "nothing is asked for": (README, "OAUTH_SCOPES=openid profile", b"sdk: gradio\nhf_oauth: true\n---\n"),
    "there already": (
        README.replace(b"sdk", b"hf_oauth: true\nhf_oauth_scopes: [email]\nsdk"),
        "",
        b"title: hfchat\nhf_oauth_scopes: [email]\nsdk: gradio\nhf_oauth: true\n---\n",
    ),
    "switched off": (README.replace(b"sdk", b"hf_oauth: false\nsdk"), "", b"hfchat\nsdk: gradio\nhf_oauth: true\n"),
    "Windows": (README.replace(b"\n", b"\r\n"), "", b"hf_oauth: true\n"),
}


@pytest.mark.parametrize(("readme", "line", "found"), FRONT_MATTERS.values(), ids=FRONT_MATTERS)
def test_the_readme_asks_for_the_sign_in_with_hugging_face(
    dotenv: Path, tmp_path: Path, readme: bytes, line: str, found: bytes
) -> None:
    clone = tmp_path / "clone"
    for path in ("README.md", "requirements.txt", "app.py", ".github/page.png"):
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_bytes(readme)
    lines = (f"JWT_SECRET={KEY}", f"HF_TOKEN={HF_TOKEN}", "HFCHAT_SIGN_IN=HuggingFace", "HFCHAT_MEMBERS=acme", line)
    dotenv.write_text("\n".join(lines))
    made = make_plan("ana/chat", clone, dotenv)
    written = made.files["README.md"]
    assert found in written
    front_matter = yaml.safe_load(written.replace(b"\r", b"").split(b"---\n")[1])
    assert (front_matter["hf_oauth"], front_matter["sdk"]) == (True, "gradio")
    assert written.replace(b"\r", b"").endswith(b"---\n\n# hfchat\n\n---\n")
    assert "OAUTH_SCOPES" not in made.variables
    assert not any("Left out" in note for note in made.notes)
    dotenv.write_text(f"JWT_SECRET={KEY}\n{line}")
    assert make_plan("ana/chat", clone, dotenv).files["README.md"] == readme


def test_a_readme_without_the_settings_of_a_space_is_refused(dotenv: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for path in ("README.md", "requirements.txt", "app.py", ".github/page.png"):
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text("# hfchat\n")
    dotenv.write_text(f"JWT_SECRET={KEY}\nHFCHAT_SIGN_IN=huggingface\n")
    with pytest.raises(SettingsError, match=r"README\.md: it does not begin with the Space's settings"):
        make_plan("ana/chat", clone, dotenv)


BUCKETS: dict[str, tuple[list[str], str | None]] = {
    "a token": ([f"HUGGINGFACE_API_TOKEN={HF_TOKEN}"], "ana/chat-ledger"),
    "by its other name": ([f"HF_TOKEN={HF_TOKEN}"], "ana/chat-ledger"),
    "a file elsewhere": ([f"HF_TOKEN={HF_TOKEN}", "HFCHAT_STORE=sqlite:////data/ledger.db"], "ana/chat-ledger"),
    "named by the owner": ([f"HF_TOKEN={HF_TOKEN}", "HFCHAT_STORE_COPY=hf://buckets/ana/x"], None),
    "to be forgotten": ([f"HF_TOKEN={HF_TOKEN}", "HFCHAT_STORE=memory://"], None),
    "a Redis": ([f"HF_TOKEN={HF_TOKEN}", "HFCHAT_STORE=rediss://:p@redis.example.org:443/0"], None),
    "no token": ([], None),
    "another server's": (["HUGGINGFACE_API_TOKEN=sk-1", "HF_CHAT_BASE_URL=https://models.example.org/v1"], None),
}


@pytest.mark.parametrize(("lines", "bucket"), BUCKETS.values(), ids=BUCKETS)
def test_a_ledger_in_a_file_has_a_bucket(dotenv: Path, lines: list[str], bucket: str | None) -> None:
    dotenv.write_text("\n".join((f"JWT_SECRET={KEY}", *lines)))
    assert default_bucket("ana/chat", dotenv) == bucket
    made = make_plan("ana/chat", ROOT, dotenv, bucket=bucket)
    if bucket:
        assert made.bucket == bucket


def test_a_long_name_has_a_bucket_too(dotenv: Path) -> None:
    dotenv.write_text(f"JWT_SECRET={KEY}\nHF_TOKEN={HF_TOKEN}\n")
    name = f"ana/{'c' * 96}"
    assert make_plan(name, ROOT, dotenv, bucket=default_bucket(name, dotenv)).bucket == f"ana/{'c' * 89}-ledger"


def test_a_missing_token_is_said(dotenv: Path) -> None:
    assert any("the offline stand-in will answer" in note for note in plan(dotenv).notes)
    assert not any("offline" in note for note in plan(dotenv, f"HF_TOKEN={HF_TOKEN}").notes)


def test_files_that_settings_name_come_along(dotenv: Path, tmp_path: Path) -> None:
    (tmp_path / "somewhere").mkdir()
    (tmp_path / "somewhere" / "Our Logo.GIF").write_bytes(PIXEL)
    (tmp_path / "backend.pem").write_text(public_pem("p256"))
    found = plan(dotenv, "HFCHAT_LOGO='somewhere/Our Logo.GIF'", "JWT_PUBLIC_KEY=backend.pem")
    assert found.files["logo.gif"] == PIXEL
    assert found.variables["HFCHAT_LOGO"] == "logo.gif"
    assert "\n" not in found.secrets["JWT_PUBLIC_KEY"]
    # The Space reads the same key from it.
    again = plan(dotenv, f"JWT_PUBLIC_KEY={found.secrets['JWT_PUBLIC_KEY']}")
    assert again.secrets["JWT_PUBLIC_KEY"] == found.secrets["JWT_PUBLIC_KEY"]


def test_a_redis_is_a_secret_and_brings_its_package(dotenv: Path) -> None:
    found = plan(dotenv, "HFCHAT_STORE=rediss://:a-password@redis.example.org:443/0")
    assert found.secrets["HFCHAT_STORE"].startswith("rediss://:a-password@")
    assert b"\nredis>=8,<9\n" in found.files["requirements.txt"]
    assert not any("forgotten" in note for note in found.notes)
    assert b"\nredis" not in plan(dotenv).files["requirements.txt"]


REFUSED = {
    "Ollama here": ("HF_CHAT_BASE_URL=http://127.0.0.1:11434/v1", "HF_CHAT_BASE_URL: a Space does not reach 127.0.0.1"),
    "a server next door": (
        "HF_CHAT_BASE_URL=http://192.168.1.7/v1",
        "HF_CHAT_BASE_URL: a Space does not reach 192.168",
    ),
    "a name of this network": ("HF_CHAT_BASE_URL=http://gpu.local/v1", "does not reach gpu.local"),
    "a short name": ("HF_CHAT_BASE_URL=http://gpu/v1", "does not reach gpu"),
    "an IPv6 address here": ("HF_CHAT_BASE_URL=http://[::1]/v1", "does not reach ::1"),
    "another port": ("HF_CHAT_BASE_URL=https://models.example.org:8000/v1", "80, 443 and 8080 only"),
    "keys at another port": ("JWT_JWKS_URL=https://login.example.org:8443/k", "JWT_JWKS_URL: a Space reaches"),
    "a Redis at its usual port": ("HFCHAT_STORE=redis://redis.example.org/0", "HFCHAT_STORE: a Space reaches"),
    "a Redis here": ("HFCHAT_STORE=redis://localhost:443/0", "HFCHAT_STORE: a Space does not reach localhost"),
    "a socket": ("HFCHAT_STORE=unix:///run/redis.sock", "HFCHAT_STORE: a socket of this machine"),
    "a wrong value": ("HFCHAT_RATE=often", "HFCHAT_RATE:"),
    "a misspelt name": ("HFCHAT_RAET=1/minute", "did you mean HFCHAT_RATE"),
}


@pytest.mark.parametrize(("line", "says"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_work_there_is_refused_here(dotenv: Path, line: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        plan(dotenv, line)


@pytest.mark.parametrize(
    "line",
    ["HF_CHAT_BASE_URL=https://models.example.org/v1", "HF_CHAT_BASE_URL=http://203.0.114.5:8080/v1"],
)
def test_a_server_that_a_space_reaches_is_taken(dotenv: Path, line: str) -> None:
    name, _, value = line.partition("=")
    assert plan(dotenv, line).variables == {name: value}


def test_the_files_are_what_is_versioned_of_the_program(tmp_path: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "hfchat", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    tracked = {"README.md", "requirements.txt", "app.py", ".github/page.png", *listed.stdout.split()}
    assert set(program_files(ROOT)) == tracked


def test_what_is_no_clone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"has no README.md, requirements.txt, app.py, .github/page.png\."):
        program_files(tmp_path)


PRIVATE = (
    ".env", "hfchat/.env", "hfchat/.hfchat/ledger.db", "hfchat/ledger.db", "hfchat/ledger.db-wal", "hfchat/key.pem",
    "hfchat/__pycache__/app.cpython-312.pyc", "hfchat/.cache/notes.md", "notes.txt", "hfchat/app.py~", ".venv/lib/x.py",
)  # fmt: skip


def test_nothing_else_leaves_the_machine(tmp_path: Path) -> None:
    for path in ("README.md", "requirements.txt", "app.py", ".github/page.png", "hfchat/app.py", *PRIVATE):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    assert set(program_files(tmp_path)) == {
        "README.md", "requirements.txt", "app.py", ".github/page.png", "hfchat/app.py"
    }  # fmt: skip


def test_a_fingerprint_tells_values_spaces_and_names_apart() -> None:
    def mark(repo_id: str, name: str, **secrets: str) -> str:
        return Plan(repo_id, {}, secrets, {}).fingerprint(name)

    marks = [
        mark("a/b", "X", X="1"), mark("a/b", "X", X="2"), mark("a/c", "X", X="1"), mark("a/b", "Y", Y="1"),
        mark("a/b", "X", X="1", JWT_SECRET="k"),
    ]  # fmt: skip
    assert len(set(marks)) == 5
    assert mark("a/b", "X", X="1") == marks[0]


DOTENVS = {
    "none": (None, f"JWT_SECRET={KEY}\n"),
    "empty": ("", f"JWT_SECRET={KEY}\n"),
    "an empty one in it": ("A=1\nJWT_SECRET=\nB=2\n", f"A=1\nJWT_SECRET={KEY}\nB=2\n"),
    "an empty one with quotes": ("JWT_SECRET = ''\nB=2", f"JWT_SECRET={KEY}\nB=2"),
    "two empty ones": ("JWT_SECRET=\nJWT_SECRET=\n", f"JWT_SECRET=\nJWT_SECRET={KEY}\n"),
    "a comment": ("# JWT_SECRET=\nA=1\n", f"# JWT_SECRET=\nA=1\nJWT_SECRET={KEY}\n"),
    "no last line break": ("A=1", f"A=1\nJWT_SECRET={KEY}\n"),
    "Windows": ("\ufeffA=1\r\nJWT_SECRET=\r\nB=2\r\n", None),
}


@pytest.mark.parametrize(("before", "after"), DOTENVS.values(), ids=DOTENVS)
def test_a_secret_is_written_where_it_belongs(dotenv: Path, before: str | None, after: str | None) -> None:
    if before is not None:
        dotenv.write_bytes(before.encode())
        dotenv.chmod(0o644)
    write_jwt_secret(dotenv, KEY)
    assert after is None or dotenv.read_text("utf-8") == after
    assert read_dotenv(dotenv)["JWT_SECRET"] == KEY
    assert dotenv.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in dotenv.parent.iterdir()] == [".env"]


def test_a_linked_file_is_written_where_it_is(dotenv: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("A=1\n")
    dotenv.symlink_to(tmp_path / "real")
    write_jwt_secret(dotenv, KEY)
    assert dotenv.is_symlink()
    assert KEY in (tmp_path / "real").read_text()
