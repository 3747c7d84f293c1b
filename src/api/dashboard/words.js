// How things are called and marked. Each state has a shape, a word and a colour; the word alone suffices.

import { h, s } from "./dom.js";

/** What samples say of an endpoint or a check. */
export const HEALTH = {
  up: { word: "Up", shape: "disc", tone: "well" },
  suspect: { word: "Suspect", shape: "triangle", tone: "notice" },
  down: { word: "Down", shape: "cross", tone: "alarm" },
  unknown: { word: "Unknown", shape: "ring", tone: "faint" },
  drained: { word: "Drained", shape: "bars", tone: "notice" },
};

/** How a service is off, the worst first. */
export const STANCE = {
  stranded: { word: "No site works", shape: "cross", tone: "alarm" },
  family_down: { word: "A family down", shape: "cross", tone: "alarm" },
  held: { word: "Held", shape: "square", tone: "alarm" },
  moved: { word: "Moved", shape: "arrow", tone: "notice" },
  failing: { word: "Failing", shape: "triangle", tone: "notice" },
  partial: { word: "In part", shape: "half", tone: "notice" },
  undecided: { word: "Undecided", shape: "ring", tone: "notice" },
  exposed: { word: "No standby", shape: "thin", tone: "notice" },
  home: { word: "In place", shape: "disc", tone: "well" },
};

/** The mark of a sentence. */
export const TONE = {
  alarm: { word: "Alarm", shape: "cross", tone: "alarm" },
  notice: { word: "Look", shape: "triangle", tone: "notice" },
  well: { word: "Well", shape: "disc", tone: "well" },
};

// Drawn in a box of 12 by 12.
const SHAPES = {
  disc: "M6 1.5a4.5 4.5 0 1 0 .001 0Z",
  ring: "M6 1a5 5 0 1 0 .001 0ZM6 3a3 3 0 1 1-.001 0Z",
  half: "M6 1a5 5 0 1 0 .001 0ZM6 2.8v6.4a3.2 3.2 0 0 1 0-6.4Z",
  thin: "M6 1.5a4.5 4.5 0 1 0 .001 0ZM3.5 5.2h5v1.6h-5Z",
  triangle: "M6 .8 11.6 10.8H.4Z",
  square: "M1.5 1.5h9v9h-9Z",
  cross: "M1 2.8 2.8 1 6 4.2 9.2 1 11 2.8 7.8 6 11 9.2 9.2 11 6 7.8 2.8 11 1 9.2 4.2 6Z",
  arrow: "M1 4.8h5.2V1.4L11.4 6l-5.2 4.6V7.2H1Z",
  bars: "M2 1.5h3v9H2ZM7 1.5h3v9H7Z",
};

/** A state's shape, which a screen reader passes over: a word stands beside it. */
export function mark({ shape, tone }) {
  const path = s("path", { d: SHAPES[shape], "fill-rule": "evenodd" });
  return s("svg", { class: `mark ${tone}`, viewBox: "0 0 12 12", "aria-hidden": "true" }, path);
}

/** The same as a path, for drawings. */
export const shapeOf = ({ shape }) => SHAPES[shape];

/** Shape and word. */
export function state(which) {
  return h("span", { class: `state-word ${which.tone}` }, mark(which), which.word);
}

/** How a whole site is, by its endpoints. */
export function siteHealth(site) {
  const { up, suspect, down, unknown, overridden } = site;
  if (overridden) return overridden.kind === "drain" ? HEALTH.drained : { ...HEALTH.drained, word: "Forced" };
  const all = up + suspect + down + unknown;
  if (all === 0) return { ...HEALTH.unknown, word: "Unused" };
  if (down === all) return HEALTH.down;
  if (down > 0) return { ...HEALTH.suspect, word: "Partly down" };
  if (suspect > 0) return HEALTH.suspect;
  return unknown === all ? HEALTH.unknown : HEALTH.up;
}

/** How an endpoint is, an operator's order included. */
export function endpointHealth({ health, forced, overridden }) {
  const kind = forced ?? overridden?.kind;
  if (kind === "drain") return HEALTH.drained;
  if (kind) return { ...HEALTH[kind === "force-up" ? "up" : "down"], word: kind };
  return HEALTH[health] ?? HEALTH.unknown;
}

/** `450 ms`, `12 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms) {
  const secs = Math.floor(ms / 1000);
  if (secs < 1) return `${Math.max(0, Math.round(ms))} ms`;
  if (secs < 60) return `${secs} s`;
  if (secs < 300) return `${Math.floor(secs / 60)} min ${secs % 60} s`;
  if (secs < 3600) return `${Math.floor(secs / 60)} min`;
  if (secs < 172800) return `${Math.floor(secs / 3600)} h ${Math.floor((secs / 60) % 60)} min`;
  return `${Math.floor(secs / 86400)} d ${Math.floor((secs / 3600) % 24)} h`;
}

/** `03:12:40 UTC`; with the day where that is not the daemon's today. */
export function clock(at, now) {
  const text = new Date(at).toISOString();
  const day = text.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? "" : `${text.slice(0, 10)} `;
  return `${day}${text.slice(11, 19)} UTC`;
}

/** Reasons hold moments as RFC 3339 has them; people read them as `03:12:40 UTC`. */
export function readable(text, now) {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (at) => clock(Date.parse(at), now));
}

/** A moment that the page keeps true as time passes: `3 min ago`, `in 40 s`. */
export function moment(at, now) {
  const time = h("time", { datetime: new Date(at).toISOString(), "data-at": at, title: clock(at, now) });
  time.textContent = relative(at, now);
  return time;
}

export function relative(at, now) {
  if (Math.abs(now - at) < 1000) return "just now";
  return at <= now ? `${span(now - at)} ago` : `in ${span(at - now)}`;
}

/** `1 service`, `12 services`. */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** A name or an address that may be broken behind its dots and colons, and nowhere else. */
export const breakable = (text) => text.split(/(?<=[.:])/).map((part) => [part, h("wbr")]);

/** A name without the last dot. */
export const bare = (name) => (name === "." ? name : name.replace(/\.$/, ""));

/** As the command line takes it: `fra`, `app.example.com`, `app.example.com@fra`. */
export function scopeText(scope) {
  if (scope.site) return scope.site;
  if (scope.service) return bare(scope.service);
  return `${bare(scope.endpoint[0])}@${scope.endpoint[1]}`;
}

/** What one check is called. */
export function checkText({ probe, whereto, host }) {
  const place = whereto.Addr ?? whereto.Name;
  return `${probe}@${place}${host ? ` (${host})` : ""}`;
}
