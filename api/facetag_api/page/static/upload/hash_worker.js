// Hash files beside the page, so that it stays quick.

import { sha256 } from "./sha256.js";

self.onmessage = async ({ data: file }) => {
  try {
    self.postMessage({ sha256: await sha256(await file.arrayBuffer()) });
  } catch (error) {
    self.postMessage({ error: String(error.message || error) });
  }
};
