"""Server (uvicorn) and start of the program: settings, what the terminal prints, and a server that lets replies in progress
finish.
"""

import errno
import gc
import os
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn

from hfchat.auth.own_tokens import invite_link, issue_token
from hfchat.config.file_modes import open_to_others
from hfchat.config.settings import Settings, SettingsError, find_dotenv, load_settings, secret_files
from hfchat.http.protocol import HeadLimitProtocol
from hfchat.ledger.open_store import sqlite_path
from hfchat.logs import configure_logging, sum_up_log
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE
from hfchat.zero_gpu import start_zero_gpu

GRACE_S = 30
# As many open files as the system allows the program, up to this.
OPEN_FILES = 65_536
GC_THRESHOLD = 20_000
# The event loop (libuv) takes one connection from a listening socket in each of its turns: of a crowd that comes at the same
# instant the last would wait for seconds.
ACCEPTS_PER_TURN = 4
FIRST_TOKEN_TTL_S = 24 * 3600


def main() -> int:
    """Run until stopped. Returns the exit status: 0, or 2 where the program cannot start, after saying why.

    Told to stop by SIGTERM, it ends by that signal once replies in progress are finished, as uvicorn does.
    """
    if len(sys.argv) > 1:
        print(
            "app.py takes no arguments: its settings are in the environment and in .env (see .env.example)",
            file=sys.stderr,
        )
        return 2
    try:
        dotenv = find_dotenv()
        settings = load_settings(os.environ, dotenv)
        listener = _listen(settings)
    except SettingsError as wrong:
        print(f"hfchat cannot start:\n{wrong}", file=sys.stderr)
        return 2
    start_zero_gpu(os.environ)
    from hfchat.app import create_app  # gradio takes seconds to import: what is wrong is said before that

    configure_logging(settings.hfchat_log_format)
    config = uvicorn.Config(
        lambda: create_app(settings),
        factory=True,  # so that it is made inside the event loop: where there is none, gradio makes one and leaves it
        http=HeadLimitProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=settings.hfchat_keep_alive_s,
    )
    _allow_open_files()
    with suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped in order
        listeners = [listener, *(listener.dup() for _ in range(ACCEPTS_PER_TURN - 1))]
        _Server(config, greeting(settings, secret_files(settings, dotenv))).run(sockets=listeners)
    return 0


class _Server(uvicorn.Server):
    """uvicorn's, which says where it listens once it does, and tells the gate when it is asked to stop."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is there at the start stays: looking through it again and again is what makes a token late now and then.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 50)
        if self.started:
            print(self._greeting, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.loaded_app
        app.state.drain.begin()
        await super().shutdown(sockets)
        sum_up_log()  # the signal that asked for it may end the process as soon as this returns


def greeting(settings: Settings, private: Iterable[Path] = ()) -> str:
    """What the terminal prints once the program listens. `private` are files that nobody else is to read."""
    url = settings.public_url or settings.local_url
    lines = [f"hfchat listens on {url}"]
    if not settings.has_key:
        lines.append("It is closed until JWT_SECRET is set: open the page and follow the steps.")
    if settings.space_id is not None and settings.hfchat_store_copy is None and sqlite_path(settings.hfchat_store):
        lines.append("A Space forgets who used how much, and who was revoked, at each restart: set HFCHAT_STORE_COPY.")
    if settings.offline:
        own = " those who do not sign in with Hugging Face" if settings.hub_sign_in and settings.own_credit else ""
        lines.append(
            f"No Hugging Face token is set (HUGGINGFACE_API_TOKEN in .env): the offline stand-in answers{own}."
        )
    if settings.reached_by_others and settings.public_url is None:
        lines.append("Other machines open it by this machine's name: set HFCHAT_PUBLIC_URL to that, for links.")
    if settings.jwt_jwks_url and not settings.jwt_audience:
        lines.append("Any token of that identity provider is let in, whoever it was made for: set JWT_AUDIENCE.")
    lines += open_to_others(private)
    if settings.jwt_secret and not settings.key_made_for_this_run:
        lines.append("Let people in: python -m hfchat token issue NAME --days 30 --link")
    if settings.key_made_for_this_run and settings.signing_key:
        scopes = (CHAT_SCOPE, ADMIN_SCOPE)
        token = issue_token(settings.signing_key, "owner", ttl_s=FIRST_TOKEN_TTL_S, scopes=scopes)
        body = '{"messages": [{"role": "user", "content": "Hello, who are you?"}]}'
        lines += [
            f"Sign in: {invite_link(url, token)}",
            f"Or call: curl {url}/api/ai/chat -H 'Authorization: Bearer {token}' "
            f"-H 'Content-Type: application/json' -d '{body}'",
        ]
    return "\n".join(lines)


def _allow_open_files() -> None:
    """Each connection is an open file; the usual limit of 1,024 is a soft one."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a lower limit of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: Settings) -> socket.socket:
    name, port = settings.gradio_server_name, settings.gradio_server_port
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        return socket.create_server((name, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as taken:
        if not isinstance(taken, OSError) or taken.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise SettingsError(
                f"GRADIO_SERVER_NAME: {name} is no address of this machine. Write 127.0.0.1, or 0.0.0.0 to let others in."
            ) from None
        raise SettingsError(
            f"GRADIO_SERVER_PORT: {name}:{port} cannot be listened on ({taken.strerror}). Stop the other program there, or "
            f"set GRADIO_SERVER_PORT to another port, for example {port + 1 if port < 65535 else 7861}."
        ) from None
