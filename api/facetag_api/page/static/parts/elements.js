// Make what every view has; text of a service or a file name is never parsed.

import { make } from "../collection/elements.js";

export { button, draw, grouped, make, percent, plural } from "../collection/elements.js";

/** Return the name of a file, which turns no words around it. */
export const named = (name) => make("bdi", {}, name);

/** Say in a view's line what a screen reader speaks; a view that is left fails at nothing. */
export function statusLine(view) {
  const line = view.querySelector(".message");
  const set = (faulty) => (...words) => {
    line.classList.toggle("fault", faulty);
    line.replaceChildren(...words);
  };
  const fault = set(true);
  return { line, say: set(false), fault, failed: (error) => error.name === "AbortError" || fault(error.message) };
}
