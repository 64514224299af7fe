// Label single photos while the visitor waits: nothing of them is kept.

import { post } from "../parts/api.js";
import { cameraPanel } from "../parts/camera.js";
import { button, plural, make, statusLine } from "../parts/elements.js";
import { faceCard } from "../parts/face_card.js";
import { lightTogether, photoFigure } from "../parts/photo_figure.js";

export const title = "Try one photo";
const ACCEPTED = "image/*,.heic,.heif,.avif";
const MOST_ANSWERS = 50;

export function show(view, { signal }) {
  const { line, say, fault } = statusLine();
  const answers = make("div", { class: "answers" });
  const waiting = [];
  const urls = new Map();
  let busy = false;

  function add(photos) {
    waiting.push(...photos);
    if (!busy) labelAll();
  }

  async function labelAll() {
    busy = true;
    while (waiting.length > 0 && !signal.aborted) {
      const photo = waiting.shift();
      const left = waiting.length > 0 ? ` ${plural(waiting.length, "photo")} after it.` : "";
      say(`Looking at ${photo.name} …${left}`);
      await labelOne(photo);
    }
    busy = false;
  }

  async function labelOne(photo) {
    const form = new FormData();
    form.append("file", photo, photo.name);
    try {
      const result = await post("/v1/predict", { form, signal });
      if (result.state === "failed") return fault(`${photo.name}: ${result.error.message}`);
      const url = URL.createObjectURL(photo);
      const answer = answerOf(photo.name, url, result);
      urls.set(answer, url);
      answers.prepend(answer);
      if (answers.children.length > MOST_ANSWERS) forget(answers.lastElementChild);
      say(`${photo.name}: ${facesFound(result)}`);
    } catch (error) {
      if (error.name !== "AbortError") fault(`${photo.name}: ${error.message}`);
    }
  }

  function forget(answer) {
    URL.revokeObjectURL(urls.get(answer));
    urls.delete(answer);
    answer.remove();
  }

  signal.addEventListener("abort", () => [...urls.values()].forEach((url) => URL.revokeObjectURL(url)));
  view.append(
    make("h1", {}, title),
    make("p", { class: "lead" },
      "See which faces a photo shows, with apparent age, gender and race: a network's guess of how "
      + "people would label them. The photo is labelled and not kept."),
    dropArea(add, signal),
    make("div", { class: "row" }, cameraPanel((photo) => add([photo]), fault, signal),
      phoneCamera(add),
      button("Clear", () => { [...answers.children].forEach(forget); say(""); })),
    line,
    answers,
  );
}

function dropArea(add, signal) {
  const input = make("input", { type: "file", id: "file", accept: ACCEPTED, multiple: true,
    class: "unseen", onchange: () => { add(input.files); input.value = ""; } });
  const area = make("label", { class: "drop", for: "file" }, input,
    make("strong", {}, "Drop photos here"), make("span", {}, "or choose one or several."));
  area.addEventListener("dragover", () => area.classList.add("over"));
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  // A photo that misses the area must not replace the page.
  window.addEventListener("dragover", (event) => event.preventDefault(), { signal });
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    add(event.dataTransfer.files);
  }, { signal });
  return area;
}

/** Return a way to the camera app, for phones whose browser gives the page no camera. */
function phoneCamera(add) {
  if (navigator.mediaDevices?.getUserMedia || !matchMedia("(pointer: coarse)").matches) return null;
  const input = make("input", { type: "file", accept: "image/*", capture: "user", class: "unseen",
    onchange: () => { add(input.files); input.value = ""; } });
  return make("label", { class: "button" }, input, "Take a photo");
}

function answerOf(name, url, line) {
  const found = facesFound(line);
  const { figure, boxes } = photoFigure(url, line, `${name}: ${found}`);
  const cards = line.faces.map((face, index) => faceCard(face, index + 1));
  cards.forEach((card, index) => lightTogether(boxes[index], card));
  const incomplete = line.incomplete ? " The file lacks its last bytes." : "";
  return make("article", { class: "answer" },
    make("h2", {}, name), make("p", { class: "soft" }, `${found}${incomplete}`),
    figure, make("ol", { class: "faces" }, ...cards));
}

function facesFound(line) {
  return line.faces.length === 0 ? "no face found." : `${plural(line.faces.length, "face")} found.`;
}
