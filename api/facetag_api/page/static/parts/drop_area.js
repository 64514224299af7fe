// Take files that are dropped anywhere in the window, or chosen.

import { make } from "./elements.js";

/** Return an area that says `title`; `ondrop` gets what was dropped, `onchosen` the field of files.
 * `attributes` are the field's. */
export function dropArea(title, words, { ondrop, onchosen, signal, ...attributes }) {
  const input = fileField(onchosen, attributes);
  const area = make("label", { class: "drop", for: input.id }, input,
    make("strong", {}, title), make("span", {}, words));
  const listen = (name, work) => window.addEventListener(name, (event) => {
    // What misses the area must not replace the page.
    event.preventDefault();
    work(event);
  }, { signal });
  const light = (on) => area.classList.toggle("over", on);
  listen("dragover", ({ target }) => light(area.contains(target)));
  listen("drop", ({ dataTransfer }) => {
    light(false);
    ondrop(dataTransfer);
  });
  return { area, input };
}

export function fileField(onchosen, attributes) {
  const input = make("input", { type: "file", class: "unseen", ...attributes, onchange: async () => {
    await onchosen(input);
    input.value = "";
  } });
  return input;
}
