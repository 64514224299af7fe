/* Finds and sorts photos by what the results say of them: `{gender: "female", age: "20-29"}`. */
const SIZES = { small: [0, 0.1], medium: [0.1, 0.3], large: [0.3, Infinity] };
const FACE_KEYS = ["gender", "race", "age", "doubt", "size", "confidence", "gender_sure",
  "race_sure"];
const OF_ANY_FACE = new Set(["confidence", "doubt", "size"]);
export const SORTS = {
  rare: "Rarest and most uncertain first", doubt: "Least certain label first",
  found: "Least certain detection first", small: "Smallest face first",
  many: "Most faces first", name: "Name",
};

export const labelOf = (face, head) => face[head]?.label ?? null;
export const chanceOf = {
  gender: (face) => face.gender?.probability,
  race: (face) => face.race?.probabilities[face.race.label],
};
const certainty = (face) =>
  Math.min(chanceOf.gender(face) ?? 1, chanceOf.race(face) ?? 1);
const sizeOf = (face, line) =>
  Math.max(face.box[2], face.box[3]) / (Math.max(line.width, line.height) || 1);
export const doubts = (face) => face.uncertain || [];
/* Return whether a face is surely one: the charts count no other. */
const isCounted = (face) => !doubts(face).includes("face");

/* Return whether a number lies in "20-29", "20–29", "80+" or "0.9-0.95" (upper end included). */
function inRange(value, text, whole) {
  if (value == null) return false;
  const shown = whole ? Math.floor(value) : value;
  if (text.endsWith("+")) return shown >= Number(text.slice(0, -1));
  const [low, high = low] = text.split(/[-–]/).map(Number);
  return shown >= low && shown <= high;
}

const FACE_TESTS = {
  gender: (face, wanted) => labelOf(face, "gender") === wanted,
  race: (face, wanted) => labelOf(face, "race") === wanted,
  age: (face, wanted) => inRange(face.age, wanted, true),
  doubt: (face, wanted) => (["any", "none"].includes(wanted)
    ? (doubts(face).length > 0) === (wanted === "any") : doubts(face).includes(wanted)),
  size: (face, wanted, line) => {
    const [low, high] = SIZES[wanted] || [0, Infinity];
    return sizeOf(face, line) >= low && sizeOf(face, line) < high;
  },
  confidence: (face, wanted) => inBin(face.confidence, wanted),
  gender_sure: (face, wanted) => inBin(chanceOf.gender(face), wanted),
  race_sure: (face, wanted) => inBin(chanceOf.race(face), wanted),
};
const LINE_TESTS = {
  state: (line, wanted) => (wanted === "duplicate" ? Boolean(line.duplicate_of)
    : line.state === wanted),
  error: (line, wanted) => Boolean(line.error) && line.error.code === wanted,
  faces: (line, wanted) => ["tagged", "no_face"].includes(line.state) && !line.duplicate_of
    && inRange(line.faces.filter(isCounted).length, wanted, true),
  name: (line, wanted) => line.image.toLowerCase().includes(wanted.toLowerCase()),
};

/* Return whether a probability is in the bin "0.9-0.91"; the lower end belongs to the bin. */
function inBin(value, text) {
  if (value == null) return false;
  const [low, high] = text.split("-").map(Number);
  // Rounded as the counts are, so that 0.7 does not fall below the edge 0.7.
  const place = Number(value.toFixed(10));
  return place >= low && (place < high || high >= 1);
}

export function matches(line, filter) {
  for (const [key, test] of Object.entries(LINE_TESTS)) {
    if (filter[key] && !test(line, filter[key])) return false;
  }
  if (!asksForFaces(filter)) return true;
  // Faces are counted in distinct photos alone.
  return !line.duplicate_of && line.faces.some((face) => faceMatches(face, line, filter));
}

export const asksForFaces = (filter) => FACE_KEYS.some((key) => filter[key]);

export function faceMatches(face, line, filter) {
  return FACE_KEYS.every((key) => !filter[key] || (FACE_TESTS[key](face, filter[key], line)
    && (OF_ANY_FACE.has(key) || isCounted(face))));
}

/* Return the lines in order; ties keep the order of the results. */
export function sorted(lines, order, rarity) {
  if (order === "name") return [...lines].sort((a, b) => (a.image < b.image ? -1 : +(a.image > b.image)));
  const keys = {
    rare: (line) => [rarity(line), -Math.max(0, ...line.faces.map((face) => doubts(face).length))],
    doubt: (line) => [Math.min(2, ...line.faces.map(certainty)), 0],
    found: (line) => [Math.min(2, ...line.faces.map((face) => face.confidence)), 0],
    small: (line) => [Math.min(9, ...line.faces.map((face) => sizeOf(face, line))), 0],
    many: (line) => [-line.faces.length, 0],
  };
  if (!keys[order]) return lines;
  const ranked = lines.map((line) => [keys[order](line), line]);
  ranked.sort(([[a, b]], [[c, d]]) => a - c || b - d);
  return ranked.map(([, line]) => line);
}

/* Return a function that tells how many faces the rarest group of a line's faces has. */
export function rarityBy(counts) {
  const sizes = new Map(counts.cells.map((cell) =>
    [[cell.gender, cell.race, cell.band].join("|"), cell.count]));
  const starts = counts.bands.map((band) => parseInt(band, 10));
  return (line) => Math.min(Infinity, ...line.faces.map((face) => {
    const band = face.age == null ? null : counts.bands[starts.findLastIndex((start) => start <= face.age)];
    return sizes.get([labelOf(face, "gender"), labelOf(face, "race"), band].join("|"))
      ?? Infinity;
  }));
}
