/* Draws counted and estimated shares, for the report alone: the service estimates none. */
import { make, percent, plural } from "./elements.js";
import { card, link, numeric, table } from "./charts.js";

/* Return counted and estimated shares side by side; `estimates` is what shares_json writes. */
export function shareCard(estimates) {
  const single = [];
  const crossed = [];
  for (const [name, groups] of Object.entries(estimates.shares)) {
    const doubtful = estimates.doubtful.some((factor) => name.split(" by ").includes(factor));
    const made = make("div", {}, make("h3", {}, `By ${name}`), shareTable(name, groups, doubtful));
    (name.includes(" by ") ? crossed : single).push(made);
  }
  const warning = estimates.warnings.map((text) => make("p", { class: "warning" }, text));
  return card("Counted and estimated shares",
    "Counted shares are what the labels say. Estimated shares are corrected for the errors that " +
    "the network makes on held-out images; bars are 95% intervals, and a ring marks the counted share.",
    ...warning, ...single,
    crossed.length ? make("details", {}, make("summary", {}, "By two attributes"), ...crossed)
      : null);
}

function shareTable(name, groups, doubtful) {
  const rows = Object.entries(groups);
  const most = Math.max(...rows.flatMap(([, one]) => [one.counted, one.interval[1]]), 0.01);
  const factors = name.split(" by ");
  const columns = ["Group", numeric("Counted"), numeric("Estimated"), numeric("95% interval"),
    { title: "Drawn interval", hidden: true, kind: "bar" }];
  return table(`Counted and estimated shares by ${name}`, columns, rows.map(([label, one]) => {
    const values = label.split(", ");
    const filter = Object.fromEntries(factors.map((factor, place) => [factor, values[place]]));
    const counted = one.counted_faces
      ? link(filter, `${(100 * one.counted).toFixed(1)}%`,
        { "aria-label": `${(100 * one.counted).toFixed(1)}%, ${plural(one.counted_faces, "face")}` })
      : "0.0%";
    const [low, high] = one.interval;
    if (doubtful) return [label, counted, "uncertain", "", ""];
    const drawn = interval(one, most);
    if (one.too_few) return [label, counted, "too few faces", `up to ${percent(high)}`, drawn];
    return [label, counted, `${(100 * one.estimated).toFixed(1)}%`,
      `${(100 * low).toFixed(1)}% to ${(100 * high).toFixed(1)}%`, drawn];
  }));
}

function interval({ counted, estimated, interval: [low, high], too_few: few }, most) {
  const track = make("span", { class: "track interval", "aria-hidden": "true" });
  const put = (kind, from, to) => {
    const mark = make("span", { class: kind });
    mark.style.left = `${((98 * from) / most).toFixed(2)}%`;
    if (to !== undefined) mark.style.width = `${((98 * (to - from)) / most).toFixed(2)}%`;
    track.append(mark);
  };
  put("range", low, high);
  if (!few) put("estimate", estimated);
  put("ring", counted);
  return track;
}
