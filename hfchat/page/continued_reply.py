"""Continued reply: joins what a model said first and what it adds, without repeated words or a blank line. Pure.

Of the first part nothing is lost. What the model repeats of its end is cut out. Few models begin with a space: one is put between
two words where the first is a common one, and not the beginning of a longer one.
"""

import re

from hfchat.chat.token_bound import is_common_word

# To a model, as the last message; it is neither shown nor kept.
INSTRUCTION = (
    "Your last message was cut off. Continue it exactly where it ends, in the same language and format. If it ends within a "
    "word, write the rest of that word. Do not repeat any of it, do not comment, do not apologise: write only what comes next."
)
# How much of the end a model may repeat. It is looked for in the first characters of what it adds.
MAX_OVERLAP_CHARS = 2000
# A shorter repetition is often a coincidence, as "on" is.
MIN_OVERLAP_CHARS = 3
LONG_OVERLAP_CHARS = 12
# What is so near the end is held back while it may still be a repetition that grows.
HELD_CHARS = 400
_LAST_WORD = re.compile(r"(?<!\w)\w+\Z")
_FIRST_WORD = re.compile(r"\w+")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})", re.MULTILINE)
_OPENS_AGAIN = re.compile(r"\s*(?:`{3,}|~{3,})[\w+#.-]+[ \t]*\n")
_DOTS = re.compile(r"\s*(?:…|\.\.\.)(?=\s?\w)")
# With what a list, a heading, a quotation, a table or code begins.
_BLOCK = re.compile(r"#{1,6}\s|[-*+>|]|\d{1,9}[.)]\s|```|~~~")
# The mark of an item of a list, or of a row.
_ITEM = re.compile(r"[ \t]*(?:(\d{1,9}(?=[.)]\s)|[-*+](?=\s)|\|(?=.))[.)]?)")
_UNDER_TABLE_HEAD = re.compile(r"\|[:| \t]*+-[-:| \t]*+")
_WORD_CHAR = re.compile(r"\w")


