"""Settings panel: model picker and chat settings, filled for each visitor and remembered in their browser."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from hfchat.chat.catalog import Catalog
from hfchat.i18n.amounts import spoken
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT
from hfchat.page.inputs import MAX_SYSTEM_CHARS
from hfchat.page.model_picker import ModelOption, about, label, named, picks, provider_label
from hfchat.page.pictures import takes_none
from hfchat.page.visitor import visitor_of
from hfchat.types import MODEL_ID, ModelFacts

# How many people's settings one browser remembers, and how much.
MAX_REMEMBERED = 8
MAX_REMEMBERED_CHARS = 400_000
_DEFAULTS: dict[str, Any] = {
    "model": None,
    "provider": None,
    "system_prompt": "",
    "temperature": None,
    "top_p": None,
    "max_tokens": None,
    "details": True,
}


@dataclass
class ChatSettings:
    """Gradio's components, in the order in which the page's function takes their values."""

    catalog: Catalog
    routed: bool
    i18n: Callable[[str], Any]
    model: gr.Dropdown = field(init=False)
    provider: gr.Dropdown = field(init=False)

    def header(self) -> None:
        """Put the model picker here."""
        self.model = gr.Dropdown(
            [],
            label=self.i18n("hfchat_model"),
            show_label=False,
            container=False,
            allow_custom_value=True,  # what is not listed is refused by the core, in words, and not by Gradio
            elem_id="hfchat-model",
            scale=0,
            min_width=0,
        )

    def panel(self) -> None:
        """Put the rest here, folded away."""
        with gr.Accordion(self.i18n("hfchat_settings"), open=False, elem_id="hfchat-settings"):
            self.facts = gr.Markdown(elem_id="hfchat-model-facts", latex_delimiters=[], visible=True)
            with gr.Row():
                self.provider = gr.Dropdown(
                    [],
                    label=self.i18n("hfchat_provider"),
                    info=self.i18n("hfchat_provider_info"),
                    allow_custom_value=True,
                    visible=False,
                    elem_id="hfchat-provider",
                )
                self.max_tokens = gr.Number(label=self.i18n("hfchat_max_tokens"), min_width=220)
                self.temperature = gr.Number(
                    label=self.i18n("hfchat_temperature"),
                    info=self.i18n("hfchat_temperature_info"),
                    step=0.1,
                    min_width=220,
                    elem_id="hfchat-temperature",
                )
                self.top_p = gr.Number(
                    label=self.i18n("hfchat_top_p"),
                    info=self.i18n("hfchat_top_p_info"),
                    step=0.05,
                    min_width=220,
                    elem_id="hfchat-top-p",
                )
            self.system_prompt = gr.Textbox(
                label=self.i18n("hfchat_system_prompt"),
                info=self.i18n("hfchat_system_prompt_info"),
                placeholder=self.i18n("hfchat_system_prompt_example"),
                lines=2,
                max_lines=8,
                max_length=MAX_SYSTEM_CHARS,
                elem_id="hfchat-system-prompt",
            )
            # Off until the page has opened: a program that calls the page's function gets the reply alone.
            self.details = gr.Checkbox(False, label=self.i18n("hfchat_details"), container=False)
            self.reset = gr.Button(self.i18n("hfchat_back_to_defaults"), size="sm", elem_id="hfchat-reset")
        # The secret keeps nothing secret: it must only be the same after a restart.
        self.remembered = gr.BrowserState("[]", storage_key="hfchat-settings", secret="hfchat-settings")  # noqa: S106

    @property
    def inputs(self) -> list[Any]:
        """What the page's function is handed beside the question."""
        return [
            self.model, self.provider, self.system_prompt, self.temperature, self.top_p, self.max_tokens, self.details,
        ]  # fmt: skip

    def connect(self, page: gr.Blocks, quiet: Mapping[str, Any]) -> None:
        """Fill the inputs when the page opens, and remember what is changed."""
        picked = [self.model, self.provider, self.facts]
        page.load(self._open, [self.remembered], [*self.inputs, self.facts], **quiet)
        self.reset.click(self._forget, [self.remembered], [self.remembered, *self.inputs, self.facts], **quiet)
        # What is changed while the last change is on its way counts, too: without this it is skipped.
        late: dict[str, Any] = {**quiet, "trigger_mode": "always_last"}
        gr.on([self.model.input, self.provider.input], self._pick, [self.model, self.provider], picked, **late).then(
            self._keep, [self.remembered, *self.inputs], [self.remembered], **late
        )
        changes = [part.blur for part in (self.system_prompt, self.temperature, self.top_p, self.max_tokens)]
        gr.on(
            [self.details.input, *changes],
            self._keep,
            [self.remembered, *self.inputs],
            [self.remembered],
            **late,
        )

    async def _open(self, remembered: object, request: gr.Request) -> list[Any]:
        mine = dict(_read(remembered)).get(_whose(request), {})
        return await self._filled({**_DEFAULTS, **{name: mine[name] for name in _DEFAULTS if name in mine}}, request)

    async def _forget(self, remembered: object, request: gr.Request) -> list[Any]:
        others = [entry for entry in _read(remembered) if entry[0] != _whose(request)]
        return [json.dumps(others), *await self._filled(_DEFAULTS, request)]

    async def _pick(self, model: object, provider: object, request: gr.Request) -> list[Any]:
        return await self._picked(model, provider, request)

    async def _keep(
        self,
        remembered: object,
        model: object,
        provider: object,
        system_prompt: object,
        temperature: object,
        top_p: object,
        max_tokens: object,
        details: object,
        request: gr.Request,
    ) -> str:
        values = (model, provider, system_prompt, temperature, top_p, max_tokens, details)
        whose = _whose(request)
        others = [entry for entry in _read(remembered) if entry[0] != whose]
        mine = dict(zip(_DEFAULTS, values, strict=True))
        entries_json = json.dumps([*others[1 - MAX_REMEMBERED :], [whose, mine]])
        return entries_json if len(entries_json) <= MAX_REMEMBERED_CHARS else json.dumps([[whose, mine]])

    async def _filled(self, mine: dict[str, Any], request: gr.Request) -> list[Any]:
        caller, _, language = visitor_of(request)
        policy = caller.policy
        lengths = spoken({"limit": policy.max_tokens, "default": policy.default_tokens}, language)
        model, provider, facts = await self._picked(mine["model"], mine["provider"], request)
        return [
            model,
            provider,
            mine["system_prompt"] if isinstance(mine["system_prompt"], str) else "",
            *(_number(mine[name]) for name in ("temperature", "top_p")),
            gr.Number(
                _number(mine["max_tokens"]),
                info=CHAT[language]["max_tokens_info"].format(**lengths),
            ),
            mine["details"] is not False,
            facts,
        ]

    async def _picked(self, model: object, provider: object, request: gr.Request) -> list[Any]:
        """The pickers with what this person may choose; what they may not, or no longer, is the default."""
        caller, _, language = visitor_of(request)
        options = picks(await self.catalog.offers(caller.policy), caller.policy, routed=self.routed)
        by_name = {pick.model: pick for pick in options}
        default = _split(caller.policy.default_model, self.routed)
        pick = by_name.get(model if isinstance(model, str) else "")
        if pick is None and not (isinstance(model, str) and model and caller.policy.models is None):
            pick, provider = by_name.get(default[0]), default[1]
        if pick is None:  # typed by hand, where any model may be named
            typed = str(model or default[0])
            listed = [(label(one, language), one.model) for one in options]
            typed_label = f"`{typed}`" if MODEL_ID.fullmatch(typed) else ""
            return [
                gr.Dropdown(listed, value=typed, elem_classes=[]),
                gr.Dropdown([], value="", visible=False),
                typed_label,
            ]
        chosen = provider if isinstance(provider, str) and provider in pick.providers else pick.providers[0]
        return [
            # The one that is chosen by its name alone, which fits on a phone; all that is known of it is in the settings.
            gr.Dropdown(
                [(one.name if one is pick else label(one, language), one.model) for one in options],
                value=pick.model,
                # The page's script says so beside pictures and files that are about to be sent.
                elem_classes=_marks(pick.offer.facts),
            ),
            gr.Dropdown(
                [(provider_label(one, language), one) for one in pick.providers],
                value=chosen,
                visible=len(pick.providers) > 1,
            ),
            _facts(pick, chosen, language),
        ]


