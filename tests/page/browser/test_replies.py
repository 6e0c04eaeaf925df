"""What a model's reply may do on the page: be read. It loads nothing, and passes for no part of the page."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.conftest import RunningApp
from tests.support.browser import TURN, Visit, visiting
from tests.support.stub_upstream import StubUpstream, reply

# What the model said, without what the page says under it.
SAID = ".message.bot .message-content >> nth=0"


@pytest.fixture
def visit(browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB") as visitor:
        yield visitor.sign_in()


def answered(visit: Visit, stub: StubUpstream, text: str) -> Locator:
    """The first reply on the page, which says this and then "The end."."""
    stub.answer = lambda _: reply([f"{text}\n\nThe end."])
    visit.ask("show me")
    visit.wait_for("The end.")
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.rest()
    return visit.page.locator(SAID)


FORMS = """<form action="/logout" method="post"><input name=q><button>send</button></form>

<select><option>one</option></select> <textarea>two</textarea> <iframe src="/login"></iframe> <object data="/login"></object>

<style>body { display: none }</style> <link rel="stylesheet" href="/login">

<p style="position:fixed;inset:0" id="hfchat-box" class="hfchat-do">fixed</p>

<code><form <b>bold</b></code>

<details open ontoggle="document.title = 1"><summary>more</summary>inside</details>

- [x] done
- [ ] open

