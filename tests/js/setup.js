// What the page's modules need of a browser when they are read in node: what Python hands over, and an address.
const constants = process.env.HFCHAT_CONSTANTS;
Object.assign(globalThis, {
  document: { cookie: "", documentElement: {}, getElementById: (id) => (id === "hfchat-constants" ? { textContent: constants } : null), querySelector: () => null },
  location: new URL("http://127.0.0.1:8000/"),
});
Object.defineProperty(globalThis, "navigator", { value: { language: "en-GB" } });
