// Markdown as models write it, through Gradio's own renderer with our rules in it.
import assert from "node:assert/strict";
import { test } from "node:test";

import { read, rendered } from "./renderer.js";

// From which side a block is written is tested apart.
const flat = (html) => html.replaceAll(' dir="auto"', "").replace(/>\s+</g, "><").replace(/\s+</g, "<");
const shows = (table) => {
  for (const [text, html] of Object.entries(table)) test(JSON.stringify(text), () => assert.equal(flat(rendered(text)), html));
};

// Every name that HTML, SVG and MathML have.
const NAMES = `a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br button canvas
  caption center cite code col colgroup content data datalist dd del details dfn dialog dir div dl dt em embed fencedframe fieldset figcaption
  figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img input ins isindex kbd keygen label
  legend li link listing main map mark marquee math menu menuitem meta meter nav nextid nobr noembed noframes noscript object ol optgroup
  option output p param picture plaintext portal pre progress q rb rp rt rtc ruby s samp script search section select shadow slot small
  source spacer span strike strong style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var
  video wbr xmp g path circle rect use defs symbol foreignObject animate set linearGradient text tspan mask feBlend mi mn mo mrow mfrac msqrt
  mtext annotation-xml my-element Foo ns:tag`.split(/\s+/);
const SPOKEN = [(tag) => `Use the ${tag} tag first, and then comes the rest.`, (tag) => `${tag} is used first, and then comes the rest.`,
  (tag) => `- ${tag} first, and the rest`, (tag) => `| a | ${tag} |\n|-|-|\n| c | rest |`, (tag) => `## On ${tag} and the rest`, (tag) => `**On ${tag}** and the rest`,
  (tag) => `> ${tag} and the rest`, (tag) => `1. The ${tag}: and the rest`];
for (const name of NAMES) {
  test(`a tag that is spoken of can be read, and what follows it: ${name}`, () => {
    for (const spoken of SPOKEN) {
      for (const tag of [`<${name}>`, `</${name}>`, `<${name} class="x">`, `<${name}`]) {
        // In a cell a break is one.
        if (/^<br\b/.test(tag) && spoken("").startsWith("|")) continue;
        const seen = read(rendered(spoken(tag)));
        assert.ok(seen.includes(tag) && seen.includes("rest"), `${spoken(tag)} reads ${seen}`);
      }
    }
    const both = `Write <${name}> and </${name}> around the rest.`;
    assert.equal(read(rendered(both)), both);
  });
}

const OTHERS = ["<!-- a comment", "<!-- a comment --> ", "<!DOCTYPE html>", "<?php echo 1; ?>", "<?php echo 1;", "<![CDATA[ x ]]>", "<![CDATA[ x", "Vec<String>",
  "Map<String, List<Integer>>", "std::vector<int> v;", "<|im_start|>user", "<|endoftext|>", "</think>", "<think>", "a < b && c > d", "<3", "<-", "<=>", "<>", "<me@example.org>",
  "#include <stdio.h>", "x <y and z> w", "if (a<b) c>d", "<your name>", "<YOUR_API_KEY>", "List<?>", "<T,>", "$<x>", "AT&T &copy &amp;copy", "<https://example.org/?a=1&b=2>", "<ns:tag>", "<C:\\new>"];
for (const sign of OTHERS) {
  test(`it can be read, and what follows it: ${sign}`, () => {
    const words = (text) => text.replace(/&amp;copy/, "&copy").replace(/<((?:https:|me@)[^>]*)>/, "$1").trim();
    for (const spoken of SPOKEN) {
      const seen = read(rendered(spoken(sign)));
      assert.ok(seen.includes(words(sign)) && seen.includes("rest"), `${spoken(sign)} reads ${seen}`);
    }
  });
}

