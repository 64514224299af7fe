// Make what every view has; text of a service or a file name is never parsed.

import { make } from "../collection/elements.js";

export { draw, make, percent, plural } from "../collection/elements.js";

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
