// Fallback of localStorage: where the browser denies a frame its storage, Gradio's page would stay at
// "Loading..." for ever: it gets a short-lived one.
for (const name of ["localStorage", "sessionStorage"]) {
  try { window[name]; } catch {
    const kept = new Map();
    Object.defineProperty(window, name, { value: {
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => void kept.set(String(key), String(value)),
      removeItem: (key) => void kept.delete(String(key)),
      clear: () => kept.clear(),
      key: (place) => [...kept.keys()][place] ?? null,
      get length() { return kept.size; },
    } });
  }
}