def _marks(facts: ModelFacts | None) -> list[str]:
    """What the page's script is told of the picked model: that it takes no pictures, and how many tokens it reads at once."""
    context = facts.context_length if facts else None
    return [
        *(["hfchat-no-pictures"] if takes_none(facts) else []),
        *([f"hfchat-context-{context}"] if context else []),
    ]


def _facts(pick: ModelOption, provider: str, language: Language) -> str:
    return f"{about(pick, language)}".replace(pick.model, f"`{named(pick.model, provider)}`", 1)


def _split(name: str, routed: bool) -> tuple[str, str]:
    model, _, provider = name.partition(":")
    return (model, provider) if routed else (name, "")


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whose(request: gr.Request) -> str:
    return hashlib.sha256(visitor_of(request).person.encode()).hexdigest()[:24]


def _read(remembered: object) -> list[tuple[str, dict[str, Any]]]:
    """What the browser remembers, oldest first; what is not as it was written is forgotten."""
    try:
        entries = (
            json.loads(remembered) if isinstance(remembered, str) and len(remembered) <= MAX_REMEMBERED_CHARS else []
        )
    except (ValueError, RecursionError):
        return []
    entries = entries if isinstance(entries, list) else []
    return [
        (entry[0], entry[1])
        for entry in entries
        if isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and isinstance(entry[1], dict)
    ]
