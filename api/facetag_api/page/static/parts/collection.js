// Show who is in a job's photos, by the charts and the gallery that the report has too.

import { card, numeric, showCharts, table } from "../collection/charts.js";
import { showGallery } from "../collection/gallery.js";
import { get } from "./api.js";
import { grouped, make, plural } from "./elements.js";

const PAGE = 1000;
const MOST_PHOTOS = 20_000;

/** Return the counts of a job that keeps nothing else. */
export function groupCounts({ faces, groups }) {
  const rows = groups.map((one) =>
    [[one.gender, one.race, one.age].filter(Boolean).join(", ") || "all", grouped(one.faces)]);
  return card("Counted faces", `${plural(faces, "face")}. This job keeps counts alone.`,
    table("Faces by group", ["Group", numeric("Faces")], rows));
}

/** Return the charts and the photos of a job as they are now; `signal` ends the loading. */
export function collection(job, signal) {
  const progress = make("p", { class: "soft", role: "status" }, "Counting faces …");
  const charts = make("div", { class: "charts" });
  const gallery = make("section", { class: "card", "aria-label": "Photos", hidden: true });
  const url = `/v1/jobs/${job.id}`;
  const address = `#/jobs/${job.id}`;

  async function load() {
    const { counts, columns } = await get(`${url}/composition`, { signal });
    showCharts(charts, counts, { address });
    const lines = await loadLines();
    progress.remove();
    gallery.hidden = false;
    const note = lines.length < counts.photos
      ? `The first ${plural(lines.length, "photo")} of the job are listed; the charts count all.` : "";
    showGallery(gallery, {
      counts, columns, lines, note, address, signal,
      picture: (line) => `${url}/images/${line.position}/thumbnail`,
      link: (line) => (line.width ? `#/review/${job.id}/${line.position}` : null),
    });
  }

  async function loadLines() {
    const lines = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: PAGE, ...(cursor && { cursor }) });
      const page = await get(`${url}/images?${query}`, { signal });
      lines.push(...page.images);
      cursor = page.next_cursor;
      progress.textContent = `Loading ${plural(lines.length, "photo")} …`;
    } while (cursor !== null && lines.length < MOST_PHOTOS);
    return lines;
  }

  load().catch((error) => {
    if (error.name !== "AbortError") progress.textContent = error.message;
  });
  return make("div", {}, progress, charts, gallery);
}
