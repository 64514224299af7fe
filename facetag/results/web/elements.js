/* Makes elements and texts for the page, the charts and the gallery; text never becomes markup. */
const SVG = "http://www.w3.org/2000/svg";
const whole = new Intl.NumberFormat("en");

/* Return an element: `on...` attributes are listeners, those that are null or false are left out, and
   so are such children; others are nodes, strings or lists of them. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/* Return a button that says what it does. */
export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

const missing = (value) => value == null || value === false;

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (missing(value)) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => !missing(child)).map(visible));
  return element;
}

/* Return text in which marks that turn its direction are seen, not obeyed; a node as it is. */
function visible(child) {
  if (typeof child !== "string") return child;
  return child.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const grouped = (count) => whole.format(count);
export const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;

export function percent(share) {
  if (share > 0 && share < 0.005) return "<1%";
  return `${Math.round(share * 100)}%`;
}
