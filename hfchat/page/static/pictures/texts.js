// Text files of questions, PDFs and long pastes: read as text in this browser, and PDFs by the server, which keeps nothing of them.
import { constants } from "../constants.js";
import { call } from "../gradio_bridge.js";
import { contentId, dataUrl } from "../hex.js";
import { language } from "../language.js";
import { FILE_PREFIX } from "./references.js";

// `sentBytes` of a question's files together, as they are written into its request, which may have 4 MiB.
export const FILE = { atOnce: 10, sentBytes: 3_000_000, pdfBytes: 3_000_000 };
// A longer paste becomes a file: the box grows with every line, 20,000 lines in 53 s. A shorter text may go back into it.
const LONG = { chars: 8000, lines: 200 }, BACK = { chars: 20_000, lines: 400 };

const linesOf = (text) => text.split("\n").length;
const isOver = (text, most) => text.length > most.chars || linesOf(text) > most.lines;
export const isLong = (text) => isOver(text, LONG);
export const fitsBox = (text) => !isOver(text, BACK);
export const pastedLines = (text) => linesOf(text.replace(/\n$/, ""));

const BOMS = [["utf-8", 0xef, 0xbb, 0xbf], ["utf-16le", 0xff, 0xfe], ["utf-16be", 0xfe, 0xff]];
const CONTROLS = /[\u0000-\u0007\u000e-\u001a\u001c-\u001f\u007f]/g;
// Logs have a few, of terminals; programs and pictures have many.
const CONTROLS_A_CHAR = 0.005;

// What programs of Windows write in the page's language where they do not write Unicode; in any other, Latin-1 as it has it.
const OLD = { zh: "gb18030", ja: "shift_jis", ar: "windows-1256" };

// UTF-16 without a mark: most of its characters are of one byte and a zero.
function silentUtf16(bytes) {
  const zeros = [0, 0], few = bytes.subarray(0, 4000);
  few.forEach((byte, place) => { if (!byte) zeros[place % 2] += 1; });
  const [even, odd] = zeros.map((count) => (2 * count) / few.length);
  if (odd > 0.4 && even < 0.02) return "utf-16le";
  return even > 0.4 && odd < 0.02 ? "utf-16be" : undefined;
}

function read(bytes, encoding) {
  try { return new TextDecoder(encoding, { fatal: true }).decode(bytes); } catch { return null; }
}

// The text that the bytes are, or null where they are none: UTF-8, UTF-16, or what was usual before. `spoken` is a language.
export function decoded(bytes, spoken = language) {
  const [marked] = BOMS.find(([, ...bom]) => bom.every((byte, place) => bytes[place] === byte)) ?? [];
  const encoding = marked ?? silentUtf16(bytes);
  if (!encoding?.startsWith("utf-16") && bytes.includes(0)) return null;
  const old = encoding ? [] : [OLD[spoken], "windows-1252"].filter(Boolean);
  const text = [encoding ?? "utf-8", ...old].reduce((found, name) => found ?? read(bytes, name), null);
  return text === null || (text.match(CONTROLS)?.length ?? 0) > text.length * CONTROLS_A_CHAR ? null : text;
}

export const isPdf = (bytes) => new TextDecoder("latin1").decode(bytes.subarray(0, 1024)).includes("%PDF-");

const encode = (text) => new TextEncoder().encode(text);

// About how many tokens a text has, as the server estimates them.
export function tokensOf(text) {
  const bytes = encode(text).length, ascii = text.replace(/[^\0-\x7f]+/g, ""), letters = ascii.replace(/[^A-Za-z ]+/g, "").length;
  const per = constants.bytes_per_token;
  return Math.ceil(letters / per.letters + (ascii.length - letters) / per.ascii + (bytes - ascii.length) / per.unicode);
}

// How many bytes of a request it takes: JSON within JSON.
export const sentBytes = (data) => encode(JSON.stringify(JSON.stringify(data))).length;

export const textOfFile = (data) => data.slice(FILE_PREFIX.length);

const UNITS = ["byte", "kilobyte", "megabyte"];
export function sizeOf(text) {
  const { length } = encode(text), place = length < 1000 ? 0 : length < 1e6 ? 1 : 2;
  return new Intl.NumberFormat(language, { style: "unit", unit: UNITS[place], maximumFractionDigits: place === 2 ? 1 : 0 }).format(length / 1000 ** place);
}

export const fileItem = async (name, text) => ({ id: await contentId(encode(text)), name, data: FILE_PREFIX + text, file: true });

// What the server read of a PDF: `text`, `pages` and how many of them were `read`; or a `fault`.
export async function readPdf(file) {
  const url = await dataUrl(file), read = await call("hfchat-read-pdf", url.slice(url.indexOf(",") + 1));
  return read.text || read.fault ? read : { fault: "unreadable" };
}
