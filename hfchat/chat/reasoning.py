"""Reasoning between tags, split from the answer while a reply streams, in the forms of many models. Pure.

Reasoning comes only at the beginning of a reply. A tag further on, or in code, is text of the answer. In one form the opening tag
is missing, because the model's prompt ended with it. There a closing tag alone ends the reasoning.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple


class _Form(NamedTuple):
    """`opening` and `closing` are whole tags; `half_opening` and `half_closing` are what may become one, at the end of a text.

    `answer`: it holds the answer; `after`: it counts after a thought only. `lone`: its closing tag alone ends a thought.
    """

    opening: re.Pattern[str]
    closing: re.Pattern[str]
    half_opening: re.Pattern[str]
    half_closing: re.Pattern[str]
    answer: bool = False
    after: bool = False
    lone: bool = True


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def _half(*tags: str) -> str:
    """A regular expression of all that one of the tags may begin with."""
    halves = []
    for tag in tags:
        half = ""
        for sign in reversed(tag[:-1]):
            half = re.escape(sign) + (f"(?:{half})?" if half else "")
        halves.append(half)
    return "|".join(halves)


def _form(opening: str, closing: str, *, answer: bool = False) -> _Form:
    half_opening, half_closing = (_pattern(rf"(?:{_half(tag)})\Z") for tag in (opening, closing))
    return _Form(_pattern(re.escape(opening)), _pattern(re.escape(closing)), half_opening, half_closing, answer)


def _element(name: str, *, answer: bool = False) -> _Form:
    """An element of HTML, with attributes or without. Models that begin one of a thought may end another."""
    names = name if answer else f"{name}|{'|'.join(_USUAL)}"
    return _Form(
        _pattern(rf"<{name}(?:\s[^<>]{{0,100}})?>"),
        _pattern(rf"</\s{{0,2}}(?:{names})\s{{0,2}}>"),
        _pattern(rf"(?:{_half(f'<{name}>')}|<{name}\s[^<>]{{0,100}})\Z"),
        _pattern(r"<(?:/\s{0,2}(?:[a-z_:]{1,20}\s{0,2})?)?\Z"),
        answer,
        after=answer,
    )


_USUAL = ("think", "thinking", "thought")
# Elements that hold a thought, in the templates and the training data of open models.
_ELEMENTS = (
    *_USUAL,
    *("thoughts", "reasoning", "reflection", "scratchpad", "seed:think"),
    *("thought_process", "inner_monologue", "internal_monologue", "inner_thoughts"),
)
# Elements that hold the answer after a thought (Hunyuan, and what was trained as DeepSeek R1 was).
_ANSWERS = ("answer", "response", "output", "final_answer")
# OpenAI's harmony: every channel but `final` is a thought, or a call of a tool. The tags that begin the next channel stay.
_CHANNEL = r"(?:<\|start\|>assistant[^<]{0,100})?<\|channel\|>\s*"
_HEADER = r"[^<]{0,100}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>"
_HARMONY_ENDS = ("<|end|>", "<|return|>", "<|call|>")
_HARMONY_NEXT = ("<|start|>", "<|channel|>")
_HALF_HARMONY = re.compile(rf"\A(?:{_half(*_HARMONY_NEXT)}|<\|(?:start|channel)\|>.{{0,400}})\Z", re.DOTALL)


def _harmony(opening: str, *ends: str, answer: bool = False) -> _Form:
    closing = re.compile("|".join(map(re.escape, ends)))
    return _Form(re.compile(opening), closing, _HALF_HARMONY, re.compile(rf"(?:{_half(*ends)})\Z"), answer, lone=False)


_FORMS = (
    *map(_element, _ELEMENTS),
    *(_element(name, answer=True) for name in _ANSWERS),
    _form("[THINK]", "[/THINK]"),  # Magistral
    _form("◁think▷", "◁/think▷"),  # Kimi
    _form("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    _form("<|START_RESPONSE|>", "<|END_RESPONSE|>", answer=True),
    _form("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    _form("<|begin_of_solution|>", "<|end_of_solution|>", answer=True),
    _form("<|channel>thought", "<channel|>"),  # Gemma
    _harmony(rf"{_CHANNEL}final{_HEADER}|<\|start\|>assistant\s*<\|message\|>", *_HARMONY_ENDS, answer=True),
    _harmony(rf"{_CHANNEL}(?!final)\w{_HEADER}", *_HARMONY_ENDS, *_HARMONY_NEXT),
)
_MAX_TAG_CHARS = 40
_SIGNS = "<[◁"
_PART_OF_CLOSING = re.compile(r"[<\[◁](?:/[a-zA-Z:_]{0,20})?\Z")

_LONE_CLOSING = _pattern("|".join(form.closing.pattern for form in _FORMS if form.lone and not form.answer))
_OPENING = _pattern("|".join((rf"<(?:{'|'.join(_ELEMENTS)})\b", r"\[THINK\]", "◁think▷")))
# A closing tag between words, or in quotes, is spoken about: "the </think> tag", "`</think>`".
_QUOTES = {"`": "`", '"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "(": ")"}
_AFTER_WORD = re.compile(r"[ \t]\Z")
_BEFORE_WORD = re.compile(r"[ \t.,;:!?)]")
_MID_SENTENCE = re.compile(r"\w[ \t]\Z")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
# What only its end shows to be a thought: harmony whose special tokens the server left out, and Granite.
_KNOWN_BY_END = (
    re.compile(r"\A\s*analysis(?=[A-Z\s])(.*?)assistantfinal", re.DOTALL),
    re.compile(r"\A\s*Here(?: is|'s) my thought process:(.*?)Here(?: is|'s) my response:", re.DOTALL),
)


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
        # A thought without an opening; or the rest of one in which another began.
        if self._answering and self._form is None and (not reasoning or _OPENING.search(reasoning)):
            more, content = _split_at_closing(content, whole=self._ended)
            reasoning = "\n\n".join(filter(None, (reasoning, more)))
        return reasoning, content

    def _read(self) -> str:
        while not self._answering:
            if self._form is not None:
                if not self._read_thought(self._form):
                    return ""
                continue
            text, thought = self._pending.lstrip(), any(self._thoughts)
            forms = [form for form in _FORMS if thought or not form.after]
            form, opening = _opening_of(text, forms)
            if form is not None and opening is not None:
                self._form, self._pending, self._answering = form, text[opening.end() :], form.answer
                self._thoughts.append("\n\n")
            elif not self._ended and _may_open(text, forms):
                return ""
            else:
                self._answering = True
                self._pending = text if thought else self._pending
        return self._read_answer()

    def _read_thought(self, form: _Form) -> bool:
        """Whether the thought has ended."""
        before = self._thoughts[-1][-1:]
        closing = _closing_in(self._pending, form.closing, before, whole=self._ended)
        if closing is None:
            held = "" if self._ended else _half_closing(form, self._pending, before)
            if text := self._pending.removesuffix(held):
                self._thoughts.append(text)
            self._pending = held
            self._answering = self._ended
            self._form = None if self._ended else form
            return self._ended
        self._thoughts.append(self._pending[: closing.start()].rstrip())
        self._pending = self._pending[closing.start() if closing[0] in _HARMONY_NEXT else closing.end() :]
        self._form = None
        return True

    def _read_answer(self) -> str:
        text, self._pending = self._pending, ""
        if self._form is not None:
            if not "".join(self._contents).strip():
                text = text.lstrip()
            closing = self._form.closing.search(text)
            if closing is not None:
                text, self._form = text[: closing.start()] + text[closing.end() :], None
                self._answering = True
            elif not self._ended and (held := _half_closing(self._form, text)):
                text, self._pending = text.removesuffix(held), held
        self._contents.append(text)
        return text


def _opening_of(text: str, forms: Sequence[_Form]) -> tuple[_Form | None, re.Match[str] | None]:
    if text[:1] and text[0] in _SIGNS:
        for form in forms:
            if (match := form.opening.match(text)) is not None:
                return form, match
    return None, None


def _may_open(text: str, forms: Sequence[_Form]) -> bool:
    """Whether it may yet become the opening of a form."""
    return not text or (text[0] in _SIGNS and any(form.half_opening.fullmatch(text) for form in forms))


def _closing_in(text: str, tag: re.Pattern[str], before: str, *, whole: bool) -> re.Match[str] | None:
    """The first of these tags that is not in quotes: "`</think>`". `before` is what stands in front of the text."""
    for closing in tag.finditer(text):
        quote = text[closing.start() - 1 : closing.start()] if closing.start() else before
        end = _QUOTES.get(quote)
        if end is None or (text[closing.end() : closing.end() + 1] != end and (whole or len(text) > closing.end())):
            return closing
    return None


def _half_closing(form: _Form, text: str, before: str = "") -> str:
    """The end of the text that may be the beginning of a closing tag, or one of which it is not known whether it is in quotes."""
    start = max(len(text) - _MAX_TAG_CHARS, 0)
    half = form.half_closing.search(text, start)
    if half is not None:
        return half[0]
    *_, last = (None, *form.closing.finditer(text, start))
    if last is None or last.end() < len(text):
        return ""
    return last[0] if (text[last.start() - 1 : last.start()] if last.start() else before) in _QUOTES else ""


def _split_at_closing(text: str, *, whole: bool) -> tuple[str, str]:
    """The reasoning and the content of a text that begins with a thought without an opening; most have none."""
    match = _LONE_CLOSING.search(text)
    if match is not None and not _is_spoken_about(text, match):
        return text[: match.start()].strip(), text[match.end() :].lstrip()
    for known in _KNOWN_BY_END:
        if (match := known.match(text)) is not None:
            return match[1].strip(), text[match.end() :].lstrip()
    return "", text if whole else _PART_OF_CLOSING.sub("", text)


def _is_spoken_about(text: str, closing: re.Match[str]) -> bool:
    before, after = text[: closing.start()], text[closing.end() :]
    between_words = _AFTER_WORD.search(before) is not None and _BEFORE_WORD.match(after) is not None
    between_words = between_words or (_MID_SENTENCE.search(before) is not None and after[:1].isspace())
    if between_words or before[-1:] in _QUOTES or _OPENING.search(before):
        return True
    # In code: in a block that has not ended, or between backticks in its line.
    line = before.rpartition("\n")[2]
    return len(_FENCE.findall(before)) % 2 == 1 or line.count("`") % 2 == 1
