// List the jobs, the newest first, and keep the list fresh while one of them runs.

import { askAgain, get } from "../parts/api.js";
import { make, statusLine } from "../parts/elements.js";
import { actionRow } from "../parts/job_actions.js";
import { countWords, progressBar } from "../parts/job_progress.js";

const FRESH_MS = 3000;

export async function show(view, { signal, lacks }) {
  const { say, failed } = statusLine(view);
  const [, , list, more] = view.children;
  const rows = new Map();
  let next;

  function draw(job) {
    const changed = (now) => (now === null ? remove(job.id) : draw(now));
    if (!rows.has(job.id)) rows.set(job.id, jobRow(job, actionRow(lacks, changed, failed)));
    rows.get(job.id).update(job);
  }

  function drop(id) {
    rows.get(id)?.row.remove();
    rows.delete(id);
  }

  function remove(id) {
    drop(id);
    say("The job, its results and its photos are deleted.");
  }

  async function load() {
    const page = await get("/v1/jobs?limit=50", { signal });
    if (next === undefined) next = page.next_cursor;
    more.hidden = next === null;
    place(page.jobs, true);
    const oldest = page.next_cursor === null ? "" : page.jobs.at(-1).created_at;
    const ids = new Set(page.jobs.map((job) => job.id));
    for (const [id, { created }] of rows) if (created > oldest && !ids.has(id)) drop(id);
    if (page.jobs.length === 0) say("No jobs yet. Send a folder to start one.");
  }

  async function older() {
    const page = await get(`/v1/jobs?limit=50&cursor=${encodeURIComponent(next)}`, { signal });
    next = page.next_cursor;
    more.hidden = next === null;
    place(page.jobs, false);
  }

  function place(shown, first) {
    shown.forEach(draw);
    let before = first ? null : list.lastElementChild;
    for (const { id } of shown) {
      const { row } = rows.get(id);
      if (!row.isConnected) before ? before.after(row) : list.prepend(row);
      before = row;
    }
  }

  more.onclick = () => older().catch(failed);
  await askAgain(async () => { if (!document.hidden) await load(); }, FRESH_MS, failed, signal);
}

function jobRow(job, [buttons, offer]) {
  const state = make("span");
  const counts = make("div");
  const open = make("a", { href: `#/jobs/${job.id}` }, job.name || `Job ${job.id.slice(0, 8)}`);
  const row = make("li", { class: "job" },
    make("div", { class: "row" }, make("h2", {}, open), state,
      make("span", { class: "soft" }, new Date(job.created_at).toLocaleString())),
    counts, buttons);

  /** Change no link and no button that may have the focus. */
  function update(now) {
    state.className = `tag ${now.state}`;
    state.textContent = now.state.replaceAll("_", " ");
    counts.replaceChildren(now.finished_at === null ? progressBar(now) : "",
      make("p", { class: "soft" }, countWords(now)));
    offer(now);
  }

  return { row, update, created: job.created_at };
}
