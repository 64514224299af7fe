// The buttons of a job: what its state allows, and deleting only when asked twice.

import { call } from "./api.js";
import { button } from "./elements.js";
import { RETRIED } from "./job_progress.js";

/** Return the buttons; `onchange` gets the job after an action, or null when it was deleted. */
export function jobActions(job, onchange, onfault) {
  const act = (method, path) => async (event) => {
    event.target.disabled = true;
    try {
      const answer = await call(method, path);
      onchange(method === "DELETE" ? null : answer);
    } catch (error) {
      event.target.disabled = false;
      onfault(error);
    }
  };
  const named = (verb) => ({ "aria-label": `${verb} ${job.name || "the job"}` });
  const url = `/v1/jobs/${job.id}`;
  const buttons = [];
  const kept = job.aggregate === null;
  if (job.finished_at === null && job.state !== "cancelled") {
    buttons.push(button("Cancel", act("POST", `${url}/cancel`), named("Cancel")));
  }
  if (kept && job.finished_at !== null && job.state === "cancelled") {
    buttons.push(button("Resume", act("POST", `${url}/resume`), named("Resume")));
  }
  if (kept && RETRIED.has(job.state)) {
    buttons.push(button("Retry failed", act("POST", `${url}/retry`), named("Retry failed photos of")));
  }
  if (job.finished_at !== null) {
    buttons.push(askedTwice("Delete", act("DELETE", url), named("Delete")));
  }
  return buttons;
}

function askedTwice(text, onclick, attributes) {
  const made = button(text, (event) => {
    if (made.dataset.sure) return onclick(event);
    made.dataset.sure = "1";
    made.textContent = `${text} for good?`;
    made.removeAttribute("aria-label");
  }, attributes);
  made.addEventListener("blur", () => {
    delete made.dataset.sure;
    made.textContent = text;
  });
  return made;
}
