// List the jobs, the newest first, and keep the list fresh while one of them runs.

import { get } from "../parts/api.js";
import { button, make, statusLine } from "../parts/elements.js";
import { jobActions } from "../parts/job_actions.js";
import { countWords, progressBar } from "../parts/job_progress.js";

export const title = "Jobs";
const FRESH_MS = 3000;

export async function show(view, { signal }) {
  const { line, say, fault } = statusLine();
  const list = make("ul", { class: "jobs" });
  const more = button("Show older jobs", () => older(), { hidden: true });
  const jobs = new Map();
  const rows = new Map();
  let next = null;

  function draw(job) {
    const fresh = jobs.get(job.id);
    if (fresh && JSON.stringify(fresh) === JSON.stringify(job)) return;
    jobs.set(job.id, job);
    const row = jobRow(job, (changed) => (changed === null ? remove(job.id) : load()),
      (error) => fault(error.message));
    if (rows.has(job.id)) rows.get(job.id).replaceWith(row);
    rows.set(job.id, row);
  }

  function remove(id) {
    jobs.delete(id);
    rows.get(id)?.remove();
    rows.delete(id);
    say("The job, its results and its photos are deleted.");
    load();
  }

  async function load() {
    const page = await get("/v1/jobs?limit=50", { signal });
    if (next === null) next = page.next_cursor;
    more.hidden = next === null;
    for (const job of page.jobs) draw(job);
    place(page.jobs, true);
    if (page.jobs.length === 0) say("No jobs yet. Send a folder to start one.");
  }

  async function older() {
    const page = await get(`/v1/jobs?limit=50&cursor=${encodeURIComponent(next)}`, { signal });
    next = page.next_cursor;
    more.hidden = next === null;
    for (const job of page.jobs) draw(job);
    place(page.jobs, false);
  }

  function place(shown, first) {
    const fresh = shown.map((job) => rows.get(job.id)).filter((row) => !row.isConnected);
    if (first) list.prepend(...fresh);
    else list.append(...fresh);
  }

  view.append(make("h1", {}, title), line, list, more);
  while (!signal.aborted) {
    try {
      if (!document.hidden) await load();
    } catch (error) {
      if (error.name === "AbortError") return;
      fault(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, FRESH_MS));
  }
}

function jobRow(job, onchange, onfault) {
  const open = make("a", { href: `#/jobs/${job.id}` }, job.name || `Job ${job.id.slice(0, 8)}`);
  const when = new Date(job.created_at).toLocaleString();
  return make("li", { class: "job" },
    make("div", { class: "row" }, make("h2", {}, open),
      make("span", { class: `tag ${job.state}` }, job.state.replaceAll("_", " ")),
      make("span", { class: "soft" }, when)),
    job.finished_at === null ? progressBar(job) : null,
    make("p", { class: "soft" }, countWords(job)),
    make("div", { class: "row" }, ...jobActions(job, onchange, onfault)));
}
