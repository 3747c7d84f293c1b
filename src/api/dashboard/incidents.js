// What went wrong, from the first failed sample to the last client's TTL: a list, and one as a timeline.

import { h } from "./dom.js";
import { bare, clock, moment, readable, span } from "./words.js";

/** What the parts of an incident are called, in their order. */
const PHASES = [
  ["detect", "to detect"],
  ["decide", "to decide"],
  ["publish", "to publish"],
  ["ttl", "until the last client's TTL"],
];

/** A line for each incident. */
export function incidents(list, now) {
  if (list.length === 0) return h("p", { class: "none" }, "Nothing of the kind is known.");
  const line = ({ id, began, ended, summary }) =>
    h(
      "li",
      { "data-key": id, class: ended === null ? "open" : "" },
      h("a", { href: `#/incident/${encodeURIComponent(id)}` }, readable(summary, now)),
      h(
        "p",
        { class: "faint" },
        moment(began, now),
        ended === null ? ", not over" : `, lasted ${span(ended - began)}`,
      ),
    );
  return h("ul", { class: "lines" }, list.map(line));
}

/** The whole of one. */
export function incident(incident, now) {
  const { began, ended, summary, timeline, phases } = incident;
  return [
    h("h2", { id: "detail-heading" }, `Incident ${incident.id}`),
    h("p", { class: "lead" }, readable(summary, now)),
    h(
      "p",
      {},
      `Began ${clock(began, now)}, `,
      ended === null ? "not over" : `ended ${clock(ended, now)}, lasted ${span(ended - began)}`,
    ),
    phases && phasesOf(phases),
    incident.waiting?.length > 0 &&
      h(
        "p",
        {},
        "Not where they belong yet: ",
        incident.waiting
          .map(({ service, for_what: what }) => `${bare(service)} (waits for ${what})`)
          .join(", "),
      ),
    h("h3", {}, "Timeline"),
    h(
      "ol",
      { class: "timeline" },
      timeline.map((moment) => step(moment, began, now)),
    ),
    incident.more_lines > 0 &&
      h("p", { class: "faint" }, `and ${incident.more_lines} more; the history has them all`),
  ];
}

function step({ at, what, text }, began, now) {
  const after = at > began ? `+${span(at - began)}` : "";
  return h(
    "li",
    { class: `step ${what}` },
    h("span", {}, h("span", { class: "code" }, clock(at, now)), " ", h("span", { class: "faint" }, after)),
    h("span", {}, readable(text, now)),
  );
}

function phasesOf(phases) {
  const parts = PHASES.filter(([key]) => phases[key] !== null && phases[key] !== undefined);
  const rows = parts.map(([key, words]) =>
    h("div", {}, h("dt", {}, words), h("dd", {}, seconds(phases[key]))),
  );
  const total =
    phases.total === null || phases.total === undefined
      ? null
      : h(
          "div",
          { class: "total" },
          h("dt", {}, phases.rto ? `in all; ${seconds(phases.rto)} were promised` : "in all"),
          h(
            "dd",
            {},
            seconds(phases.total),
            phases.rto &&
              h("span", { class: phases.kept ? "well" : "bad" }, phases.kept ? " kept" : " missed"),
          ),
        );
  return h("dl", { class: "phases" }, rows, total);
}

const seconds = (secs) => (secs < 1 ? `${Math.round(secs * 1000)} ms` : `${Math.round(secs * 10) / 10} s`);
