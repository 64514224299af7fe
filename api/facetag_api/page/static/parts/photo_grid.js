// Show a job's photos page by page, as they come into view, with their faces in words.

import { get } from "./api.js";
import { button, make } from "./elements.js";
import { isUncertain, wordsOf } from "./face_card.js";
import { photoFigure } from "./photo_figure.js";

const PAGE = 60;

/** Return a section that fetches the next photos of the job when its end comes into view. */
export function photoGrid(job, signal) {
  const list = make("ul", { class: "photos" });
  const state = make("select", { onchange: restart });
  for (const [value, text] of [["", "all photos"], ["tagged", "with faces"],
    ["no_face", "without a face"], ["failed", "failed"]]) {
    state.append(make("option", { value }, text));
  }
  const more = button("Show more photos", append, { hidden: true });
  const empty = make("p", { class: "soft", role: "status" });
  let cursor = null;
  let turn = 0;
  let loading = false;

  async function append() {
    if (loading) return;
    loading = true;
    const mine = turn;
    const query = new URLSearchParams({ limit: PAGE });
    if (state.value) query.set("state", state.value);
    if (cursor) query.set("cursor", cursor);
    try {
      const page = await get(`/v1/jobs/${job.id}/images?${query}`, { signal });
      if (mine !== turn) return;
      cursor = page.next_cursor;
      list.append(...page.images.map((line) => photoItem(job, line)));
      more.hidden = cursor === null;
      empty.textContent = list.children.length === 0 ? "No such photos." : "";
    } catch (error) {
      if (error.name !== "AbortError") empty.textContent = error.message;
    } finally {
      if (mine === turn) loading = false;
    }
  }

  function restart() {
    turn += 1;
    loading = false;
    cursor = null;
    list.replaceChildren();
    append();
  }

  const watcher = new IntersectionObserver((seen) => {
    if (seen.some((one) => one.isIntersecting)) append();
  }, { rootMargin: "800px" });
  watcher.observe(more);
  signal.addEventListener("abort", () => watcher.disconnect());
  restart();
  return make("section", { "aria-label": "Photos" },
    make("div", { class: "row" }, make("label", {}, "Show ", state)), empty, list, more);
}

function photoItem(job, line) {
  const name = make("p", { class: "name" }, line.image);
  const item = make("li", { class: "item" });
  if (line.width !== null) {
    const url = `/v1/jobs/${job.id}/images/${line.position}/thumbnail`;
    item.append(photoFigure(url, line, { alt: line.image, lazy: true }).figure);
  }
  item.append(name);
  if (line.error) item.append(make("p", { class: "soft" }, line.error.message));
  else if (line.faces.length === 0) item.append(make("p", { class: "soft" }, line.state.replace("_", " ")));
  line.faces.forEach((face, index) => item.append(make("p", { class: "words" }, wordsOf(face, index + 1),
    ["age", "gender", "race"].some((head) => isUncertain(face, head))
      ? make("span", { class: "tag doubt" }, "uncertain") : null)));
  return item;
}
