"use strict";

/* Shows photos with their faces, filtered by the address ("#photos?gender=female&age=20-29") and by
   a form; sorts them, and downloads what is shown as CSV. Lines are those of facetag's results. */
const facetagGallery = (() => {
  const { make, draw, grouped, plural, bandOf } = facetagElements;
  const BATCH = 60;
  const LISTED_FACES = 4;
  const SIZES = { small: [0, 0.1], medium: [0.1, 0.3], large: [0.3, Infinity] };
  const FACE_KEYS = ["gender", "race", "age", "doubt", "size", "confidence", "gender_sure",
    "race_sure"];
  const FLOATS = new Set(["confidence", "age", "gender_probability"]);
  const SORTS = {
    rare: "Rarest and most doubtful first", doubt: "Least certain label first",
    found: "Least certain detection first", small: "Smallest face first",
    many: "Most faces first", name: "Name",
  };

  const labelOf = (face, head) => (face[head] ? face[head].label : null);
  const chanceOf = {
    gender: (face) => (face.gender ? face.gender.probability : null),
    race: (face) => (face.race ? face.race.probabilities[face.race.label] : null),
  };
  const certainty = (face) =>
    Math.min(chanceOf.gender(face) ?? 1, chanceOf.race(face) ?? 1);
  const sizeOf = (face, line) =>
    Math.max(face.box[2], face.box[3]) / (Math.max(line.width, line.height) || 1);
  const doubts = (face) => face.uncertain || [];

  /* Return whether a number lies in "20-29", "20–29", "80+" or "0.9-0.95" (upper end included). */
  function inRange(value, text, whole) {
    if (value === null || value === undefined) return false;
    const shown = whole ? Math.floor(value) : value;
    if (text.endsWith("+")) return shown >= Number(text.slice(0, -1));
    const [low, high = low] = text.split(/[-–]/).map(Number);
    return shown >= low && shown <= high;
  }

  const FACE_TESTS = {
    gender: (face, wanted) => labelOf(face, "gender") === wanted,
    race: (face, wanted) => labelOf(face, "race") === wanted,
    age: (face, wanted) => inRange(face.age, wanted, true),
    doubt: (face, wanted) => {
      if (wanted === "none") return doubts(face).length === 0;
      return wanted === "any" ? doubts(face).length > 0 : doubts(face).includes(wanted);
    },
    size: (face, wanted, line) => {
      const [low, high] = SIZES[wanted] || [0, Infinity];
      return sizeOf(face, line) >= low && sizeOf(face, line) < high;
    },
    confidence: (face, wanted) => inBin(face.confidence, wanted),
    gender_sure: (face, wanted) => inBin(chanceOf.gender(face), wanted),
    race_sure: (face, wanted) => inBin(chanceOf.race(face), wanted),
  };
  const LINE_TESTS = {
    state: (line, wanted) => (wanted === "duplicate" ? Boolean(line.duplicate_of)
      : line.state === wanted),
    error: (line, wanted) => Boolean(line.error) && line.error.code === wanted,
    faces: (line, wanted) => ["tagged", "no_face"].includes(line.state)
      && inRange(line.faces.length, wanted, true),
    name: (line, wanted) => line.image.toLowerCase().includes(wanted.toLowerCase()),
  };

  /* Return whether a probability is in the bin "0.9-0.91"; the lower end belongs to the bin. */
  function inBin(value, text) {
    if (value === null || value === undefined) return false;
    const [low, high] = text.split("-").map(Number);
    // Rounded as the counts are, so that 0.7 does not fall below the edge 0.7.
    const place = Number(value.toFixed(10));
    return place >= low && (place < high || high >= 1);
  }

  function matches(line, filter) {
    for (const [key, test] of Object.entries(LINE_TESTS)) {
      if (filter[key] && !test(line, filter[key])) return false;
    }
    if (!asksForFaces(filter)) return true;
    // Faces are counted in distinct photos alone.
    return !line.duplicate_of && line.faces.some((face) => faceMatches(face, line, filter));
  }

  const asksForFaces = (filter) => FACE_KEYS.some((key) => filter[key]);

  function faceMatches(face, line, filter) {
    return FACE_KEYS.every((key) => !filter[key] || FACE_TESTS[key](face, filter[key], line));
  }

  /* Return the lines in order; ties keep the order of the results. */
  function sorted(lines, order, rarity) {
    const keys = {
      rare: (line) => [rarity(line), -Math.max(0, ...line.faces.map((face) => doubts(face).length))],
      doubt: (line) => [Math.min(2, ...line.faces.map(certainty)), 0],
      found: (line) => [Math.min(2, ...line.faces.map((face) => face.confidence)), 0],
      small: (line) => [Math.min(9, ...line.faces.map((face) => sizeOf(face, line))), 0],
      many: (line) => [-line.faces.length, 0],
    };
    if (!keys[order]) return lines;
    const ranked = lines.map((line) => [keys[order](line), line]);
    ranked.sort(([[a, b]], [[c, d]]) => a - c || b - d);
    return ranked.map(([, line]) => line);
  }

  /* Return a function that tells how many faces the rarest group of a line's faces has. */
  function rarityBy(counts) {
    const sizes = new Map(counts.cells.map((cell) =>
      [[cell.gender, cell.race, cell.band].join("|"), cell.count]));
    const starts = counts.bands.map((band) => parseInt(band, 10));
    return (line) => Math.min(Infinity, ...line.faces.map((face) => {
      const known = face.age !== undefined && face.age !== null;
      const band = known ? counts.bands[bandOf(face.age, starts)] : null;
      return sizes.get([labelOf(face, "gender"), labelOf(face, "race"), band].join("|"))
        ?? Infinity;
    }));
  }

  /* Return a face's labels in words, such as "31 female asian". */
  function words(face) {
    const parts = [face.age === undefined || face.age === null ? null : String(Math.round(face.age)),
      labelOf(face, "gender"), labelOf(face, "race")];
    return parts.filter(Boolean).join(" ") || "a face";
  }

  function caption(face) {
    const range = face.age_range ? ` · age ${face.age_range[0]} to ${face.age_range[1]}` : "";
    const doubt = doubts(face).length ? make("span", { class: "doubt" },
      ` · uncertain: ${doubts(face).join(", ")}`) : null;
    return [words(face), make("span", { class: "range" }, range), doubt];
  }

  function frame(line, picture, chosen) {
    const { width, height } = line;
    const label = `${line.image}, ${plural(line.faces.length, "face")}`;
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
    if (picture) {
      svg.append(draw("image", { href: picture, width, height, preserveAspectRatio: "none" }));
    }
    line.faces.forEach((face, place) => {
      const [x, y, w, h] = face.box;
      const box = { x, y, width: w, height: h };
      svg.append(draw("rect", { ...box, class: "halo" }),
        draw("rect", { ...box, class: chosen.has(place) ? "edge chosen" : "edge" }));
      if (line.faces.length > 1) {
        const size = 0.07 * height;
        svg.append(draw("text", { x, y: Math.max(y - 0.2 * size, size), "font-size": size,
          "stroke-width": 0.2 * size }, String(place + 1)));
      }
    });
    return make("div", { class: "frame" }, svg);
  }

  function card(line, picture, filter) {
    const chosen = new Set(asksForFaces(filter) ? line.faces.flatMap((face, place) =>
      (faceMatches(face, line, filter) ? [place] : [])) : []);
    const text = make("figcaption", {}, make("span", { class: "file", title: line.image }, line.image));
    const marks = [line.state === "tagged" ? null : line.state.replace("_", " "),
      line.duplicate_of ? `duplicate of ${line.duplicate_of}` : null,
      line.incomplete ? "incomplete file" : null].filter(Boolean);
    if (marks.length) text.append(make("span", { class: "state" }, marks.join(" · ")));
    if (line.error) text.append(make("span", { class: "range" }, line.error.message));
    if (line.faces.length === 1) text.append(make("div", {}, ...caption(line.faces[0])));
    if (line.faces.length > 1) text.append(...list(line.faces));
    return make("figure", {}, line.width ? frame(line, picture, chosen) : null, text);
  }

  function list(faces) {
    const item = (face) => make("li", {}, ...caption(face));
    const shown = make("ol", {}, ...faces.slice(0, LISTED_FACES).map(item));
    if (faces.length <= LISTED_FACES) return [shown];
    const rest = faces.slice(LISTED_FACES);
    return [shown, make("details", {}, make("summary", {}, `${plural(rest.length, "more face")}`),
      make("ol", { start: LISTED_FACES + 1 }, ...rest.map(item)))];
  }

  /* Return the text of a CSV file with these columns, one row per face, as facetag writes it. */
  function csv(lines, columns) {
    const rows = [columns];
    for (const line of lines) {
      const faces = line.faces.length ? line.faces : [null];
      faces.forEach((face, place) =>
        rows.push(columns.map((column) => written(column, cell(column, line, face, place)))));
    }
    return rows.map((row) => row.map(quoted).join(",") + "\n").join("");
  }

  function cell(column, line, face, place) {
    if (column.startsWith("error_")) return line.error ? line.error[column.slice(6)] : null;
    if (column in LINE_CELLS) return LINE_CELLS[column](line);
    if (column in line) return line[column];
    if (!face) return null;
    if (column in FACE_CELLS) return FACE_CELLS[column](face, place);
    if (column.startsWith("race_")) return face.race ? face.race.probabilities[column.slice(5)] : null;
    return face[column];
  }

  const LINE_CELLS = { incomplete: (line) => (line.incomplete ? "true" : null) };
  const FACE_CELLS = {
    face: (face, place) => place,
    x: (face) => face.box[0], y: (face) => face.box[1],
    face_width: (face) => face.box[2], face_height: (face) => face.box[3],
    age_low: (face) => (face.age_range ? face.age_range[0] : null),
    age_high: (face) => (face.age_range ? face.age_range[1] : null),
    gender: (face) => labelOf(face, "gender"), race: (face) => labelOf(face, "race"),
    gender_probability: chanceOf.gender,
    uncertain: (face) => doubts(face).join(" ") || null,
  };

  function written(column, value) {
    if (value === null || value === undefined) return "";
    const real = FLOATS.has(column) || column.startsWith("race_");
    return real && Number.isInteger(value) ? value.toFixed(1) : String(value);
  }

  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  function download(lines, columns) {
    const url = URL.createObjectURL(new Blob([csv(lines, columns)], { type: "text/csv" }));
    const anchor = make("a", { href: url, download: "photos.csv" });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

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

  function readAddress() {
    const [place, query = ""] = location.hash.split("?");
    return place === "#photos" ? Object.fromEntries(new URLSearchParams(query)) : null;
  }

  /* Show the photos in `element`. `columns` are those of the CSV; `pictures` maps a line's place to
     an address of its picture; `note` says which photos are listed, if not all are. */
  function show(element, { counts, lines, columns, pictures = {}, note = "" }) {
    const rarity = rarityBy(counts);
    const places = new Map(lines.map((line, place) => [line, place]));
    const form = make("form", { class: "filters", "aria-label": "Filter and sort photos" },
      ...choices(counts).map((one) => field(...one)), field("name", "Name contains"),
      field("sort", "Sort", Object.entries(SORTS), null));
    const status = make("p", { class: "found", role: "status" });
    const clear = make("button", { type: "button" }, "Show all");
    const save = make("button", { type: "button" }, "Download CSV");
    const grid = make("div", { class: "photos" });
    const more = make("button", { type: "button", class: "more" }, "Show more photos");
    let filter = {};
    let found = [];
    let shown = 0;

    function append() {
      const next = found.slice(shown, shown + BATCH);
      grid.append(...next.map((line) => card(line, pictures[places.get(line)], filter)));
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

    function setControl(control, value = "") {
      if (control.name === "sort") control.value = value || "rare";
      else if (control.tagName === "SELECT" && value
        && ![...control.options].some((option) => option.value === value)) {
        control.append(make("option", { value }, value));
        control.value = value;
      } else if (document.activeElement !== control || control.value !== value) control.value = value;
    }

    // What only a chart's link can ask for stays until "Show all" is pressed.
    function changed() {
      const named = [...form.elements].filter((control) => control.name);
      const kept = Object.entries(filter).filter(([key]) => !named.some((one) => one.name === key));
      const asked = named.filter((one) => one.value && !(one.name === "sort" && one.value === "rare"))
        .map((one) => [one.name, one.value]);
      const query = new URLSearchParams([...kept, ...asked]).toString();
      history.replaceState(null, "", `#photos${query ? `?${query}` : ""}`);
      apply(Object.fromEntries([...kept, ...asked]));
    }

    function follow() {
      const wanted = readAddress();
      if (wanted === null) return;
      apply(wanted);
      heading.scrollIntoView();
      heading.focus({ preventScroll: true });
    }

    const heading = make("h2", { id: "photos", tabindex: "-1" }, "Photos");
    form.addEventListener("input", changed);
    form.addEventListener("submit", (event) => event.preventDefault());
    clear.addEventListener("click", () => {
      history.replaceState(null, "", "#photos");
      apply({});
    });
    save.addEventListener("click", () => download(found, columns));
    more.addEventListener("click", append);
    window.addEventListener("hashchange", follow);
    const end = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      append();
      // Observed anew, it reports again if the end is still near.
      end.unobserve(more);
      end.observe(more);
    }, { rootMargin: "800px" });
    end.observe(more);
    element.replaceChildren(heading, form,
      make("div", { class: "tools" }, status, clear, save), grid, more);
    apply(readAddress() || {});
    if (readAddress()) follow();
  }

  function describe(filter) {
    const names = { gender_sure: "gender probability", race_sure: "race probability",
      confidence: "detection", doubt: "uncertain", error: "reason" };
    const parts = Object.entries(filter).filter(([key]) => key !== "sort")
      .map(([key, value]) => `${names[key] || key} ${value}`);
    return parts.length ? ` with ${parts.join(", ")}` : "";
  }

  return { show, csv };
})();
