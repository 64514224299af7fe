// Remember an unfinished upload in the browser, so that a reload sends nothing twice.

const NAME = "facetag";
let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("runs", { keyPath: "id" });
      request.result.createObjectStore("files", { keyPath: ["run", "path"] });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

// Where a browser keeps nothing, sending works: the service knows what it has.
const ask = (...one) => attempt(...one).catch(() => []);

async function attempt(store, mode, work) {
  const transaction = (await database()).transaction(store, mode);
  const request = work(transaction.objectStore(store));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request?.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

const filesOf = (run) => IDBKeyRange.bound([run], [run, []]);

/** A run is `{id, name, total}`. */
export const keepRun = (run) => ask("runs", "readwrite", (store) => store.put(run));
export const listRuns = () => ask("runs", "readonly", (store) => store.getAll());

/** A file is `{run, path, size, modified, sha256, key}`; `key` is set once it is stored. */
export function keepFiles(files) {
  return ask("files", "readwrite", (store) => {
    for (const file of files) store.put(file);
  });
}
export const listFiles = (run) => ask("files", "readonly", (store) => store.getAll(filesOf(run)));

export async function forgetRun(run) {
  await ask("files", "readwrite", (store) => store.delete(filesOf(run)));
  await ask("runs", "readwrite", (store) => store.delete(run));
}
