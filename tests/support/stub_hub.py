"""The Hub on loopback, as far as `check` and `deploy` use it: accounts, bills, and Spaces with their files, builds and logs.

It behaves as the real one is documented to, refusals included, and keeps what it was sent.
"""

import base64
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

HF_TOKEN = "hf_QmVub2l0TGVzTW9kZWxlcw"


def whoami(*, plan: str = "free", role: str = "write", **more: Any) -> dict[str, Any]:
    """The body of `/api/whoami-v2`; `fineGrained` and others by name."""
    fine_grained = more.pop("fineGrained", None)
    token = {"displayName": "t", "role": role, **({"fineGrained": fine_grained} if fine_grained is not None else {})}
    account = {"type": "user", "id": "1", "name": "ana", "isPro": plan == "pro", "canPay": False, "orgs": []}
    return {**account, "auth": {"type": "access_token", "accessToken": token}, **more}


def bill(used: float, included: float, limit: float = 0) -> dict[str, Any]:
    """The body of `usage-v2`, in dollars."""
    amounts = {"usedNanoUsd": used, "includedNanoUsd": included, "limitNanoUsd": limit}
    nano = {name: round(usd * 1e9) for name, usd in amounts.items()}
    return {"usage": {"inferenceProviders": {**nano, "numRequests": 3, "periodEnd": "2026-12-01T00:00:00.000Z"}}}


Body = dict[str, Any] | list[Any] | str


