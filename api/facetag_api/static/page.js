"use strict";

const SVG = "http://www.w3.org/2000/svg";
const find = (id) => document.getElementById(id);
const drop = find("drop");
const file = find("file");
let latest = 0;
let photoUrl = null;

file.addEventListener("change", () => {
  if (file.files.length > 0) tag(file.files[0]);
  file.value = "";
});
// A photo that misses the field must not replace the page.
for (const name of ["dragover", "drop"]) {
  window.addEventListener(name, (event) => event.preventDefault());
}
drop.addEventListener("dragover", () => drop.classList.add("over"));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  if (event.dataTransfer.files.length > 0) tag(event.dataTransfer.files[0]);
});

async function tag(photo) {
  const turn = ++latest;
  find("result").hidden = true;
  say(`Looking at ${photo.name} …`);
  const form = new FormData();
  form.append("file", photo, photo.name);
  try {
    const answer = await fetch("/v1/predict", { method: "POST", body: form });
    const body = await answer.json();
    if (turn !== latest) return;
    if (!answer.ok) fault(body.detail || body.title || `The service answered ${answer.status}.`);
    else if (body.state === "failed") fault(`${photo.name}: ${body.error.message}`);
    else show(photo, body);
  } catch (error) {
    if (turn === latest) fault("The service does not answer. Is it still running?");
  }
}

function show(photo, line) {
  const count = line.faces.length;
  say(count === 0 ? "No face found." : count === 1 ? "One face found." : `${count} faces found.`);
  if (photoUrl !== null) URL.revokeObjectURL(photoUrl);
  photoUrl = URL.createObjectURL(photo);
  const image = find("photo");
  const figure = image.parentElement;
  figure.classList.remove("blank");
  // Not every browser can show every format that the service reads: the boxes alone remain.
  image.onerror = () => figure.classList.add("blank");
  image.src = photoUrl;
  image.alt = `${photo.name}, ${count} faces`;
  drawBoxes(line);
  find("faces").replaceChildren(...line.faces.map(card));
  find("result").hidden = false;
}

function drawBoxes(line) {
  const svg = find("boxes");
  svg.setAttribute("viewBox", `0 0 ${line.width} ${line.height}`);
  svg.replaceChildren();
  const radius = Math.max(line.width, line.height) / 60;
  line.faces.forEach((face, index) => {
    const [x, y, width, height] = face.box;
    svg.append(shape("rect", { x, y, width, height, rx: radius / 3 }));
    if (line.faces.length < 2) return;
    const label = shape("text", { x: x + radius, y: y + radius, "font-size": radius * 1.3 });
    label.textContent = String(index + 1);
    svg.append(shape("circle", { cx: x + radius, cy: y + radius, r: radius, class: "number" }), label);
  });
}

function card(face, index) {
  const title = element("h2", `Face ${index + 1}`);
  const rows = element("dl");
  const row = (name, value) => rows.append(element("dt", name), element("dd", value));
  if (face.age !== undefined) {
    const [low, high] = face.age_range;
    row("apparent age", `${Math.round(face.age)} (${low}–${high})`);
  }
  if (face.gender) {
    row("apparent gender", `${face.gender.label} ${percent(face.gender.probability)}`);
  }
  if (face.race) {
    const parts = Object.entries(face.race.probabilities).sort((a, b) => b[1] - a[1]);
    row("apparent race", `${face.race.label} ${percent(parts[0][1])}`);
    for (const [label, share] of parts.slice(1, 3)) row("", `${label} ${percent(share)}`);
  }
  const item = element("li");
  item.append(title, rows);
  return item;
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function percent(share) {
  return `${Math.round(share * 100)} %`;
}

function say(text) {
  const message = find("message");
  message.classList.remove("fault");
  message.textContent = text;
}

function fault(text) {
  say(text);
  find("message").classList.add("fault");
}
