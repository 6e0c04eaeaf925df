"""The Hub's fake: buckets as huggingface_hub calls them, on loopback, late and failing. The content is kept by the client's own
storage library in a folder, as its connection info says."""

import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class BucketHub:
    """One bucket, `me/ledger`. `failing`: a status by the part of a route after its name; `unacknowledged`: a write is made, and
    then the answer is 500.
    """

    folder: Path
    url: str = ""
    private: bool = True
    token: str = "hf_QzWxEcRvTbYnUmIkOlPq2345"
    delay_s: float = 0.0
    failing: dict[str, int] = field(default_factory=dict)
    unacknowledged: bool = False
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON."""
        prefix, _, rest = path.partition("/me/ledger")
        route = rest.strip("/").partition("/")[0] or "info"
        self.requests.append(f"{method} {route}")
        if prefix not in ("/api/buckets", "/buckets"):
            return 404, {"X-Error-Code": "RepoNotFound"}, {"error": "Bucket not found"}
        if route in self.failing:
            return self.failing[route], {}, {"error": "as the test wants it"}
        if route == "info":
            size = sum(file["size"] for file in self.files.values())
            info = {"id": "me/ledger", "private": self.private, "createdAt": "2026-11-29T12:00:00.000Z"}
            return 200, {}, {**info, "size": size, "totalFiles": len(self.files)}
        if route.startswith("xet-"):
            return 200, {}, {"casUrl": f"local://{self.folder}", "accessToken": "x", "exp": int(time.time()) + 3600}
        if route == "tree":
            return 200, {}, list(self.files.values())
        if route == "paths-info":
            return 200, {}, [self.files[name] for name in json.loads(body)["paths"] if name in self.files]
        if route == "resolve":
            file = self.files[unquote(rest.removeprefix("/resolve/"))]
            link = f'<{self.url}/api/buckets/me/ledger/xet-read-token>; rel="xet-auth"'
            return 200, {"X-Xet-Hash": file["xetHash"], "Link": link, "X-Linked-Size": str(file["size"])}, None
        return self._batch(body)

    def _batch(self, body: bytes) -> tuple[int, dict[str, str], Any]:
        failed = []
        for line in body.splitlines():
            operation = json.loads(line)
            name = operation["path"]
            if operation["type"] == "addFile":
                entry = {"type": "file", "path": name, "size": 1, "xetHash": operation["xetHash"]}
                self.files[name] = {**entry, "size": self._size(operation["xetHash"])}
            elif self.files.pop(name, None) is None:
                failed.append({"path": name, "error": "not found"})
        return (500 if self.unacknowledged else 200), {}, {"success": not failed, "failed": failed}

    def _size(self, xet_hash: str) -> int:
        """Of the content with this hash, as the client's storage library noted it: a header and segments of 48 bytes each."""
        words = (int(xet_hash[place : place + 16], 16) for place in range(0, 64, 16))
        key = b"".join(struct.pack("<Q", word) for word in words)
        for shard in self.folder.rglob("*.mdb"):
            data = shard.read_bytes()
            if (header := data.find(key)) >= 0:
                (segments,) = struct.unpack_from("<I", data, header + 36)
                places = range(header + 48, header + 48 * (segments + 1), 48)
                return sum(struct.unpack_from("<I", data, place + 36)[0] for place in places)
        raise AssertionError(xet_hash)


@contextmanager
def bucket_hub(folder: Path) -> Iterator[BucketHub]:
    """The stub, on a free port, with its content in this folder."""
    hub = BucketHub(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            time.sleep(hub.delay_s)
            status, headers, values = 401, {}, {"error": "Invalid credentials"}
            if self.headers["Authorization"] == f"Bearer {hub.token}":
                status, headers, values = hub.answer(self.command, urlsplit(self.path).path, body)
            content = b"" if values is None else json.dumps(values).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_HEAD = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
