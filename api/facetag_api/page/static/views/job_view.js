// Show one job: how far it is, who is in its photos, and the photos with their faces.

import { get, post } from "../parts/api.js";
import { collection } from "../parts/collection.js";
import { button, make, statusLine } from "../parts/elements.js";
import { jobActions } from "../parts/job_actions.js";
import { countWords, followJob, Pace, progressBar } from "../parts/job_progress.js";

export const title = "Job";

export async function show(view, { parts: [id], signal }) {
  const { line, say, fault } = statusLine();
  const head = make("div", { class: "job-head" });
  const photos = make("div");
  const pace = new Pace();
  let following = new AbortController();
  let looking = new AbortController();
  let shown = null;

  function draw(job) {
    document.title = `${job.name || "Job"} – facetag`;
    head.replaceChildren(
      make("h1", {}, job.name || `Job ${job.id.slice(0, 8)}`),
      make("div", { class: "row" },
        make("span", { class: `tag ${job.state}` }, job.state.replaceAll("_", " ")),
        make("span", { class: "soft" }, countWords(job))),
      job.finished_at === null ? progressBar(job) : "",
      make("p", { class: "soft", "data-pace": "" }, pace.wordsFor(job)),
      job.error ? make("p", { class: "message fault" }, job.error) : "",
      make("div", { class: "row" },
        ...jobActions(job, acted, (error) => fault(error.message)),
        job.finished_at === null ? "" : button("Label again", labelAgain),
        job.counts.tagged === 0 ? "" : make("a", { class: "button", href: `#/review/${job.id}` }, "Review"),
        ...downloads(job)));
    if (job.finished_at !== null && !shown?.finished_at) {
      look(job);
      if (shown !== null) say("The job has ended.");
    } else if (shown === null) {
      photos.replaceChildren(button("Show what is labelled so far", () => look(job)));
    }
    shown = job;
  }

  function look(job) {
    looking.abort();
    looking = new AbortController();
    photos.replaceChildren(collection(job, looking.signal));
  }

  function acted(job) {
    if (job === null) {
      location.hash = "#/jobs";
      return;
    }
    draw(job);
    follow();
  }

  async function labelAgain() {
    try {
      location.hash = `#/jobs/${(await post(`/v1/jobs/${id}/retag`)).id}`;
    } catch (error) {
      fault(error.message);
    }
  }

  function follow() {
    following.abort();
    following = new AbortController();
    followJob(id, draw, (error) => fault(error.message), following.signal);
  }

  signal.addEventListener("abort", () => {
    following.abort();
    looking.abort();
  });
  view.append(head, line, photos);
  try {
    draw(await get(`/v1/jobs/${id}`, { signal }));
    follow();
  } catch (error) {
    if (error.name !== "AbortError") fault(error.message);
  }
}

const downloads = (job) => ["csv", "jsonl"].map((format) =>
  make("a", { class: "button", href: `/v1/jobs/${job.id}/results?format=${format}`, download: "" },
    `Results as ${format}`));