@dataclass
class Space:
    """A Space: its files, its settings, and what its machine does.

    `stages` are shown in turn, the last for ever, each with the commit that it is about; None is the newest.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    sdk: str = "gradio"
    private: bool = False
    hardware: str = "cpu-basic"
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    stages: list[tuple[str, str | None]] = field(default_factory=lambda: [("RUNNING", None)])

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"commit {self.commits}".encode(), usedforsecurity=False).hexdigest()


class StubHub:
    """Runs in a thread of its own, on a free port. `answers` take the place of an answer, by method and path."""

    def __init__(self) -> None:
        self.account: dict[str, Any] = whoami()
        self.bill: tuple[int, Body] = (200, bill(0.02, 0.10))
        self.spaces: dict[str, Space] = {}
        # Whether each is private.
        self.buckets: dict[str, bool] = {}
        # The tokens that may write to what is in them; None is all.
        self.writers: set[str] | None = None
        self.answers: dict[str, tuple[int, Body]] = {}
        self.calls: list[str] = []
        self.headers: dict[str, str] = {}
        self.authorizations: set[str | None] = set()
        # What a new build goes through.
        self.build = ["BUILDING", "APP_STARTING", "RUNNING"]
        self.log = ["Step 1", "ERROR: it does not build"]
        # Called after each call that was obeyed, before it is answered.
        self.after: Callable[[str], None] = lambda _: None

    def __enter__(self) -> "StubHub":
        stub = self

        class Handler(_Handler):
            hub = stub

        self._contents = tempfile.TemporaryDirectory(prefix="stub-hub-")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._contents.cleanup()

    @property
    def changes(self) -> list[str]:
        """The calls that change something."""
        return [call for call in self.calls if not call.startswith("GET ") and "/preupload/" not in call]

    def environment(self, name: str) -> dict[str, str]:
        """What the program finds in a Space: its settings, and what the Hub sets."""
        space = self.spaces[name]
        settings = {key: item["value"] for key, item in {**space.secrets, **space.variables}.items()}
        hub = {"SPACE_ID": name, "SPACE_HOST": f"{name.replace('/', '-')}.hf.space"}
        front_matter = yaml.safe_load(space.files["README.md"].split(b"---\n")[1])
        if front_matter.get("hf_oauth") is True:
            scopes = ["openid", "profile", *front_matter.get("hf_oauth_scopes", [])]
            hub |= {"OAUTH_CLIENT_ID": "c0ffee", "OAUTH_CLIENT_SECRET": "s3cr3t", "OAUTH_SCOPES": " ".join(scopes)}
        return {**settings, **hub}

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes, authorization: str
    ) -> tuple[int, Body]:
        call = f"{method} {path}"
        if call in self.answers:
            return self.answers[call]
        if path == "/api/whoami-v2":
            return 200, self.account
        if path == "/api/settings/billing/usage-v2":
            assert int(query["startDate"][0]) < int(query["endDate"][0])
            return self.bill
        sent = json.loads(body) if body and not path.endswith("/batch") and "/commit/" not in path else {}
        if path.startswith("/api/repos/"):
            return self._repos(method, path, sent)
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.startswith("/api/buckets/"):
            owner, name, *rest = path.removeprefix("/api/buckets/").split("/")
            if rest:
                return self._bucket(f"{owner}/{name}", rest[0], authorization)
            return self._buckets(method, f"{owner}/{name}", sent)
        parts = path.removeprefix("/api/spaces/").split("/")
        space = self.spaces.get("/".join(parts[:2]))
        if space is None:
            return 404, {"error": "Repository not found"}
        return self._space(space, method, "/".join(parts[2:]), sent, body)

    def _buckets(self, method: str, name: str, sent: dict[str, Any]) -> tuple[int, Body]:
        if method == "POST":
            if name in self.buckets:
                return 409, {"error": "You already created this bucket"}
            self.buckets[name] = sent.get("visibility") == "private"
            return 200, {"url": f"https://huggingface.co/buckets/{name}"}
        if name not in self.buckets:
            return 404, {"error": "Bucket not found"}
        facts = {"id": name, "private": self.buckets[name], "createdAt": "2026-11-29T12:00:00.000Z"}
        return 200, {**facts, "size": 0, "totalFiles": 0}

    def _bucket(self, name: str, route: str, authorization: str) -> tuple[int, Body]:
        """What is in a bucket: nothing that lasts."""
        if name not in self.buckets:
            return 404, {"error": "Bucket not found"}
        if route == "tree":
            return 200, []
        if self.writers is not None and authorization.removeprefix("Bearer ") not in self.writers:
            return 403, {"error": "This token may not write here"}
        if route.startswith("xet-"):
            expiry = int(time.time()) + 3600
            return 200, {"casUrl": f"local://{self._contents.name}", "accessToken": "x", "exp": expiry}
        return 200, {"success": True, "failed": []}

    def _repos(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, Body]:
        name = f"{sent.get('organization') or self.account['name']}/{sent['name']}"
        if path.endswith("/delete"):
            if self.spaces.pop(name, None) is None:
                return 404, {"error": "Repository not found"}
            return 200, {}
        assert (method, sent["type"], sent["sdk"]) == ("POST", "space", "gradio")
        if name in self.spaces:
            return 409, {"error": "You already created this space repo"}
        hardware = sent.get("hardware", "cpu-basic")
        if hardware == "cpu-basic" and not self.account["isPro"]:
            return 402, {
                "error": "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free cpu-basic "
                "requires a PRO subscription"
            }
        self.spaces[name] = Space(
            files={".gitattributes": b"", "README.md": b"---\nsdk: gradio\n---\n"},
            private=sent.get("visibility") == "private",
            hardware=hardware,
            secrets={item["key"]: item for item in sent.get("secrets", ())},
            variables={item["key"]: item for item in sent.get("variables", ())},
            stages=[("NO_APP_FILE", None)],
        )
        return 200, {"url": f"https://huggingface.co/spaces/{name}", "id": name, "name": name}

    def _space(self, space: Space, method: str, rest: str, sent: dict[str, Any], body: bytes) -> tuple[int, Body]:
        if rest in ("", "revision/main"):
            siblings = [{"rfilename": path} for path in space.files]
            return 200, {"id": "x", "siblings": siblings, "sha": space.sha, "private": space.private, "sdk": space.sdk}
        if rest in ("secrets", "variables"):
            return self._settings(space, method, rest, sent)
        if rest == "runtime":
            return 200, self._runtime(space)
        if rest == "hardware":
            space.hardware = sent["flavor"]
            self._rebuild(space)
        elif rest == "restart":
            self._rebuild(space)
        elif rest == "settings":
            space.private = sent["visibility"] == "private"
        elif rest.startswith("tree/"):
            return 200, [
                {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}
                for path, content in space.files.items()
            ]
        elif rest.startswith("preupload/"):
            return 200, {"files": [_preupload(space, file["path"]) for file in sent["files"]]}
        elif rest.startswith("commit/"):
            return self._commit(space, body)
        elif rest.startswith("logs/"):
            lines = [json.dumps({"data": f"{line}\n", "timestamp": ""}) for line in self.log]
            return 200, "".join(f"data: {line}\n\n" for line in lines)
        else:
            return 404, {"error": "Sorry, we can't find the page you are looking for."}
        return 200, self._runtime(space) if rest != "settings" else {}

    def _settings(self, space: Space, method: str, kind: str, sent: dict[str, Any]) -> tuple[int, Body]:
        settings = space.secrets if kind == "secrets" else space.variables
        if method == "POST":
            settings[sent["key"]] = sent
        elif method == "DELETE":
            settings.pop(sent["key"], None)
        if method != "GET":
            self._rebuild(space)
        shown = ("key", "value", "description") if kind == "variables" else ("key", "description")
        return 200, {
            key: {name: item[name] for name in shown if name in item} | {"updatedAt": "2026-11-29T10:00:00.000Z"}
            for key, item in settings.items()
        }

    def _rebuild(self, space: Space, running: str | None = None) -> None:
        if "app.py" not in space.files:
            space.stages = [("NO_APP_FILE", None)]
        else:
            # The old build answers for a moment longer.
            space.stages = [("RUNNING", running)] * 2 if running else []
            space.stages += [(stage, None) for stage in self.build]

    def _runtime(self, space: Space) -> dict[str, Any]:
        stage, sha = space.stages.pop(0) if len(space.stages) > 1 else space.stages[0]
        hardware = {"current": space.hardware, "requested": space.hardware}
        return {"stage": stage, "hardware": hardware, "sha": sha or space.sha, "errorMessage": None}

    def _commit(self, space: Space, body: bytes) -> tuple[int, Body]:
        before = space.sha if space.stages[-1][0] == "RUNNING" else None
        for line in map(json.loads, body.splitlines()):
            path = line["value"].get("path")
            if line["key"] == "file":
                space.files[path] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del space.files[path]
        space.commits += 1
        self._rebuild(space, before)
        return 200, {"commitUrl": "https://huggingface.co/spaces/x/y/commit/1", "commitOid": space.sha, "success": True}


def _oid(content: bytes) -> str:
    """Git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _preupload(space: Space, path: str) -> dict[str, Any]:
    oid = {"oid": _oid(space.files[path])} if path in space.files else {}
    return {"path": path, "uploadMode": "regular", "shouldIgnore": False, **oid}


class _Handler(BaseHTTPRequestHandler):
    hub: StubHub

    def _handle(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.calls.append(f"{self.command} {address.path}")
        authorization = self.headers.get("Authorization")
        self.hub.authorizations.add(authorization)
        status, answer = self.hub.answer(self.command, address.path, parse_qs(address.query), body, authorization or "")
        self.hub.after(f"{self.command} {address.path}")
        content = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response_only(status)
        missing = {"X-Error-Code": "RepoNotFound"} if status == 404 else {}
        headers = {**missing, "Content-Type": "application/json", "Date": self.date_time_string(), **self.hub.headers}
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        pass
