// Send a collection straight to object storage and start its job.

import { post, Refused, Unreachable } from "../parts/api.js";
import { isPhoto, requireReadable, suffixOf } from "./photo_files.js";
import { sha256 } from "./sha256.js";
import { forgetRun, keepFiles, keepRun, listFiles } from "./upload_store.js";

const HASHERS = 2;
const SENDERS = 6;
const BATCH = 100;
const LONGEST_PAUSE_MS = 15000;

/** One collection on its way. It tells `change` events; a view reads its fields. */
export class UploadRun extends EventTarget {
  total = 0;
  skipped = 0;
  hashed = 0;
  known = 0;
  sent = 0;
  failed = new Map();
  state = "hashing";
  trouble = "";
  job = null;
  #files = [];
  #paused = null;
  active = false;
  #stop = new AbortController();

  constructor(run) {
    super();
    this.run = run;
  }

  /** Send the entries `{path, file}`; what an earlier attempt kept is neither hashed nor sent. */
  async start(entries) {
    const kept = new Map((await listFiles(this.run.id)).map((file) => [file.path, file]));
    const photos = entries.filter(({ path }) => isPhoto(path));
    this.skipped = entries.length - photos.length;
    this.#files = photos
      .map(({ path, file }) => remember(this.run.id, path, file, kept.get(path)))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
    this.total = this.#files.length;
    await keepRun({ ...this.run, total: this.total });
    await this.retry();
  }

  get done() {
    return this.known + this.sent;
  }

