"""Files with a question, long pastes, Continue, and printing, in a real Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from hfchat.errors import UpstreamInterrupted
from hfchat.i18n.sentences import CHAT, PICTURES
from hfchat.types import Finish, ModelFacts, Usage
from tests.conftest import RunningApp, make_settings, running, wait_until
from tests.page.test_pdf_text import pdf
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.scripted_upstream import ScriptedUpstream, echoed

SAYS = PICTURES["en"]
MODEL = "meta-llama/Llama-3.2-3B-Instruct"
FILES, TRAY, SHOWN = "#hfchat-picture-files", "#hfchat-tray button.hfchat-file", ".message.user a.hfchat-file"


@pytest.fixture(scope="module")
def module_upstream() -> ScriptedUpstream:
    return ScriptedUpstream([ModelFacts(MODEL, 1000, ("text",))])


@pytest.fixture(scope="module")
def app(module_upstream: ScriptedUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_MODELS="*"), module_upstream) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB", viewport={"width": 1100, "height": 760}) as visitor:
        visitor.sign_in().page.wait_for_selector("#hfchat-add-pictures")
        expect(visitor.page.locator("#hfchat-model input")).to_have_value("Llama-3.2-3B-Instruct")
        yield visitor
        assert visitor.complaints == []


def file(name: str, content: bytes) -> Any:
    return {"name": name, "mimeType": "", "buffer": content}


def ended(visit: Visit) -> None:
    expect(visit.page.locator(".message.bot").first).to_be_visible()
    expect(visit.page.locator(TURN)).to_be_enabled()
    wait_until(lambda: visit.page.locator("li.current").count() == 1)


def paste(visit: Visit, text: str) -> None:
    visit.page.evaluate(
        """(text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const box = document.querySelector("#hfchat-box textarea");
            box.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData }));
        }""",
        text,
    )


def test_files_go_as_text_and_stay_with_the_conversation(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    bad = file("tool.exe", b"MZ\0\0\1")
    page.set_input_files(
        FILES, [file("notes.md", "# Año\n```\nx\n```".encode("utf-16")), file("paper.pdf", pdf("From the paper")), bad]
    )
    expect(page.locator(TRAY)).to_have_count(2)
    expect(page.locator("#hfchat-tray [role=status]").first).to_have_text(SAYS["no_text"].format(name="tool.exe"))
    expect(page.locator(TRAY).first).to_contain_text("tokens")
    visit.ask("what is in it?")
    ended(visit)
    sent = "what is in it?\n\nnotes.md\n````\n# Año\n```\nx\n```\n````\n\npaper.pdf\n```\nFrom the paper\n```"
    assert upstream.calls[-1].messages[-1].payload()["content"] == sent
    expect(page.locator(SHOWN)).to_have_count(2)
    assert "From the paper" not in page.locator(".message.user").inner_text()
    page.reload()
    expect(page.locator(SHOWN)).to_have_count(2)
    page.locator(SHOWN).last.click()
    expect(page.locator("dialog pre")).to_have_text("From the paper")
    page.get_by_role("button", name=CHAT["en"]["close"]).click()
    page.get_by_label("Retry").last.click()
    wait_until(lambda: len(upstream.calls) == 2)
    assert upstream.calls[-1].messages[-1].payload()["content"] == sent
    ended(visit)
    page.get_by_label("Undo").last.click()
    expect(page.locator(TRAY)).to_have_count(2)
    expect(page.locator(BOX)).to_have_value("what is in it?")


def test_a_long_paste_is_a_file_that_is_weighed_and_can_go_back(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    paste(visit, "a line of words\n" * 20_000)
    expect(page.locator(TRAY)).to_contain_text("Pasted text, 20,000 lines")
    expect(page.locator("#hfchat-tray")).to_contain_text("more than Llama-3.2-3B-Instruct can read at once (1,000)")
    expect(page.locator(BOX)).to_have_value("")
    page.locator("#hfchat-tray li").get_by_label("Remove").click()
    expect(page.locator(TRAY)).to_have_count(0)
    paste(visit, "short\n" * 201)
    page.locator(TRAY).click()
    page.get_by_role("button", name=SAYS["put_back"]).click()
    expect(page.locator(BOX)).to_have_value("short\n" * 201)
    expect(page.locator(TRAY)).to_have_count(0)


def test_a_reply_that_was_cut_goes_on_as_one(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    upstream.script = lambda _: ["The cat sat ", "on the m", Finish(MODEL, "length", Usage(7, 5))]
    visit.ask("tell me")
    ended(visit)
    upstream.script = lambda _: ["on the ", "mat and", UpstreamInterrupted()]
    page.get_by_role("button", name=CHAT["en"]["continue"]).click()
    expect(page.locator(".message.bot").first).to_contain_text("The cat sat on the mat and ⚠️")
    ended(visit)
    assert [message.role for message in upstream.calls[-1].messages] == ["user", "assistant", "user"]
    upstream.script = lambda _: [" slept."]
    page.get_by_role("button", name=CHAT["en"]["continue"]).click()
    expect(page.get_by_role("button", name=CHAT["en"]["continue"])).to_have_count(0)
    expect(page.locator(".message.bot").first).to_contain_text("The cat sat on the mat and slept.")
    ended(visit)
    upstream.script = echoed
    visit.ask("and then?")
    wait_until(lambda: len(upstream.calls) == 4)
    talk = [(message.role, message.content) for message in upstream.calls[-1].messages]
    assert talk == [("user", "tell me"), ("assistant", "The cat sat on the mat and slept."), ("user", "and then?")]


def test_words_selected_while_a_reply_grows_stay_selected(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    upstream.script = lambda _: ["First of all.\n\n", *(part for n in range(40) for part in (f"Part {n}.\n\n", 0.05))]
    visit.ask("tell me")
    visit.wait_for("Part 3.")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.message.bot p'))")
    visit.wait_for("Part 39.")
    assert page.evaluate("getSelection().toString()").strip() == "First of all."


def test_all_of_a_conversation_is_printed(visit: Visit, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: ["\n\n".join(f"Line {n}" for n in range(300))]
    visit.ask("tell me")
    ended(visit)
    visit.page.emulate_media(media="print")
    box = visit.page.locator("#hfchat-conversation .bubble-wrap").evaluate(
        "(found) => [found.scrollHeight - found.clientHeight, document.documentElement.scrollHeight]"
    )
    assert box[0] <= 1
    assert box[1] > 5000
    expect(visit.page.locator("#hfchat-box")).to_be_hidden()
    expect(visit.page.locator("#hfchat-history")).to_be_hidden()
    assert visit.page.pdf().count(b"/Type /Page\n") > 4
