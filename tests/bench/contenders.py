"""Who takes turns: nobody in between, nginx, hfchat at its two doors, LiteLLM's proxy. Each started as its makers say."""

import os
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hfchat.limits import parse_limit
from hfchat.policy import PolicyClaim
from hfchat.tokens import issue_token
from tests.bench.load import Door
from tests.bench.processes import MEASURED, ROOT, Program
from tests.bench.replies import Shape
from tests.conftest import free_port

DIRECT, NGINX, API, V1, LITELLM = "direct", "nginx", "/api/ai/chat", "/v1", "LiteLLM"
PEOPLE = 64
MAX_TOKENS = 20_000
RATE, BUDGET, STREAMS = "1000000000/day", "1000000000000/day", 5_000
_COMPLETIONS = "/v1/chat/completions"

Starting = Callable[[], Awaitable[tuple[Program, int]]]


@dataclass
class Contender:
    """One who takes turns; two may be doors of one program. `start_another` starts one more of its kind."""

    name: str
    door: Door
    program: Program | None = None
    start_another: Starting | None = None
    hfchat: "Hfchat | None" = None


@dataclass
class Hfchat:
    """How hfchat is started, and how its tokens are made: gate, policy and a ledger on SQLite."""

    shapes: tuple[Shape, ...]
    upstream_port: int
    key: str = secrets.token_urlsafe(32)

    def start(self, folder: Path, port: int) -> Program:
        (folder / ".env").touch()  # found before the one that may be beside app.py
        return Program([sys.executable, str(ROOT / "app.py")], MEASURED, folder, self._variables(folder, port))

    def bearers(self, many: int, shapes: tuple[Shape, ...] = ()) -> tuple[str, ...]:
        """Tokens of different people, each with limits of every kind inside; the first model is what the page uses."""
        models = tuple(shape.model for shape in shapes or self.shapes)
        policy = PolicyClaim(models, parse_limit(RATE), parse_limit(BUDGET), STREAMS, MAX_TOKENS)
        return tuple(
            issue_token(self.key, f"person-{secrets.token_hex(6)}", ttl_s=86_400, policy=policy) for _ in range(many)
        )

    def _variables(self, folder: Path, port: int) -> dict[str, str]:
        models = [shape.model for shape in self.shapes]
        return {
            "JWT_SECRET": self.key,
            "HFCHAT_STORE": f"sqlite:///{folder}/ledger.db",
            "HFCHAT_RATE": RATE,
            "HFCHAT_BUDGET": BUDGET,
            "HFCHAT_STREAMS": str(STREAMS),
            "HF_CHAT_BASE_URL": f"http://127.0.0.1:{self.upstream_port}/v1",
            "HF_CHAT_MODEL": models[0],
            "HF_CHAT_MODELS": ",".join(models),
            "HF_CHAT_MAX_TOKENS": str(MAX_TOKENS),
            "GRADIO_SERVER_PORT": str(port),
        }


@dataclass
class LiteLlm:
    """How LiteLLM's proxy is started: one worker, a master key, no database; `executable` is its command."""

    executable: str
    shapes: tuple[Shape, ...]
    upstream_port: int
    key: str = "sk-" + secrets.token_urlsafe(32)

    def start(self, folder: Path, port: int) -> Program:
        models = [
            f"  - model_name: {shape.model}\n    litellm_params:\n      model: openai/{shape.model}\n"
            f"      api_base: http://127.0.0.1:{self.upstream_port}/v1\n      api_key: sk-none\n"
            for shape in self.shapes
        ]
        config = folder / "config.yaml"
        config.write_text(
            f"model_list:\n{''.join(models)}general_settings:\n  master_key: {self.key}\nlitellm_settings:\n  telemetry: false\n"
        )
        command = [
            self.executable,
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
        ]
        variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
        return Program(command, MEASURED, folder, variables)


def _start_nginx(executable: str, folder: Path, port: int, upstream_port: int) -> Program:
    config = folder / "nginx.conf"
    config.write_text(
        f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 100000000;
  upstream stub {{ server 127.0.0.1:{upstream_port}; keepalive 2000; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://stub; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
      client_body_buffer_size 1m; }}
  }}
}}
"""
    )
    return Program([executable, "-c", str(config), "-p", str(folder)], MEASURED, folder, {})


class Starter:
    """Starts programs, each in a folder of its own, and ends them all."""

    def __init__(self, folder: Path, shapes: tuple[Shape, ...], upstream_port: int, litellm: str) -> None:
        self._folder = folder
        self._upstream_port = upstream_port
        self._ending = ExitStack()
        self.hfchat = Hfchat(shapes, upstream_port)
        self.litellm = LiteLlm(litellm, shapes, upstream_port) if litellm else None
        self.nginx = shutil.which("nginx") or ""

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    async def contenders(self, names: list[str]) -> list[Contender]:
        """Those of these names that are installed, started and answering."""
        nobody = Door(self._upstream_port, _COMPLETIONS, ("none",))
        found = [Contender(DIRECT, nobody)] if DIRECT in names else []
        if NGINX in names and self.nginx:
            port = free_port()
            program = self._started(_start_nginx(self.nginx, self._made("nginx"), port, self._upstream_port))
            found.append(Contender(NGINX, Door(port, _COMPLETIONS, ("none",)), program))
        doors = {name: path for name, path in ((API, API), (V1, _COMPLETIONS)) if name in names}
        if doors:
            program, port = await self._start_hfchat()
            people = self.hfchat.bearers(PEOPLE)
            found += [
                Contender(name, Door(port, path, people), program, self._start_hfchat, self.hfchat)
                for name, path in doors.items()
            ]
        if LITELLM in names and self.litellm:
            program, port = await self._start_litellm()
            door = Door(port, _COMPLETIONS, (self.litellm.key,))
            found.append(Contender(LITELLM, door, program, self._start_litellm))
        return found

    async def _start_hfchat(self) -> tuple[Program, int]:
        port = free_port()
        program = self._started(self.hfchat.start(self._made("hfchat"), port))
        await program.answers(port, "/healthz")
        return program, port

    async def _start_litellm(self) -> tuple[Program, int]:
        assert self.litellm is not None
        port = free_port()
        program = self._started(self.litellm.start(self._made("litellm"), port))
        await program.answers(port, "/health/liveliness")
        return program, port

    def _made(self, name: str) -> Path:
        folder = self._folder / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir()
        return folder

    def _started(self, program: Program) -> Program:
        self._ending.callback(program.end)
        return program


@contextmanager
def only(contender: Contender, everybody: list[Contender]) -> Iterator[None]:
    """Hold the other programs still: an idle one takes its part of the core too."""
    others = {
        id(c.program): c.program for c in everybody if c.program is not None and c.program is not contender.program
    }
    for program in others.values():
        program.hold()
    try:
        yield
    finally:
        for program in others.values():
            program.go_on()


def found_litellm(named: str | None) -> str:
    """The command of LiteLLM's proxy: as named, or on PATH, or none."""
    return shutil.which(named or os.environ.get("HFCHAT_BENCH_LITELLM") or "litellm") or ""
