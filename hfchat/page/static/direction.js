// The direction of what a message says: a list, a table or a quotation begins at the side where its own first words do. The
// paragraphs in it do so by the page's style.
const BLOCK = /<(ul|ol|dl|table|blockquote|details)(?=[\s>])/g;

// The HTML of a message, in which a `<` that is no tag's is escaped.
export const directed = (html) => html.replace(BLOCK, '<$1 dir="auto"');
