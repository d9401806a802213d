// The page's side of label_api: JSON over HTTP, as one named person.

export class Refused extends Error {}

export class Api {
  constructor(slug, person) {
    this.base = new URL(`/api/projects/${encodeURIComponent(slug)}/label/`, location.href);
    this.person = person;
  }

  get(path) {
    return this.#ask(path, { method: "GET" });
  }

  post(path, body) {
    return this.#ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } });
  }

  // Raises Refused with the server's words when it understood and said no; any other error is worth a retry.
  async #ask(path, options) {
    const headers = { ...options.headers, "x-plumbline-person": encodeURIComponent(this.person) };
    const answer = await fetch(new URL(path, this.base), { ...options, headers, signal: AbortSignal.timeout(20000) });
    if (answer.ok) return answer.json();
    const said = await answer.json().catch(() => ({}));
    const reason = said.error ?? (typeof said.detail === "string" ? said.detail : `the server answered ${answer.status}`);
    if (answer.status >= 400 && answer.status < 500 && answer.status !== 408 && answer.status !== 429) throw new Refused(reason);
    throw new Error(reason);
  }
}
