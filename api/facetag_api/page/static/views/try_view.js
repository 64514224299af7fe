// Label single photos while the visitor waits: nothing of them is kept.

import { post } from "../parts/api.js";
import { setUpCamera } from "../parts/camera.js";
import { plural, make, named, statusLine } from "../parts/elements.js";
import { setUpDrop, takeFiles } from "../parts/drop_area.js";
import { faceCard } from "../parts/face_card.js";
import { lightTogether, photoFigure } from "../parts/photo_figure.js";
import { requireReadable } from "../upload/photo_files.js";

const MOST_ANSWERS = 50;

export function show(view, { signal }) {
  const { say, fault } = statusLine(view);
  const answers = view.querySelector(".answers");
  const waiting = [];
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
      say("Looking at ", named(photo.name), ` …${left}`);
      await labelOne(photo);
    }
    busy = false;
  }

  async function labelOne(photo) {
    const form = new FormData();
    form.append("file", photo, photo.name);
    try {
      await requireReadable(photo);
      const result = await post("/v1/predict", { form, signal });
      if (result.state === "failed") throw result.error;
      stack(answerOf(photo, result));
      say(named(photo.name), `: ${facesFound(result)}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      // The message is soon that of the next photo.
      stack(make("article", {}, make("h2", {}, photo.name), make("p", { class: "message fault" }, error.message)));
      fault(named(photo.name), `: ${error.message}`);
    }
  }

  function stack(answer) {
    answers.prepend(answer);
    if (answers.children.length > MOST_ANSWERS) answers.lastElementChild.remove();
  }

  const take = ({ files }) => add(files);
  const area = view.querySelector(".drop");
  const [camera, phone, clear] = view.querySelector(".row").children;
  setUpDrop(area, { signal, ondrop: take, onchosen: take });
  // A phone's camera app is a way where its browser gives the page no camera.
  phone.hidden = Boolean(navigator.mediaDevices?.getUserMedia) || !matchMedia("(pointer: coarse)").matches;
  takeFiles(phone.firstElementChild, take);
  setUpCamera(camera, (photo) => add([photo]), fault, signal);
  clear.onclick = () => { answers.replaceChildren(); say(""); };
  area.parentElement.hidden = false;
}

function answerOf(photo, line) {
  const { name } = photo;
  const found = facesFound(line);
  const url = URL.createObjectURL(photo);
  const { figure, boxes } = photoFigure([url], line, `${name}: ${found}`);
  // A picture that was loaded needs its address no more.
  figure.firstChild.onload = () => URL.revokeObjectURL(url);
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
