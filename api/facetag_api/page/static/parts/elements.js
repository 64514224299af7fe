// Make elements from text and values alone: nothing that a service or a file name says is parsed.

const SVG = "http://www.w3.org/2000/svg";

/** Return an HTML element; `on...` attributes are listeners, null and false ones are left out. */
export function make(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** Return an SVG element. */
export function draw(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return a button that says what it does. */
export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

/** Return a line that a screen reader speaks when it changes. */
export function statusLine(name = "message") {
  const line = make("p", { class: name, role: "status" });
  return {
    line,
    say(text) {
      line.classList.remove("fault");
      line.textContent = text;
    },
    fault(text) {
      line.classList.add("fault");
      line.textContent = text;
    },
  };
}

export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

export function counted(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
