// Show what reviews say: how far people agree, where they differ from the network, and the sample.

import { plural, make, percent } from "./elements.js";
import { table } from "../collection/charts.js";

export function reviewSummary({ reviewers, agreement, differences, sample }) {
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
    sampleTables(sample));
}

function sampleTables(sample) {
  if (sample.reviewed === 0) return null;
  const words = `Random sample: ${sample.reviewed} of ${plural(sample.photos, "photo")} reviewed. `
    + "The shares describe the whole job once all of them are. `facetag review shares` sets estimated ones beside them.";
  const rows = (shares) => Object.entries(shares).map(([label, one]) =>
    [label, percent(one.share), range(one.interval)]);
  return make("div", {}, make("p", {}, words),
    ...Object.entries({ ...sample.shares, age: sample.ages }).map(([head, shares]) =>
      table(`Share of faces in the sample: apparent ${head}`, ["label", "share", "95% interval"], rows(shares))));
}

const range = ([low, high]) => `${percent(low)} to ${percent(high)}`;
