"""View of a reply while it streams, as Gradio messages; before the first word, what is waited for. Where a reply is continued,
what there was of it stands in front.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from hfchat.chat.reasoning import ReasoningSplitter
from hfchat.chat.retries import Attempt
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT, PAGE
from hfchat.page.continued_reply import ContinuedReply
from hfchat.page.history import WAIT_ID, page_note
from hfchat.page.incomplete_markdown import without_half_mark
from hfchat.page.markdown_splitter import MarkdownSplitter
from hfchat.page.model_picker import short
from hfchat.types import Delta, Extras, Finish

# A silence that nobody wonders about, and one after which people ask themselves what is going on.
QUIET_S = 3.0
LONG_S = 15.0
# Without a place nothing is asked at all: that is said soon.
PLACE_S = 1.0


class ReplyView:
    """What is shown of a turn, from its attempts and its parts; after what `continued` and `thoughts` have already."""

    def __init__(
        self,
        language: Language,
        clock: Callable[[], float] = time.monotonic,
        *,
        continued: ContinuedReply | None = None,
        thoughts: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._language = language
        self._continued = continued or ContinuedReply("")
        self._thoughts = thoughts
        self._clock = clock
        self._asked_at = clock()
        self._splitter = ReasoningSplitter()
        self._reasoning: list[str] = []
        self.extras = Extras()
        self._attempts: list[Attempt] = []
        self._pieces = MarkdownSplitter()
        self._thought_from: float | None = None
        self._thought_s: float | None = None
        self.finish: Finish | None = None
        # Of what is shown, so much is drawn anew at each step.
        self.growing_chars = 0

    @property
    def asked(self) -> str:
        """The model that was asked first."""
        return self._attempts[0].model

    @property
    def answered(self) -> str:
        """The model that was asked last, if one was."""
        return self._attempts[-1].model if self._attempts else ""

    @property
    def empty(self) -> bool:
        """Whether nothing came that could be seen."""
        return not ("".join((*self._reasoning, *self._splitter.split())).strip() or self.extras.pictures)

    @property
    def can_continue(self) -> bool:
        """Whether there is a text that could go on."""
        return bool((self._continued.partial or self._splitter.split()[1]).strip())

    def trying(self, attempt: Attempt) -> None:
        """This model is called now."""
        self._attempts.append(attempt)
        self._asked_at = self._clock()

    def add(self, part: Delta | Finish) -> None:
        """This came."""
        if isinstance(part, Finish):
            self.finish = part
            return
        if self._thought_from is None:
            self._thought_from = self._clock()
        self._splitter.add(part.content)
        self._reasoning.append(part.reasoning)
        if part.extras is not None:
            self.extras.add(part.extras)

    def messages(self, *, final: bool = False) -> list[dict[str, Any]]:
        """The messages to show now; at the end, `final`, nothing is waited for any more."""
        reasoning = "".join(self._reasoning)
        self._reasoning = [reasoning]
        whole = final or self.finish is not None
        if whole:
            self._splitter.end()
        thoughts, content = self._splitter.split()
        if not whole:
            content = without_half_mark(content)
        thoughts = "\n\n".join(filter(None, (reasoning, thoughts)))
        messages: list[dict[str, Any]] = [*self._thoughts]
        if thoughts:
            metadata = self._thinking(over=bool(content.strip()) or whole)
            messages.append({"role": "assistant", "content": thoughts, "metadata": metadata})
        waits = "" if content or thoughts or final or self.finish else self._waits()
        content = self._continued.joined(content, whole=whole)
        waiting = [page_note(waits, WAIT_ID)] if waits else []
        if waiting and not content:
            return [*messages, *waiting]
        if content or not (messages or final):
            pieces = [content] if final or self.finish is not None else self._in_pieces(content)
            messages += [{"role": "assistant", "content": piece} for piece in pieces]
        self.growing_chars = len(messages[-1]["content"]) if messages else 0
        return [*messages, *waiting]

    def _in_pieces(self, content: str) -> list[str]:
        split = self._pieces.whole()
        if not content.startswith(split):
            self._pieces, split = MarkdownSplitter(), ""
        self._pieces.add(content[len(split) :])
        return [*self._pieces.done, self._pieces.last]

    def _thinking(self, *, over: bool) -> dict[str, Any]:
        """Gradio's marks of a thought: its title, and how long it took, from the first word of the reply, once it is `over`."""
        if not over:
            return {"title": PAGE[self._language]["thinking"], "status": "pending"}
        if self._thought_s is None:
            self._thought_s = max(round(self._clock() - (self._thought_from or self._clock()), 1), 0.1)
        return {"title": PAGE[self._language]["thoughts"], "status": "done", "duration": self._thought_s}

    def _waits(self) -> str:
        texts, silent_s = CHAT[self._language], self._clock() - self._asked_at
        if not self._attempts:
            return texts["waiting_place"] if silent_s >= PLACE_S else ""
        names = {"model": f"`{short(self.answered)}`"}
        if silent_s >= LONG_S:
            return texts["waiting_long"].format(**names)
        if len(self._attempts) > 1:
            before = self._attempts[-2].model
            if before == self.answered:
                return texts["trying_again"].format(number=self._attempts[-1].number, **names)
            return texts["trying"].format(failed=f"`{short(before)}`", **names)
        return texts["waiting"].format(**names) if silent_s >= QUIET_S else ""
