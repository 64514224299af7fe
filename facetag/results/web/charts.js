/* Draws a collection's counts as tables with bars. Every count is a link that
   filters the gallery: "#photos?gender=female&age=20-29". `counts` is what counts_json writes. */
import { make, grouped, plural, percent } from "./elements.js";

let base = "#photos";

export function link(filter, text, attributes = {}) {
  const query = new URLSearchParams(filter).toString();
  return make("a", { href: `${base}?${query}`, ...attributes }, text);
}

export function card(title, sub, ...children) {
  const heading = make("h2", {}, title);
  return make(
    "section", { class: "card" }, heading, sub && make("p", { class: "sub" }, sub), ...children,
  );
}

/* Return a table whose columns are titles or {title, number}; rows are lists of cells, the first a
   header. */
export function table(caption, titles, rows, attributes = {}) {
  const columns = titles.map((one) => (one.title ? one : { title: one }));
  const head = columns.map(({ title, number, hidden }) =>
    make("th", { scope: "col", class: number ? "number" : null },
      hidden ? make("span", { class: "unseen" }, title) : title));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, place) => {
    const inner = [].concat(cell);
    if (place === 0) return make("th", { scope: "row" }, ...inner);
    return make("td", { class: columns[place].number ? "number" : columns[place].kind }, ...inner);
  })));
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    make("table", attributes,
      make("caption", {}, caption), make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...body)));
}

export const numeric = (title) => ({ title, number: true });
const BAR = { title: "Bar", hidden: true, kind: "bar" };

function bar(parts) {
  const track = make("span", { class: "track", "aria-hidden": "true" });
  for (const { length, kind, filter, title } of parts) {
    if (!(length > 0)) continue;
    const piece = link(filter, "", { class: `fill ${kind || ""}`, tabindex: "-1", title });
    piece.style.width = `${length.toFixed(2)}%`;
    track.append(piece);
  }
  return track;
}

const count = (value, filter, noun = "face") =>
  value ? link(filter, grouped(value), { "aria-label": plural(value, noun) }) : "0";

/* Return the cells of a bar and its number. */
const barred = (value, longest, filter, noun) =>
  [bar([{ length: (100 * value) / longest, filter, title: plural(value, noun) }]), count(value, filter, noun)];

/* Return the pyramid of ages, oldest first; null where ages or genders were not predicted. */
function agesAndGenders(counts) {
  if (!counts.heads.includes("age") || !counts.heads.includes("gender")) return null;
  const { female, male } = counts.pyramid;
  const longest = Math.max(...female, ...male) || 1;
  const rows = counts.age_bins.map((age, place) => {
    const side = (gender, value) => [count(value, { gender, age }),
      bar([{ length: (100 * value) / longest, kind: gender, filter: { gender, age },
        title: `${gender}, ${age}: ${plural(value, "face")}` }])];
    return [age, ...side("female", female[place]), ...side("male", male[place]).reverse()];
  }).reverse();
  const columns = ["Age", numeric("Female"),
    { title: "Bar of female faces", hidden: true, kind: "left" },
    { title: "Bar of male faces", hidden: true, kind: "right" }, "Male"];
  return card("Apparent age and gender",
    `Faces in bands of ten years: ${grouped(counts.genders.female || 0)} female, ` +
    `${grouped(counts.genders.male || 0)} male.`,
    table("Faces by apparent age and gender", columns, rows, { class: "pyramid" }));
}

function races(counts) {
  if (!counts.heads.includes("race")) return null;
  const split = counts.heads.includes("gender");
  const total = sum(Object.values(counts.races)) || 1;
  const longest = Math.max(...Object.values(counts.races), 1);
  const columns = ["Race", BAR,
    ...(split ? [numeric("Female"), numeric("Male")] : []),
    numeric("Faces"), numeric("Share")];
  const rows = counts.labels.race.map((race) => {
    const value = counts.races[race] || 0;
    const parts = split ? ["female", "male"].map((gender) => {
      const number = counts.races_by_gender[gender][race] || 0;
      return { number, kind: gender, filter: { race, gender }, length: (100 * number) / longest,
        title: `${race} ${gender}: ${plural(number, "face")}` };
    }) : [{ length: (100 * value) / longest, filter: { race },
      title: `${race}: ${plural(value, "face")}` }];
    return [race, bar(parts), ...(split ? parts.map((one) => count(one.number, one.filter)) : []),
      count(value, { race }), percent(value / total)];
  });
  return card("Apparent race", split ? key() : "Faces.",
    table("Faces by apparent race", columns, rows));
}

function key() {
  return make("span", { class: "key" }, make("span", { class: "female" }, "female"),
    make("span", { class: "male" }, "male"));
}

function facesPerPhoto(counts) {
  const { bins, counts: values } = counts.faces_per_photo;
  const longest = Math.max(...values, 1);
  const total = sum(values) || 1;
  const rows = bins.map((bin, place) => {
    const value = values[place];
    return [bin, ...barred(value, longest, { faces: bin }, "photo"), percent(value / total)];
  });
  const columns = ["Faces", BAR, numeric("Photos"), numeric("Share")];
  return card("Faces per photo", "Only photos that could be read.",
    table("Photos by number of faces", columns, rows));
}

