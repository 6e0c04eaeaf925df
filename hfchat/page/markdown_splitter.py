"""A long reply, while it grows, in pieces that a browser draws one by one: drawing all of it anew at each step gets slow. Pure.

A piece ends where a block of markdown ends, so that it looks the same alone. What looks different, a list that is parted
or a link whose address comes later, does so only until the reply is whole and shown in one.
"""

import re

# A piece ends after so many signs, where it can: so much a browser draws in a few milliseconds.
PIECE_CHARS = 2000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class Pieces:
    """A text that grows. `done` are the pieces that stay as they are, `last` is what still grows."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.last = ""

    def add(self, text: str) -> None:
        """This came."""
        self.last += text
        if len(self.last) > PIECE_CHARS and (end := _end_of_a_piece(self.last)):
            self.done.append(self.last[:end])
            self.last = self.last[end:]

    def whole(self) -> str:
        """All that came."""
        return "".join([*self.done, self.last])


def _end_of_a_piece(text: str) -> int:
    """The place of the last block that is not the first, where what is before it is no part of it; or 0."""
    end = place = 0
    fence, formula, blank = "", False, False
    for line in text.splitlines(keepends=True):
        if blank and not fence and not formula and not line[0].isspace() and text[:place].strip():
            end = place
        opened = _FENCE.match(line)
        if fence:
            closes = opened is not None and opened[1].startswith(fence) and not line[opened.end() :].strip()
            fence = "" if closes else fence
        elif opened is not None:
            fence = opened[1]
        elif formula:
            formula = not ("$$" in line or "\\]" in line)
        else:
            formula = line.count("$$") % 2 == 1 or ("\\[" in line and "\\]" not in line)
        blank = not line.strip()
        place += len(line)
    return end
