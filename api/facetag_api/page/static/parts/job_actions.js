// The buttons of a job: what its state allows.

import { call } from "./api.js";
import { button, make } from "./elements.js";
import { RETRIED } from "./job_progress.js";

/** Return a row of buttons, and a function that fits them to a job; `more` returns further ones.
 *
 * `onchange` gets the job after an action, or null when it was deleted.
 */
export function actionRow(lacks, onchange, onfault, more = () => []) {
  const row = make("div", { class: "row" });
  let offered;
  return [row, (job) => {
    const offers = `${job.state} ${job.finished_at} ${job.counts.tagged > 0}`;
    // Buttons that are made anew while they have the focus or are pressed would miss it.
    if (offers === offered) return;
    offered = offers;
    row.replaceChildren(...[...(lacks("jobs") ? [] : jobActions(job, onchange, onfault)), ...more(job)].filter(Boolean));
  }];
}

function jobActions(job, onchange, onfault) {
  const act = (method, path) => async (event) => {
    event.target.disabled = true;
    try {
      const answer = await call(method, path);
      onchange(method === "DELETE" ? null : answer);
    } catch (error) {
      onfault(error);
    }
    event.target.disabled = false;
  };
  const [ended, kept, url] = [job.finished_at !== null, job.aggregate === null, `/v1/jobs/${job.id}`];
  const named = (verb) => ({ "aria-label": `${verb}: ${job.name || "the job"}` });
  const post = (verb, path) => button(verb, act("POST", `${url}/${path}`), named(verb));
  return [
    !ended && job.state !== "cancelled" && post("Cancel", "cancel"),
    ended && kept && job.state === "cancelled" && post("Resume", "resume"),
    kept && RETRIED.has(job.state) && post("Retry failed", "retry"),
    ended && askedTwice("Delete", act("DELETE", url), named("Delete")),
  ];
}

function askedTwice(text, onclick, attributes) {
  const made = button(text, (event) => {
    // A double click or a held key is no second word.
    if (made.dataset.sure) return event.detail < 2 && onclick(event);
    made.dataset.sure = "1";
    made.textContent = `${text} for good?`;
    made.removeAttribute("aria-label");
  }, { ...attributes, onkeydown: (event) => event.repeat && event.preventDefault() });
  made.addEventListener("blur", () => {
    delete made.dataset.sure;
    made.textContent = text;
  });
  return made;
}