shows({
  "H<sub>2</sub>O and <kbd>Ctrl</kbd>+<kbd>C</kbd>": "<p>H<sub>2</sub>O and<kbd>Ctrl</kbd>+<kbd>C</kbd></p>",
  '<B onclick="x">bold</B> **<u>x</u>**': "<p><b>bold</b><strong><u>x</u></strong></p>",
  "a<br>b<br/>c <br>\nd": "<p>a<br>b<br>c<br><br>d</p>",
  "<details>\n<summary>S</summary>\n\n**x**\n\n</details>": "<details><summary>S</summary><p><strong>x</strong></p></details>",
  "<table>\n<tr><td>a</td></tr>\n</table>": "<table><tr><td>a</td></tr></table>",
  "<hr>\n\na": "<hr><p>a</p>",
  "|a|b|\n|-|-|\n|x <br> y|<ul><li>z</li></ul>|": "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>x<br> y</td><td><ul><li>z</li></ul></td></tr></tbody></table>",
  "<div>\n  <p>x</p>\n</div>": '<p class="as-written">&lt;div&gt;\n  &lt;p&gt;x&lt;/p&gt;\n&lt;/div&gt;</p>',
  "<script>\nlet a = b*c*d;\n</script>": '<p class="as-written">&lt;script&gt;\nlet a = b*c*d;\n&lt;/script&gt;</p>',
  "<script> goes to the *top*\n\n## Next": "<p>&lt;script&gt; goes to the<em>top</em></p><h2>Next</h2>",
  "<form><b>x</b></form>": '<p class="as-written">&lt;form&gt;&lt;b&gt;x&lt;/b&gt;&lt;/form&gt;</p>',
  "a <form><b>x</b></form>": "<p>a &lt;form&gt;<b>x</b>&lt;/form&gt;</p>",
  "<details>\nopen": '<p class="as-written">&lt;details&gt;\nopen</p>',
});

const BOLD = ["これは**「重要」**な点です。", "これは**（注）**です", "**\"중요\"**는", "**'중요'**이", "**중요(重要)**은", "这是**“重点”**，对", "**注意：**请看", "他说**《书名》**好", "全角**［括弧］**の",
  "これは**`code`**です", "이것은**[링크](https://a.org)**입니다", "**a**", "a**b**c", "**a.** b", "(**a**)", "**a**:", "**「a」**", "これは***「両方」***です", "日本語**太字**日本語", "**100%**です", "**$5**는", "** 「x」**な **b**"];
for (const text of BOLD) {
  test(`bold: ${text}`, () => {
    const seen = rendered(text);
    assert.match(seen, /<strong>/);
    if (!text.startsWith("** ")) assert.ok(!seen.includes("**"), seen);
  });
}
shows({
  "*a* _b_ ***c*** **a *b* c**": "<p><em>a</em><em>b</em><em><strong>c</strong></em><strong>a<em>b</em> c</strong></p>",
  "snake_case_name and a__init__ a_b_c _c_d": "<p>snake_case_name and a__init__ a_b_c _c_d</p>",
  "2*3*4 = 24, 2**3**4, 5 * 6 * 7, 1_000_000": "<p>2*3*4 = 24, 2**3**4, 5 * 6 * 7, 1_000_000</p>",
  "これは*「斜体」*です": "<p>これは<em>「斜体」</em>です</p>",
  "**a*": "<p>*<em>a</em></p>",
  "**a": "<p>**a</p>",
  "\\*a\\* \\**b*": "<p>*a* *<em>b</em></p>",
  "Bring 2~3 eggs and bake for 20~25 minutes.": "<p>Bring 2~3 eggs and bake for 20~25 minutes.</p>",
  "~~gone~~ ~a~ ~~ a ~~ ~~~~": "<p><del>gone</del> ~a~ ~~ a ~~ ~~~~</p>",
  "~/a and ~/b": "<p>~/a and ~/b</p>",
  "**Note:**this **50%**off **`x`**y": "<p><strong>Note:</strong>this<strong>50%</strong>off<strong><code>x</code></strong>y</p>",
  "это**«важно»**и **\"в\"**": "<p>это<strong>«важно»</strong>и<strong>&quot;в&quot;</strong></p>",
  "قال **\"مهم\"**في **مهم:**هذا": "<p>قال<strong>&quot;مهم&quot;</strong>في<strong>مهم:</strong>هذا</p>",
  "f(**a, **b) and g(**c), int **a, **b": "<p>f(**a, **b) and g(**c), int **a, **b</p>",
  "x**(y) and z**(y)": "<p>x**(y) and z**(y)</p>",
  "In __init__.py and __main__, __not this__": "<p>In __init__.py and __main__,<strong>not this</strong></p>",
});

