// What Python knows too: identifiers, limits and sentences, as page/head.py writes them into the document.
export const constants = JSON.parse(document.getElementById("hfchat-constants").textContent);
