"""What a model thinks aloud: told apart from its answer, whole, letter by letter, and in every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.chat.reasoning import ReasoningSplitter
from tests.support.rows import each_row

HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>the answer<|return|>"
# What a reply is, its thoughts and its answer.
REPLIES: dict[str, tuple[str, str, str]] = {
    "no thought": ("the answer", "", "the answer"),
    "a thought": ("<think>hm</think>the answer", "hm", "the answer"),
    "with room around": ("\n<think>\nhm\n\n</think>\n\n the answer\n", "hm", "the answer\n"),
    "two thoughts": ("<think>hm</think> <think>yes</think>the answer", "hm\n\nyes", "the answer"),
    "an empty one": ("<think>\n\n</think>\n\nthe answer", "", "the answer"),
    "it does not end": ("<think>a < b </thin", "a < b </thin", ""),
    "signs in a thought": ("<think>a < b [c] </thin</think>the answer", "a < b [c] </thin", "the answer"),
    "in capitals": ("<THINK>hm</THINK>the answer", "hm", "the answer"),
    "<thinking>": ("<thinking>hm</thinking>the answer", "hm", "the answer"),
    "<thought>": ("<thought>hm</thought>\nthe answer", "hm", "the answer"),
    "<reasoning>": ("<reasoning>hm</reasoning>the answer", "hm", "the answer"),
    "<seed:think>": ("<seed:think>hm</seed:think>the answer", "hm", "the answer"),
    "with an attribute": ('<think time="3">hm</think>the answer', "hm", "the answer"),
    "with spaces in its tags": ("<think >hm</ think >the answer", "hm", "the answer"),
    "ended by another tag": ("<thinking>hm</think>the answer", "hm", "the answer"),
    "in other letters, its end in capitals": ("<think>é</THINK>the answer", "é", "the answer"),
    "its own tag in code": ("<think>write `</think>` here</think>the answer", "write `</think>` here", "the answer"),
    "its own tag in quotes": ('<think>write "</think>"</think>the answer', 'write "</think>"', "the answer"),
    "<thought_process>": ("<thought_process>hm</thought_process>the answer", "hm", "the answer"),
    "an answer between tags": ("<think>\nhm\n</think>\n<answer>\nthe answer</answer>", "hm", "the answer"),
    "an element of an answer, without a thought": ("<answer>x</answer>", "", "<answer>x</answer>"),
    "[THINK]": ("[THINK]hm[/THINK]the answer", "hm", "the answer"),
    "◁think▷": ("◁think▷hm◁/think▷the answer", "hm", "the answer"),
    "thinking and response": (
        "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>the answer<|END_RESPONSE|>",
        "hm",
        "the answer",
    ),
    "thought and solution": (
        "<|begin_of_thought|>\nhm\n<|end_of_thought|>\n\n<|begin_of_solution|>\nthe answer<|end_of_solution|>",
        "hm",
        "the answer",
    ),
    "a channel of Gemma": ("<|channel>thought\nhm<channel|>the answer", "hm", "the answer"),
    "harmony": (HARMONY, "hm", "the answer"),
    "harmony from its start": (f"<|start|>assistant{HARMONY}", "hm", "the answer"),
    "harmony without ends": (
        "<|channel|>analysis<|message|>hm<|channel|>final<|message|>the answer",
        "hm",
        "the answer",
    ),
    "harmony with a call": (
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.x "
        '<|constrain|>json<|message|>{"a": 1}<|call|>',
        'hm\n\n{"a": 1}',
        "",
    ),
    "harmony, the answer only": ("<|channel|>final<|message|>the answer", "", "the answer"),
    "harmony, cut in its header": ("<|channel|>analysis<|mess", "", "<|channel|>analysis<|mess"),
    "a tag later on": ("write `<think>x</think>`", "", "write `<think>x</think>`"),
    "tags that are spoken about": (
        "Put <think> before a thought and </think> after it.",
        "",
        "Put <think> before a thought and </think> after it.",
    ),
    "another tag": ("<thing>x</thing>", "", "<thing>x</thing>"),
    "a list": ("[1] is a source", "", "[1] is a source"),
    "a sign": ("< 5", "", "< 5"),
    "part of a tag": ("<thi", "", "<thi"),
    "nothing": ("", "", ""),
}
# The same where the thought is known by its end only: until then it is taken for the answer.
KNOWN_BY_THE_END: dict[str, tuple[str, str, str]] = {
    "on a line of its own": ("hm\n\n</think>\n\nthe answer", "hm", "the answer"),
    "in a line": ("hm</think>the answer", "hm", "the answer"),
    "after a space": ("hm </think>the answer", "hm", "the answer"),
    "at the end": ("hm\n</think>", "hm", ""),
    "another tag": ("hm</seed:think>the answer", "hm", "the answer"),
    "in brackets": ("hm[/THINK]the answer", "hm", "the answer"),
    "twice": ("hm</think>say </think> now", "hm", "say </think> now"),
    "after code": ("`x` and\n```\ny\n```\n</think>\nthe answer", "`x` and\n```\ny\n```", "the answer"),
    "Granite": ("Here is my thought process: hm\nHere is my response: the answer", "hm", "the answer"),
    "harmony without its tags": ("analysisWe need it.assistantfinalThe answer", "We need it.", "The answer"),
}
SPOKEN_ABOUT = [
    "The </think> tag ends a thought.",
    "It ends with `</think>` here.",
    'It ends with "</think>".',
    "So:\n```html\n</think>\n```\n",
    "So:\n```html\nhm</think>x",
    "The closing tag is </think>\nand then comes the answer.",
    "Here is my thought process:\n\n1. I read.",
    "First <think>, then x</think>y.",
    "analysis of the data",
]
ALL = {**REPLIES, **KNOWN_BY_THE_END, **{text: (text, "", text) for text in SPOKEN_ABOUT}}


def split_reasoning(text: str) -> tuple[str, str]:
    splitter = ReasoningSplitter()
    splitter.add(text)
    splitter.end()
    return splitter.split()


@each_row(("reply", "thoughts", "answer"), ALL.values(), ids=ALL)
def test_thoughts_are_told_apart(reply: str, thoughts: str, answer: str) -> None:
    assert split_reasoning(reply) == (thoughts, answer)


@each_row(("reply", "thoughts", "answer"), ALL.values(), ids=ALL)
@each_row("size", [1, 2, 5])
def test_they_are_told_apart_in_pieces_too(reply: str, thoughts: str, answer: str, size: int) -> None:
    splitter = ReasoningSplitter()
    given = "".join(splitter.add(reply[start : start + size]) for start in range(0, len(reply), size)) + splitter.end()
    assert splitter.split() == (thoughts, answer)
    # What was given as content is the content; of a thought that is known by its end, too much was given.
    assert given == (reply if splitter.split()[1] != given else answer)


@each_row(("reply", "thoughts", "answer"), REPLIES.values(), ids=REPLIES)
def test_what_is_shown_only_grows_and_no_part_of_a_tag_is_shown(reply: str, thoughts: str, answer: str) -> None:
    splitter = ReasoningSplitter()
    for sign in reply:
        splitter.add(sign)
        so_far = splitter.split()
        assert thoughts.startswith(so_far[0].strip())
        assert answer.startswith(so_far[1])


TEXTS = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<|channel|>",
            "analysis",
            "final",
            "<|message|>",
            "<|end|>",
            "[THINK]",
            "a ",
            "\n",
            "`",
        ]
    )
    | st.text(max_size=4),
    max_size=12,
)


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_thought_may_hold_another(size: int) -> None:
    text = "<think>a <think>b</think> c</think>the answer"
    splitter = ReasoningSplitter()
    for start in range(0, len(text), size):
        splitter.add(text[start : start + size])
    splitter.end()
    assert splitter.split() == ("a <think>b\n\nc", "the answer")


@given(TEXTS, st.integers(1, 9))
def test_any_text_is_split_alike_whole_and_in_pieces(texts: list[str], size: int) -> None:
    text = "".join(texts)
    splitter = ReasoningSplitter()
    for start in range(0, len(text), size):
        splitter.add(text[start : start + size])
    splitter.end()
    assert splitter.split() == split_reasoning(text)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_what_follows_the_end_of_an_answer_is_kept_however_it_comes(size: int) -> None:
    text = "<|begin_of_thought|>hm<|end_of_thought|><|begin_of_solution|>It is 4.<|end_of_solution|>\n\nP.S. more"
    splitter = ReasoningSplitter()
    for start in range(0, len(text), size):
        splitter.add(text[start : start + size])
    splitter.end()
    assert splitter.split() == ("hm", "It is 4.\n\nP.S. more")
