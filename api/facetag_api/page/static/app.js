// Show the view that the address names (`#/jobs/ID`), and tell when the service is out of reach.

import { button, make } from "./parts/elements.js";

const VIEWS = {
  try: () => import("./views/try_view.js"),
  folder: () => import("./views/folder_view.js"),
  models: () => import("./views/models_view.js"),
  review: () => import("./views/review_view.js"),
  jobs: ([id]) => (id ? import("./views/job_view.js") : import("./views/jobs_view.js")),
};
const view = document.getElementById("view");
const notice = document.getElementById("offline");
let leave = new AbortController();

async function open() {
  const [name, ...parts] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const load = VIEWS[name] || VIEWS.try;
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  const shown = await load(parts);
  if (signal.aborted) return;
  document.title = `${shown.title} – facetag`;
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.hash.slice(2) === (VIEWS[name] ? name : "try");
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.replaceChildren();
  await shown.show(view, { parts, signal });
}

function tellOffline() {
  notice.hidden = navigator.onLine;
  notice.textContent = navigator.onLine ? "" : "No network. What is open stays; sending waits.";
}

window.addEventListener("hashchange", () => {
  open();
  view.focus({ preventScroll: true });
  scrollTo(0, 0);
});
window.addEventListener("online", tellOffline);
window.addEventListener("offline", tellOffline);
window.addEventListener("login-needed", () => {
  notice.hidden = false;
  notice.replaceChildren("Your login has ended. Log in again, then ",
    button("load this page again", () => location.reload()), ".");
});
tellOffline();
open();
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/service-worker.js");
