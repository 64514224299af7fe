// Draw what the network says of one face.

import { make, percent } from "./elements.js";

const AGE_TICKS = [0, 20, 40, 60, 80, 100];
const NO_FACE = "perhaps no face";

/** Return a card of a face, the `number`-th of its photo. */
export function faceCard(face, number, { heading = "h3" } = {}) {
  const label = [`Face ${number}`, isUncertain(face, "face") && NO_FACE, ...["age", "gender", "race"].map((head) => spoken(face, head))];
  return make("li", { class: "face", tabindex: "0", "aria-label": label.filter(Boolean).join(", ") },
    make(heading, {}, `Face ${number}`, doubt(face, "face", NO_FACE),
      face.turned > 0 && make("span", { class: "tag" }, `photo turned by ${face.turned}°`)),
    ageOf(face), genderOf(face), raceOf(face));
}

/** Return a label as a screen reader speaks it. */
function spoken(face, head) {
  const value = face[head]?.label ?? (head === "age" && face.age != null && Math.round(face.age));
  return value !== false && `apparent ${head} ${value}${isUncertain(face, head) ? ", uncertain" : ""}`;
}

const isUncertain = (face, head) => face.uncertain?.includes(head);

function ageOf(face) {
  if (face.age == null) return null;
  const age = String(Math.round(face.age));
  const scale = make("div", { class: "scale", "aria-hidden": "true" });
  const put = (name, from, to = from) => {
    const mark = make("span", { class: name });
    mark.style.left = `${place(from)}%`;
    if (to > from) mark.style.width = `${place(to) - place(from)}%`;
    scale.append(mark);
  };
  const range = face.age_range;
  if (range) put("band", ...range);
  put("dot", face.age);
  return make("div", { class: "head" }, headLine("age", range ? `${age} (${range.join("–")})` : age, face),
    scale, make("div", { class: "ticks", "aria-hidden": "true" },
      ...AGE_TICKS.map((tick) => make("span", {}, String(tick)))));
}

const place = (age) => Math.min(Math.max(age, 0), 100);

function genderOf(face) {
  if (!face.gender) return null;
  const { label, probability } = face.gender;
  const other = label === "female" ? "male" : "female";
  return probabilities("gender", { [label]: probability, [other]: 1 - probability }, face);
}

const raceOf = (face) => face.race && probabilities("race", face.race.probabilities, face);

function probabilities(head, shares, face) {
  const rows = Object.entries(shares).sort((a, b) => b[1] - a[1]).map(([label, share]) => {
    const bar = make("span");
    bar.style.width = `${share * 100}%`;
    return make("li", {}, make("span", {}, label),
      make("span", { class: "chance", "aria-hidden": "true" }, bar), make("span", {}, percent(share)));
  });
  return make("div", { class: "head" }, headLine(head, face[head].label, face),
    make("ul", { class: "chances" }, ...rows));
}

function headLine(head, words, face) {
  return make("p", { class: "said" }, make("span", { class: "soft" }, `apparent ${head}`),
    make("strong", {}, words),
    doubt(face, head, "uncertain"));
}

const doubt = (face, head, words) => isUncertain(face, head) && make("span", { class: "tag doubt" }, words);
