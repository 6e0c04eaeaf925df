"""Health checks: `/healthz`, the process runs; `/readyz`, it can serve."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def health_routes(ready: Callable[[], Awaitable[bool]]) -> list[Route]:
    """The two routes; `ready` says whether the program is set up, its store answers, and it is not about to stop."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        good = await ready()
        return JSONResponse({"status": "ready" if good else "not_ready"}, 200 if good else 503)

    return [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
