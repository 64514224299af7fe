// Review faces one after the other; each answer is sent at once.

import { askAgain, call, get, post } from "../parts/api.js";
import { button, make, named, statusLine } from "../parts/elements.js";
import { faceCard } from "../parts/face_card.js";
import { boxEditor } from "../parts/box_editor.js";
import { faceBox, photoFigure } from "../parts/photo_figure.js";
import { words } from "../collection/photo_card.js";
import { reviewSummary } from "../parts/review_summary.js";

const BATCH = 20;
const ASK_MS = 2000;

export async function show(view, { parts: [id, place], signal }) {
  const { say, fault, failed } = statusLine(view);
  const [stage, name, shown, labels, said, age, save, left, summary] = [".stage", ".stage h2", ".shown", ".labels", ".draft",
    ".stage input", ".primary", ".left", ".summary"].map((one) => view.querySelector(one));
  const options = [...stage.querySelectorAll("[aria-pressed]")];
  const choice = choiceOf(view.querySelector("form"), restart, place);
  let queue = [];
  let current = null;
  let draft = {};
  let editor = null;
  let typed = "";
  let skipped = new Set();
  let busy = false;
  let changed = false;
  let unknown = false;
  let estimate = {};
  const done = [];
  // What the same reviewer says in another tab is not asked again here.
  const others = new BroadcastChannel(`reviews of ${id}`);
  others.onmessage = ({ data: [who, face] }) => {
    if (who !== choice.reviewer()) return;
    queue = queue.filter((one) => nameOf(one) !== face);
    if (current && nameOf(current) === face && !editor && Object.keys(draft).length === 0) alone(next);
  };
  signal.addEventListener("abort", () => others.close());

  function restart() {
    // What is under way belongs to the order before.
    changed = busy;
    return alone(async () => {
      queue = [];
      skipped = new Set();
      await next();
      refreshSummary();
    });
  }

  async function next() {
    reset();
    if (queue.length === 0) queue = await fetchQueue();
    current = queue.shift() || null;
    draw();
  }

  /** Do one thing at a time: a key answers for no face that was not seen. */
  async function alone(work) {
    if (busy) return;
    busy = true;
    try {
      await work();
    } catch (error) {
      failed(error);
    }
    busy = false;
    if (changed) await restart();
  }

  async function fetchQueue() {
    unknown = false;
    try {
      const query = choice.query();
      query.set("limit", String(Math.min(BATCH + skipped.size, 1000)));
      const { faces } = await get(`/v1/jobs/${id}/review/queue?${query}`, { signal });
      return faces.filter((face) => !skipped.has(nameOf(face)));
    } catch (error) {
      failed(error);
      unknown = true;
      return [];
    }
  }

  const send = (verdict) => alone(async () => {
    if (current === null) return;
    const missed = verdict === "missed";
    if (current.face === null && !missed) {
      if (!["accepted", "no_face"].includes(verdict)) return fault("There is no face to label: draw the missed one first.");
      verdict = "accepted";
    }
    const body = {
      position: current.position, face: missed ? null : current.face, verdict,
      reviewer: choice.reviewer(), ...(verdict === "corrected" || missed ? draft : {}),
    };
    if (missed) body.box = editor.box();
    const { id: review } = await post(`/v1/jobs/${id}/reviews`, { json: body, signal });
    done.push({ review, face: current, missed });
    const words = [`${saidWords(verdict, draft)}: `, named(current.image)];
    if (missed) {
      current.others.push(body.box);
      // Faces of this photo that wait do not know the box yet.
      queue = [];
      clear();
    } else {
      others.postMessage([choice.reviewer(), nameOf(current)]);
      await next();
    }
    // Said once the next face is there; what went wrong with that stays.
    if (!unknown) say(...words);
    refreshSummary();
  });

  const undo = () => alone(async () => {
    const last = done.at(-1);
    if (!last) return say("There is nothing to undo.");
    // It may be withdrawn already, by a request whose answer was lost.
    await call("DELETE", `/v1/jobs/${id}/reviews/${last.review}`).catch((error) => {
      if (error.status !== 404) throw error;
    });
    done.pop();
    if (last.missed) {
      last.face.others.pop();
      queue = [];
    } else {
      if (current !== null) queue.unshift(current);
      current = last.face;
    }
    clear();
    say("Undone: ", named(last.face.image));
    refreshSummary();
  });

  function accept() {
    if (typed && !draft.ages) return fault(`"${typed}" is no age: type one such as 34, or a band such as 30-39.`);
    if (editor !== null) return send("missed");
    return send(Object.keys(draft).length > 0 ? "corrected" : "accepted");
  }

  function change(fields) {
    draft = { ...draft, ...fields };
    refresh();
  }

  function skip() {
    if (current === null) return;
    skipped.add(nameOf(current));
    alone(next);
  }

  function reset() {
    draft = {};
    typed = "";
    editor = null;
  }

  function clear() {
    reset();
    draw();
  }

  function typeAge(text) {
    typed = text;
    const ages = agesOf(typed);
    const { ages: _, ...others } = draft;
    draft = ages === null ? others : { ...others, ages };
    refresh();
  }

  const KEYS = {
    Enter: accept, c: () => send("cannot_tell"), n: () => send("no_face"), d: startBox, u: undo,
    ArrowRight: skip, Escape: clear,
  };

  function onkey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target, repeat } = event;
    // A key that is held would answer for faces that nobody saw.
    if (repeat && key === "Enter") return event.preventDefault();
    if (target.closest("input, select, textarea")) {
      if (key === "Escape" || key === "Enter" && target === age) stage.focus();
      else return;
    }
    if (["Enter", " "].includes(key) && target.closest("a, button, summary")) return;
    if (editor?.key(event) || !repeat && press(key.length === 1 ? key.toLowerCase() : key)) event.preventDefault();
  }

  /** Do what a key stands for; return whether it stands for anything. */
  function press(key) {
    if (busy) return true;
    const option = options.find(({ dataset }) => dataset.key === key);
    if (/^[0-9-]$/.test(key)) typeAge(typed + key);
    else if (key === "Backspace") typeAge(typed.slice(0, -1));
    else if (option) change({ [option.parentElement.ariaLabel]: option.textContent });
    else if (KEYS[key]) KEYS[key]();
    else return false;
    return true;
  }

  function startBox() {
    if (current === null) return;
    reset();
    editor = boxEditor(current.width, current.height);
    draw();
  }

  function draw() {
    stage.hidden = current === null;
    left.replaceChildren(current ? "" : unknown ? button("Try again", () => { say(""); alone(next); })
      : "Nothing is left to review in this queue.");
    if (current === null) return;
    const face = current.face === null ? null : current;
    const url = `/v1/jobs/${id}/images/${current.position}`;
    const photo = photoFigure([`${url}/photo`, `${url}/thumbnail`], { ...current, faces: face ? [face] : [] },
      current.image);
    photo.boxes[0]?.classList.add("lit");
    photo.svg.prepend(...current.others.map((box) => faceBox({ box }, 0)));
    if (editor) editor.attach(photo.svg, faceBox);
    name.replaceChildren(named(current.image));
    shown.replaceChildren(photo.figure);
    labels.replaceChildren(face ? make("ol", { class: "faces" }, faceCard(face, face.face + 1, { heading: "h2" }))
      : `No ${current.others.length ? "other face was missed" : "face was found"} here. Press Enter if that is right.`,
    face?.other ? make("p", { class: "soft" }, `The other network says: ${words(face.other)}`) : "");
    refresh();
    if (!view.contains(document.activeElement)) stage.focus({ preventScroll: true });
  }

  /** Show what the reviewer is about to say. */
  function refresh() {
    said.textContent = draftWords(draft, typed, editor);
    save.textContent = editor ? "Save the missed face" : Object.keys(draft).length ? "Save" : "Accept";
    if (age.value.trim() !== typed) age.value = typed;
    for (const one of options) one.setAttribute("aria-pressed", Object.values(draft).includes(one.textContent));
  }

  const refreshSummary = () => get(`/v1/jobs/${id}/review/summary?sample=${choice.sample()}`, { signal })
    .then((found) => summary.replaceChildren(reviewSummary(found, estimate, askEstimate))).catch(failed);

  const estimates = `/v1/jobs/${id}/review/estimate`;
  const askEstimate = () => post(estimates, { signal })
    .then(() => askAgain(loadEstimate, ASK_MS, failed, signal)).catch(failed);

  async function loadEstimate() {
    const before = estimate;
    estimate = await get(estimates, { signal });
    if (JSON.stringify(before) !== JSON.stringify(estimate)) await refreshSummary();
    return Boolean(estimate.shares ?? estimate.error);
  }

  window.addEventListener("keydown", onkey, { signal });
  age.oninput = () => typeAge(age.value.trim());
  stage.onclick = ({ target, detail }) => {
    const { key } = target.dataset;
    if (!key) return;
    press(key);
    // Whoever points may go on by keys.
    if (detail > 0) stage.focus({ preventScroll: true });
  };
  view.querySelector("a").href = `#/jobs/${id}`;
  await loadEstimate().catch(failed);
  await restart();
}

