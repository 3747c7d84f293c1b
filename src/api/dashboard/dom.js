// Elements from data, and changes to what is shown that leave focus, scroll and selection alone.
//
// Text enters the page as text nodes only: nothing a probed server or an operator wrote is ever markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element: `h("td", { class: "name" }, "text", child, [more], null)`. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same in a drawing. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

/** Has `place` hold these children, changing only what differs. */
export function show(place, ...children) {
  const fresh = fill(document.createDocumentFragment(), null, children);
  const focused = document.activeElement;
  patchChildren(place, fresh);
  // A row that changed its place lost the focus on the way.
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function patch(here, fresh) {
  if (here.nodeName !== fresh.nodeName || here.dataset?.key !== fresh.dataset?.key) {
    here.replaceWith(fresh);
  } else if (here.nodeType === Node.TEXT_NODE) {
    if (here.data !== fresh.data) here.data = fresh.data;
  } else {
    patchAttributes(here, fresh);
    patchChildren(here, fresh);
  }
}

function patchAttributes(here, fresh) {
  // Whether a <details> is open is the reader's to say.
  const ours = (name) => !(name === "open" && here.nodeName === "DETAILS");
  for (const { name } of [...here.attributes]) {
    if (ours(name) && !fresh.hasAttribute(name)) here.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (ours(name) && here.getAttribute(name) !== value) here.setAttribute(name, value);
  }
}

function patchChildren(here, fresh) {
  const known = new Map();
  for (const child of here.children) {
    if (child.dataset.key !== undefined) known.set(child.dataset.key, child);
  }
  let at = here.firstChild;
  for (const next of [...fresh.childNodes]) {
    const same = known.get(next.dataset?.key);
    if (same && same !== at) {
      here.insertBefore(same, at);
      at = same;
    }
    if (!at) {
      here.append(next);
      continue;
    }
    const after = at.nextSibling;
    patch(at, next);
    at = after;
  }
  while (at) {
    const after = at.nextSibling;
    at.remove();
    at = after;
  }
}