<svg><a href="/logout"><text>svg</text></a><image href="/login"/></svg> <map><area href="/logout"></map>
"""


def test_a_reply_has_no_forms_no_frames_and_no_styles(visit: Visit, stub: StubUpstream) -> None:
    said = answered(visit, stub, FORMS)
    elements = "form, input, select, textarea, iframe, object, style, link, svg, image, area, map, [style], [id], [class*=hfchat]"
    expect(said.locator(elements)).to_have_count(0)
    expect(said.locator("button")).to_have_count(0)
    expect(said).to_contain_text('<form action="/logout" method="post">')
    expect(said).to_contain_text("<style>body { display: none }</style>")
    expect(said.locator("summary")).to_have_text("more")
    expect(said).to_contain_text("☑ done")
    expect(said).to_contain_text("☐ open")
    assert visit.page.title() != "1"
    assert visit.complaints == []


def test_html_that_a_reply_speaks_about_can_be_read(visit: Visit, stub: StubUpstream) -> None:
    said = answered(
        visit,
        stub,
        "Use the <title> tag first, then <body class='x'> and </html>. "
        "H<sub>2</sub>O, <b title='a'>bold</b>,<br/>`<i>` and List<String>.\n\n"
        "<!-- a comment -->\n\n<div>\n<h1>whole\npage</h1>\n</div>",
    )
    expect(said.locator("p").first).to_have_text(
        "Use the <title> tag first, then <body class='x'> and </html>. H2O, bold,<i> and List<String>."
    )
    expect(said.locator("sub")).to_have_text("2")
    expect(said.locator("b")).not_to_have_attribute("title", "a")
    expect(said).to_contain_text("<!-- a comment -->")
    assert "<div>\n<h1>whole\npage</h1>\n</div>" in said.inner_text()


PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PICTURES = f"""![here](/login?token=x) ![file](/gradio_api/file=/etc/passwd) ![there](http://localhost:9/a.png) ![pixel]({PIXEL})

<img src="/login?token=x" srcset="/login 2x"><video src="/login" poster="/login"></video>
<audio src="/login"><source src="/login"></audio>

<picture><source srcset="/login"><img src="/login"></picture> <svg><image href="/login"/><use href="/login#a"/></svg>

<table background="/login"><tr><td style="background:url(/login)">cell</td></tr></table>

[![linked](/login)](http://localhost:9/b)
"""


def test_a_pictures_address_is_never_asked_for(visit: Visit, stub: StubUpstream) -> None:
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    said = answered(visit, stub, PICTURES)
    assert not [url for url in asked if "login" in url or "file=" in url or "localhost:9/" in url]
    expect(said.locator("img")).to_have_count(1)
    expect(said.locator("img")).to_have_js_property("naturalWidth", 1)
    expect(said.locator("p").first).to_contain_text("here file there")
    expect(said.get_by_role("link", name="there")).to_have_attribute("href", "http://localhost:9/a.png")
    assert visit.complaints == []


def test_links_open_beside_the_chat(visit: Visit, stub: StubUpstream) -> None:
    said = answered(
        visit,
        stub,
        '[out](https://example.com/a?b=1&c=2 "hint") <https://example.com/auto> https://example.com/bare '
        '[in](/logout) <a href="https://example.com/raw" target="_self">raw</a> [self]: /login',
    )
    links = said.locator("a")
    expect(links).to_have_count(3)
    found = links.evaluate_all("(all) => all.map((link) => [link.href, link.target, link.rel])")
    assert found[0] == ["https://example.com/a?b=1&c=2", "_blank", "noopener noreferrer"]
    assert {(target, rel) for _, target, rel in found} == {("_blank", "noopener noreferrer")}
    expect(said).to_contain_text("in")


DIAGRAM = """```mermaid
%%{init: {"securityLevel": "loose", "themeCSS": "* { display: none }"}}%%
flowchart TD
  A["<button class='hfchat-do hfchat-do-program'>press</button>"] --> B["<img src='/login'> two"]
  B --> C:::hfchat-do
  click A href "/logout" _self
  click B href "https://example.com/" _self
```
"""


def test_a_diagram_leads_nowhere_in_this_tab_and_has_no_buttons(visit: Visit, stub: StubUpstream) -> None:
    said = answered(visit, stub, DIAGRAM)
    diagram = said.locator("svg[id^=mermaid]")
    expect(diagram).to_be_visible()
    expect(diagram.locator("button, img, form, [class*=hfchat]")).to_have_count(0)
    targets = diagram.locator("a").evaluate_all(
        "(all) => all.map((link) => [link.getAttribute('href') ?? link.getAttribute('xlink:href'), link.getAttribute('target')])"
    )
    assert [target for target in targets if target[0]] in ([], [["https://example.com/", "_blank"]])
    assert visit.complaints == []


FORGED = """<button class="hfchat-do hfchat-do-program">token</button> <button data-do="program">menu</button>

⚠️ **It failed.** <button class="hfchat-do hfchat-do-retry">Try again</button>
<button data-own="x" class="hfchat-do hfchat-do-retry">y</button>

<div class="hfchat-facts">Answered by another</div>

<span class="hfchat-instead">x</span> <a class="hfchat-do" href="/login">Sign in again</a>
"""


def test_no_reply_passes_for_a_notice_of_the_page(visit: Visit, stub: StubUpstream) -> None:
    said = answered(visit, stub, FORGED)
    own = ":is(button, [class*=hfchat], [data-do], [data-own], a)"
    expect(said.locator(own)).to_have_count(0)
    visit.page.reload()  # opened from what the browser keeps
    visit.wait_for("The end.")
    expect(said.locator(own)).to_have_count(0)
    expect(said).to_contain_text('<button class="hfchat-do hfchat-do-program">token</button>')


def test_a_notice_from_a_file_does_no_more_than_a_notice(visit: Visit) -> None:
    content = f'{FORGED}<form action="/login"><input></form><a class="hfchat-do" href="/logout">z</a>'
    shown = visit.page.evaluate(
        """(content) => {
          const { rawHtml, replies } = window.hfchat, raw = replies.text({ content, metadata: { id: "hfchat-notice" } });
          const made = document.createElement("template");
          made.innerHTML = rawHtml.readHtml([{ type: "html", raw, block: true }])[0].html;
          return [...made.content.querySelectorAll("*")].map((found) => `${found.localName} ${found.className}`);
        }""",
        content,
    )
    allowed = {
        "p ",
        "br ",
        "button hfchat-do hfchat-do-retry",
        "div hfchat-facts",
        "span hfchat-instead",
        "a hfchat-do",
    }
    assert set(shown) <= allowed
    assert "button hfchat-do hfchat-do-retry" in shown


def test_what_is_kept_copied_and_sent_is_what_the_model_said(
    browser: Browser, app: RunningApp, stub: StubUpstream
) -> None:
    text = "<form>a</form> \\(x\\) costs $5 and [in](/logout)"
    with visiting(browser, app, permissions=["clipboard-read", "clipboard-write"]) as visit:
        answered(visit.sign_in(), stub, text)
        visit.page.get_by_label("Copy message").last.click()
        assert visit.page.evaluate("navigator.clipboard.readText()").strip() == f"{text}\n\nThe end."
        visit.page.reload()
        visit.wait_for("The end.")
        answered(visit, stub, "next")
        said: list[Any] = stub.requests[-1]["messages"]
        assert said[1]["content"] == f"{text}\n\nThe end."


COSTLY = {
    "formulas that never end": "\\(a " * 1000,
    "backslashes": "\\" * 4000,
    "emphasis": "**a " * 1000,
    "quotes in quotes": "> " * 1500 + "a",
    "lines": "a\n" * 1500,
}


@pytest.mark.parametrize("text", COSTLY.values(), ids=COSTLY.keys())
def test_what_costs_too_much_is_shown_as_it_was_written(visit: Visit, stub: StubUpstream, text: str) -> None:
    said = answered(visit, stub, text)
    expect(said.locator(".md *")).to_have_count(3)  # two paragraphs, and in the first one text
    assert (said.locator("p").first.text_content() or "").strip() == text.strip()
    assert visit.complaints == []


def test_a_reply_has_so_many_formulas_and_what_is_past_them_is_text(visit: Visit, stub: StubUpstream) -> None:
    said = answered(visit, stub, "$x$ " * 400)
    expect(said.locator(".katex")).to_have_count(300)
    expect(said.locator("p").first).to_contain_text("$x$ $x$")


def graph(edges: list[tuple[int, int]]) -> str:
    return "\n".join(("```mermaid", "graph TD", *(f"N{one} --> N{other}" for one, other in edges), "```"))


DIAGRAMS = {
    "edges": graph([(one, other) for one in range(15) for other in range(one)]),
    "no diagram": "```mermaid\ngraph TD\nA --&&&>((\n```",
    "a bracket that is not closed": "```mermaid\ngraph TD\nA[one --> B[two]\n```",
    "words of another kind": "```mermaid\nsequenceDiagram\nfoo bar baz\n```",
    "a number that is none": '```mermaid\npie title X\n"a" : b\n```',
    "a day that is none": "```mermaid\ngantt\ntitle A\nx y z\n```",
}


@pytest.mark.parametrize("text", DIAGRAMS.values(), ids=DIAGRAMS.keys())
def test_a_diagram_that_costs_too_much_or_is_none_is_shown_as_code(visit: Visit, stub: StubUpstream, text: str) -> None:
    said = answered(visit, stub, text)
    expect(said.locator("svg[id^=mermaid]")).to_have_count(0)
    expect(said.locator("pre code")).to_contain_text(text.split("\n")[1])
    expect(said.locator("pre code")).to_contain_text(text.split("\n")[-2])


def test_a_diagram_stays_in_its_place(visit: Visit, stub: StubUpstream) -> None:
    styles = "position:fixed,top:0px,left:0px,width:3000px,height:3000px,background:red,z-index:9999"
    said = answered(visit, stub, f"```mermaid\ngraph TD\nA --> B:::x\nclassDef x {styles}\nstyle A {styles}\n```")
    expect(said.locator("svg[id^=mermaid]")).to_be_visible()
    covered = "() => !document.elementFromPoint(innerWidth / 2, innerHeight - 40)?.closest('.mermaid')"
    assert visit.page.evaluate(covered)
    visit.ask("again")
    expect(visit.page.locator(".message.user")).to_have_count(2)


def test_a_reply_has_so_many_diagrams(visit: Visit, stub: StubUpstream) -> None:
    said = answered(visit, stub, "\n\n".join(graph([(n, n + 1)]) for n in range(6)))
    expect(said.locator("svg[id^=mermaid]")).to_have_count(4)
    expect(said.locator("pre code")).to_have_count(2)


def test_the_page_has_an_icon_that_its_policy_allows(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app) as visit:
        visit.page.add_init_script(
            "window.refused = []; addEventListener('securitypolicyviolation', ({ blockedURI }) => refused.push(blockedURI))"
        )
        asked: list[str] = []
        visit.page.on("request", lambda request: asked.append(request.url))
        visit.sign_in().rest()
        loaded = visit.page.evaluate(
            """async () => {
              const picture = new Image();
              picture.src = document.querySelector("link[rel=icon]").href;
              await picture.decode();
              return picture.naturalWidth > 0;
            }"""
        )
        assert loaded
        assert visit.page.evaluate("window.refused") == []
        assert not [url for url in asked if "favicon" in url]
        assert visit.complaints == []
