// Characters of Chinese, Japanese and Korean, which are written without spaces between words: letters, and their punctuation.
const LETTER = "\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{scx=Hangul}\\p{scx=Bopomofo}";
export const SIGN = new RegExp(`[${LETTER}\\u3000-\\u303F\\uFE30-\\uFE4F\\uFF00-\\uFFEF]`, "u");
// What ends a clause or stands around one, among them the quotation marks that Chinese shares with others.
export const PUNCTUATION = /[\u3001-\u3003\u3008-\u3011\u3014-\u301F\u30FB\uFE30-\uFE4F\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\u2018-\u201F…]/u;
