"""What a failed turn offers, by whose account is at fault; and who pays, in the header."""

from types import SimpleNamespace
from typing import Any

import pytest

from hfchat.errors import BudgetExceeded, HfchatError, RateLimitExceeded, catalogue
from hfchat.i18n.errors import CREDITS_PAGE, PROVIDERS_PAGE
from hfchat.i18n.language import LANGUAGES
from hfchat.i18n.sentences import CHAT, PAGE
from hfchat.ledger.meters import Counters
from hfchat.ledger.quota import Quota
from hfchat.page.header import account_menu, remaining_html
from hfchat.page.notices import notice, sources_note
from hfchat.types import Caller, HubAccount, Policy, Source
from tests.support.rows import each_row

POLICY = Policy("m", None)
OWN_PAGES = {
    "credits_exhausted": CREDITS_PAGE,
    "hf_token_invalid": 'href="/login/huggingface" target="_blank"',
    "hf_token_forbidden": 'href="/login/huggingface" target="_blank"',
    "model_gated": "https://huggingface.co/a/b",
    "model_not_supported": PROVIDERS_PAGE,
}
ALLOWANCES = {
    "the budget": (BudgetExceeded("budget_used", params={"limit": 1, "window": "day"}), True),
    "the owner's credit": (catalogue()["credits_exhausted"](), True),
    "the rate": (RateLimitExceeded("rate_used", params={"limit": 1, "window": "day"}), False),
    "a slow model": (catalogue()["upstream_timeout"](), False),
}


def said(error: HfchatError, language: str = "en", **more: bool) -> str:
    return str(notice(error, language, "r1", to_owner=False, **more)["content"])


@pytest.mark.parametrize(("error", "offered"), ALLOWANCES.values(), ids=ALLOWANCES)
def test_a_member_is_offered_their_own_credit_where_it_helps(error: HfchatError, offered: bool) -> None:
    assert ("hfchat-do-own_credit" in said(error, may_pay=True)) is offered
    assert "own_credit" not in said(error)


@pytest.mark.parametrize(("code", "page"), OWN_PAGES.items(), ids=OWN_PAGES)
def test_who_pays_for_themself_is_led_to_where_they_mend_it(code: str, page: str) -> None:
    error, owners = (catalogue()[code](model="a/b:novita") for _ in range(2))
    error.blame_payer()
    assert page in said(error)
    assert page not in said(owners)
    for language in LANGUAGES[:2]:
        assert "{" not in said(error, language)


@pytest.mark.parametrize(
    "words", ["'temperature' does not support 0.5", "top_p is deprecated", "max_tokens must be at most 512"]
)
def test_a_provider_that_refuses_a_setting_leads_to_the_settings(words: str) -> None:
    error = catalogue()["upstream_rejected"](provider_message=words)
    assert "hfchat-do-choose_settings" in said(error)
    assert "choose_settings" not in said(catalogue()["upstream_rejected"](provider_message="no"))


def test_the_number_of_a_request_has_the_colon_of_its_language() -> None:
    error = catalogue()["upstream_timeout"]
    assert "<small>Request id: r1</small>" in said(error())
    assert "<small>Numéro de la requête\u00a0: r1</small>" in said(error(), "fr")
    assert "<small>请求编号：r1</small>" in said(error(), "zh")


def visit(account: HubAccount | None, language: str = "en") -> Any:
    caller = Caller("hf:1", "j1", 2**40, POLICY, account=account)
    state = SimpleNamespace(caller=caller, quota=Quota(POLICY, Counters((), 0), 0))
    return SimpleNamespace(request=SimpleNamespace(state=state), headers={"accept-language": language})


PAYERS: dict[str, tuple[HubAccount | None, str | None, str | None]] = {
    "who was invited": (None, None, None),
    "a guest": (HubAccount("alice"), "pays_self", None),
    "a member": (HubAccount("alice", "acme", own_credit=False, may_choose=True), "pays_owner", "own_credit"),
    "a member who pays": (HubAccount("alice", "acme", own_credit=True, may_choose=True), "pays_self", "owner_credit"),
    "a member where only the owner pays": (HubAccount("alice", "acme", own_credit=False), "pays_owner", None),
}


@each_row("language", LANGUAGES[:2])
@each_row(("account", "payer", "act"), PAYERS.values(), ids=PAYERS)
def test_who_pays_is_always_in_sight(
    account: HubAccount | None, payer: str | None, act: str | None, language: str
) -> None:
    menu, in_sight = remaining_html(visit(account, language))
    for key in ("pays_self", "pays_owner"):
        assert (PAGE[language][key] in in_sight) is (f"<p>{PAGE[language][key]}</p>" in menu) is (key == payer)
    for key in ("own_credit", "owner_credit"):
        assert (f'data-do="{key}">{CHAT[language][key]}' in menu) is (key == act)
    assert (CREDITS_PAGE in menu) is (payer == "pays_self")


def test_the_menu_names_a_person_by_what_people_call_them() -> None:
    menu = account_menu(visit(HubAccount("<b>alice</b>")))
    assert "&lt;b&gt;alice" in menu
    assert "hf:1" not in menu


@pytest.mark.parametrize("address", ["https://[foo/bar", "https://example.com\u2100/x"])
def test_a_source_with_a_malformed_address_is_its_title_without_a_link(address: str) -> None:
    text = sources_note([Source(url=address, title="A page")], "en")["content"]
    assert text.endswith("1. A page")
