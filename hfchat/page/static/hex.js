// Random numbers and digests as text.
export const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
export const newId = () => hex(crypto.getRandomValues(new Uint8Array(12)));
