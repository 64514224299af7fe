/* Shows photos with their faces, filtered by the address and by a form; sorts them, and downloads
   what is shown as CSV. Lines are those of facetag's results. */
import { button, grouped, make, plural } from "./elements.js";
import { downloadCsv } from "./csv_table.js";
import { matches, rarityBy, SORTS, sorted } from "./filters.js";
import { photoCard } from "./photo_card.js";

const BATCH = 60;

/* Return the form's fields: [key, title, [[value, text], ...]] per choice. */
function choices(counts) {
  const { labels, heads, bands } = counts;
  const same = (values) => values.map((value) => [value, value]);
  const states = Object.entries(counts.states).filter(([, count]) => count)
    .map(([state, count]) => [state, `${state.replace("_", " ")} (${grouped(count)})`]);
  if (counts.duplicates) states.push(["duplicate", `duplicates (${grouped(counts.duplicates)})`]);
  return [
    ...["gender", "race"].filter((head) => heads.includes(head))
      .map((head) => [head, `Apparent ${head}`, same(labels[head])]),
    ...(heads.includes("age") ? [["age", "Apparent age", same(bands)]] : []),
    ["doubt", "Certainty", [["any", "any label uncertain"],
      ...heads.map((head) => [head, `${head} uncertain`]), ["none", "no label uncertain"]]],
    ["confidence", "Detection", [["0-0.95", "below 95%"], ["0.95-0.99", "95% to 99%"],
      ["0.99-1", "99% and more"]]],
    ["size", "Face size", [["small", "small (below 10% of the photo)"],
      ["medium", "medium (10% to 30%)"], ["large", "large (30% and more)"]]],
    ["state", "State", states],
  ];
}

function field(key, title, options, every = "all") {
  const control = key === "name"
    ? make("input", { type: "search", name: key, autocomplete: "off" })
    : make("select", { name: key }, every && make("option", { value: "" }, every),
      ...options.map(([value, text]) => make("option", { value }, text)));
  return make("label", {}, make("span", {}, title), control);
}

/* Return the filter in the window's address; null if that is not the gallery's. */
function readFilter(address) {
  const [place, query = ""] = location.hash.split("?");
  return place === address ? Object.fromEntries(new URLSearchParams(query)) : null;
}

/* Show the photos in `element`. `columns` are those of the CSV; `picture` returns the address of a
   line's picture or nothing, and `link` that of more about it; `note` says which photos are listed,
   if not all are; `address` is the gallery's own, and `signal` ends its listening to the window. */
export function showGallery(element, { counts, lines, columns, picture = () => null, link = () => null,
  note = "", address = "#photos", signal }) {
  const rarity = rarityBy(counts);
  const form = make("form", { class: "filters", "aria-label": "Filter and sort photos" },
    ...choices(counts).map((one) => field(...one)), field("name", "Name contains"),
    field("sort", "Sort", Object.entries(SORTS), null));
  const status = make("p", { class: "found", role: "status" });
  const clear = button("Show all", () => show({}));
  const save = button("Download CSV", () => downloadCsv(found, columns));
  const grid = make("div", { class: "photos" });
  const more = button("Show more photos", append, { class: "more" });
  let filter = {};
  let found = [];
  let shown = 0;

  function append() {
    const next = found.slice(shown, shown + BATCH);
    grid.append(...next.map((line) => photoCard(line, picture(line), { filter, link: link(line) })));
    shown += next.length;
    more.hidden = shown >= found.length;
  }

  function apply(wanted) {
    filter = wanted;
    for (const control of form.elements) setControl(control, wanted[control.name]);
    found = sorted(lines.filter((line) => matches(line, wanted)), wanted.sort || "rare", rarity);
    grid.replaceChildren();
    shown = 0;
    append();
    status.textContent = `${grouped(found.length)} of ${plural(lines.length, "photo")}` +
      `${describe(wanted)}. ${note}`;
    clear.hidden = !Object.keys(wanted).some((key) => key !== "sort");
  }

  function setControl(control, value = control.name === "sort" ? "rare" : "") {
    if (control.value === value) return;
    control.value = value;
    if (control.value === value) return;
    // Only a chart's link asks for it.
    control.append(make("option", { value }, value));
    control.value = value;
  }

  // What only a chart's link can ask for stays until "Show all" is pressed.
  function changed() {
    const wanted = { ...filter, ...Object.fromEntries(new FormData(form)) };
    if (wanted.sort === "rare") wanted.sort = "";
    show(Object.fromEntries(Object.entries(wanted).filter(([, value]) => value)));
  }

  function show(wanted) {
    const query = new URLSearchParams(wanted).toString();
    history.replaceState(null, "", query ? `${address}?${query}` : address);
    apply(wanted);
  }

  function follow() {
    const wanted = readFilter(address);
    if (wanted === null) return;
    apply(wanted);
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  }

  const heading = make("h2", { id: "photos", tabindex: "-1" }, "Photos");
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow, { signal });
  const end = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    append();
    // Observed anew, it reports again if the end is still near.
    end.unobserve(more);
    end.observe(more);
  }, { rootMargin: "800px" });
  end.observe(more);
  signal?.addEventListener("abort", () => end.disconnect());
  element.replaceChildren(heading, form,
    make("div", { class: "tools" }, status, clear, save), grid, more);
  apply(readFilter(address) || {});
  if (location.hash.includes("?")) follow();
}

function describe(filter) {
  const names = { gender_sure: "gender probability", race_sure: "race probability",
    confidence: "detection", error: "reason" };
  const doubts = { any: "any label", none: "no label" };
  const parts = Object.entries(filter).filter(([key]) => key !== "sort")
    .map(([key, value]) => (key === "doubt" ? `${doubts[value] || value} uncertain`
      : `${names[key] || key} ${value}`));
  return parts.length ? ` with ${parts.join(", ")}` : "";
}
