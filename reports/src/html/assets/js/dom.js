// Elements. Texts become text nodes and attributes are set one by one: no text is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("a", {href, class, on: {click}}, "text", [more])`. Nothing, false and null are skipped. */
function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child);
  }
}

/** Puts other children into an element, by the same rules. */
function refill(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** The element with this id. */
function byId(id) {
  return document.getElementById(id);
}

/** Says something to those who do not see the page. */
function announce(text) {
  byId("status").textContent = text;
}

/** A text in which links to the web can be followed; nothing else can. */
function linked(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]]/g)) {
    parts.push(text.slice(from, match.index), link(match[0], match[0]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** A link to the web, or the text alone where it leads elsewhere. */
function link(href, text) {
  if (!/^https?:\/\//.test(href)) return text;
  return h("a", {href, rel: "noopener noreferrer"}, text);
}

/** A line to copy, with a button. */
function copyable(text) {
  const code = h("code", {class: "replay"}, text);
  const button = h("button", {type: "button", class: "copy"}, "Copy");
  let back = 0;
  const say = (word) => {
    button.textContent = word;
    announce(word);
    clearTimeout(back);
    back = setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  button.addEventListener("click", () => {
    const select = () => {
      getSelection().selectAllChildren(code);
      // The old way works where the page may not write to the clipboard by itself.
      let done = false;
      try { done = document.execCommand("copy"); } catch { /* it stays selected */ }
      say(done ? "Copied" : "Selected");
    };
    if (!navigator.clipboard) return select();
    navigator.clipboard.writeText(text).then(() => say("Copied"), select);
  });
  return h("div", {class: "copyable"}, code, button);
}
