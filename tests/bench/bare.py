"""What the chat page is compared with: `python -m tests.bench.bare PORT BASE_URL MODEL` is Gradio's own chat, and no more."""

import os
import sys
from collections.abc import AsyncGenerator
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from huggingface_hub import AsyncInferenceClient

MAX_TOKENS = 1_000


def main(port: int, base_url: str, model: str) -> None:
    """Serve it until it is ended."""
    client = AsyncInferenceClient(base_url=base_url, api_key="none")

    async def respond(message: str, _: list[Any]) -> AsyncGenerator[str, None]:
        text = ""
        asked = [{"role": "user", "content": message}]
        async for chunk in await client.chat_completion(asked, model=model, stream=True, max_tokens=MAX_TOKENS):
            for choice in chunk.choices:
                text += choice.delta.content or ""
            yield text

    gr.ChatInterface(respond).launch(server_name="127.0.0.1", server_port=port, quiet=True, ssr_mode=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
