/* Writes photos as CSV, as facetag does. */
import { make } from "./elements.js";
import { chanceOf, doubts, labelOf } from "./filters.js";

const FLOATS = new Set(["confidence", "age", "gender_probability"]);

/* Return the text of a CSV file with these columns, one row per face, as facetag writes it. */
export function csvTable(lines, columns) {
  const rows = [columns];
  for (const line of lines) {
    const faces = line.faces.length ? line.faces : [null];
    faces.forEach((face, place) =>
      rows.push(columns.map((column) => written(column, cell(column, line, face, place)))));
  }
  return rows.map((row) => row.map(quoted).join(",") + "\n").join("");
}

function cell(column, line, face, place) {
  if (column.startsWith("error_")) return line.error && inert(line.error[column.slice(6)]);
  if (column in LINE_CELLS) return LINE_CELLS[column](line);
  if (column in line) return line[column];
  if (!face) return null;
  if (column in FACE_CELLS) return FACE_CELLS[column](face, place);
  return column.startsWith("race_") ? face.race?.probabilities[column.slice(5)] : face[column];
}

const LINE_CELLS = {
  image: (line) => inert(line.image),
  duplicate_of: (line) => inert(line.duplicate_of || ""),
  incomplete: (line) => line.incomplete && "true",
};
const FACE_CELLS = {
  face: (face, place) => place,
  x: (face) => face.box[0], y: (face) => face.box[1],
  face_width: (face) => face.box[2], face_height: (face) => face.box[3],
  age_low: (face) => face.age_range?.[0],
  age_high: (face) => face.age_range?.[1],
  gender: (face) => labelOf(face, "gender"), race: (face) => labelOf(face, "race"),
  gender_probability: chanceOf.gender,
  uncertain: (face) => doubts(face).join(" ") || null,
  reviewed: (face) => face.reviewed?.verdict,
};

function written(column, value) {
  if (value == null || value === false) return "";
  const real = FLOATS.has(column) || column.startsWith("race_");
  return real && Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/* Return a name that is no formula, breaks no row and turns no direction (`escape_cell`). */
const SIGN = `["'\\s\xad\u180e\u200b-\u200d\u2060\x1c-\x1f\x85]*[=+@\uff1d\uff0b\uff20\uff0d\ufe62\ufe63\ufe66\ufe6b\u2212-]`;
const UNSAFE = new RegExp(
  `[\\0-\t\v-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|^${SIGN}|[;\n](?=${SIGN})`, "g");
const inert = (text) => text.replace(UNSAFE, (found) => Array.from(new TextEncoder().encode(found),
  (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join(""));

const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

export function downloadCsv(lines, columns) {
  const url = URL.createObjectURL(new Blob([csvTable(lines, columns)], { type: "text/csv" }));
  const anchor = make("a", { href: url, download: "photos.csv" });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
