// Show the view that the address names (`#/jobs/ID`), and tell when the service is out of reach.

import { get } from "./parts/api.js";
import { button, make } from "./parts/elements.js";

const VIEWS = ["try", "folder", "jobs", "review", "models"];
const view = document.getElementById("view");
const notice = document.getElementById("notice");
let leave = new AbortController();
const ignore = () => {};
let opened = null;

/** Open the view that the address names; what follows a `?` is for the view that is open. */
async function open() {
  const [place] = location.hash.split("?");
  if (place === opened) return;
  const first = opened === null;
  opened = place;
  const [wanted, ...parts] = place.replace(/^#\/?/, "").split("/");
  const known = VIEWS.includes(wanted) ? wanted : "try";
  const name = known === "jobs" && parts[0] ? "job" : known;
  leave.abort();
  leave = new AbortController();
  const { signal } = leave;
  tellOffline();
  const [shown, caller] = await Promise.all([
    import(`./views/${name}_view.js`).catch(ignore), get("/v1/caller").catch(ignore)]);
  if (signal.aborted) return;
  if (!shown) {
    opened = null;
    if (caller) tell("The view cannot be loaded: ", button("load this page again", () => location.reload()), ".");
    return;
  }
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
  const lacks = (scope) => !caller || caller.allows.includes(scope) ? null
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
  if (navigator.onLine) tell();
  else tellAway();
}

const goOn = () => (opened === null ? open() : tellOffline());

function tellAway() {
  tell(`${navigator.onLine ? "The service does not answer." : "No network."} What is open stays; sending waits.`);
}

function tellLogin() {
  tell("Your login has ended. Run ", make("code", {}, "facetag keys link"), " and open the link that it prints.");
}

window.addEventListener("hashchange", open);
window.addEventListener("online", goOn);
window.addEventListener("offline", tellAway);
window.addEventListener("login-needed", tellLogin);
window.addEventListener("service-away", tellAway);
window.addEventListener("service-back", goOn);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
open();
// Every view opens without a network, too.
const loaded = Promise.all([...VIEWS, "job"].map((name) => import(`./views/${name}_view.js`).catch(ignore)));
navigator.serviceWorker?.register("/service-worker.js");
navigator.serviceWorker?.addEventListener("controllerchange", async () => {
  await loaded;
  // What was loaded before the service worker is kept, too.
  const files = performance.getEntriesByType("resource").map(({ name }) => name);
  for (const name of ["/", ...files.filter((one) => one.includes("/page/"))]) fetch(name).catch(ignore);
});
