// Show one job: how far it is, and its photos with their faces.

import { get } from "../parts/api.js";
import { button, make, statusLine } from "../parts/elements.js";
import { jobActions, retag } from "../parts/job_actions.js";
import { countWords, followJob, Pace, progressBar } from "../parts/job_progress.js";
import { photoGrid } from "../parts/photo_grid.js";

export const title = "Job";

export async function show(view, { parts: [id], signal }) {
  const { line, say, fault } = statusLine();
  const head = make("div", { class: "job-head" });
  const photos = make("div");
  const pace = new Pace();
  let following = new AbortController();
  let shown = null;

  function draw(job) {
    document.title = `${job.name || "Job"} – facetag`;
    const grown = shown === null || shown.counts.tagged !== job.counts.tagged;
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
    if (grown && (shown === null || job.finished_at !== null)) {
      photos.replaceChildren(photoGrid(job, signal));
    }
    if (shown !== null && shown.finished_at === null && job.finished_at !== null) say("The job has ended.");
    shown = job;
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
      location.hash = `#/jobs/${(await retag(shown)).id}`;
    } catch (error) {
      fault(error.message);
    }
  }

  function follow() {
    following.abort();
    following = new AbortController();
    signal.addEventListener("abort", () => following.abort());
    followJob(id, draw, (error) => fault(error.message), following.signal);
  }

  view.append(head, line, photos);
  try {
    draw(await get(`/v1/jobs/${id}`, { signal }));
    follow();
  } catch (error) {
    if (error.name !== "AbortError") fault(error.message);
  }
}

function downloads(job) {
  return ["csv", "jsonl"].map((format) =>
    make("a", { class: "button", href: `/v1/jobs/${job.id}/results?format=${format}`, download: "" },
      `Results as ${format}`));
}
