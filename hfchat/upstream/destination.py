"""Address and headers of a call to a model: `huggingface_hub` makes them, with the authorization and the billing header."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from typing import Any

from huggingface_hub import AsyncInferenceClient

from hfchat.errors import InvalidRequest

# Without one, `get_token` of the hub client looks for a saved token, on disk and on the network.
_NO_TOKEN = "none"  # noqa: S105
# The hub client takes 60 us to make one: a tenth of what a whole call takes (cell plain-16 of the benchmark).
MAX_REMEMBERED = 1000

# The address, and the headers, which calls share.
Destination = tuple[str, Mapping[str, str]]


class Destinations:
    """Where each model is called, with the owner's token, or with a caller's own, which bills nobody else.

    `base_url` None is the router, with auto routing.
    """

    def __init__(self, *, hf_token: str | None, base_url: str | None, bill_to: str | None) -> None:
        self._hf_token = hf_token
        self._base_url = base_url
        self._bill_to = bill_to
        # With the owner's token only: what a caller pays for is not kept.
        self._remembered: dict[str, Destination] = {}

    async def of(self, model: str, own_token: str | None = None) -> Destination:
        """The destination of a call. Raises: InvalidRequest for a model that is an address: the hub client would post to it,
        with the token.
        """
        if own_token is not None:
            return await self._make(model, own_token, None)
        known = self._remembered.get(model)
        if known is None:
            known = await self._make(model, self._hf_token, self._bill_to)
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[model] = known
        return known

    async def _make(self, model: str, hf_token: str | None, bill_to: str | None) -> Destination:
        if "://" in model:
            raise InvalidRequest("model_id", param="model")
        client = _RequestCapture(
            base_url=self._base_url,
            provider="auto" if self._base_url is None else None,
            api_key=hf_token or _NO_TOKEN,
            bill_to=bill_to,
            headers={} if hf_token else {"authorization": None},  # type: ignore[dict-item]
        )
        await client.chat_completion([], model=model, stream=True)
        headers = {name: value for name, value in client.request.headers.items() if value is not None}
        return client.request.url, {**headers, "content-type": "application/json"}


class _RequestCapture(AsyncInferenceClient):
    """The hub client without sending: `request` has the `url` and `headers`.

    `_inner_post` is private; huggingface_hub is bounded below its next minor version, and a test holds this.
    """

    request: Any

    async def _inner_post(self, request_parameters: Any, *, stream: bool = False) -> AsyncIterable[str]:  # type: ignore[override]
        self.request = request_parameters
        return _no_lines()


async def _no_lines() -> AsyncGenerator[str, None]:
    return
    yield
