"""Pictures in questions, in a real Chromium: how they get in, what the model is sent, and where they stay."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from hfchat.errors import UpstreamOverloaded
from hfchat.i18n.sentences import CHAT, HISTORY, PICTURES
from hfchat.types import Call, ModelFacts
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.page.browser.test_access import SERIOUS, axe
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.scripted_upstream import ScriptedUpstream, echoed

__all__ = ["axe"]  # a fixture

SAYS, LIST = PICTURES["en"], HISTORY["en"]
DEFAULT, BLIND = "meta-llama/Llama-3.2-3B-Instruct", "maker/reads-only"
MODELS = [ModelFacts(DEFAULT, None, ("text", "image")), ModelFacts(BLIND, None, ("text",))]
WIDE = {"width": 1100, "height": 760}
FILES, TRAY, SHOWN = "#hfchat-picture-files", "#hfchat-tray img", ".message.user .hfchat-picture img"
RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.fixture(scope="module")
def module_upstream() -> ScriptedUpstream:
    return ScriptedUpstream(MODELS)


@pytest.fixture(scope="module")
def app(module_upstream: ScriptedUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_MODELS="*"), module_upstream) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB", viewport=WIDE) as visitor:
        ready(visitor.sign_in())
        yield visitor
        assert visitor.complaints == []
        assert visitor.hosts == {app.url.removeprefix("http://")}


def ready(visit: Visit) -> None:
    visit.page.wait_for_selector("#hfchat-add-pictures")
    expect(visit.page.locator("#hfchat-model input")).to_have_value("Llama-3.2-3B-Instruct")


def drawing(
    colour: tuple[int, int, int] = RED, size: tuple[int, int] = (40, 30), form: str = "PNG", **more: Any
) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, form, **more)
    return written.getvalue()


def file(name: str = "photo.png", content: bytes | None = None) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": drawing() if content is None else content}


def choose(visit: Visit, *files: Any) -> None:
    before = visit.page.locator(TRAY).count()
    visit.page.set_input_files(FILES, list(files))
    expect(visit.page.locator(TRAY)).to_have_count(before + len(files))


def ask(visit: Visit, text: str) -> None:
    """Ask and wait until all of the turn is done and kept."""
    before = visit.page.locator(".message.user").count()
    visit.ask(text)
    expect(visit.page.locator(".message.user")).to_have_count(before + 1)
    expect(visit.page.locator(".message.bot")).to_have_count(before + 1)
    expect(visit.page.locator(TURN)).to_be_enabled()
    wait_until(lambda: visit.page.locator("li.current").count() == 1)


def parts(call: Call, place: int = -1) -> tuple[str, list[Image.Image]]:
    """A message that was sent: its text and its pictures, decoded."""
    content = call.messages[place].payload()["content"]
    if isinstance(content, str):
        return content, []
    text = "".join(part["text"] for part in content if part["type"] == "text")
    return text, [decoded(part["image_url"]["url"]) for part in content if part["type"] == "image_url"]


def decoded(data: str) -> Image.Image:
    head, _, written = data.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(written)))


def colour(picture: Image.Image) -> str:
    red, _, blue = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))  # type: ignore[misc]
    return "red" if red > blue else "blue"


def kept(page: Page) -> list[str]:
    """The ids of the pictures that the browser keeps, of everybody."""
    found: list[str] = page.evaluate(
        """async () => {
            const opening = indexedDB.open("hfchat");
            await new Promise((done) => { opening.onsuccess = done; });
            const asked = opening.result.transaction("pictures").objectStore("pictures").getAll();
            await new Promise((done) => { asked.onsuccess = done; });
            opening.result.close();
            return asked.result.map(({ picture }) => picture);
        }"""
    )
    return found


def test_a_chosen_picture_goes_to_the_model_small_and_without_what_the_camera_wrote(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    noise = Image.effect_noise((3000, 2000), 90).convert("RGB")
    written = io.BytesIO()
    noise.save(written, "JPEG", quality=98, exif=exif)
    assert len(written.getvalue()) > 4_000_000
    choose(visit, file("IMG [1](x) <b>.jpg", written.getvalue()))
    ask(visit, "what is this?")
    text, (picture,) = parts(upstream.calls[-1])
    assert text == "what is this?"
    assert max(picture.size) <= 1024
    assert picture.width * 2 == pytest.approx(picture.height * 3, rel=0.01)
    sent = json.dumps(upstream.calls[-1].messages[-1].payload())
    assert len(sent) < 400_000 * 4 // 3 + 300
    assert not picture.getexif()
    assert b"SECRETMAKER" not in base64.b64decode(sent.partition("base64,")[2].partition('"')[0])
    expect(visit.page.locator(SHOWN)).to_have_count(1)
    expect(visit.page.locator(TRAY)).to_have_count(0)
    expect(visit.page.locator(BOX)).to_have_value("")
    assert visit.page.locator("li .title").all_inner_texts() == ["what is this?"]


PASTE = """([name, type, data, kind]) => {
    const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, { type }));
    const options = { bubbles: true, cancelable: true };
    const on = kind === "paste" ? document.querySelector("#hfchat-box textarea") : document.querySelector("#hfchat-conversation");
    if (kind === "paste") on.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: carried }));
    else for (const one of kind.split(" ")) on.dispatchEvent(new DragEvent(one, { ...options, dataTransfer: carried }));
}"""


def bring(visit: Visit, kind: str, content: bytes, name: str = "brought.png") -> None:
    visit.page.evaluate(PASTE, [name, "image/png", base64.b64encode(content).decode(), kind])


def test_pictures_are_pasted_and_dropped_removed_and_sent_alone(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    bring(visit, "paste", drawing(RED))
    expect(page.locator(TRAY)).to_have_count(1)
    bring(visit, "dragenter dragover", drawing(BLUE))
    expect(page.locator("#hfchat-drop")).to_be_visible()
    bring(visit, "drop", drawing(BLUE), "blue.png")
    expect(page.locator("#hfchat-drop")).to_be_hidden()
    expect(page.locator(TRAY)).to_have_count(2)
    wait_until(lambda: len(kept(page)) == 2)
    page.get_by_role("button", name=SAYS["remove"].format(name="brought.png")).click()
    expect(page.locator(TRAY)).to_have_count(1)
    expect(page.locator(BOX)).to_be_focused()
    wait_until(lambda: len(kept(page)) == 1)
    page.click("#hfchat-box .submit-button")
    expect(page.locator(".message.bot").last).to_contain_text("blue.png")
    text, (picture,) = parts(upstream.calls[-1])
    assert (text, colour(picture)) == ("", "blue")
    expect(page.locator("li .title")).to_have_text("🖼 blue.png")


def test_what_is_no_picture_is_refused_and_the_rest_stays(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    page.fill(BOX, "half a thought")
    broken = file("broken.heic", b"no picture at all")
    page.set_input_files(FILES, [broken, *(file(f"{n}.png", drawing((n, 0, 0), (n + 9, 9))) for n in range(6))])
    said = page.locator("#hfchat-tray [role=status]").first
    expect(said).to_have_text(f"{SAYS['no_picture'].format(name='broken.heic')} {SAYS['many'].format(limit=4)}")
    expect(page.locator(TRAY)).to_have_count(4)
    expect(page.locator(BOX)).to_have_value("half a thought")
    page.keyboard.press("Enter")
    expect(page.locator(SHOWN)).to_have_count(4)
    wait_until(lambda: len(upstream.calls) == 1)
    text, pictures = parts(upstream.calls[-1])
    assert (text, len(pictures)) == ("half a thought", 4)


def test_it_is_there_after_a_reload_and_goes_along_with_the_next_question(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    choose(visit, file())
    ask(visit, "what is this?")
    choose(visit, file("unsent.png", drawing(BLUE)))
    visit.page.fill(BOX, "half a thought")
    visit.page.reload()
    expect(visit.page.locator(SHOWN)).to_have_count(1)
    expect(visit.page.locator(BOX)).to_have_value("half a thought")
    expect(visit.page.locator(TRAY)).to_have_attribute("alt", "unsent.png")
    ask(visit, "and this?")
    (earlier,), (now,) = (parts(upstream.calls[-1], place)[1] for place in (0, -1))
    assert (colour(earlier), colour(now)) == ("red", "blue")
    expect(visit.page.locator(SHOWN)).to_have_count(2)


def test_undo_and_retry_take_the_pictures_along(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    upstream.script = lambda _: ["half", UpstreamOverloaded()]
    choose(visit, file())
    ask(visit, "what is this?")
    upstream.script = echoed
    page.get_by_label("Retry").last.click()
    expect(page.locator(".message.bot").last).to_contain_text("what is this?")
    assert len(parts(upstream.calls[-1])[1]) == 1
    expect(page.locator(TURN)).to_be_enabled()
    page.get_by_label("Undo").last.click()
    expect(page.locator(TRAY)).to_have_count(1)
    expect(page.locator(BOX)).to_have_value("what is this?")
    expect(page.locator(".message.user")).to_have_count(0)
    page.reload()
    expect(page.locator(TRAY)).to_have_count(1)
    expect(page.locator(BOX)).to_have_value("what is this?")
    ask(visit, "what is it, then?")
    text, pictures = parts(upstream.calls[-1])
    assert (text, len(pictures)) == ("what is it, then?", 1)


def test_a_model_that_takes_none_is_not_asked_and_another_answers_the_same_question(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    page = visit.page
    pick(page, "reads-only")
    choose(visit, file())
    ask(visit, "what is this?")
    expect(page.locator(".message.bot").last).to_contain_text("does not take pictures")
    expect(page.locator(SHOWN)).to_have_count(1)
    assert upstream.calls == []
    page.get_by_role("button", name=CHAT["en"]["another_model"]).click()
    pick(page, "Llama")
    page.locator(".hfchat-do-retry").click()
    expect(page.locator(".message.bot").last).to_contain_text("what is this?")
    assert len(parts(upstream.calls[-1])[1]) == 1
    # What another saw is no hindrance to ask this one about something else.
    expect(page.locator(TURN)).to_be_enabled()
    pick(page, "reads-only")
    ask(visit, "and in words?")
    assert [parts(upstream.calls[-1], place) for place in (0, -1)] == [
        ("what is this?\n\n🖼 photo.png", []),
        ("and in words?", []),
    ]


def test_an_edited_question_keeps_its_picture(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    choose(visit, file())
    ask(visit, "what is this?")
    page.get_by_label("Edit").last.click()
    field = page.locator(".edit-textarea")
    expect(field).to_have_value("what is this?")
    expect(page.locator(".hfchat-editing img")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(SHOWN)).to_have_count(1)
    expect(page.locator(".hfchat-editing")).to_have_count(0)
    page.get_by_label("Edit").last.click()
    field.fill(f"who is this? {field.input_value()}")
    field.press("Control+Enter")
    wait_until(lambda: len(upstream.calls) == 2)
    text, pictures = parts(upstream.calls[-1])
    assert (text, len(pictures)) == ("who is this? what is this?", 1)
    expect(page.locator(SHOWN)).to_have_count(1)
    expect(page.locator(".hfchat-editing")).to_have_count(0)


def test_one_picture_is_taken_out_of_a_question_that_is_edited(visit: Visit, upstream: ScriptedUpstream) -> None:
    page, field = visit.page, visit.page.locator(".edit-textarea")
    choose(visit, file("red.png", drawing(RED)), file("blue.png", drawing(BLUE)))
    ask(visit, "what are these?")
    page.get_by_label("Edit").last.click()
    expect(page.locator(".hfchat-editing img")).to_have_count(2)
    page.get_by_role("button", name=SAYS["remove"].format(name="red.png")).click()
    expect(page.locator(".hfchat-editing img")).to_have_count(1)
    expect(field).to_be_focused()
    page.keyboard.press("Escape")  # it was not meant
    expect(page.locator(SHOWN)).to_have_count(2)
    page.get_by_label("Edit").last.click()
    page.get_by_role("button", name=SAYS["remove"].format(name="red.png")).click()
    field.press("Control+Enter")
    expect(page.locator(SHOWN)).to_have_count(1)
    wait_until(lambda: len(upstream.calls) == 2)
    text, (picture,) = parts(upstream.calls[-1])
    assert (text, colour(picture)) == ("what are these?", "blue")
    expect(page.locator(TURN)).to_be_enabled()
    page.get_by_label("Edit").last.click()
    page.get_by_role("button", name=SAYS["remove"].format(name="blue.png")).click()
    field.press("Control+Enter")
    wait_until(lambda: len(upstream.calls) == 3)
    assert parts(upstream.calls[-1]) == ("what are these?", [])
    expect(page.locator(SHOWN)).to_have_count(0)


def test_that_the_model_takes_none_is_said_before_they_are_sent(visit: Visit, upstream: ScriptedUpstream) -> None:
    page, said = visit.page, visit.page.locator("#hfchat-tray [role=status]").nth(1)
    pick(page, "reads-only")
    expect(said).to_be_empty()
    choose(visit, file())
    expect(said).to_have_text(SAYS["blind"].format(model="reads-only"))
    pick(page, "Llama")
    expect(said).to_be_empty()
    pick(page, "reads-only")
    expect(said).to_have_text(SAYS["blind"].format(model="reads-only"))
    page.get_by_role("button", name=SAYS["remove"].format(name="photo.png")).click()
    expect(said).to_be_empty()
    page.reload()
    expect(page.locator("#hfchat-model input")).to_have_value("reads-only")
    choose(visit, file())
    expect(said).to_have_text(SAYS["blind"].format(model="reads-only"))
    assert upstream.calls == []


def test_text_that_brings_a_picture_of_itself_is_pasted_as_text(visit: Visit, upstream: ScriptedUpstream) -> None:
    stopped = visit.page.evaluate(
        """() => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(9)], "table.png", { type: "image/png" }));
            carried.setData("text/plain", "a table");
            const paste = new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: carried });
            document.querySelector("#hfchat-box textarea").dispatchEvent(paste);
            return paste.defaultPrevented;
        }"""
    )
    assert not stopped
    expect(visit.page.locator("#hfchat-tray [role=status]").first).to_be_empty()


def test_what_is_sent_while_a_picture_is_still_drawn_waits_for_it(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    page.fill(BOX, "in a hurry")
    written = base64.b64encode(drawing(size=(5000, 5000))).decode()
    page.evaluate(PASTE, ["slow.png", "image/png", written, "paste"])
    page.keyboard.press("Enter")
    wait_until(lambda: len(upstream.calls) == 1)
    text, pictures = parts(upstream.calls[-1])
    assert (text, len(pictures)) == ("in a hurry", 1)


def pick(page: Page, name: str) -> None:
    page.click("#hfchat-model input")
    page.locator("#hfchat-model [role=option]", has_text=name).click()
    expect(page.locator("#hfchat-model input")).not_to_be_focused()


CLEARED = """async () => {
    const opening = indexedDB.open("hfchat");
    await new Promise((done) => { opening.onsuccess = done; });
    const change = opening.result.transaction("pictures", "readwrite");
    change.objectStore("pictures").clear();
    await new Promise((done) => { change.oncomplete = done; });
    opening.result.close();
}"""


def test_a_picture_that_is_gone_is_said(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    choose(visit, file("gone.png"))
    ask(visit, "what is this?")
    page.evaluate(CLEARED)
    page.reload()
    expect(page.locator(".message.user")).to_contain_text("gone.png")
    page.get_by_label("Retry").last.click()
    expect(page.locator(".message.bot").last).to_contain_text("not kept in this browser any more: add it again")
    assert len(upstream.calls) == 1
    expect(page.locator(TURN)).to_be_enabled()
    page.get_by_role("button", name=CHAT["en"]["back_to_question"]).click()
    expect(page.locator("#hfchat-tray [role=status]").first).to_have_text(SAYS["gone"].format(name="gone.png"))
    expect(page.locator(BOX)).to_have_value("what is this?")
    choose(visit, file("again.png"))
    ask(visit, "this:")
    assert len(parts(upstream.calls[-1])[1]) == 1


def test_what_is_deleted_is_gone_and_comes_back_when_that_is_undone(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    for question in ("one", "two"):
        page.get_by_role("button", name=LIST["new"], exact=True).first.click()
        expect(page.locator(".message.bot")).to_have_count(0)
        choose(visit, file(), file("blue.png", drawing(BLUE, (9, len(question) + ord(question[0])))))
        ask(visit, question)
    assert len(kept(page)) == 3  # the first is the same in both
    delete(page, "two")
    wait_until(lambda: len(kept(page)) == 2)
    page.get_by_role("button", name=LIST["undo"], exact=True).click()
    wait_until(lambda: len(kept(page)) == 3)
    expect(page.locator(SHOWN)).to_have_count(2)
    delete(page, "two")
    delete(page, "one")
    wait_until(lambda: kept(page) == [])


def delete(page: Page, title: str) -> None:
    actions = page.get_by_role("button", name=LIST["actions"].format(title=title))
    if actions.get_attribute("aria-expanded") == "false":
        actions.click()
    page.locator(".actions").get_by_role("button", name=LIST["delete"]).click()
    expect(page.locator("li .title", has_text=title)).to_have_count(0)


def test_an_export_has_them_and_an_import_brings_them_back_and_signing_out_leaves_none(
    visit: Visit, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    page = visit.page
    choose(visit, file())
    ask(visit, "what is this?")
    page.locator("#hfchat-history summary").click()
    written = {form: exported(page, LIST[f"as_{form}"]) for form in ("json", "markdown")}
    assert "🖼 photo.png" in written["markdown"]
    assert "#hfchat-image" not in written["markdown"]
    on_quota = json.loads(written["json"])
    (name,) = on_quota["pictures"]
    sign_out(visit)
    assert kept(page) == []
    visit.sign_in(make_token("bob"))
    ready(visit)
    on_quota["pictures"] |= {"f" * 32: "data:image/jpeg;base64,AAAA", "__proto__": "x"}
    (tmp_path / "talk.json").write_text(json.dumps(on_quota), "utf-8")
    page.locator("#hfchat-history input[type=file]").set_input_files(tmp_path / "talk.json")
    page.locator("li .title").click()
    expect(page.locator(SHOWN)).to_have_count(1)
    assert kept(page) == [name]
    ask(visit, "and now?")
    assert colour(parts(upstream.calls[-1], 0)[1][0]) == "red"


def exported(page: Page, name: str) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=name, exact=True).last.click()
    return Path(download.value.path()).read_text("utf-8")


def sign_out(visit: Visit) -> None:
    visit.page.locator("form[action='/logout'] button").dispatch_event("click")
    visit.page.get_by_role("button", name=LIST["sign_out_delete"]).click()
    visit.page.wait_for_url("**/login")


def test_an_imported_file_shows_only_what_is_a_picture(
    visit: Visit, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    asked = [f"[🖼 {n}](#hfchat-image-{f'{n}' * 32})" for n in range(4)]
    on_quota = {
        "format": "hfchat-conversations",
        "conversations": [
            {"messages": [{"role": "user", "content": "\n".join(asked)}, {"role": "assistant", "content": "x"}]}
        ],
        "pictures": {
            "0" * 32: "https://example.org/spy.png",
            "1" * 32: "data:image/svg+xml;base64,AAAA",
            "2" * 32: "data:image/png;base64," + "A" * 2_000_000,
            "3" * 32: ["data:image/png;base64,AAAA"],
        },
    }
    (tmp_path / "talk.json").write_text(json.dumps(on_quota), "utf-8")
    visit.page.locator("#hfchat-history input[type=file]").set_input_files(tmp_path / "talk.json")
    visit.page.locator("li .title").click()
    expect(visit.page.locator(".message.bot")).to_have_count(1)
    ask(visit, "go on")
    expect(visit.page.locator(SHOWN)).to_have_count(0)
    assert kept(visit.page) == []
    assert parts(upstream.calls[-1], 0) == ("\n".join(f"🖼 {n}" for n in range(4)), [])


# As a frame of another site, and a page that came without https, have it.
DENIED = """
Object.defineProperty(window, "indexedDB", { get() { throw new DOMException("denied", "SecurityError"); } });
Object.defineProperty(Crypto.prototype, "subtle", { get() {} });
"""


def test_a_session_that_ended_loses_no_picture(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    choose(visit, file())
    page.context.clear_cookies()
    visit.ask("what is this?")
    page.wait_for_selector("#hfchat-ended")
    expect(page.locator(TRAY)).to_have_count(1)
    expect(page.locator(BOX)).to_have_value("what is this?")
    visit.sign_in()
    expect(page.locator(TRAY)).to_have_count(1)
    ask(visit, "and now?")
    assert len(parts(upstream.calls[-1])[1]) == 1
    visit.complaints.clear()  # of the answer 401


def test_where_the_browser_keeps_nothing_they_are_sent_all_the_same(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream
) -> None:
    with visiting(browser, app, locale="en-GB", viewport=WIDE) as visit:
        visit.page.add_init_script(DENIED)
        ready(visit.sign_in())
        choose(visit, file())
        ask(visit, "what is this?")
        ask(visit, "and more?")
        assert len(parts(upstream.calls[-1], 0)[1]) == 1
        assert visit.complaints == []


LOOKS = {
    "dark, narrow, Spanish": (
        "es",
        {"locale": "es-ES", "color_scheme": "dark", "viewport": {"width": 320, "height": 640}},
    ),
    "light, wide, English": ("en", {"locale": "en-GB", "color_scheme": "light", "viewport": WIDE}),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_everybody_can_use_it_by_keyboard_and_nothing_serious_is_found(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream, axe: str, look: tuple[str, dict[str, Any]]
) -> None:
    language, options = look
    says = PICTURES["es" if language == "es" else "en"]
    with visiting(browser, app, **options) as visit:
        page = visit.page
        ready(visit.sign_in())

        def check() -> None:
            page.evaluate(axe)
            found: list[Any] = []
            for _ in range(5):
                found = page.evaluate(SERIOUS)
                if not found:
                    break
                page.wait_for_timeout(100)
            assert found == []
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

        page.focus(BOX)
        page.keyboard.press("Tab")
        add = page.get_by_role("button", name=says["add"])
        expect(add).to_be_focused()
        size = add.bounding_box()
        assert size
        assert min(size["width"], size["height"]) >= 44
        with page.expect_file_chooser() as chosen:
            add.press("Enter")  # Gradio may give the box the focus once more while the page begins
        chosen.value.set_files([file(f"{n}.png", drawing(RED, (9 + n, 9))) for n in range(4)])
        expect(page.locator(TRAY)).to_have_count(4)
        page.set_input_files(FILES, [file("x" * 70 + ".png", b"broken")])
        expect(page.get_by_label(says["to_send"])).to_be_visible()
        check()
        ask(visit, "hola")
        expect(page.locator(SHOWN)).to_have_count(4)
        check()
        page.locator(".hfchat-picture").first.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="0.png")).to_be_visible()
        check()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator(".hfchat-picture").first).to_be_focused()
        assert visit.complaints == []
