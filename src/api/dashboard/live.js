// What is shown is true, or says that it is not: the newest picture, when it came, and whether more will.
//
// Every change the daemon tells of (server-sent events) has the picture asked for anew. It is asked for
// every few seconds besides: a stream that is silent and a checker that died look the same.

import { Refused, get, stream } from "./api.js";

const POLL_MS = 2000;
const POLL_BESIDE_STREAM_MS = 4000;
const POLL_HIDDEN_MS = 15000;
/** After an event, so that a burst is one question. The daemon shows no picture older than 200 ms. */
const SETTLE_MS = 300;
/** A stream that sends not even its comments is dead. */
const SILENCE_MS = 40000;
const RETRY_MS = [1000, 2000, 5000, 15000];
/** No picture for so long is too long, whatever the reason. */
const OLD_MS = 6000;

/** `query()` says what to ask for; `took(overview)` gets it; `told()` is called when the link changes. */
export class Live {
  #query;
  #took;
  #told;
  #timer;
  #asked = 0;
  #newest = 0;

  /** Whether changes come as they happen. */
  streaming = false;
  /** Why there is no answer, if there is none. */
  error = null;
  /** When the last picture came, by this browser's steady clock; and what the daemon's clock said. */
  #received = null;
  #daemonNow = 0;

  constructor(query, took, told) {
    [this.#query, this.#took, this.#told] = [query, took, told];
  }

  start() {
    this.#poll();
    this.#listen();
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  /** The daemon's time, as far as can be told from here. */
  now() {
    return this.#received === null ? Date.now() : this.#daemonNow + this.age();
  }

  /** How old the picture is, in milliseconds; `null` before the first. */
  age() {
    return this.#received === null ? null : performance.now() - this.#received;
  }

  /** Whether what is shown may be untrue by now. */
  isOld() {
    return this.error !== null || (this.age() ?? 0) > (document.hidden ? POLL_HIDDEN_MS + OLD_MS : OLD_MS);
  }

  /** Asks for the picture now. Answers that were overtaken by a later one are dropped. */
  async refresh() {
    clearTimeout(this.#timer);
    const number = ++this.#asked;
    try {
      const overview = await get(this.#query());
      if (number > this.#newest) {
        this.#newest = number;
        [this.#received, this.#daemonNow, this.error] = [performance.now(), overview.now, null];
        this.#took(overview);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (number > this.#newest) this.error = error;
    } finally {
      this.#told();
      if (number === this.#asked) this.#poll();
    }
  }

  #poll() {
    clearTimeout(this.#timer);
    const pace = this.streaming ? POLL_BESIDE_STREAM_MS : POLL_MS;
    const wait = this.#received === null && this.error === null ? 0 : document.hidden ? POLL_HIDDEN_MS : pace;
    this.#timer = setTimeout(() => this.refresh(), wait);
  }

  async #listen() {
    for (let failures = 0; ; failures += 1) {
      const began = performance.now();
      await this.#followStream().catch(() => {});
      if (this.streaming) {
        this.streaming = false;
        this.#told();
        this.refresh();
      }
      if (performance.now() - began > SILENCE_MS) failures = 0;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
    }
  }

  async #followStream() {
    const ending = new AbortController();
    const reader = await stream("/v1/events", ending.signal);
    this.streaming = true;
    this.#told();
    const decoder = new TextDecoder();
    let line = "";
    let settling;
    for (;;) {
      const silence = setTimeout(() => ending.abort(), SILENCE_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const lines = (line + decoder.decode(value, { stream: true })).split("\n");
      line = lines.pop();
      // What happened the picture says; that something did is enough here.
      if (lines.some((line) => line.startsWith("data:"))) {
        settling ??= setTimeout(() => {
          settling = undefined;
          this.refresh();
        }, SETTLE_MS);
      }
    }
  }
}
