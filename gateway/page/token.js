// The token of admin.token. It is kept in sessionStorage, so that it is gone with the tab, and asked for where the replica wants it.

import { setText, $ } from "./parts.js";

const key = "sidway-token";

export const keptToken = () => sessionStorage.getItem(key) ?? "";

export function keepToken(token) {
  sessionStorage.setItem(key, token);
}

export function forgetToken() {
  sessionStorage.removeItem(key);
}

/** bearing returns the header of a request with a token. What no token may hold is encoded, since a header cannot hold it either. */
export function bearing(token) {
  return token ? { Authorization: `Bearer ${encodeURI(token)}` } : {};
}

let asked = null;

/** signIn waits until somebody has typed a token that is the replica's, after it refused the one that was used. It asks once for all who wait. */
export function signIn(used) {
  if (!asked && keptToken() && keptToken() !== used) return Promise.resolve(); // another was typed meanwhile
  asked ??= new Promise(show).finally(() => (asked = null));
  return asked;
}

function show(done) {
  const form = $("sign-in");
  const field = form.elements.token;
  const problem = form.querySelector("[role=alert]");
  form.hidden = false;
  setText(problem, keptToken() ? "The token that was kept is not the replica's any more." : "");
  forgetToken();
  if (!document.querySelector("dialog[open]")) field.focus();
  form.onsubmit = async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    setText(problem, ""); // so that the same words are said again
    try {
      const answer = await fetch("/api/status", { method: "HEAD", cache: "no-store", headers: bearing(field.value) });
      if (answer.status === 401) {
        setText(problem, "That is not the token.");
        field.select();
        return;
      }
      if (answer.ok) keepToken(field.value);
      field.value = "";
      form.hidden = true;
      done();
    } catch {
      setText(problem, "The replica cannot be reached.");
    } finally {
      button.disabled = false;
    }
  };
}
