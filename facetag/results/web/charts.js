"use strict";

/* Draws a collection's counts and estimated shares as tables with bars. Every count is a link that
   filters the gallery: "#photos?gender=female&age=20-29". `counts` is what counts_json writes. */
const facetagCharts = (() => {
  const { make, grouped, plural, percent } = facetagElements;

  function link(filter, text, attributes = {}) {
    const query = new URLSearchParams(filter).toString();
    return make("a", { href: `#photos?${query}`, ...attributes }, text);
  }

  function card(title, sub, ...children) {
    const heading = make("h2", {}, title);
    return make(
      "section", { class: "card" }, heading, sub && make("p", { class: "sub" }, sub), ...children,
    );
  }

  /* Return a table whose columns are {title, number}; rows are lists of cells, the first a header. */
  function table(caption, columns, rows, attributes = {}) {
    const head = columns.map(({ title, number, hidden }) =>
      make("th", { scope: "col", class: number ? "number" : null },
        hidden ? make("span", { class: "unseen" }, title) : title));
    const body = rows.map((cells) => make("tr", {}, ...cells.map((cell, place) => {
      const inner = [].concat(cell);
      if (place === 0) return make("th", { scope: "row" }, ...inner);
      return make("td", { class: columns[place].number ? "number" : columns[place].kind }, ...inner);
    })));
    return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
      make("table", attributes, make("caption", { class: "unseen" }, caption),
        make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
  }

  function bar(parts) {
    const track = make("span", { class: "track", "aria-hidden": "true" });
    for (const { length, kind, filter, title } of parts) {
      if (!(length > 0)) continue;
      const piece = link(filter, "", { class: `fill ${kind || ""}`, tabindex: "-1", title });
      piece.style.width = `${length.toFixed(2)}%`;
      track.append(piece);
    }
    return track;
  }

  const count = (value, filter, noun = "face") =>
    value ? link(filter, grouped(value), { "aria-label": plural(value, noun) }) : "0";

  /* Return the pyramid of ages, oldest first; null where ages or genders were not predicted. */
  function agesAndGenders(counts) {
    if (!counts.heads.includes("age") || !counts.heads.includes("gender")) return null;
    const { female, male } = counts.pyramid;
    const longest = Math.max(...female, ...male) || 1;
    const rows = counts.age_bins.map((band, place) => {
      const side = (gender, value) => {
        const filter = { gender, age: band };
        return [count(value, filter), bar([{ length: (100 * value) / longest, kind: gender,
          filter, title: `${gender}, ${band}: ${plural(value, "face")}` }])];
      };
      const [femaleCount, femaleBar] = side("female", female[place]);
      const [maleCount, maleBar] = side("male", male[place]);
      return [band, femaleCount, femaleBar, maleBar, maleCount];
    }).reverse();
    const columns = [{ title: "Age" }, { title: "Female", number: true },
      { title: "Bar of female faces", hidden: true, kind: "left" },
      { title: "Bar of male faces", hidden: true, kind: "right" }, { title: "Male" }];
    return card("Apparent age and gender",
      `Faces in bands of ten years: ${grouped(counts.genders.female || 0)} female, ` +
      `${grouped(counts.genders.male || 0)} male.`,
      table("Faces by apparent age and gender", columns, rows, { class: "pyramid" }));
  }

  function races(counts) {
    if (!counts.heads.includes("race")) return null;
    const split = counts.heads.includes("gender");
    const total = sum(Object.values(counts.races)) || 1;
    const longest = Math.max(...Object.values(counts.races), 1);
    const columns = [{ title: "Race" }, { title: "Bar", hidden: true, kind: "bar" },
      ...(split ? [{ title: "Female", number: true }, { title: "Male", number: true }] : []),
      { title: "Faces", number: true }, { title: "Share", number: true }];
    const rows = counts.labels.race.map((race) => {
      const value = counts.races[race] || 0;
      const parts = split ? ["female", "male"].map((gender) => {
        const number = counts.races_by_gender[gender][race] || 0;
        return { number, kind: gender, filter: { race, gender }, length: (100 * number) / longest,
          title: `${race} ${gender}: ${plural(number, "face")}` };
      }) : [{ length: (100 * value) / longest, filter: { race },
        title: `${race}: ${plural(value, "face")}` }];
      return [race, bar(parts), ...(split ? parts.map((one) => count(one.number, one.filter)) : []),
        count(value, { race }), percent(value / total)];
    });
    return card("Apparent race", split ? key() : "Faces.",
      table("Faces by apparent race", columns, rows, { class: "bars" }));
  }

  function key() {
    return make("span", { class: "key" }, make("span", { class: "female" }, "female"),
      make("span", { class: "male" }, "male"));
  }

  function facesPerPhoto(counts) {
    const { bins, counts: values } = counts.faces_per_photo;
    const longest = Math.max(...values, 1);
    const total = sum(values) || 1;
    const rows = bins.map((bin, place) => {
      const value = values[place];
      const filter = { faces: bin };
      const parts = [{ length: (100 * value) / longest, filter, title: plural(value, "photo") }];
      return [bin, bar(parts), count(value, filter, "photo"), percent(value / total)];
    });
    const columns = [{ title: "Faces" }, { title: "Bar", hidden: true, kind: "bar" },
      { title: "Photos", number: true }, { title: "Share", number: true }];
    return card("Faces per photo", "Only photos that could be read.",
      table("Photos by number of faces", columns, rows, { class: "bars" }));
  }

  function confidence(counts) {
    if (!counts.confidence.length) return null;
    const charts = counts.confidence.map(({ title, bins }) => {
      const longest = Math.max(...bins.map((bin) => bin.count), 1);
      const rows = bins.map((bin) => [bin.label,
        bar([{ length: (100 * bin.count) / longest, filter: bin.filter,
          title: plural(bin.count, "face") }]), count(bin.count, bin.filter)]);
      return make("div", {}, make("h3", {}, title), table(`${title}: faces by probability`,
        [{ title: "Probability" }, { title: "Bar", hidden: true, kind: "bar" },
          { title: "Faces", number: true }], rows, { class: "bars small" }));
    });
    return card("Confidence of the networks",
      "Faces by the probability of their label. A confident label can be wrong.",
      make("div", { class: "trio" }, ...charts));
  }

  /* Return gender by race by age as one table; empty cells are named below it. */
  function crossings(counts) {
    const { heads, bands, labels } = counts;
    const others = ["race", "gender"].filter((head) => heads.includes(head));
    if (!others.length || !heads.includes("age")) return null;
    const found = new Map(counts.cells.map((cell) => [cellKey(cell), cell]));
    const groups = others.length === 1 ? labels[others[0]].map((label) => ({ [others[0]]: label }))
      : labels.race.flatMap((race) => ["female", "male"].map((gender) => ({ race, gender })));
    const empty = [];
    const rows = groups.map((group) => {
      const name = others.map((head) => group[head]).join(" ");
      return [name, ...bands.map((band) => {
        const cell = found.get(cellKey({ ...group, band }));
        if (!cell) {
          empty.push(`${name} ${band}`);
          return make("span", { class: "none" }, "none");
        }
        return cellLink(cell);
      })];
    });
    const columns = [{ title: others.join(" and ") },
      ...bands.map((title) => ({ title, number: true }))];
    return card("Groups by " + [...others, "age"].join(", "),
      "Faces; a mark (?) says how many of them have an uncertain label.",
      table("Faces by apparent race, gender and age", columns, rows, { class: "cells" }),
      empty.length ? make("details", {},
        make("summary", {}, `${plural(empty.length, "group")} without a face`),
        make("p", { class: "names" }, `${empty.join("; ")}.`)) : null);
  }

  const cellKey = ({ gender = null, race = null, band = null }) => [gender, race, band].join("|");

  function cellFilter({ gender, race, band }) {
    const named = { gender, race, age: band };
    return Object.fromEntries(Object.entries(named).filter(([, value]) => value));
  }

  function cellLink(cell) {
    const doubt = cell.uncertain ? ` (${cell.uncertain}?)` : "";
    const words = cell.uncertain ? `, ${cell.uncertain} uncertain` : "";
    return link(cellFilter(cell), grouped(cell.count) + doubt,
      { "aria-label": plural(cell.count, "face") + words });
  }

  /* Return the groups to look at first: the rarest ones, and those with most uncertain labels. */
  function groupsToCheck(counts) {
    const named = counts.cells.filter((cell) => cell.gender || cell.race || cell.band);
    if (!named.length) return null;
    const rarest = [...named].sort((a, b) => a.count - b.count).slice(0, 6);
    const doubt = (cell) => cell.uncertain / cell.count;
    const doubtful = named.filter((cell) => cell.uncertain).sort(
      (a, b) => doubt(b) - doubt(a) || b.uncertain - a.uncertain).slice(0, 6);
    const list = (title, cells) => (cells.length ? make("div", {}, make("h3", {}, title),
      table(title, [{ title: "Group" }, { title: "Faces", number: true },
        { title: "Uncertain", number: true }],
      cells.map((cell) => [[cell.gender, cell.race, cell.band].filter(Boolean).join(", "),
        count(cell.count, cellFilter(cell)),
        count(cell.uncertain, { ...cellFilter(cell), doubt: "any" })]))) : null);
    return card("Look at these groups first",
      "A share that rests on few faces, or on uncertain labels, says little.",
      make("div", { class: "pair" }, list("Rarest groups", rarest),
        list("Most doubtful groups", doubtful)));
  }

  function failures(counts) {
    if (!counts.failures.length) return null;
    const rows = counts.failures.map((one) => [
      [one.reason, make("br"), make("code", {}, one.code)],
      link({ error: one.code }, grouped(one.count), { "aria-label": plural(one.count, "photo") }),
      names(one)]);
    return card("Photos that failed",
      `${grouped(counts.states.failed || 0)} of ${plural(counts.photos, "photo")}. ` +
      "The charts do not count them.",
      table("Failed photos by reason", [{ title: "Reason" }, { title: "Photos", number: true },
        { title: "Names", kind: "names" }], rows));
  }

  function names({ names: all, count: total }) {
    if (all.length <= 6) return all.join(", ");
    const more = total - all.length;
    return make("details", {},
      make("summary", {}, `${all.slice(0, 3).join(", ")}, and ${grouped(total - 3)} more`),
      all.slice(3).join(", ") + (more ? `, and ${grouped(more)} more` : ""));
  }

  /* Return counted and estimated shares side by side; `estimates` is what shares_json writes. */
  function shares(estimates) {
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
    const columns = [{ title: "Group" }, { title: "Counted", number: true },
      { title: "Estimated", number: true }, { title: "95% interval", number: true },
      { title: "Drawn interval", hidden: true, kind: "bar" }];
    return table(`Counted and estimated shares by ${name}`, columns, rows.map(([label, one]) => {
      const values = label.split(", ");
      const filter = Object.fromEntries(factors.map((factor, place) => [factor, values[place]]));
      const counted = one.counted_faces
        ? link(filter, `${(100 * one.counted).toFixed(1)}%`,
          { "aria-label": `${(100 * one.counted).toFixed(1)}%, ${plural(one.counted_faces, "face")}` })
        : "0.0%";
      const [low, high] = one.interval;
      if (doubtful) return [label, counted, "doubtful", "", ""];
      const drawn = interval(one, most);
      if (one.too_few) return [label, counted, "too few faces", `up to ${percent(high)}`, drawn];
      return [label, counted, `${(100 * one.estimated).toFixed(1)}%`,
        `${(100 * low).toFixed(1)}% to ${(100 * high).toFixed(1)}%`, drawn];
    }), { class: "shares" });
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

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  /* Show every chart that the counts allow in `element`; `estimates` may be null. */
  function show(element, counts, estimates = null) {
    element.replaceChildren(...[groupsToCheck(counts), estimates && shares(estimates),
      agesAndGenders(counts), races(counts), crossings(counts), facesPerPhoto(counts),
      confidence(counts), failures(counts)].filter(Boolean));
  }

  return { show };
})();
