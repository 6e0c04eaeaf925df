// The language that a visitor chose is in a cookie, which the server reads too. Gradio asks the browser for its language.
(() => {
  const chosen = /(?:^|; )hfchat_language=([\w-]+)/.exec(document.cookie)?.[1];
  if (Object.hasOwn(window.hfchatSays, chosen)) {
    Object.defineProperty(navigator, "language", { value: chosen });
    Object.defineProperty(navigator, "languages", { value: [chosen] });
  }
  const tag = navigator.language.split("-")[0].toLowerCase();
  const language = Object.hasOwn(window.hfchatSays, tag) ? tag : "en";
  document.documentElement.lang = language;
  window.hfchat = {
    language,
    says: window.hfchatSays[language],
    speak: (other) => {
      const frame = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
      document.cookie = `hfchat_language=${other}; Path=/; Max-Age=31536000${frame}`;
    },
  };
})();
