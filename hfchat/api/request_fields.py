"""Allow-list of a chat completion's fields. Pure. What is not listed is refused: it could cost more than is reserved,
or take the owner's system prompt out of the request.

Left out on purpose: several replies by another name than `n` (`n_cmpl`, `best_of`, beams), other models or adapters, a
prompt or template beside `messages`, what cuts the beginning of a prompt, what the owner pays for besides tokens (web
search, stored or predicted output, priority), and what shows a prompt back (`prompt_logprobs`, `return_token_ids`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hfchat.errors import InvalidRequest, UnsupportedInput

MAX_PARAM_CHARS = 200
# What else might have been said in a token's place. OpenAI and vLLM give 20 at most, llama.cpp its whole vocabulary: 4 MB a
# token, which take 0.3 s to read.
MAX_ALTERNATIVES = 20
# A template writes some switches into the system message: a text of the caller's does not belong there.
WORD = re.compile(r"[A-Za-z0-9_.\-]{1,40}")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field may hold. `check` takes the value and its path, and raises where it is not of this kind."""

    check: Callable[[Any, str], None]
    schema: Mapping[str, Any]


def check_fields(value: Mapping[str, Any], kinds: Mapping[str, Kind], path: str = "") -> None:
    """Check every field of an object, of which `path` is the place with a dot. A null is as if the field were absent.

    Raises: UnsupportedInput for a field that is not listed; InvalidRequest for a value of another kind.
    """
    for name, held in value.items():
        if held is None:
            continue
        kind = kinds.get(name)
        if kind is None:
            raise UnsupportedInput("field_refused", param=(path + name)[:MAX_PARAM_CHARS])
        kind.check(held, path + name)


def _scalar(value: object, path: str) -> None:
    if isinstance(value, dict | list):
        raise InvalidRequest("scalar", param=path)


def _switch(value: object, path: str) -> None:
    _scalar(value, path)
    if isinstance(value, str) and not WORD.fullmatch(value):
        raise InvalidRequest("word", param=path)


