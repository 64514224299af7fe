// Show what the reviews of a job say.

import { button, plural, make, percent } from "./elements.js";
import { table } from "../collection/charts.js";

/** Return what a job's reviews say; `estimate` is that of its shares, and `ask` wants a new one. */
export function reviewSummary({ reviewers, agreement, differences, sample }, estimate, ask) {
  const names = Object.entries(reviewers);
  if (names.length === 0) return make("p", { class: "soft" }, "Nobody has reviewed a face of this job yet.");
  return make("section", { "aria-label": "What the reviews say" },
    make("h2", {}, "What the reviews say"),
    make("p", {}, names.map(([name, faces]) => `${name}: ${plural(faces, "face")}`).join(" · ")),
    agreement.length > 0 ? table("Agreement of reviewers (Cohen's kappa)", ["reviewers", "label", "faces", "kappa"],
      agreement.map((one) => [one.reviewers.join(" and "), one.head, one.faces, one.kappa ?? "not defined"])) : null,
    ...Object.entries(differences).filter(([, labels]) => Object.keys(labels).length > 0)
      .map(([head, labels]) => table(`Where people differ from the network: apparent ${head}`,
        ["network's label", "reviewed", "changed", "95% interval"],
        Object.entries(labels).map(([label, one]) =>
          [label, one.reviewed, one.changed, range(one.interval)]))),
    sample.reviewed > 0 && sampleTables(sample, estimate, ask));
}

function sampleTables({ photos, reviewed, shares }, { asked_at: asked, shares: estimated, error }, ask) {
  const words = `Random sample: ${reviewed} of ${plural(photos, "photo")} reviewed. `
    + "The shares describe the whole job once all of them are. Estimated ones are corrected for the network's known errors.";
  const waits = asked && !estimated && !error;
  const titles = ["label", "sample", "95% interval", ...(estimated ? ["counted", "estimated", "95% interval"] : [])];
  return make("div", {}, make("p", {}, words),
    ...Object.entries(shares).map(([head, labels]) => table(`Share of faces: apparent ${head}`, titles,
      Object.entries(labels).map(([label, one]) => [label, percent(one.share), range(one.interval),
        ...estimatedCells(estimated?.shares[head]?.[label], estimated?.doubtful.includes(head))]))),
    ...(estimated?.warnings ?? []).concat(error ?? []).map((text) => make("p", { class: "warning" }, text)),
    make("div", { class: "row" }, button(estimated ? "Estimate again" : "Estimate the shares of the whole job", ask),
      make("span", { role: "status" }, waits ? "A worker estimates: this may take two minutes." : "")));
}

function estimatedCells(one, doubtful) {
  if (!one) return [];
  const said = doubtful ? ["uncertain", ""] : one.too_few ? ["too few faces", `up to ${percent(one.interval[1])}`]
    : [percent(one.estimated), range(one.interval)];
  return [percent(one.counted), ...said];
}

const range = ([low, high]) => `${percent(low)} to ${percent(high)}`;
