// Bytes as text: random numbers, digests, data URLs.
export const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
export const newId = (length = 12) => hex(crypto.getRandomValues(new Uint8Array(length)));

// The id of a picture or a file by what is in it, so that the same is kept once; a random one where the page came by plain http.
export const contentId = async (bytes) => (crypto.subtle ? hex(await crypto.subtle.digest("SHA-256", bytes)).slice(0, 32) : newId(16));

export const dataUrl = (blob) => new Promise((resolve, reject) => {
  const reader = Object.assign(new FileReader(), { onload: () => resolve(reader.result), onerror: () => reject(reader.error) });
  reader.readAsDataURL(blob);
});
