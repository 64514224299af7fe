/* Draws one photo with its faces and what is said of them. */
import { make, draw, plural } from "./elements.js";
import { asksForFaces, doubts, faceMatches, labelOf } from "./filters.js";

const LISTED_FACES = 4;

/* Return a face's labels in words, such as "31 female asian". */
export function words(face) {
  const parts = [face.age == null ? null : String(Math.round(face.age)),
    labelOf(face, "gender"), labelOf(face, "race")];
  return parts.filter(Boolean).join(" ") || "a face";
}

function caption(face) {
  return [words(face),
    face.age_range && make("span", { class: "range" },
      ` · age ${face.age_range[0]} to ${face.age_range[1]}`),
    doubts(face).length > 0 && make("span", { class: "doubt" },
      ` · uncertain: ${doubts(face).join(", ")}`),
    face.reviewed && make("span", { class: "range" }, " · reviewed")];
}

/* Return the photo with the boxes of its faces; a picture is fetched when it comes near the window. */
function frame(line, picture, chosen) {
  const { width, height } = line;
  const label = `${line.image}, ${plural(line.faces.length, "face")}`;
  const boxes = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  line.faces.forEach((face, place) => {
    const [x, y, w, h] = face.box;
    const box = { x, y, width: w, height: h };
    boxes.append(draw("rect", { ...box, class: "halo" }),
      draw("rect", { ...box, class: chosen.has(place) ? "edge chosen" : "edge" }));
    if (line.faces.length > 1) {
      const size = 0.07 * height;
      boxes.append(draw("text", { x, y: Math.max(y - 0.2 * size, size), "font-size": size,
        "stroke-width": 0.2 * size }, String(place + 1)));
    }
  });
  const image = picture && make("img", { alt: "", loading: "lazy", decoding: "async", src: picture,
    onerror: () => image.remove() });
  return make("div", { class: "frame" }, image, boxes);
}

/* Return the card of a line; `link`, if given, is where its name leads. */
export function photoCard(line, picture, { filter, link }) {
  const chosen = new Set(asksForFaces(filter) ? line.faces.flatMap((face, place) =>
    (faceMatches(face, line, filter) ? [place] : [])) : []);
  const text = make("figcaption", {}, make(link ? "a" : "span",
    { class: "file", title: line.image, href: link }, line.image));
  const marks = [line.state !== "tagged" && line.state.replace("_", " "),
    line.duplicate_of && `duplicate of ${line.duplicate_of}`,
    line.incomplete && "incomplete file"].filter(Boolean);
  if (marks.length) text.append(make("span", { class: "state" }, marks.join(" · ")));
  if (line.error) text.append(make("span", { class: "range" }, line.error.message));
  if (line.faces.length === 1) text.append(make("div", {}, ...caption(line.faces[0])));
  if (line.faces.length > 1) text.append(...list(line.faces));
  return make("figure", {}, line.width && frame(line, picture, chosen), text);
}

function list(faces) {
  const item = (face) => make("li", {}, ...caption(face));
  const shown = make("ol", {}, ...faces.slice(0, LISTED_FACES).map(item));
  if (faces.length <= LISTED_FACES) return [shown];
  const rest = faces.slice(LISTED_FACES);
  return [shown, make("details", {}, make("summary", {}, `${plural(rest.length, "more face")}`),
    make("ol", { start: LISTED_FACES + 1 }, ...rest.map(item)))];
}