shows({
  "1) a\n2) b": "<ol><li>a</li><li>b</li></ol>",
  "1. a\n  - b\n    - c\n2. d": "<ol><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li><li>d</li></ol>",
  "1. a\n   - b\n2. d": "<ol><li>a<ul><li>b</li></ul></li><li>d</li></ol>",
  "10. a\n  * b\n11. c": '<ol start="10"><li>a<ul><li>b</li></ul></li><li>c</li></ol>',
  "- a\n  1. b\n   1. c": "<ul><li>a<ol><li>b</li><li>c</li></ol></li></ul>",
  "- a\n\t- b\n\t\t- c": "<ul><li>a<ul><li>b<ul><li>c</li></ul></li></ul></li></ul>",
  "  1. a\n  2. b": "<ol><li>a</li><li>b</li></ol>",
  "* **Bold**: text\n* *em*: x": "<ul><li><strong>Bold</strong>: text</li><li><em>em</em>: x</li></ul>",
  "text\n- a\n- b": "<p>text</p><ul><li>a</li><li>b</li></ul>",
  "- [x] done\n- [ ] open": "<ul><li>☑ done</li><li>☐ open</li></ul>",
  "text\n|a|\n|-|\n|1|": "<p>text</p><table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>",
  "text\n-": "<p>text<br>-</p>",
  "text\n--": "<p>text<br>--</p>",
  "text\n=": "<p>text<br>=</p>",
  "Title\n=====": "<h1>Title</h1>",
  "##Tight\n\ntext\n###三、\n\n```\n##x\n```\n#tag ##no": '<h2>Tight</h2><p>text</p><h3>三、</h3><div class="code_wrap"><pre><code>##x</code></pre></div><p>#tag ##no</p>',
  "| `a | b` | c |\n|-|-|\n| `x | y` | `z` |": "<table><thead><tr><th><code>a | b</code></th><th>c</th></tr></thead><tbody><tr><td><code>x | y</code></td><td><code>z</code></td></tr></tbody></table>",
  "| `a | b` |": "<p>|<code>a | b</code> |</p>",
  "[![badge](https://a.org/b.svg)](https://a.org/)": '<p><a href="https://a.org/" target="_blank" rel="noopener noreferrer">badge</a></p>',
  "#tag and #1\n#2": "<p>#tag and #1<br>#2</p>",
  "one\ntwo  \nthree": "<p>one<br>two<br>three</p>",
  "A note[^1].\n\n[^1]: Source": "<p>A note[^1].</p><p>[^1]: Source</p>",
  "[Ann]: Hello\n\n[Bob]: https://a.org/ [bob]": '<p>[Ann]: Hello</p><p>[Bob]:<a href="https://a.org/" target="_blank" rel="noopener noreferrer">https://a.org/</a> [bob]</p>',
  "Sources:\n\n[1]: https://a.org/\n[2]: Its title": '<p>Sources:</p><p>[1]:<a href="https://a.org/" target="_blank" rel="noopener noreferrer">https://a.org/</a><br>[2]: Its title</p>',
  "[1]: https://a.org/ \"T\"\n\nsee [1]": '<p>see<a href="https://a.org/" title="T" target="_blank" rel="noopener noreferrer">1</a></p>',
  "&lt;b&gt; &amp;lt; `&lt;b&gt;`": "<p>&lt;b&gt; &amp;lt;<code>&amp;lt;b&amp;gt;</code></p>",
});

const LINKS = {
  "see https://a.org/b_c_d.": "https://a.org/b_c_d",
  "(https://a.org/b_(c))": "https://a.org/b_(c)",
  "**https://a.org/x**": "https://a.org/x",
  "https://a.org/?q=1&b=2, and": "https://a.org/?q=1&b=2",
  "看https://a.org。谢谢": "https://a.org",
  "https://a.org/docs（说明）": "https://a.org/docs",
  "https://a.org/docsを参照": "https://a.org/docs",
  "https://a.org는": "https://a.org",
  "「https://a.org/x」": "https://a.org/x",
  "“https://a.org/x”": "https://a.org/x",
  "https://zh.wikipedia.org/wiki/京都，": "https://zh.wikipedia.org/wiki/京都",
  "www.a.orgを": "www.a.org",
  "[x](https://a.org/A_(b))": "x",
};
for (const [text, words] of Object.entries(LINKS)) {
  test(`a link: ${text}`, () => assert.equal(read(/<a [^>]*>([^]*?)<\/a>/.exec(rendered(text))[1]), words));
}