class ContinuedReply:
    """The first part of a reply, and the whole with what is added."""

    def __init__(self, partial: str) -> None:
        self.partial = partial
        self._in_code = in_code(partial)
        self._table_head = "" if self._in_code else _table_head(partial)

    def joined(self, added: str, *, whole: bool = False) -> str:
        """The reply with what was added so far; until a word of that counts, as it was. `whole`: nothing more comes."""
        if not self.partial:
            return added
        if not added.strip():
            return self.partial
        head = added.strip()
        if not whole and len(head) <= HELD_CHARS and head in self.partial[-MAX_OVERLAP_CHARS:]:
            return self.partial
        if not whole and self._in_code and "\n" not in head and head.startswith(("`", "~")):
            return self.partial
        rest = self._without_repetition(added)
        if not rest.strip():
            return self.partial
        return self.partial + (self._line_end_before(rest) or self._space_before(rest)) + rest

    def _without_repetition(self, added: str) -> str:
        opens_again = _OPENS_AGAIN.match(added) if self._in_code else None
        rest = added[opens_again.end() :] if opens_again else added
        if opens_again and rest[:1] in (" ", "\t") and not self.partial.endswith("\n"):
            rest = f"\n{rest}"
        if not self._in_code and not self.partial.rstrip().endswith(("…", "...")):
            dots = _DOTS.match(rest)
            rest = rest[dots.end() :] if dots else rest
        rest = self._without_table_head(rest)
        end, stripped = self.partial.rstrip(), rest.lstrip()
        overlap = overlap_chars(end, stripped, new_word=rest[:1].isspace() or end != self.partial)
        if overlap:
            rest = stripped[overlap:]
            return rest.lstrip() if end != self.partial else rest
        if self.partial.endswith("\n"):
            return rest.lstrip("\n")  # the first line of code keeps its indent
        if self._keeps_line_end(rest):
            return rest
        in_sentence = bool(re.search(r"[\w,;]\Z|[ \t]\Z", self.partial)) and not self._in_code
        return rest.lstrip() if in_sentence and (rest[:1] == "\n" or self.partial[-1] in " \t") else rest

    def _keeps_line_end(self, rest: str) -> bool:
        """Whether a line ends where the parts meet: a single line break does, and any beside a block."""
        stripped = rest.lstrip()
        space = rest[: len(rest) - len(stripped)]
        if space[:1] == "\n" and (space.count("\n") == 1 or _BLOCK.match(self.partial.rpartition("\n")[2].lstrip())):
            return True
        return "\n" in space and _BLOCK.match(stripped) is not None

    def _without_table_head(self, rest: str) -> str:
        """The rows of a table without its first two lines, where a model begins the table anew."""
        head = self._table_head
        return rest.lstrip()[len(head) :] if head and rest.lstrip().startswith(head) else rest

    def _line_end_before(self, rest: str) -> str:
        """A line break where the next item of a list, or row of a table, begins tight behind the last one."""
        line = self.partial.rpartition("\n")[2]
        item, following = _ITEM.match(line), _ITEM.match(rest)
        if self._in_code or not item or not following:
            return ""
        number, next_number = item[1], following[1]
        counts = number.isdigit() and next_number.isdigit() and int(next_number) == int(number) + 1
        row = number == "|" and line.rstrip().endswith("|") and line.strip() != "|"
        return "\n" if counts or (number == next_number and not number.isdigit() and (number != "|" or row)) else ""

    def _space_before(self, rest: str) -> str:
        """A space where the words on both sides would be one."""
        before, after = self.partial[-1:], rest[0]
        if self._in_code or not before or not after.isalpha() or after >= "\u2e80":
            return ""
        if before in ",.;:!?)":
            return " "
        last, first = _LAST_WORD.search(self.partial[-MAX_OVERLAP_CHARS:]), _FIRST_WORD.match(rest)
        if last is None or first is None:
            return ""
        return " " if is_common_word(last[0]) and not is_common_word(last[0] + first[0]) else ""


def in_code(text: str) -> bool:
    """Whether the text ends inside of a fenced block of code."""
    fence = ""
    for mark in _FENCE.findall(text):
        if not fence:
            fence = mark
        elif mark.startswith(fence):
            fence = ""
    return bool(fence)


def _table_head(text: str) -> str:
    """The first two lines of the table that the text ends in, if it ends in one."""
    lines = text.removesuffix("\n").split("\n")
    first = len(lines)
    while first and lines[first - 1].startswith("|"):
        first -= 1
    head = lines[first : first + 2]
    return f"{head[0]}\n{head[1]}\n" if len(head) == 2 and _UNDER_TABLE_HEAD.fullmatch(head[1]) else ""


def overlap_chars(end: str, added: str, *, new_word: bool = False) -> int:
    """How many characters of `added` repeat the end of the other: whole words. `new_word`: `added` begins one."""
    for length in range(min(len(end), len(added), MAX_OVERLAP_CHARS), MIN_OVERLAP_CHARS - 1, -1):
        if end.endswith(added[:length]) and _counts(end, added, length, new_word):
            return length
    return 0


def _counts(end: str, added: str, length: int, new_word: bool) -> bool:
    if not _WORD_CHAR.search(added[:length]):
        return False
    if length >= LONG_OVERLAP_CHARS:
        return True
    begins = length == len(end) or _between(end[-length - 1], added[0])
    ends = length == len(added) or _between(added[length - 1], added[length])
    # Half a word at the end, which is written anew as a whole.
    half = not new_word and not is_common_word(added[:length])
    return begins and (ends or half)


def _between(before: str, after: str) -> bool:
    """Whether one word ends and another may begin here; of scripts without spaces, anywhere."""
    if ord(before) >= 0x2E80 or ord(after) >= 0x2E80:
        return True
    return not (_WORD_CHAR.match(before) and _WORD_CHAR.match(after))
