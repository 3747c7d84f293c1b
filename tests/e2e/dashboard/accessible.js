// What would keep somebody from using the page as it stands: a list of findings, empty where there is none.
// It runs in the page, as the body of a function.

const found = [];
const note = (rule, element, more = "") =>
  found.push(
    `${rule}: <${element.tagName.toLowerCase()} id="${element.id}" class="${element.getAttribute("class") ?? ""}"> ${(element.textContent ?? "").trim().slice(0, 40)} ${more}`,
  );
const all = (selector) => [...document.querySelectorAll(selector)];
const open = document.querySelector("dialog[open]");
const isSeen = (element) =>
  element.checkVisibility({ visibilityProperty: true }) && element.getBoundingClientRect().width > 1;
// Behind an open dialog nothing can be reached.
const reach = (selector) => (open ? [...open.querySelectorAll(selector)] : all(selector)).filter(isSeen);

// -- the page: language, title, landmarks, headings, identifiers --
if (!document.documentElement.lang) found.push("the page has no language");
if (!document.title) found.push("the page has no title");
for (const landmark of ["main", "body > header", "body > footer", "[role=search]"]) {
  if (all(landmark).length !== 1) found.push(`there is not one ${landmark}`);
}
let level = 0;
for (const heading of reach("h1, h2, h3, h4")) {
  const next = Number(heading.tagName[1]);
  if (!open && next > level + 1) note("a heading skips a level", heading);
  level = next;
}
const ids = all("[id]").map((element) => element.id);
for (const id of ids.filter((id, at) => ids.indexOf(id) !== at)) found.push(`two elements are #${id}`);
for (const attribute of ["aria-labelledby", "aria-describedby"]) {
  for (const element of all(`[${attribute}]`).filter(isSeen)) {
    if (!document.getElementById(element.getAttribute(attribute)))
      note(`${attribute} leads nowhere`, element);
  }
}

// -- controls: a name, a size, an order that is the page's own --
for (const control of reach("button, a[href], input, select, [tabindex]")) {
  const label = control.labels?.[0]?.textContent ?? "";
  const named = document.getElementById(control.getAttribute("aria-labelledby") ?? "")?.textContent ?? "";
  if (
    !`${control.getAttribute("aria-label") ?? ""}${label}${named}${control.matches("input, select") ? "" : control.textContent}`.trim()
  )
    note("no name", control);
  if (control.tabIndex > 0) note("an order of its own", control);
  const { width, height } = control.getBoundingClientRect();
  if (!control.matches("a, [tabindex]") && (width < 24 || height < 24))
    note("smaller than 24 by 24 pixels", control, `${width} x ${height}`);
}

// -- pictures: a name, or passed over; and no state that a shape or colour alone tells --
for (const drawing of all("svg").filter(isSeen)) {
  const silent = drawing.getAttribute("aria-hidden") === "true";
  if (!silent && !(drawing.getAttribute("role") === "img" && drawing.getAttribute("aria-label")))
    note("a drawing without a name", drawing);
  if (drawing.matches(".mark") && !drawing.parentElement.textContent.trim())
    note("a mark without a word", drawing.parentElement);
}

// -- tables --
for (const table of all("table").filter(isSeen)) {
  if (!table.caption) note("a table without a caption", table);
  for (const head of table.querySelectorAll("th")) if (!head.scope) note("a head of no scope", head);
}

// -- contrast (WCAG 2.2, 1.4.3), by the styles as computed --
const channels = (color) => {
  const numbers = (color.match(/[\d.]+/g) ?? []).map(Number);
  const scale = color.startsWith("color(") ? 255 : 1;
  return { rgb: numbers.slice(0, 3).map((one) => one * scale), alpha: numbers[3] ?? 1 };
};
const over = ({ rgb, alpha }, below) => rgb.map((one, at) => one * alpha + below[at] * (1 - alpha));
const ground = (element) => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) {
    const layer = channels(getComputedStyle(at).backgroundColor);
    layers.push(layer);
    if (layer.alpha === 1) break;
  }
  return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
};
const luminance = (rgb) => {
  const [r, g, b] = rgb
    .map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, two) => {
  const [dark, light] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const texts = document.createTreeWalker(open ?? document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (
    !texts.currentNode.data.trim() ||
    !isSeen(element) ||
    element.closest(".unseen, :disabled, option, noscript")
  )
    continue;
  const style = getComputedStyle(element);
  const ink = channels(element instanceof SVGElement ? style.fill : style.color);
  const below = ground(element);
  const large =
    parseFloat(style.fontSize) >= 24 ||
    (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  const ratio = contrast(over(ink, below), below);
  if (ratio < (large ? 3 : 4.5)) note("too little contrast", element, ratio.toFixed(2));
}

return found;
