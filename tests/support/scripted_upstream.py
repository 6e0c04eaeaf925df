"""An upstream that says what a test tells it: pieces of a reply, pauses, errors. It keeps the calls that it was asked."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from hfchat.errors import HfchatError
from hfchat.types import Call, Delta, Finish, ModelFacts, Usage

# A text is a piece of the reply, a number a pause in seconds.
Step = str | float | Delta | Finish | HfchatError


def echoed(call: Call) -> list[Step]:
    """The last message again, word by word."""
    return [f"{word} " for word in call.messages[-1].content.split()]


class ScriptedUpstream:
    """`script` gives the steps of a reply; a whole one ends by itself, in the name of the model that was asked."""

    def __init__(self, models: Iterable[ModelFacts] = ()) -> None:
        self.script: Callable[[Call], Iterable[Step]] = echoed
        self.listed = list(models)
        self.calls: list[Call] = []
        self.in_progress = 0

    def forget(self) -> None:
        """Be as when it was made: it echoes, and has heard nothing."""
        self.script = echoed
        self.calls.clear()

    async def models(self) -> list[ModelFacts]:
        return self.listed

    async def close(self) -> None:
        pass

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        self.calls.append(call)
        self.in_progress += 1
        said = 0
        try:
            for step in self.script(call):
                if isinstance(step, HfchatError):
                    raise step
                if isinstance(step, int | float):
                    await asyncio.sleep(step)
                elif isinstance(step, Finish):
                    yield step
                    return
                else:
                    said += 1
                    yield Delta(step) if isinstance(step, str) else step
            yield Finish(call.model, "stop", Usage(7, said))
        finally:
            self.in_progress -= 1
