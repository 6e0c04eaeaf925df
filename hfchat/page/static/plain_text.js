// Text without Markdown's marks, for one line: the title of a conversation. What only looks like a mark stays: 2*3*4, a_b_c, and
// names that begin and end with two lines, as programs have.
const STEPS = [
  [/^\s*(?:`{3,}|~{3,})[^\n]*$/gm, ""], // the fences of a program
  [/^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+(?:\[[ xX]\]\s+)?)/gm, ""], // a heading, a quotation, an item of a list
  [/!?\[([^\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"\n]*")?\)/g, "$1"], // a link, a picture
  [/(`+)(?!`)([^\n]*?[^`\n])\1(?!`)/g, "$2"], // code
  [/~~(?=[^\s~])([^~\n]*[^\s~])~~/g, "$1"], // struck out
  // Bold, and italic, in it too. A mark that opens comes after no letter, and one that closes before none.
  [/(?<![\p{L}\p{N}*])\*\*(?=\S)((?:[^*\n]|\*(?!\*))*[^\s*])\*\*(?![\p{L}\p{N}])/gu, "$1"],
  [/(?<![\p{L}\p{N}*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\p{L}\p{N}*])/gu, "$1"],
  [/(?<![\p{L}\p{N}_])__(?=[^\s_])(?!\w+__)([^_\n]*[^\s_])__(?![\p{L}\p{N}_])/gu, "$1"],
  [/(?<![\p{L}\p{N}_])_(?=[^\s_])([^_\n]*[^\s_])_(?![\p{L}\p{N}_])/gu, "$1"],
];

export const withoutMarks = (text) => STEPS.reduce((left, [mark, inside]) => left.replace(mark, inside), text);