function confidence(counts) {
  if (!counts.confidence.length) return null;
  const charts = counts.confidence.map(({ title, bins }) => {
    const longest = Math.max(...bins.map((bin) => bin.count), 1);
    const rows = bins.map((bin) => [bin.label, ...barred(bin.count, longest, bin.filter, "face")]);
    return make("div", {}, make("h3", {}, title), table(`${title}: faces by probability`,
      ["Probability", BAR, numeric("Faces")], rows));
  });
  return card("Confidence of the networks",
    "Faces by the probability of their label. A confident label can be wrong.",
    make("div", { class: "several" }, ...charts));
}

/* Return gender by race by age as one table; empty cells are named below it. */
function crossings(counts) {
  const { heads, labels } = counts;
  const others = ["race", "gender"].filter((head) => heads.includes(head));
  const aged = heads.includes("age");
  // Without ages the races were shown already, with their genders.
  if (!aged && others.join() !== "gender") return null;
  const bands = aged ? counts.bands : [null];
  const found = new Map(counts.cells.map((cell) => [cellKey(cell), cell]));
  const groups = others.length === 0 ? [{}]
    : others.length === 1 ? labels[others[0]].map((label) => ({ [others[0]]: label }))
    : labels.race.flatMap((race) => ["female", "male"].map((gender) => ({ race, gender })));
  const empty = [];
  const rows = groups.map((group) => {
    const name = others.map((head) => group[head]).join(" ") || "all";
    return [name, ...bands.map((band) => {
      const cell = found.get(cellKey({ ...group, band }));
      if (!cell) {
        empty.push(`${name} ${band ?? ""}`.trim());
        return make("span", { class: "none" }, "none");
      }
      return cellLink(cell);
    })];
  });
  const by = [...others, aged && "age"].filter(Boolean).join(", ").replace(/, (?=\w+$)/, " and ");
  const columns = [others.join(" and ") || "faces", ...bands.map((band) => numeric(band ?? "faces"))];
  return card(`Groups by ${by}`,
    "Faces; a mark (?) says how many of them have an uncertain label.",
    table(`Faces by apparent ${by}`, columns, rows),
    empty.length ? make("details", {},
      make("summary", {}, `${plural(empty.length, "group")} without a face`),
      make("p", { class: "names" }, `${empty.join("; ")}.`)) : null);
}

const cellKey = ({ gender = null, race = null, band = null }) => [gender, race, band].join("|");

function cellFilter({ gender, race, band }) {
  const named = { gender, race, age: band };
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value));
}

function cellLink(cell) {
  const doubt = cell.uncertain ? ` (${cell.uncertain}?)` : "";
  const words = cell.uncertain ? `, ${cell.uncertain} uncertain` : "";
  return link(cellFilter(cell), grouped(cell.count) + doubt,
    { "aria-label": plural(cell.count, "face") + words });
}

/* Return the groups to look at first: the rarest ones, and those with most uncertain labels. */
function groupsToCheck(counts) {
  const named = counts.cells.filter((cell) => cell.gender || cell.race || cell.band);
  if (!named.length) return null;
  const rarest = [...named].sort((a, b) => a.count - b.count).slice(0, 6);
  const doubt = (cell) => cell.uncertain / cell.count;
  const doubtful = named.filter((cell) => cell.uncertain).sort(
    (a, b) => doubt(b) - doubt(a) || b.uncertain - a.uncertain).slice(0, 6);
  const list = (title, cells) => (cells.length ? make("div", {}, make("h3", {}, title),
    table(title, ["Group", numeric("Faces"), numeric("Uncertain")],
    cells.map((cell) => [[cell.gender, cell.race, cell.band].filter(Boolean).join(", "),
      count(cell.count, cellFilter(cell)),
      count(cell.uncertain, { ...cellFilter(cell), doubt: "any" })]))) : null);
  return card("Look at these groups first",
    "A share that rests on few faces, or on uncertain labels, says little.",
    make("div", { class: "several" }, list("Rarest groups", rarest),
      list("Most uncertain groups", doubtful)));
}

function failures(counts) {
  if (!counts.failures.length) return null;
  const rows = counts.failures.map((one) => [
    [one.reason, make("br"), make("code", {}, one.code)],
    link({ error: one.code }, grouped(one.count), { "aria-label": plural(one.count, "photo") }),
    names(one)]);
  return card("Photos that failed",
    `${grouped(counts.states.failed || 0)} of ${plural(counts.photos, "photo")}. ` +
    "The charts do not count them.",
    table("Failed photos by reason", ["Reason", numeric("Photos"),
      { title: "Names", kind: "names" }], rows));
}

function names({ names: all, count: total }) {
  if (all.length <= 6) return all.join(", ");
  const more = total - all.length;
  return make("details", {},
    make("summary", {}, `${all.slice(0, 3).join(", ")}, and ${grouped(total - 3)} more`),
    all.slice(3).join(", ") + (more ? `, and ${grouped(more)} more` : ""));
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/* Show every chart that the counts allow in `element`, and `shares` if given. `address` is that of
   the gallery. */
export function showCharts(element, counts, { shares = null, address = "#photos" } = {}) {
  base = address;
  element.replaceChildren(...[groupsToCheck(counts), shares,
    agesAndGenders(counts), races(counts), crossings(counts), facesPerPhoto(counts),
    confidence(counts), failures(counts)].filter(Boolean));
}
