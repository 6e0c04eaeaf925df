// "It costs $5, or $10 with tax" is no formula. Gradio and KaTeX take all that stands between two dollar signs for one, and
// Gradio breaks the line before each sign, by regular expressions that they make when they need them. Here these keep
// pandoc's rule: no space after the first sign, none before the second, no digit after it. Nor is a formula parted by code
// or an empty line, and its braces are closed.
(() => {
  let inside = "(?:\\\\[^]|[^\\\\{}`])";
  for (let depth = 0; depth < 6; depth += 1) inside = `(?:\\\\[^]|[^\\\\{}\`]|\\{${inside}*\\})`;
  const part = `(?:\\\\[^]|(?!\\n[^\\S\\n]*\\n)[^\\\\{}\`$]|\\{${inside}*\\})`;
  const rest = `(?!\\s)${part}*?(?!\\s)${part}\\$(?!\\d)`;
  const kept = new Map([
    ["\\$", `\\$(?=${rest})`], // where Gradio begins a block
    ["\\$([\\s\\S]+?)\\$", `\\$${rest}`], // what it keeps from being read as Markdown
  ]);
  // Where KaTeX sees one begin: after all the others, the single sign.
  const last = "|\\$\\$|\\\\\\[|\\\\\\(|\\$)";
  const begins = (pattern) => `${pattern.slice(0, -3)}\\$(?!\\$)(?=${rest}))`;
  const strict = (pattern) => typeof pattern === "string" && pattern.endsWith(last) ? begins(pattern) : kept.get(pattern) ?? pattern;
  const Plain = RegExp, stricter = ([pattern, ...flags]) => [strict(pattern), ...flags];
  window.RegExp = new Proxy(Plain, {
    apply: (_, __, given) => Plain(...stricter(given)),
    construct: (_, given, made) => Reflect.construct(Plain, stricter(given), made),
  });
})();