const codes = (text) => [...rendered(text).matchAll(/<pre><code(?: class="language-([^"]*)")?>([^]*?)\n?<\/code><\/pre>/g)].map(([, lang, code]) => [lang ?? "", read(code)]);
const F = "```", INNER = `# T\n\n${F}bash\nls\n${F}\n\nmore`;
const BLOCKS = {
  "a block in a block": [`${F}markdown\n${INNER}\n${F}\n\nThe end.`, [["markdown", INNER]]],
  "two in it": [`${F}md\n${INNER}\n\n${INNER}\n${F}`, [["md", `${INNER}\n\n${INNER}`]]],
  "in one without a language": [`${F}\n${INNER}\n${F}`, [["", INNER]]],
  "a bare one in it": [`${F}markdown\n# T\n\n${F}\nls\n${F}\n\nmore\n${F}\n\nThe end.`, [["markdown", `# T\n\n${F}\nls\n${F}\n\nmore`]]],
  "two blocks": [`${F}markdown\n# T\n${F}\n\ntext\n\n${F}bash\nls\n${F}\n`, [["markdown", "# T"], ["bash", "ls"]]],
  "two bare blocks": [`${F}markdown\n# T\n${F}\n\nThen:\n\n${F}\nls\n${F}\n`, [["markdown", "# T"], ["", "ls"]]],
  "two blocks close together": [`${F}\na\n${F}\n${F}bash\nls\n${F}`, [["", "a"], ["bash", "ls"]]],
  "a fence that is spoken of": [`${F}md\n${F}python\n${F}\n\nThe end.`, [["md", `${F}python`]]],
  "one without its end": [`${F}markdown\n# T\n${F}bash\nls\n${F}\n\nThe end.`, [["markdown", `# T\n${F}bash\nls`]]],
  "in a list": [`- a\n\n  ${F}md\n  x\n  ${F}sh\n  ls\n  ${F}\n  y\n  ${F}\n- b`, [["md", `x\n${F}sh\nls\n${F}\ny`]]],
  "a longer fence": [`${F}\`md\n${F}\nx\n${F}\n${F}\``, [["md", `${F}\nx\n${F}`]]],
  "tildes": ["~~~md\n~~~sh\nls\n~~~\n~~~", [["md", "~~~sh\nls\n~~~"]]],
  "code of another language": [`${F}python\nx = """\n${F}\n"""`, [["python", 'x = """']]],
  "tabs": [`${F}make\nall:\n\techo a\tb\n\t\techo\n${F}`, [["make", "all:\n\techo a\tb\n\t\techo"]]],
  "tabs in a list": [`1. a\n\n   ${F}make\n   all:\n   \techo\n   ${F}\n2. b`, [["make", "all:\n\techo"]]],
  "tabs after a list of tabs": [`- a\n\t- b\n\n${F}\n\tc\n${F}`, [["", "\tc"]]],
  "empty lines": [`${F}\n\n  a\n\n\n${F}`, [["", "\n  a\n\n"]]],
};
for (const [id, [text, blocks]] of Object.entries(BLOCKS)) test(`code: ${id}`, () => assert.deepEqual(codes(text), blocks));

// A person's question is text.
const TYPED = ["What is 2*3*4 and 5*6*7?", "__init__ and **x**", "# comment\n## two", "C:\\new\\*.txt", "<b>bold</b> <title> </think> <!-- x", "$x$ and \\(y\\) and $$z$$",
  "1. a\n3. b\n- c", "> q\n>> r", "~~a~~ `b`", "https://a.org/x_y_(z)* www.a.org me@a.org", "a    b\n    c\n\n\n\td  ", "&lt;b&gt; &amp; &copy", "[x](https://a.org) ![y](z) [^1]: w",
  "|a|b|\n|-|-|\n|c|d|", "a\n---\nb\n===", "***", "```", "```python\nno end", "``` not `a` fence", "%%%LATEX_BLOCK_0%%% \\begin{align}x\\end{align}", "  \n x\n  ", "\\[a\\]",
  "<button class=\"hfchat-do hfchat-do-retry\">x</button>", "{{x}} ${y} {% z %}", "  * a\n\t* b", "[🖼 a](https://a.org)"];
for (const text of TYPED) {
  test(`a question is shown as it was typed: ${JSON.stringify(text)}`, () => {
    const html = rendered(text, { role: "user" });
    assert.match(html, /^<div class="hfchat-question">[^<]*<\/div>$/);
    assert.equal(read(html), text);
  });
}

test("code in a question is code, and what stands around it is as it was typed", () => {
  const text = `  Why *this*?\n${F}python\nif x:\n\tprint(1 * 2 * 3)\n\n${F}\n  and *that*`;
  assert.equal(rendered(text, { role: "user" }), '<div class="hfchat-question">  Why *this*?\n</div><div class="code_wrap"><pre><code class="language-python">'
    + 'if x:\n\tprint(1 * 2 * 3)\n\n</code></pre></div>\n<div class="hfchat-question">  and *that*</div>');
});

test("a question's picture is a link to it, as that of a reply is in the page's message, and in a reply's own words it leads nowhere", () => {
  const id = "0123456789abcdef".repeat(2), reference = `[🖼 cat 1.jpg](#hfchat-image-${id})`;
  assert.equal(rendered(`*look*\n\n${reference}`, { role: "user" }), `<div class="hfchat-question">*look*\n\n<a href="#hfchat-image-${id}">🖼 cat 1.jpg</a></div>`);
  const link = `<a href="#hfchat-image-${id}">🖼 cat 1.jpg</a>`;
  assert.equal(flat(rendered(reference, { metadata: { id: "hfchat-reply-pictures" } })), `<p>${link}</p>`);
  assert.equal(rendered(reference), "<p>🖼 cat 1.jpg</p>");
  assert.ok(!rendered(link).includes("<a"));
});

test("a note of the page's own is Markdown with its own buttons", () => {
  const button = '<button class="hfchat-do hfchat-do-retry">Try again</button>', content = `⚠️ **It failed.**\n\n${button} ${button}\n\n<small>x: 1</small>`;
  assert.equal(flat(rendered(content, { metadata: { id: "hfchat-notice" } })), `<p>⚠️<strong>It failed.</strong></p><p>${button}${button}</p><p><small>x: 1</small></p>`);
  const facts = '<div class="hfchat-facts"><span class="hfchat-instead">a</span> b * c * d</div>';
  assert.equal(rendered(facts, { metadata: { id: "hfchat-facts" } }), facts);
  assert.ok(!rendered(content).includes("<button"));
});

// What a model writes without an end costs as much time as it is long.
const UNITS = ["**a ", "*a* ", "~~a ", "~~a~~ ", "<b>", "<b>x</b> ", "<script>\n\n", "<!--\n\n", "<table>\n\n", `${F}md\n${F}sh\n`, `${F}md\n\n${F}\nx\n${F}\n\n`, `${F}\n${F}\n`, `${F}\na\n${F}\n\n`,
  "- a\n", "\t- a\n", "[a]: https://a.org/\n", "https://a.org/を", "京", "「**a**」", "[^1]: a\n\n", "a_b_", "1. a\n  - b\n", "<a@b", "<br>", "|", "|a|\n|-|\n"];
const costs = (make, chars) => {
  const text = make(chars);
  let best = Infinity;
  for (let times = 0; times < 3; times += 1) {
    const began = process.cpuUsage();
    rendered(text);
    const { user, system } = process.cpuUsage(began);
    best = Math.min(best, user + system);
  }
  return best;
};
// What our guard takes for code, and Marked does not.
const DISPUTED = ["<pre>\n```\n</pre>\n\n", "1. a\n   ```\n   x\n\nNow ", "```\nx\n```~~~\n"];
const GROWING = [...UNITS.map((unit) => ["", unit]), ...DISPUTED.flatMap((start) => [[start, "**a "], [start, "*a "]])];
for (const [start, unit] of GROWING) {
  test(`four times as much takes less than ten times as long: ${JSON.stringify(start + unit)}`, () => {
    const make = (chars) => start + unit.repeat(chars / unit.length);
    let small, large;
    // Measured again where a busy machine came in between: what is quadratic is so each time.
    for (let times = 0; times < 4; times += 1) {
      [small, large] = [costs(make, 4000), costs(make, 16000)];
      if (large < 10 * Math.max(small, 3000)) return;
    }
    assert.fail(`${small} and ${large} µs`);
  });
}
