// Show a photo with a box per face; a box and what belongs to it light up together.

import { draw, make } from "./elements.js";

/** Return a figure of the upright photo, with the line's boxes drawn over it.
 *
 * A browser cannot show every format that the service reads: then the boxes stand alone.
 */
export function photoFigure(source, line, alt) {
  const image = make("img", { alt, decoding: "async" });
  const boxes = draw("svg", { "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" });
  const figure = make("figure", { class: "photo" }, image, boxes);
  image.onerror = () => figure.classList.add("blank");
  image.src = source;
  const width = line.width || 4;
  const height = line.height || 3;
  boxes.setAttribute("viewBox", `0 0 ${width} ${height}`);
  figure.style.aspectRatio = `${width} / ${height}`;
  const rectangles = line.faces.map((face, index) => {
    const number = line.faces.length > 1 ? index + 1 : null;
    const box = faceBox(face, Math.max(width, height) / 60, number);
    boxes.append(box);
    return box;
  });
  return { figure, boxes: rectangles, svg: boxes };
}

/** Return the group of a face's rectangle and its number. */
export function faceBox(face, radius, number = null) {
  const [x, y, width, height] = face.box;
  const group = draw("g", { class: "box" });
  group.append(draw("rect", { x, y, width, height, rx: radius / 3 }));
  if (number !== null) {
    const [cx, cy] = [x + radius, y + radius];
    const text = draw("text", { x: cx, y: cy, "font-size": radius * 1.3 });
    text.textContent = String(number);
    group.append(draw("circle", { cx, cy, r: radius }), text);
  }
  return group;
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
