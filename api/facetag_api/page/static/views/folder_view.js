// Send a folder as a job; a reload or a lost network loses nothing.

import { setUpDrop, takeFiles } from "../parts/drop_area.js";
import { button, plural, make, named, statusLine } from "../parts/elements.js";
import { Pace } from "../parts/job_progress.js";
import { filesOfDrop, filesOfInput } from "../upload/photo_files.js";
import { hex } from "../upload/sha256.js";
import { UploadRun } from "../upload/upload_run.js";
import { forgetRun, listRuns } from "../upload/upload_store.js";

// A run goes on while other views are shown, so it outlives this one.
let current = null;

export async function show(view, { signal }) {
  const { fault, failed } = statusLine(view);
  const unfinished = view.querySelector(".jobs");
  const panel = view.querySelector(".run");
  let asked = null;

  async function begin({ name, entries }, earlier = null) {
    if (current?.active) {
      return fault("Another folder is being sent: wait for it, or forget it.");
    }
    purpose.value ||= earlier?.purpose ?? "";
    current = new UploadRun({
      id: randomId(), name: name || `Photos of ${new Date().toLocaleString()}`,
      ...earlier, purpose: purpose.value,
    });
    attach();
    listUnfinished();
    await current.start(entries);
    listUnfinished();
  }

  function attach() {
    if (current === null) return;
    panel.hidden = false;
    const update = followRun(current, panel, () => { panel.hidden = true; current = null; listUnfinished(); });
    current.addEventListener("change", update, { signal });
    update();
  }

  async function listUnfinished() {
    const runs = await listRuns();
    const idle = runs.filter((run) => run.id !== current?.run.id);
    unfinished.replaceChildren(...idle.map((run) => unfinishedItem(run)));
  }

  function unfinishedItem(run) {
    const goOn = () => {
      asked = run;
      input.click();
    };
    return make("li", { class: "job" },
      make("h2", {}, run.name),
      make("p", { class: "soft" },
        `${plural(run.total ?? 0, "photo")}, not all sent yet. Choose the folder again: nothing is `
        + "sent twice."),
      make("div", { class: "row" }, button("Go on", goOn),
        button("Forget it", async () => { await forgetRun(run.id); listUnfinished(); })));
  }

  async function take(found) {
    const earlier = asked || (await sameName(found.name));
    asked = null;
    if (found.entries.length > 0) begin(found, earlier);
    else fault("No file was found there.");
  }

  // Some services demand one; it may be stated after they said so.
  const [input, files, purpose] = view.querySelectorAll("input");
  purpose.oninput = () => { if (current) current.run.purpose = purpose.value; };
  const chosen = (field) => take(filesOfInput(field));
  setUpDrop(view.querySelector(".drop"), {
    signal, onchosen: chosen, ondrop: (transfer) => filesOfDrop(transfer).then(take).catch(failed),
  });
  input.oncancel = () => { asked = null; };
  takeFiles(files, chosen);
  view.querySelector(".ways").hidden = false;
  attach();
  await listUnfinished();
}

async function sameName(name) {
  return (await listRuns()).find((run) => name !== null && run.name === name) || null;
}

/** Return a function that shows in the panel how far a run is. */
function followRun(run, panel, onforgotten) {
  const [name, bar, words, rate, trouble, failures, buttons] = panel.children;
  let pace = new Pace();
  name.replaceChildren(named(run.run.name));
  buttons.onclick = async ({ target: { dataset: { work } } }) => {
    await run[work]?.();
    if (work === "forget") onforgotten();
  };

  return () => {
    if (run !== current) return;
    bar.max = run.total || 1;
    bar.value = run.state === "hashing" ? run.hashed : run.done;
    if (run.paused) pace = new Pace();
    rate.textContent = run.paused ? "" : pace.wordsFor(bar.value, run.total);
    words.textContent = progressWords(run);
    trouble.textContent = run.trouble;
    trouble.classList.toggle("fault", run.state === "stopped");
    failures.hidden = run.failed.size === 0;
    failures.firstChild.textContent = `${plural(run.failed.size, "file")} could not be sent`;
    failures.lastChild.replaceChildren(...[...run.failed].map(([path, message]) =>
      make("li", {}, named(path), `: ${message}`)));
    const now = run.active && run.paused ? "paused" : run.state;
    for (const one of buttons.children) one.hidden = !one.dataset.when.split(" ").includes(now);
    if (run.job) buttons.firstElementChild.href = `#/jobs/${run.job.id}`;
  };
}

function progressWords(run) {
  const parts = [plural(run.total, "photo")];
  if (run.state === "hashing") parts.push(`${run.hashed} read`);
  else parts.push(`${run.sent} sent`, `${run.known} known already`);
  if (run.skipped > 0) parts.push(`${plural(run.skipped, "other file")} skipped`);
  if (run.paused) parts.push("paused");
  if (run.state === "empty") parts.push("no photo was found");
  if (run.state === "done") parts.push("the job has started");
  return parts.join(" · ");
}

// crypto.randomUUID is there only on this machine and over HTTPS.
const randomId = () => hex(crypto.getRandomValues(new Uint8Array(16)));
