// Show the networks and their figures.

import { get, post } from "../parts/api.js";
import { button, make, statusLine } from "../parts/elements.js";
import { table } from "../collection/charts.js";

const PARTS = ["test", "holdout", "validation"];
const MEASURES = [
  ["age", "rmse", "age RMSE (years)", 2], ["age", "mae", "age MAE (years)", 2],
  ["age", "cs5", "age within 5 years", 3], ["gender", "accuracy", "gender accuracy", 3],
  ["gender", "auc", "gender AUC", 3], ["race", "accuracy", "race accuracy", 3],
  ["race", "macro_f1", "race macro F1", 3],
];

export async function show(view, { signal, lacks }) {
  const { say, failed } = statusLine(view);
  const body = view.lastElementChild;

  async function change(path, json, words) {
    await post(path, { json }).then(load).then(() => say(words)).catch(failed);
  }

  async function load() {
    const [{ models }, { promotions }] = await Promise.all([
      get("/v1/models", { signal }), get("/v1/promotions", { signal })]);
    const champion = models.find((model) => model.state === "champion");
    const promote = (version, force) => change(`/v1/models/${encodeURIComponent(version)}/promote`, { force },
      `${version} is the champion now. Workers switch to it between two chunks.`);
    const refused = lacks("admin");
    const before = promotions.find((one) => one.version === champion?.version && !one.rollback)?.previous;
    const section = (model) => bundleSection(model, champion, refused ? null : promote);
    body.replaceChildren(
      refused ?? "",
      champion ? section(champion) : make("p", {}, "No network is known yet: a worker registers its own."),
      before && !refused ? button(`Roll back to ${before}`,
        () => change("/v1/models/rollback", undefined, "The champion before labels again.")) : "",
      ...models.filter((model) => model !== champion).map((model) => make("details", {},
        make("summary", {}, `${model.version} (${model.state})`), section(model))),
      promotions.length > 0 ? table("Changes of champion", ["when", "champion", "before", ""],
        promotions.map((one) => [new Date(one.created_at).toLocaleString(), one.version,
          one.previous ?? "–", one.rollback ? "rollback" : ""])) : "");
  }

  await load().catch(failed);
}

function bundleSection({ version, state, manifest, verdict, created_at: created }, champion, promote) {
  const metrics = manifest.metrics || {};
  const part = PARTS.find((name) => metrics[name]);
  const figures = part ? metrics[part].table || metrics[part] : null;
  // The service takes no other bundle without force.
  const compared = !champion || verdict?.against === champion.version;
  const doubt = verdict && !verdict.holds ? " although it failed" : compared ? "" : " although it was not compared with the champion";
  return make("section", { class: "run" },
    make("h2", {}, version, make("span", { class: "tag" }, state)),
    make("p", { class: "soft" },
      `Known since ${new Date(created).toLocaleDateString()}. Parent: ${manifest.parent || "none"}.`),
    figures ? table(`Table 1: measured on its ${part} images${figures.n ? ` (${figures.n})` : ""}`,
      ["measure", "value", "95% interval"], measureRows(figures)) : make("p", {}, "It was not measured."),
    figures?.worst_groups ? worstGroups(figures.worst_groups) : null,
    verdict ? make("div", {},
      make("p", {}, `It ${verdict.holds ? "passed" : "failed"} the comparison with ${verdict.against}:`),
      make("ul", {}, ...verdict.reasons.map((reason) => make("li", {}, reason)))) : null,
    state === "champion" || !promote ? null : button(`Promote${doubt}`, () => promote(version, doubt !== "")));
}

function measureRows(figures) {
  return MEASURES.filter(([head, name]) => figures[head]?.[name] !== undefined)
    .map(([head, name, words, digits]) => [words, shown(figures[head][name], digits),
      range(figures.intervals?.[head]?.[name], digits)]);
}

function worstGroups(groups) {
  const rows = Object.entries(groups).map(([head, { measure, group, n, value, interval }]) =>
    [`${head} ${measure}`, group, shown(value), range(interval), n]);
  return table("Worst groups", ["measure", "group", "value", "95% interval", "faces"], rows);
}

// What was measured on too few faces is null.
const shown = (value, digits = 3) => value?.toFixed(digits) ?? "–";
const range = (ends, digits) => ends?.map((end) => shown(end, digits)).join(" to ") ?? "–";
