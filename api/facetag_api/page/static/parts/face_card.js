// Draw what the network says of one face: the age with its range, and every probability.

import { make, percent } from "./elements.js";

const OLDEST = 100;
const AGE_TICKS = [0, 20, 40, 60, 80, 100];

/** Return a card of a face, the `number`-th of its photo; it can have the focus. */
export function faceCard(face, number, { heading = "h3" } = {}) {
  const title = make(heading, {}, `Face ${number}`);
  if (face.turned) title.append(make("span", { class: "tag" }, `photo turned by ${face.turned}°`));
  const card = make("li", { class: "face", tabindex: "0", "aria-label": wordsOf(face, number) });
  card.append(title);
  for (const part of [ageOf(face), genderOf(face), raceOf(face)]) if (part) card.append(part);
  return card;
}

/** Return a face's labels in one sentence, as a screen reader speaks them. */
function wordsOf(face, number) {
  const words = [`Face ${number}`];
  const doubted = (head) => (isUncertain(face, head) ? ", uncertain" : "");
  if (face.age !== undefined && face.age !== null) {
    words.push(`apparent age ${Math.round(face.age)}${doubted("age")}`);
  }
  for (const head of ["gender", "race"]) {
    if (face[head]) words.push(`apparent ${head} ${face[head].label}${doubted(head)}`);
  }
  return words.join(", ");
}

function isUncertain(face, head) {
  return (face.uncertain || []).includes(head);
}

function ageOf(face) {
  if (face.age === undefined || face.age === null) return null;
  const range = face.age_range;
  const words = range ? `${Math.round(face.age)} (${range[0]}–${range[1]})` : `${Math.round(face.age)}`;
  const scale = make("div", { class: "scale", "aria-hidden": "true" });
  if (range) {
    const band = make("span", { class: "band" });
    band.style.left = `${place(range[0])}%`;
    band.style.width = `${place(range[1]) - place(range[0])}%`;
    scale.append(band);
  }
  const dot = make("span", { class: "dot" });
  dot.style.left = `${place(face.age)}%`;
  scale.append(dot);
  const ticks = make("div", { class: "ticks", "aria-hidden": "true" });
  ticks.append(...AGE_TICKS.map((age) => make("span", {}, String(age))));
  return make("div", { class: "head" }, headLine("age", words, face), scale, ticks);
}

function place(age) {
  return (Math.min(Math.max(age, 0), OLDEST) / OLDEST) * 100;
}

function genderOf(face) {
  if (!face.gender) return null;
  const { label, probability } = face.gender;
  const other = label === "female" ? "male" : "female";
  return probabilities("gender", { [label]: probability, [other]: 1 - probability }, face);
}

function raceOf(face) {
  return face.race ? probabilities("race", face.race.probabilities, face) : null;
}

function probabilities(head, shares, face) {
  const list = make("ul", { class: "chances" });
  const sorted = Object.entries(shares).sort((a, b) => b[1] - a[1]);
  for (const [label, share] of sorted) {
    const bar = make("span", { class: "chance", "aria-hidden": "true" }, make("span"));
    bar.firstChild.style.width = `${share * 100}%`;
    list.append(make("li", {}, make("span", {}, label), bar, make("span", {}, percent(share))));
  }
  return make("div", { class: "head" }, headLine(head, face[head].label, face), list);
}

function headLine(head, words, face) {
  const line = make("p", { class: "said" });
  line.append(make("span", { class: "soft" }, `apparent ${head}`), make("strong", {}, words));
  if (isUncertain(face, head)) line.append(make("span", { class: "tag doubt" }, "uncertain"));
  return line;
}