def _number(value: object, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest("number", param=path)


def _alternatives(value: object, path: str) -> None:
    if value is False or value is True:
        return
    _number(value, path)
    if not 0 <= value <= MAX_ALTERNATIVES:  # type: ignore[operator]  # below zero is all of them
        reason, bound = ("at_least", 0) if value < 0 else ("at_most", MAX_ALTERNATIVES)  # type: ignore[operator]
        raise InvalidRequest(reason, params={"value": bound}, param=path)


def _scalars(value: object, path: str) -> None:
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        _scalar(item, f"{path}[{index}]")


def only(*values: object) -> Kind:
    """One of these values."""

    def check(value: object, path: str) -> None:
        # `1 == True` in Python: the types are compared too.
        if not any(value == allowed and type(value) is type(allowed) for allowed in values):
            listed = ", ".join(str(allowed).lower() for allowed in values)
            raise UnsupportedInput("one_of", params={"value": listed}, param=path)

    return Kind(check, {"enum": [*values, None]})


def an_object(kinds: Mapping[str, Kind]) -> Kind:
    """An object of these fields and no others. A null of another is taken out: a template would read it in the place of what the
    server gives by that name, such as `messages`.
    """

    def check(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidRequest("object", param=path)
        check_fields(value, kinds, f"{path}.")
        for name in [name for name in value if name not in kinds]:
            del value[name]

    properties = {name: kind.schema for name, kind in kinds.items()}
    return Kind(check, {"type": ["object", "null"], "properties": properties, "additionalProperties": False})


def list_of(kind: Kind) -> Kind:
    """A list of values of a kind."""

    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise InvalidRequest("list", param=path)
        for index, item in enumerate(value):
            kind.check(item, f"{path}[{index}]")

    return Kind(check, {"type": ["array", "null"], "items": {"allOf": [kind.schema, {"not": {"type": "null"}}]}})


_VALUE: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
SCALAR = Kind(_scalar, _VALUE)
SWITCH = Kind(_switch, {**_VALUE, "pattern": f"^{WORD.pattern}$"})
NUMBER = Kind(_number, {"type": ["number", "null"]})
ALTERNATIVES = Kind(_alternatives, {"type": ["number", "boolean", "null"], "minimum": 0, "maximum": MAX_ALTERNATIVES})
SCALARS = Kind(_scalars, {"type": [*_VALUE["type"], "array"], "items": _VALUE})
# A JSON Schema, a grammar as JSON, the caller's own labels: it passes as data, and each byte of it is counted.
DATA = Kind(lambda _value, _path: None, {})

# How much a model thinks. Numbers are cut to the reply's limit by `call_body`.
_THINKING = {
    "enable_thinking": SWITCH,  # Qwen, GLM, SmolLM templates; DashScope, SiliconFlow
    "thinking": SWITCH,  # DeepSeek, Granite, Kimi templates
    "thinking_budget": NUMBER,  # DashScope, SiliconFlow; Seed templates
    "thinking_mode": SWITCH,  # templates
    "reasoning_effort": SWITCH,  # OpenAI; gpt-oss template; Ollama
    "preserve_thinking": SWITCH,  # Qwen template
    "clear_thinking": SWITCH,  # GLM template
}
_TOOL = an_object(
    {
        "type": only("function", "custom"),  # those that a provider runs itself cost money, or fetch addresses
        "function": DATA,
        "custom": DATA,
        "strict": SCALAR,
        "cache_control": DATA,
    }
)

FIELDS: Mapping[str, Kind] = {
    # OpenAI
    "n": NUMBER,
    "temperature": SCALAR,
    "top_p": SCALAR,
    "stop": SCALARS,
    "seed": SCALAR,
    "frequency_penalty": SCALAR,
    "presence_penalty": SCALAR,
    "logit_bias": DATA,
    "logprobs": ALTERNATIVES,
    "top_logprobs": ALTERNATIVES,
    "tools": list_of(_TOOL),
    "tool_choice": DATA,
    "parallel_tool_calls": SCALAR,
    "functions": DATA,  # before `tools`
    "function_call": DATA,
    "response_format": an_object(
        {
            "type": SWITCH,
            "json_schema": DATA,
            "schema": DATA,  # llama.cpp, Together
            "value": DATA,  # TGI
            "grammar": DATA,  # Fireworks
            "structures": DATA,  # vLLM, with the next: structural tags
            "triggers": DATA,
            "format": DATA,
        }
    ),
    "stream_options": an_object(
        {"include_usage": SCALAR, "include_obfuscation": SCALAR, "continuous_usage_stats": SCALAR}  # the last: vLLM
    ),
    "user": SCALAR,
    "safety_identifier": SCALAR,
    "prompt_cache_key": SCALAR,
    "prompt_cache_retention": SWITCH,
    "metadata": DATA,
    "verbosity": SWITCH,
    "modalities": list_of(only("text")),  # sound costs more than its letters
    "service_tier": only("auto", "default", "flex", "on_demand"),  # others cost more
    "store": only(False),  # what is stored stays in the owner's account
    # Thinking
    **{name: kind for name, kind in _THINKING.items() if name != "thinking"},
    "thinking": an_object({"type": SWITCH, "budget_tokens": NUMBER, "clear_thinking": SWITCH}),  # DeepSeek, GLM, Kimi
    "reasoning": an_object(  # OpenRouter, Ollama
        {"effort": SWITCH, "max_tokens": NUMBER, "enabled": SWITCH, "exclude": SWITCH, "summary": SWITCH}
    ),
    "think": SWITCH,  # Ollama
    "thinking_token_budget": NUMBER,  # vLLM
    "thinking_budget_tokens": NUMBER,  # llama.cpp
    "include_reasoning": SWITCH,  # vLLM, Groq, OpenRouter
    "disable_reasoning": SWITCH,  # Cerebras
    "reasoning_format": SWITCH,  # llama.cpp, Groq
    "separate_reasoning": SWITCH,  # SGLang
    "stream_reasoning": SWITCH,  # SGLang
    "reasoning_split": SWITCH,  # MiniMax
    "chat_template_kwargs": an_object(_THINKING),  # vLLM, llama.cpp, SGLang
    # Sampling: all of vLLM, TGI, llama.cpp, Ollama and the router's providers know some of these
    "top_k": SCALAR,
    "min_p": SCALAR,
    "top_a": SCALAR,  # OpenRouter
    "typical_p": SCALAR,  # llama.cpp, TGI
    "repetition_penalty": SCALAR,  # vLLM, TGI, Together
    "length_penalty": SCALAR,  # vLLM
    "stop_token_ids": SCALARS,  # vLLM, SGLang
    "allowed_token_ids": SCALARS,  # vLLM
    "bad_words": SCALARS,  # vLLM
    "include_stop_str_in_output": SCALAR,  # vLLM
    "skip_special_tokens": SCALAR,  # vLLM, SGLang
    "spaces_between_special_tokens": SCALAR,  # vLLM
    "no_stop_trim": SCALAR,  # SGLang
    "do_sample": SCALAR,  # TGI
    "random_seed": SCALAR,  # Mistral
    "safe_prompt": only(False),  # Mistral: it would write before the owner's prompt
    # llama.cpp
    "repeat_penalty": SCALAR,  # Ollama too
    "repeat_last_n": SCALAR,  # Ollama too
    "penalize_nl": SCALAR,
    "tfs_z": SCALAR,
    "top_n_sigma": SCALAR,
    "dynatemp_range": SCALAR,
    "dynatemp_exponent": SCALAR,
    "mirostat": SCALAR,
    "mirostat_tau": SCALAR,
    "mirostat_eta": SCALAR,
    "dry_multiplier": SCALAR,
    "dry_base": SCALAR,
    "dry_allowed_length": SCALAR,
    "dry_penalty_last_n": SCALAR,
    "dry_sequence_breakers": SCALARS,
    "xtc_probability": SCALAR,
    "xtc_threshold": SCALAR,
    "adaptive_target": SCALAR,
    "adaptive_decay": SCALAR,
    "samplers": SCALARS,
    "min_keep": SCALAR,
    "n_probs": ALTERNATIVES,
    "post_sampling_probs": SCALAR,
    "cache_prompt": SCALAR,
    "timings_per_token": SCALAR,
    "return_progress": SCALAR,
    "parse_tool_calls": SCALAR,
    "grammar": SCALAR,
    "json_schema": DATA,
    "tool_stream": SWITCH,  # GLM
    "usage": an_object({"include": SWITCH}),  # OpenRouter
    # What is refused, at the value that says nothing: some clients write all that they know.
    "echo": only(False),
    "best_of": only(1),
    "use_beam_search": only(False),
    "ignore_eos": only(False),
    "min_tokens": only(0),
    "add_generation_prompt": only(True),
    "continue_final_message": only(False),
    # Forms of answer
    "structured_outputs": an_object(  # vLLM
        {
            **dict.fromkeys(("json", "choice", "structural_tag"), DATA),
            **dict.fromkeys(("regex", "grammar", "json_object", "whitespace_pattern"), SCALAR),
            **dict.fromkeys(("disable_any_whitespace", "disable_additional_properties"), SCALAR),
        }
    ),
    "guided_json": DATA,  # vLLM until 0.11, with the next
    "guided_choice": DATA,
    "guided_regex": SCALAR,
    "guided_grammar": SCALAR,
    "guided_whitespace_pattern": SCALAR,
    "structural_tag": DATA,
    "regex": SCALAR,  # SGLang, with the next
    "ebnf": SCALAR,
}
