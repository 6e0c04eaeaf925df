"""Reasoning between tags, split from the answer while a reply streams, in the forms of many models. Pure.

Only what a reply begins with is thought: further on, or in code, who writes a tag writes about it. In one form the opening is
missing, because the model's prompt ended with it: there a closing tag alone ends the thought.
"""

import re
from typing import NamedTuple


class _Form(NamedTuple):
    """`prefix` is what its opening begins with, `closings` are the tags that end it. `answer`: it holds the answer."""

    prefix: str
    opening: re.Pattern[str]
    closings: tuple[str, ...]
    answer: bool = False


def _form(opening: str, closing: str, *, answer: bool = False) -> _Form:
    return _Form(opening.lower(), re.compile(re.escape(opening), re.IGNORECASE), (closing,), answer)


# Elements that hold a thought, in the templates and the training data of open models.
_ELEMENTS = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad", "seed:think")
# OpenAI's harmony: every channel but `final` is a thought, or a call of a tool. The tags that begin the next channel stay.
_CHANNEL = r"(?:<\|start\|>assistant[^<]{0,100})?<\|channel\|>\s*"
_HEADER = r"[^<]{0,100}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
_HARMONY_ANSWER = re.compile(rf"{_CHANNEL}final{_HEADER}|<\|start\|>assistant\s*<\|message\|>")
_HARMONY_THOUGHT = re.compile(rf"{_CHANNEL}(?!final)\w{_HEADER}")
_HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_HARMONY_NEXT = ("<|start|>", "<|channel|>")
_FORMS = (
    *(_form(f"<{name}>", f"</{name}>") for name in _ELEMENTS),
    _form("[THINK]", "[/THINK]"),  # Magistral
    _form("◁think▷", "◁/think▷"),  # Kimi
    _form("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    _form("<|START_RESPONSE|>", "<|END_RESPONSE|>", answer=True),
    _form("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    _form("<|begin_of_solution|>", "<|end_of_solution|>", answer=True),
    _form("<|channel>thought", "<channel|>"),  # Gemma
    *(_Form(prefix, _HARMONY_ANSWER, _HARMONY_ENDS, answer=True) for prefix in _HARMONY_NEXT),
    *(_Form(prefix, _HARMONY_THOUGHT, (*_HARMONY_ENDS, *_HARMONY_NEXT)) for prefix in _HARMONY_NEXT),
)
_MAX_OPENING_CHARS = 400
_MAX_TAG_CHARS = 24
_SIGNS = "<[◁"
_PART_OF_CLOSING = re.compile(r"[<\[◁](?:/[a-zA-Z:]{0,10})?\Z")

_LONE_CLOSING = re.compile(
    "|".join(re.escape(form.closings[0]) for form in _FORMS if len(form.closings) == 1 and not form.answer)
)
_OPENING = re.compile("|".join(re.escape(form.prefix) for form in _FORMS if not form.answer), re.IGNORECASE)
# A closing tag between words, or in quotes, is spoken about: "the </think> tag", "`</think>`".
_QUOTED = re.compile(r"[\"'“‘«(`]\Z")
_AFTER_WORD = re.compile(r"[ \t]\Z")
_BEFORE_WORD = re.compile(r"[ \t.,;:!?)]")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
# Harmony whose special tokens the server left out.
_BARE_HARMONY = re.compile(r"\s*analysis(?=[A-Z\s])(.*?)assistantfinal", re.DOTALL)


class ReasoningSplitter:
    """Splits a reply while it comes; call `end` after its last text.

    `add` and `end` give what to append to the content. Where a closing tag comes alone, or in a form that is known by its end,
    what was content before it becomes reasoning: so `content` may lose what `add` gave.
    """

    def __init__(self) -> None:
        self._thoughts: list[str] = []
        self._contents: list[str] = []
        # What is not decided yet: an opening or a closing tag of which only a part may have come.
        self._pending = ""
        self._form: _Form | None = None
        self._answering = self._ended = False

    def add(self, text: str) -> str:
        """What this text adds to the content."""
        if self._answering and self._form is None:
            self._contents.append(text)
            return text
        self._pending += text
        return self._read()

    def end(self) -> str:
        """What is added to the content at the end of the reply."""
        self._ended = True
        return self._read()

    def split(self) -> tuple[str, str]:
        """The reasoning and the content so far; while more may come, without what may yet be a part of a tag."""
        self._thoughts, self._contents = ["".join(self._thoughts)], ["".join(self._contents)]
        reasoning, content = self._thoughts[0].strip(), self._contents[0]
        if not reasoning and self._answering and self._form is None:
            reasoning, content = _split_at_closing(content, whole=self._ended)
        return reasoning, content

    def _read(self) -> str:
        while not self._answering:
            if self._form is not None:
                if not self._read_thought(self._form):
                    return ""
                continue
            text = self._pending.lstrip()
            form, opening = _opening_of(text)
            if form is not None and opening is not None:
                self._form, self._pending, self._answering = form, text[opening.end() :], form.answer
                self._thoughts.append("\n\n")
            elif not self._ended and _may_open(text):
                return ""
            else:
                self._answering = True
                self._pending = text if self._thoughts else self._pending
        return self._read_answer()

    def _read_thought(self, form: _Form) -> bool:
        """Whether the thought has ended."""
        start, closing = _find(self._pending, form.closings)
        if start < 0:
            held = "" if self._ended else _part_of(form.closings, self._pending)
            self._thoughts.append(self._pending.removesuffix(held))
            self._pending = held
            self._answering = self._ended
            self._form = None if self._ended else form
            return self._ended
        self._thoughts.append(self._pending[:start].rstrip())
        self._pending = self._pending[start + (0 if closing in _HARMONY_NEXT else len(closing)) :]
        self._form = None
        return True

    def _read_answer(self) -> str:
        text, self._pending = self._pending, ""
        if self._form is not None:
            if not "".join(self._contents).strip():
                text = text.lstrip()
            start, closing = _find(text, self._form.closings)
            if start >= 0:
                text, self._form = text[:start] + text[start + len(closing) :], None
                self._answering = True
            elif not self._ended and (held := _part_of(self._form.closings, text)):
                text, self._pending = text.removesuffix(held), held
        self._contents.append(text)
        return text


def split_reasoning(text: str) -> tuple[str, str]:
    """The reasoning and the content of a whole reply."""
    splitter = ReasoningSplitter()
    splitter.add(text)
    splitter.end()
    return splitter.split()


def _opening_of(text: str) -> tuple[_Form | None, re.Match[str] | None]:
    if text[:1] and text[0] in _SIGNS:
        for form in _FORMS:
            if (match := form.opening.match(text)) is not None:
                return form, match
    return None, None


def _may_open(text: str) -> bool:
    """Whether it may yet become the opening of a form."""
    start = text[:_MAX_TAG_CHARS].lower()
    return any(
        form.prefix.startswith(start)
        or (len(form.closings) > 1 and start.startswith(form.prefix) and len(text) < _MAX_OPENING_CHARS)
        for form in _FORMS
    )


def _find(text: str, tags: tuple[str, ...]) -> tuple[int, str]:
    """Where the first of the tags is, and which; -1 where there is none. Opening and closing tags may differ in case."""
    places = [(start, tag) for tag in tags if (start := text.find(tag)) >= 0 or (start := _find_lower(text, tag)) >= 0]
    return min(places, default=(-1, ""))


def _find_lower(text: str, tag: str) -> int:
    return text.lower().find(tag.lower()) if tag[:1] in text and text.isascii() else -1


def _part_of(tags: tuple[str, ...], text: str) -> str:
    """The end of the text that may be the beginning of one of the tags."""
    start = max(text.rfind(sign, -_MAX_TAG_CHARS) for sign in _SIGNS)
    end = text[start:].lower() if start >= 0 else ""
    return text[start:] if end and any(tag.lower().startswith(end) for tag in tags) else ""


def _split_at_closing(text: str, *, whole: bool) -> tuple[str, str]:
    """The reasoning and the content of a text that begins with a thought without an opening; most have none."""
    match = _LONE_CLOSING.search(text)
    if match is not None and not _is_spoken_about(text, match):
        return text[: match.start()].strip(), text[match.end() :].lstrip()
    if (bare := _BARE_HARMONY.match(text)) is not None:
        return bare[1].strip(), text[bare.end() :].lstrip()
    return "", text if whole else _PART_OF_CLOSING.sub("", text)


def _is_spoken_about(text: str, closing: re.Match[str]) -> bool:
    before, after = text[: closing.start()], text[closing.end() :]
    between_words = _AFTER_WORD.search(before) is not None and _BEFORE_WORD.match(after) is not None
    if between_words or _QUOTED.search(before) or _OPENING.search(before):
        return True
    # In code: in a block that has not ended, or between backticks in its line.
    line = before.rpartition("\n")[2]
    return len(_FENCE.findall(before)) % 2 == 1 or line.count("`") % 2 == 1
