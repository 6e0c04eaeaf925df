"""Who takes turns: nobody in between, nginx, hfchat at its two doors, LiteLLM's proxy; and a bare chat page of Gradio's."""

import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load import Door
from tests.bench.processes import Program, free_port
from tests.bench.programs import Bare, Hfchat, Kind, LiteLlm, Nginx, Stub, installed
from tests.bench.replies import Shape

DIRECT, NGINX, API, V1, LITELLM = "direct", "nginx", "/api/ai/chat", "/v1", "LiteLLM"
BARE = "bare Gradio"
# Those who pass replies on, and those of whom anything is measured.
DOORS = (DIRECT, NGINX, API, V1, LITELLM)
EVERYBODY = (*DOORS, BARE)
PEOPLE = 64
_COMPLETIONS = "/v1/chat/completions"

# Whether it is to speak TLS with the stub; then the program, and its port.
Starting = Callable[[bool], Awaitable[tuple[Program, int]]]


@dataclass
class Contender:
    """One who takes turns; two may be doors of one program. `start_another` starts one more of its kind."""

    name: str
    door: Door
    program: Program | None = None
    start_another: Starting | None = None
    hfchat: Hfchat | None = None


class Starter:
    """Starts programs, each in a folder of its own, and ends them all."""

    def __init__(self, folder: Path, stub: Stub) -> None:
        self._folder = folder
        self._stub = stub
        self._ending = ExitStack()

    def __enter__(self) -> "Starter":
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    async def contenders(self, names: list[str], shapes: tuple[Shape, ...], litellm: str) -> list[Contender]:
        """Those of these names that are installed, started and answering. `litellm` is the command of LiteLLM's proxy."""
        found = []
        if DIRECT in names:
            found.append(Contender(DIRECT, Door(self._stub.port, _COMPLETIONS, ("none",))))
        nginx = installed("nginx", "/usr/sbin/nginx")
        if NGINX in names and nginx:
            found += await self._doors(Nginx(nginx), {NGINX: _COMPLETIONS}, ("none",))
        doors = {name: path for name, path in ((API, API), (V1, _COMPLETIONS)) if name in names}
        if doors:
            hfchat = Hfchat(shapes)
            found += await self._doors(hfchat, doors, hfchat.bearers(PEOPLE), hfchat)
        if LITELLM in names and litellm:
            proxy = LiteLlm(litellm, shapes)
            found += await self._doors(proxy, {LITELLM: _COMPLETIONS}, (proxy.key,))
        if BARE in names:
            found += await self._doors(Bare(), {BARE: "/"}, ("none",))
        return found

    async def _doors(
        self, kind: Kind, doors: dict[str, str], bearers: tuple[str, ...], hfchat: Hfchat | None = None
    ) -> list[Contender]:
        async def start_another(secure: bool) -> tuple[Program, int]:
            folder, port = self._folder / secrets.token_hex(6), free_port()
            folder.mkdir()
            program = kind.start(folder, port, self._stub, secure=secure)
            self._ending.callback(program.end)
            await program.answers(port, kind.alive)
            return program, port

        program, port = await start_another(False)
        return [
            Contender(name, Door(port, path, bearers), program, start_another, hfchat) for name, path in doors.items()
        ]


@contextmanager
def only(contender: Contender, everybody: list[Contender]) -> Iterator[None]:
    """Hold the other programs still: an idle one takes its part of the core too."""
    others = {one.program for one in everybody if one.program is not None} - {contender.program}
    for program in others:
        program.hold()
    try:
        yield
    finally:
        for program in others:
            program.go_on()
