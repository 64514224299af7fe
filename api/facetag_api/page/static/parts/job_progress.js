// Follow a job by server-sent events, or by asking where these do not get through.

import { askAgain, get } from "./api.js";
import { plural, make } from "./elements.js";

const ASK_MS = 2000;
const LATE_MS = 8000;
export const RETRIED = new Set(["completed_with_errors", "failed"]);

/** Call `onjob` with the job whenever it changes, until it has ended or `signal` is aborted. */
export function followJob(id, onjob, onfault, signal) {
  const source = new EventSource(`/v1/jobs/${id}/events`);
  let done = false;
  const stop = () => {
    done = true;
    source.close();
  };
  signal.addEventListener("abort", stop);
  source.onmessage = (event) => {
    clearTimeout(late);
    onjob(JSON.parse(event.data));
  };
  source.addEventListener("end", stop);
  const poll = () => {
    clearTimeout(late);
    if (done) return;
    stop();
    askAgain(ask, ASK_MS, onfault, signal);
  };
  source.onerror = poll;
  // A proxy may keep events back: the first one comes at once.
  const late = setTimeout(poll, LATE_MS);
  // A browser makes six connections to a service: a tab that nobody sees takes none.
  document.addEventListener("visibilitychange", poll, { signal });
  if (document.hidden) poll();

  async function ask() {
    if (document.hidden) return false;
    const job = await get(`/v1/jobs/${id}`, { signal });
    onjob(job);
    return job.finished_at !== null;
  }
}

/** Return how many of a job's images have reached their end. */
export function finished(job) {
  const { counts } = job;
  return counts.tagged + counts.no_face + counts.failed + counts.cancelled;
}

export function progressBar(job) {
  const bar = make("progress", { max: job.total || 1, "aria-label": "Images done" });
  if (job.total !== null) bar.value = finished(job);
  return bar;
}

export function countWords(job) {
  const words = {
    queued: "waiting", running: "at work", tagged: "with faces", no_face: "without a face",
    failed: "failed", cancelled: "cancelled",
  };
  const parts = Object.entries(words)
    .filter(([state]) => job.counts[state] > 0)
    .map(([state, word]) => `${job.counts[state].toLocaleString("en")} ${word}`);
  const total = job.total === null ? "being listed" : plural(job.total, "photo");
  return [total, ...parts].join(" · ");
}

/** Estimate the rate from the photos that were done since the page first looked. */
export class Pace {
  #first = null;

  wordsFor(done, total) {
    const now = performance.now() / 1000;
    if (this.#first === null || done < this.#first.done) this.#first = { done, now };
    const [more, seconds] = [done - this.#first.done, now - this.#first.now];
    if (done === total || more === 0 || seconds < 1) return "";
    const rate = more / seconds;
    const left = total === null ? "" : `, ${duration((total - done) / rate)} left`;
    return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} photos a second${left}`;
  }
}

function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
