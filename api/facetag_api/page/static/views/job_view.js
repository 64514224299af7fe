// Show one job, its charts and its photos.

import { askAgain, get, post } from "../parts/api.js";
import { collection, groupCounts } from "../parts/collection.js";
import { button, make, named, statusLine } from "../parts/elements.js";
import { actionRow } from "../parts/job_actions.js";
import { countWords, finished, followJob, Pace, progressBar } from "../parts/job_progress.js";

export async function show(view, { parts: [id], signal, lacks }) {
  const { say, failed } = statusLine(view);
  const [buttons, offer] = actionRow(lacks, acted, failed, resultActions);
  const [, head, , photos] = view.children;
  const facts = head.firstElementChild;
  const pace = new Pace();
  let following = new AbortController();
  let looking = new AbortController();
  let shown = null;

  function draw(job) {
    const name = job.name || `Job ${job.id.slice(0, 8)}`;
    document.title = `${name} – facetag`;
    view.querySelector("h1").replaceChildren(named(name));
    facts.replaceChildren(
      make("div", { class: "row" },
        make("span", { class: `tag ${job.state}` }, job.state.replaceAll("_", " ")),
        make("span", { class: "soft" }, countWords(job))),
      job.finished_at === null ? progressBar(job) : "",
      make("p", { class: "soft" }, job.finished_at === null && pace.wordsFor(finished(job), job.total)),
      job.error ? make("p", { class: "message fault" }, job.error) : "");
    offer(job);
    if (job.finished_at !== null && !shown?.finished_at) {
      look(job);
      if (shown !== null) say("The job has ended.");
    } else if (shown === null) {
      photos.replaceChildren(button("Show what is labelled so far", () => look(job)));
    }
    shown = job;
  }

  function resultActions(job) {
    return job.aggregate ? [] : [
      job.finished_at !== null && !lacks("jobs") && button("Label again", labelAgain),
      job.counts.tagged > 0 && !lacks("review") && make("a", { class: "button", href: `#/review/${job.id}` }, "Review"),
      ...["csv", "jsonl"].map((format) => make("a", { class: "button", download: "",
        href: `/v1/jobs/${job.id}/results?format=${format}` }, `Results as ${format}`)),
    ];
  }

  function look(job) {
    looking.abort();
    looking = new AbortController();
    photos.replaceChildren(job.aggregate ? groupCounts(job.aggregate) : collection(job, looking.signal));
  }

  function acted(job) {
    // Another view is open by now.
    if (signal.aborted) return;
    if (job === null) {
      location.hash = "#/jobs";
      return;
    }
    draw(job);
    following.abort();
    following = new AbortController();
    followJob(id, draw, failed, following.signal);
  }

  const labelAgain = () => post(`/v1/jobs/${id}/retag`)
    .then((made) => { if (!signal.aborted) location.hash = `#/jobs/${made.id}`; }).catch(failed);

  signal.addEventListener("abort", () => {
    following.abort();
    looking.abort();
  });
  head.append(buttons);
  await askAgain(async () => {
    acted(await get(`/v1/jobs/${id}`, { signal }));
    return true;
  }, 2000, failed, signal);
}
