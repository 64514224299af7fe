// Show a photo with a box per face.

import { draw, make } from "./elements.js";

/** Return a figure of the upright photo with the line's boxes; `sources` are tried in turn. */
export function photoFigure(sources, { faces, width, height }, alt) {
  const [w, h] = [width || 4, height || 3];
  const image = make("img", { alt, decoding: "async" });
  const boxes = faces.map((face, index) =>
    faceBox(face, Math.max(w, h) / 60, faces.length > 1 ? index + 1 : null));
  const svg = draw("svg", { "aria-hidden": "true", viewBox: `0 0 ${w} ${h}` }, ...boxes);
  const figure = make("figure", { class: "photo" }, image, svg);
  figure.style.aspectRatio = `${w} / ${h}`;
  const load = () => {
    if (sources.length > 0) image.src = sources.shift();
    else figure.classList.add("blank");
  };
  image.onerror = load;
  load();
  return { figure, boxes, svg };
}

/** Return the group of a face's rectangle and its number. */
export function faceBox({ box: [x, y, width, height] }, radius, number = null) {
  const [cx, cy] = [x + radius, y + radius];
  return draw("g", { class: "box" }, draw("rect", { x, y, width, height, rx: radius / 3 }),
    ...(number === null ? [] : [draw("circle", { cx, cy, r: radius }),
      draw("text", { x: cx, y: cy, "font-size": radius * 1.3 }, String(number))]));
}

/** Light a box and a card up when either is pointed at or has the focus. */
export function lightTogether(box, card) {
  const light = (on) => () => {
    box.classList.toggle("lit", on);
    card.classList.toggle("lit", on);
  };
  for (const element of [box, card]) {
    element.addEventListener("pointerenter", light(true));
    element.addEventListener("pointerleave", light(false));
  }
  card.addEventListener("focus", light(true));
  card.addEventListener("blur", light(false));
  box.addEventListener("click", () => card.focus());
}
