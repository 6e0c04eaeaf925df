"""Incomplete Markdown at the end of a streaming reply is held back: what it means depends on what follows.

Shown at once it would flash: a `-` as a list, or the line above it as a title, a `$` as the end of a formula, the first line of a
table as text. So it is shown with what comes next, and in any case when the reply is whole. Pure; reads the last lines only.
"""

import re

# Of marks within a line, as many as stand there.
_INLINE = "*_~`<[|$\\"
# A line with nothing but what may begin a block, or underline the line above it, or a number that may become one.
_BLOCK = re.compile(r"(?:[ \t]*>)*+[ \t]*+(?:(?:#{1,6}|[+*]|\d{1,9}[.)]?|[-=]+)[ \t]*+)?")
_UNDER_TABLE_HEAD = re.compile(r"[ \t]*+\|[-:| \t]*+")
# Longer lines are no marks; so wide a table's head is shown as it comes.
MAX_LINE_CHARS = 1000


def without_half_mark(text: str) -> str:
    """The text without the mark at its end that may be half of one."""
    shown = text.rstrip(_INLINE)
    line = _last_line(shown, len(shown))
    if len(line) <= MAX_LINE_CHARS and _BLOCK.fullmatch(line):
        shown = shown[: len(shown) - len(line)]
    return shown[: len(shown) - _half_table_chars(text, len(shown))] if "|" in text[-2 * MAX_LINE_CHARS :] else shown


def _half_table_chars(text: str, shown_chars: int) -> int:
    """How many of the signs shown are the first line of a table whose second line, which makes it one, has not come."""
    last = _last_line(text, len(text))
    begins = len(text) - len(last)
    above = _last_line(text, begins - 1) if begins else ""
    if _in_table(last) and not _in_table(above):
        head_begins = begins
    elif _in_table(above) and (not last.strip() or _UNDER_TABLE_HEAD.fullmatch(last)):
        head_begins = begins - 1 - len(above)
        if head_begins and _in_table(_last_line(text, head_begins - 1)):
            return 0
    else:
        return 0
    return max(shown_chars - head_begins, 0)


def _in_table(line: str) -> bool:
    return len(line) <= MAX_LINE_CHARS and line.lstrip(" ").startswith("|")


def _last_line(text: str, end: int) -> str:
    """The line that ends here, or so much of it that it is too long."""
    return text[max(text.rfind("\n", 0, end) + 1, end - MAX_LINE_CHARS - 1, 0) : end]
