"""Reasoning between `<think>` tags, split from the answer, also while a tag has come only in part."""

OPEN, CLOSE = "<think>", "</think>"


def split_reasoning(text: str, *, whole: bool) -> tuple[str, str]:
    """The thoughts and the answer of a reply, of which more comes unless it is `whole`.

    Only what a reply begins with is thought: further on, who writes the tag writes about it.
    """
    thoughts: list[str] = []
    rest = text.lstrip()
    while rest.startswith(OPEN):
        thought, closed, rest = rest.removeprefix(OPEN).partition(CLOSE)
        thoughts.append((thought if closed or whole else _without_part_of(CLOSE, thought)).strip())
        rest = rest.lstrip()
    if not whole and OPEN.startswith(rest):
        rest = text = ""
    return "\n\n".join(filter(None, thoughts)), rest if thoughts else text


def _without_part_of(tag: str, text: str) -> str:
    for length in range(len(tag) - 1, 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text
