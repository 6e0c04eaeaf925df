"""Sentences about the end of a reply: that it is not whole, or has nothing to read, and why."""

import re
from collections.abc import Sequence

from hfchat.i18n.language import Language
from hfchat.i18n.sentences import PAGE

# What a function may be called, at OpenAI's API. Another name is not shown.
_TOOL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_TOOLS = 5


def ending(finish_reason: str, tools: Sequence[str], language: Language, *, empty: bool) -> str:
    """The sentence, as Markdown; empty where the reply says enough. `empty`: nothing of it can be seen, whatever it costs."""
    texts = PAGE[language]
    if finish_reason == "content_filter":
        return texts["cut_by_filter"]
    if empty and (tools or finish_reason in ("tool_calls", "function_call")):
        names = ", ".join(f"`{tool}`" for tool in tools[:MAX_TOOLS] if _TOOL.fullmatch(tool))
        return texts["wants_tool_named"].format(tools=names) if names else texts["wants_tool"]
    if empty:
        return texts["said_nothing"]
    return texts["cut_at_limit"] if finish_reason == "length" else ""
