// Which parts of a message are formulas, and that finding them is linear in the text.
import assert from "node:assert/strict";
import { test } from "node:test";

import { withoutFormulas } from "../../hfchat/page/static/formulas.js";
import { withMarks } from "../../hfchat/page/static/replies.js";

const r = String.raw;
const FORMULAS = {
  "money": ["It costs $5, or $10 with tax, and $ 3 $.", []],
  "money with the sign behind": ["It costs 5$-10$, 5$/kg to 6$/kg, 10$, or 20$.", []],
  "each kind": [r`$a$ $$b$$ \(c\) \[d\] \begin{align*}e\end{align*}`, ["$a$", "$$b$$", r`\(c\)`, r`\[d\]`, r`\begin{align*}e\end{align*}`]],
  "code": ["`$a$` and ``\\(b\\) ` $c$`` $d$\n\n```\n$e$\n```\n\n~~~~\n$f$\n```\n$g$\n~~~~\n$h$", ["$d$", "$h$"]],
  "escaped": [r`\$a$ and \\(b\\) $c$`, ["$c$"]],
  "no end": [r`\(a \[b $$c \begin{gather}d $e`, []],
  "braces": [r`$\text{if $y$}$ ${"$"}{a$ $b$`, [r`$\text{if $y$}$`, "$b$"]],
  "paragraphs": ["$a\n\nb$ \\(c\n \nd\\) $$e\n\nf$$", ["$$e\n\nf$$"]],
  "too deep": [`$${"\\sqrt{".repeat(20)}x${"}".repeat(20)}$ $y$`, ["$y$"]],
  "macros": [r`$\def\a{xx}\a$ $\frac1\frac1\frac12$`, [r`$\frac1\frac1\frac12$`]],
  "too long": [`$${"x".repeat(2001)}$ $y$`, ["$y$"]],
  "words of the renderer": ["%%%LATEX_BLOCK_0%%% $a$", ["$a$"]],
};
for (const [name, [text, formulas]] of Object.entries(FORMULAS)) {
  test(`formulas: ${name}`, () => {
    const held = [];
    withoutFormulas(text, held);
    assert.deepEqual(held, formulas);
  });
}

test("a place holder stands for each, and the rest stays", () => {
  const held = [];
  assert.equal(withoutFormulas("a $x$ b\n\n$$y$$ %%%LATEX_BLOCK_0%%%", held), "a %%%LATEX_BLOCK_0%%% b\n\n%%%LATEX_BLOCK_1%%% %%%\u2060LATEX_BLOCK_0%%%");
});

// Each is repeated, and costs twice as much where there is twice as much of it: over three doublings, since the memory that is
// freed meanwhile comes by jumps. What is quadratic costs 64 times as much. Measured by the processor's time: other processes
// do not count.
const SIGNS = ["\\", "\\[", "\\(", "$", "$$", "${", "$x{$", "{", "}", "`", "`a``", "\\begin{align}", "\\(x\\)", "$x$ ", "$a{b}$1", "\n \t", "\n\n", "a\n",
  "```\n", "**a ", "[a](", "<a ", "%%%LATEX_BLOCK_1%%%", "> ", "- ", "   ", "a 1."];

function least(sign, chars, read = (text) => withoutFormulas(text, [])) {
  const text = sign.repeat(Math.ceil(chars / sign.length));
  return Math.min(...Array.from({ length: 5 }, () => {
    const began = process.cpuUsage();
    read(text);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1000;
  }));
}

// Measured again where it looks bad: others use this machine, too.
const isLinear = (sign, read) => [1, 2, 3].some(() => {
  const first = Math.max(least(sign, 10_000, read), 0.5);
  return least(sign, 80_000, read) / first < 27;
});

for (const sign of SIGNS) {
  test(`finding formulas is linear in ${JSON.stringify(sign)}`, () => {
    least(sign, 10_000);
    assert.ok(isLinear(sign));
  });
}

// What Marked itself reads is not measured here, but what of a message is changed for it.
for (const sign of ["-", "|-", "| ", "|", "| `a ", "`a|", "##a\n", "- "]) {
  test(`marks are put in order in linear time: ${JSON.stringify(sign)}`, () => {
    const read = (text) => withMarks(`${text}x`);
    least(sign, 10_000, read);
    assert.ok(isLinear(sign, read));
  });
}
