// Send a folder as a job; a reload or a lost network loses nothing.

import { dropArea, fileField } from "../parts/drop_area.js";
import { button, plural, make, named, statusLine } from "../parts/elements.js";
import { Pace } from "../parts/job_progress.js";
import { filesOfDrop, filesOfInput } from "../upload/photo_files.js";
import { hex } from "../upload/sha256.js";
import { UploadRun } from "../upload/upload_run.js";
import { forgetRun, listRuns } from "../upload/upload_store.js";

// A run goes on while other views are shown, so it outlives this one.
let current = null;

export async function show(view, { signal }) {
  const { line, fault } = statusLine();
  const unfinished = make("ul", { class: "jobs" });
  const panel = view.querySelector(".run");
  let asked = null;

  async function begin({ name, entries }, earlier = null) {
    if (current && ["hashing", "sending", "starting"].includes(current.state)) {
      return fault("Another folder is being sent: wait for it, or forget it.");
    }
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
  const purpose = view.querySelector("input");
  purpose.oninput = () => { if (current) current.run.purpose = purpose.value; };
  const chosen = (field) => take(filesOfInput(field));
  const { area, input } = dropArea("Drop a folder here", "or choose one.", {
    id: "folder", multiple: true, webkitdirectory: true, signal,
    onchosen: chosen, oncancel: () => { asked = null; },
    ondrop: async (transfer) => take(await filesOfDrop(transfer)),
  });

  panel.before(
    area,
    make("div", { class: "row" }, make("label", { class: "button", for: "files" },
      fileField(chosen, { id: "files", multiple: true }), "Choose files"), purpose.parentElement),
    line,
  );
  panel.after(unfinished);
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
  let drawn = "";
  name.replaceChildren(named(run.run.name));

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
    const now = `${run.state} ${run.paused}`;
    // Buttons that were made anew for every photo could not be pressed.
    if (now !== drawn) buttons.replaceChildren(...buttonsOf(run, onforgotten));
    drawn = now;
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

function buttonsOf(run, onforgotten) {
  const forget = button("Forget it", async () => { await run.forget(); onforgotten(); });
  if (run.state === "done") {
    return [make("a", { class: "button primary", href: `#/jobs/${run.job.id}` }, "Show the job")];
  }
  if (run.state === "empty") return [forget];
  if (run.state === "incomplete") {
    return [button("Try them again", () => run.retry(), { class: "primary" }),
      button("Start without them", () => run.startJob()), forget];
  }
  if (run.state === "stopped") return [button("Try again", () => run.retry(), { class: "primary" }), forget];
  return [run.paused ? button("Go on", () => run.goOn(), { class: "primary" })
    : button("Pause", () => run.pause()), forget];
}

// crypto.randomUUID is there only on this machine and over HTTPS.
const randomId = () => hex(crypto.getRandomValues(new Uint8Array(16)));
