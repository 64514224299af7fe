// Ask the service, and turn its problem documents into errors that say what to do.

let lost = false;

export class Refused extends Error {
  constructor(status, message, errors = []) {
    super(message);
    this.status = status;
    this.errors = errors;
  }
}

export class Unreachable extends Error {
  constructor() {
    super("The service does not answer. Check the network, and whether the service still runs.");
  }
}

/** Return the JSON of an answer (null without a body); throws Refused and Unreachable. */
export async function call(method, path, { json, form, headers, signal } = {}) {
  const request = { method, headers: { ...headers }, signal };
  if (json !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(json);
  } else if (form !== undefined) {
    request.body = form;
  }
  const answer = await fetch(path, request).catch(unreachable);
  if (answer.status === 401) {
    lost = tell("login-needed");
    throw new Refused(401, "Your login has ended.");
  }
  if (lost) lost = !tell("service-back");
  if (answer.status === 204) return null;
  // An answer that breaks off, or that another server gave, is none.
  const body = await answer.json().catch(answer.ok ? unreachable : () => null);
  if (answer.ok) return body;
  throw new Refused(answer.status, wordsOf(answer, body), body?.errors);
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, options) => call("POST", path, options);

/** Do `work` every `pause` ms until it returns true, what it asks for is gone, or `signal` is aborted.
 * `onfault` gets each fault, and an empty message once it works again. */
export async function askAgain(work, pause, onfault, signal) {
  for (let away = false; !signal.aborted;) {
    try {
      const done = await work();
      if (away) onfault({ message: "" });
      away = false;
      if (done === true) return;
    } catch (error) {
      onfault(error);
      away = true;
      if (error.status === 404) return;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

function unreachable(error) {
  if (error.name === "AbortError") throw error;
  lost = tell("service-away");
  throw new Unreachable();
}

const tell = (event) => window.dispatchEvent(new Event(event));

function wordsOf(answer, body) {
  if (body === null) return `The service answered ${answer.status}.`;
  const [fault] = body.errors ?? [];
  return fault ? `${fault.loc.at(-1)}: ${fault.message}` : body.detail || body.title;
}