  pause() {
    if (this.#paused || this.state === "done") return;
    let release;
    const wait = new Promise((resolve) => (release = resolve));
    this.#paused = { wait, release };
    this.#tell();
  }

  get paused() {
    return this.#paused !== null;
  }

  goOn() {
    this.#paused?.release();
    this.#paused = null;
    this.trouble = "";
    this.#tell();
  }

  async forget() {
    this.#stop.abort();
    this.goOn();
    this.state = "forgotten";
    await forgetRun(this.run.id);
    this.#tell();
  }

  retry() {
    return this.#attempt(async () => {
      this.failed.clear();
      this.state = "hashing";
      await this.#hashAll();
      this.state = "sending";
      await this.#sendAll();
      if (this.failed.size > 0) this.state = "incomplete";
      else await this.#postJob();
    });
  }

  startJob() {
    return this.#attempt(() => this.#postJob());
  }

  async #attempt(work) {
    if (this.active) return;
    this.active = true;
    try {
      await work();
    } catch (error) {
      if (error.name !== "AbortError") {
        this.state = "stopped";
        this.trouble = error.message;
      }
    }
    this.active = false;
    this.#tell();
  }

  async #hashAll() {
    const left = this.#files.filter((file) => file.sha256 === null);
    this.hashed = this.total - left.length;
    const hashers = Array.from({ length: Math.min(HASHERS, left.length) }, startHasher);
    try {
      await Promise.all(hashers.map(({ hash }) => this.#hashBy(hash, left)));
    } finally {
      hashers.forEach(({ stop }) => stop());
    }
  }

  async #hashBy(hash, left) {
    const fresh = [];
    for (;;) {
      const file = await this.#next(left);
      if (!file) break;
      try {
        file.sha256 = await hash(file.file);
        fresh.push(file);
      } catch (error) {
        this.failed.set(file.path, file.file ? `It cannot be read: ${error.message}` : "The browser cannot open it.");
      }
      this.hashed += 1;
      this.#tell();
      if (fresh.length >= BATCH) await keepFiles(fresh.splice(0).map(kept));
    }
    await keepFiles(fresh.map(kept));
  }

  async #sendAll() {
    this.known = this.#files.filter((file) => file.key !== null && !file.mine).length;
    const left = this.#files.filter((file) => file.key === null && !this.failed.has(file.path));
    while (left.length > 0) {
      await this.#whilePaused();
      await this.#sendBatch(left.splice(0, BATCH));
    }
  }

  async #sendBatch(batch) {
    const { files, uploads } = await this.#askForForms(batch);
    const asked = new Set();
    const toSend = [];
    files.forEach((file, index) => {
      const upload = uploads[index];
      // Of files with the same bytes, one is sent.
      if (upload.exists || asked.has(upload.key)) {
        file.key = upload.key;
        this.known += 1;
      } else toSend.push({ file, upload });
      asked.add(upload.key);
    });
    this.#tell();
    await Promise.all(Array.from({ length: SENDERS }, () => this.#sendFrom(toSend)));
    await keepFiles(files.map(kept));
  }

  /** Return the next of a queue, which others empty too. */
  async #next(queue) {
    await this.#whilePaused();
    return queue.shift();
  }

  async #sendFrom(queue) {
    for (;;) {
      const one = await this.#next(queue);
      if (!one) return;
      const { file, upload } = one;
      try {
        await this.#patiently(() => sendForm(upload.post, file.file, this.#stop.signal));
        file.key = upload.key;
        file.mine = true;
        this.sent += 1;
        await keepFiles([kept(file)]);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        this.failed.set(file.path, error.message);
      }
      this.#tell();
    }
  }

  /** Return the forms of a batch, less the files that the service refuses. */
  async #askForForms(batch) {
    let files = batch;
    while (files.length > 0) {
      try {
        const json = { files: files.map(described) };
        const answer = await this.#patiently(() =>
          post("/v1/uploads", { json, signal: this.#stop.signal }));
        return { files, uploads: answer.uploads };
      } catch (error) {
        const refused = new Map((error.errors || []).filter((fault) => fault.loc[1] === "files")
          .map((fault) => [fault.loc[2], fault.message]));
        if (refused.size === 0) throw error;
        for (const [index, message] of refused) this.failed.set(files[index].path, message);
        files = files.filter((_, index) => !refused.has(index));
      }
    }
    return { files, uploads: [] };
  }

  async #postJob() {
    const stored = this.#files.filter((file) => file.key !== null);
    if (stored.length === 0) {
      this.state = "empty";
      return forgetRun(this.run.id);
    }
    this.state = "starting";
    this.#tell();
    // The command, too, cuts names that are too long.
    const images = stored.map(({ key, path }) => ({ key, name: Array.from(path).slice(-16384).join("") }));
    const json = { images, name: this.run.name, purpose: this.run.purpose?.trim() || null, store: "photos" };
    // The same photos of a run give the same job, even if the answer was lost.
    const digest = await sha256(new TextEncoder().encode(JSON.stringify(json)).buffer);
    const headers = { "Idempotency-Key": `${this.run.id}-${digest.slice(0, 16)}` };
    this.job = await this.#patiently(() =>
      post("/v1/jobs", { json, headers, signal: this.#stop.signal }));
    this.state = "done";
    await forgetRun(this.run.id);
  }

  async #whilePaused() {
    this.#stop.signal.throwIfAborted();
    while (this.#paused) await this.#paused.wait;
    this.#stop.signal.throwIfAborted();
  }

  /** Do `work`, and again while the network or the service is away; a lost login pauses. */
  async #patiently(work) {
    for (let pause = 500; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await this.#whilePaused();
      try {
        const answer = await work();
        this.trouble = "";
        return answer;
      } catch (error) {
        const loggedOut = error.status === 401;
        if (loggedOut) this.pause();
        else if (!(error instanceof Unreachable) && error.status !== 429 && !(error.status >= 500)) throw error;
        this.trouble = `${error.message} ${loggedOut ? "Log in again in another tab, then go on."
          : "Sending goes on by itself."}`;
      }
      this.#tell();
      await backOnline(pause, this.#stop.signal);
    }
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Start a thread that hashes files. Where its script cannot be loaded, they are hashed here. */
function startHasher() {
  const worker = new Worker("/page/upload/hash_worker.js", { type: "module" });
  const hashHere = async (file) => sha256(await file.arrayBuffer());
  let lost = false;
  worker.addEventListener("error", () => { lost = true; });
  const hash = (file) => lost ? hashHere(file) : new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.sha256));
    worker.onerror = () => resolve(hashHere(file));
    worker.postMessage(file);
  });
  return { hash, stop: () => worker.terminate() };
}

function remember(run, path, file, before) {
  const same = file && before?.size === file.size && before.modified === file.lastModified;
  return {
    run, path, file, size: file?.size, modified: file?.lastModified,
    sha256: same ? before.sha256 : null, key: same ? before.key : null, mine: false,
  };
}

const kept = ({ file: _file, mine: _mine, ...others }) => others;

function described({ sha256: digest, size, path, file }) {
  const [type] = /^image\/(?!.*(svg|xml))[0-9a-z.+-]{1,64}$/i.exec(file.type) ?? ["application/octet-stream"];
  const [suffix] = /^\.[0-9a-z]{1,10}$/.exec(suffixOf(path)) ?? [""];
  return { sha256: digest, size, suffix, content_type: type };
}

async function sendForm(form, file, signal) {
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  body.append("file", file, "photo");
  let answer;
  try {
    answer = await fetch(form.url, { method: "POST", body, signal, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    await requireReadable(file);
    throw new Unreachable();
  }
  if (!answer.ok) throw new Refused(answer.status, `Object storage answered ${answer.status}.`);
}

function backOnline(pause, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, pause);
    const now = () => {
      clearTimeout(timer);
      resolve();
    };
    window.addEventListener("online", now, { once: true });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
