// What a person did and the server has not yet acknowledged. It lies in the tab's storage until it is acknowledged, so
// that neither a reload nor a restart of the server loses it; the UUID of each operation makes sending it twice harmless.

import { Refused } from "./api.js";

const QUEUE = 10;
const BATCH = 50;
const RETRY_MS = [300, 600, 1200, 2500, 5000];

export class Outbox {
  // onSynced(result, want) takes acks, asks and status; onState(n, problem) tells how many are unsaved, and why.
  constructor(api, key, holder, onSynced, onState) {
    this.api = api;
    this.key = key;
    this.holder = holder;
    this.onSynced = onSynced;
    this.onState = onState;
    this.operations = JSON.parse(sessionStorage.getItem(key) ?? "[]");
    this.busy = false;
    this.again = false;
    this.failures = 0;
    this.timer = 0;
    this.closed = false;
    this.online = () => this.flush();
    addEventListener("online", this.online);
  }

  add(operation) {
    this.operations.push(operation);
    this.#keep();
    this.onState(this.operations.length, "");
    this.flush();
  }

  // First contact: sends what an earlier page left behind and asks for everything a page shows.
  open() {
    return this.#send("open");
  }

  // Send what waits, ask for items, take the state of things. Safe to call at any time.
  async flush(want = QUEUE) {
    if (this.closed) return;
    if (this.busy) {
      this.again = true;
      return;
    }
    await this.#send("sync", want);
  }

  async #send(path, want = QUEUE) {
    clearTimeout(this.timer);
    this.busy = true;
    this.again = false;
    const sent = this.operations.slice(0, BATCH);
    try {
      const result = await this.api.post(path, { holder: this.holder, operations: sent, want });
      const done = new Set(result.acks.map((ack) => ack.uuid));
      this.operations = this.operations.filter((operation) => !done.has(operation.uuid));
      this.failures = 0;
      this.#keep();
      this.busy = false;
      this.onState(this.operations.length, "");
      this.onSynced(result, want);
      if (this.operations.length || this.again) this.flush();
    } catch (error) {
      this.busy = false;
      if (this.closed) return;
      const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
      this.failures += 1;
      this.onState(this.operations.length, error instanceof Refused ? error.message : "the server does not answer");
      this.timer = setTimeout(() => this.#send(path, want), wait);
    }
  }

  #keep() {
    sessionStorage.setItem(this.key, JSON.stringify(this.operations));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    removeEventListener("online", this.online);
  }
}

// The name under which this tab's items are promised to it. It survives a reload; a copy of the tab gets its own.
export async function tabHolder(slug) {
  const key = `plumbline:${slug}:holder`;
  const holder = sessionStorage.getItem(key) ?? newHolder(key);
  if (!navigator.locks) return holder;
  return (await takes(holder)) ? holder : (await claimNew(key));
}

function newHolder(key) {
  const holder = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(key, holder);
  return holder;
}

async function claimNew(key) {
  const holder = newHolder(key);
  await takes(holder);
  return holder;
}

// Holds the lock until the tab is gone; false when another tab has it.
function takes(holder) {
  return new Promise((resolve) => {
    navigator.locks.request(`plumbline:${holder}`, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock === null ? undefined : new Promise(() => {});
    });
  });
}