const nameOf = (face) => `${face.position}.${face.face}`;

/** Return the band that "34", "30-39" or nothing means; null if it is not whole yet. */
function agesOf(text) {
  const found = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text);
  if (found === null) return null;
  const ages = [Number(found[1]), Number(found[2] ?? found[1])];
  return ages[1] <= 116 && ages[0] <= ages[1] ? ages : null;
}

function draftWords(draft, typed, editor) {
  const parts = [draft.gender, draft.race, typed && `age ${typed}`].filter(Boolean);
  if (editor) parts.unshift("A missed face: draw its box, or move it by arrows (Shift: size)");
  return parts.length ? `Your word: ${parts.join(", ")}` : "";
}

function saidWords(verdict, draft) {
  const labels = [draft.gender, draft.race, [...new Set(draft.ages)].join("–")].filter(Boolean).join(", ");
  return { accepted: "Accepted", corrected: `Corrected to ${labels}`, cannot_tell: "Cannot tell",
    no_face: "No face", missed: `Missed face added${labels ? ` (${labels})` : ""}` }[verdict];
}

/** Listen to the view's form; return what it asks for. A `place` is asked for until the order changes. */
function choiceOf(form, onchange, place) {
  const { reviewer, order, sample, against } = form.elements;
  reviewer.value = localStorage.getItem("reviewer");
  const fit = () => {
    sample.hidden = sample.disabled = order.value !== "sample";
    against.hidden = against.disabled = order.value !== "disagreement";
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", ({ target }) => {
    reviewer.value = reviewer.value.trim();
    localStorage.setItem("reviewer", reviewer.value);
    if (target === order) place = null;
    sample.value = Math.min(Math.max(Math.round(sample.value) || 100, 1), 10_000);
    fit();
    if (form.reportValidity() && (against.hidden || against.value)) onchange();
  });
  fit();
  return {
    reviewer: () => reviewer.value || null,
    sample: () => sample.value,
    query() {
      const asked = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
      return new URLSearchParams(place ? { ...asked, order: "place", position: place } : asked);
    },
  };
}
