// Show the view that the address names (`#/jobs/ID`), and tell when the service is out of reach.

import { get } from "./parts/api.js";
import { button, make } from "./parts/elements.js";

const VIEWS = {
  try: () => import("./views/try_view.js"),
  folder: () => import("./views/folder_view.js"),
  models: () => import("./views/models_view.js"),
  review: () => import("./views/review_view.js"),
  jobs: () => import("./views/jobs_view.js"),
  job: () => import("./views/job_view.js"),
};
const view = document.getElementById("view");
const notice = document.getElementById("notice");
let leave = new AbortController();
let opened = null;

/** Open the view that the address names; what follows a `?` is for the view that is open. */
async function open() {
  const [place] = location.hash.split("?");
  if (place === opened) return;
  const first = opened === null;
  opened = place;
  const [wanted, ...parts] = place.replace(/^#\/?/, "").split("/");
  const known = Object.hasOwn(VIEWS, wanted) ? wanted : "try";
  const name = known === "jobs" && parts[0] ? "job" : known;
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  tellOffline();
  const [shown, caller] = await Promise.all([
    VIEWS[name]().catch(tellMissing), get("/v1/caller").catch(() => null)]);
  if (signal.aborted || !shown) return;
  const { content, dataset } = document.getElementById(`${name}-view`);
  document.title = `${content.querySelector("h1").textContent} – facetag`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash.slice(2) === known) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.replaceChildren(content.cloneNode(true));
  if (!first) {
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  /** Return words on what the visitor's key does not allow; null if it does. */
  const lacks = (scope) => caller === null || caller.allows.includes(scope) ? null
    : make("p", { class: "message" }, `Your login (${caller.name}) has the scope ${caller.scope}. This needs ${scope}: `
      + `ask for a link that "facetag keys link --scope ${scope}" prints.`);
  const words = dataset.scope && lacks(dataset.scope);
  if (words) view.append(words);
  else await shown.show(view, { parts, signal, lacks });
}

function tell(...words) {
  notice.hidden = words.length === 0;
  notice.replaceChildren(...words);
}

function tellOffline() {
  tell(...(navigator.onLine ? [] : ["No network. What is open stays; sending waits."]));
}

/** Say why a view's script did not come: without a login none is served. */
async function tellMissing() {
  const answer = await fetch("/page/app.js", { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) tellLogin();
  else tell("The view cannot be loaded. Check the network, then ", button("load this page again", () => location.reload()), ".");
}

function tellLogin() {
  tell("Your login has ended. Run ", make("code", {}, "facetag keys link"), " and open the link that it prints.");
}

window.addEventListener("hashchange", open);
window.addEventListener("online", tellOffline);
window.addEventListener("offline", tellOffline);
window.addEventListener("login-needed", tellLogin);
window.addEventListener("login-back", tellOffline);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
open();
if ("serviceWorker" in navigator) navigator.serviceWorker.register("/service-worker.js");
