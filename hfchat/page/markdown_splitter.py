"""Markdown of a long reply, while it grows, in pieces that a browser draws one by one: to draw all of it at each step gets slow.

A piece ends where a block of Markdown ends, so that it looks the same alone. static/fences.js has the same rules for code. A list
that is parted, or a link whose address comes later, looks different only until the reply is whole and shown in one.
Pure; linear in what comes.
"""

import re

# A piece ends after so many characters, where it can: so much a browser draws in a few milliseconds.
PIECE_CHARS = 2000
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
# What a block of code is called that may have others in it.
_HOLDS = re.compile(r"(?:markdown|mdx?)\b.*|(?:te?xt|plain(?:text)?)?", re.IGNORECASE)


class MarkdownSplitter:
    """A text that grows. `done` are the pieces that stay as they are, `last` is what still grows."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.last = ""
        # Of `last`: where its last block begins, 0 where that is its first; where the line begins that is not whole yet, and
        # whether its beginning was looked at.
        self._block = self._line = 0
        self._line_begun = False
        # Whether there is text before that line, and after the beginning of the last block.
        self._text = self._text_of_block = False
        self._formula = self._blank = False
        # The fence of the block of code that is open, of the one that is open in it, and whether there may be one.
        self._fence, self._inner, self._holds = "", "", False
        # Whether nothing has come of the inner one yet.
        self._empty = False

    def add(self, text: str) -> None:
        """This came."""
        known_chars = len(self.last)
        # CPython extends a text in place where one local name alone holds it: else each addition would copy all of it.
        last, self.last = self.last, ""
        last += text
        self.last = last
        self._read_lines(known_chars)
        if len(self.last) > PIECE_CHARS and self._block:
            self.done.append(self.last[: self._block])
            self.last = self.last[self._block :]
            self._line -= self._block
            self._block, self._text = 0, self._text_of_block

    def whole(self) -> str:
        """All that came."""
        return "".join([*self.done, self.last])

    def _read_lines(self, known_chars: int) -> None:
        end = self.last.find("\n", known_chars) + 1
        while end:
            self._begin_line()
            self._read_line(self.last[self._line : end])
            self._line, self._line_begun = end, False
            end = self.last.find("\n", end) + 1
        if self._line < len(self.last):
            self._begin_line()

    def _begin_line(self) -> None:
        """A block that is not the first begins here, where what is before it is no part of it."""
        if self._line_begun:
            return
        self._line_begun = True
        inside = self._fence or self._formula or self.last[self._line].isspace()
        if self._blank and not inside and self._text:
            self._block, self._text_of_block = self._line, False

    def _read_line(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence is not None:
            self._read_fence(fence[1], fence[2].strip())
        elif self._fence:
            self._empty = False
        elif self._formula:
            self._formula = not ("$$" in line or "\\]" in line)
        else:
            self._formula = line.count("$$") % 2 == 1 or ("\\[" in line and "\\]" not in line)
        self._blank = not line.strip()
        if not self._blank:
            self._text = self._text_of_block = True

    def _read_fence(self, mark: str, language: str) -> None:
        if not self._fence:
            self._fence, self._holds = mark, _HOLDS.fullmatch(language) is not None
        elif self._inner:
            if mark.startswith(self._inner) and not language:
                # A block without a line in it is a beginning that is spoken of: this is the end of the one around it.
                self._inner, self._fence = "", "" if self._empty else self._fence
        elif mark.startswith(self._fence):
            if not language:
                self._fence = ""
            elif self._holds:
                self._inner = mark
        self._empty = bool(self._inner)
