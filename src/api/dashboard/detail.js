// One service or one site, whole: the chain from samples to the answer, in the order data flows, and what
// somebody can do about it. What is shown here has an address of its own, `#/service/NAME`, to be passed on.

import { get, Refused } from "./api.js";
import { byId, h, show } from "./dom.js";
import { incident, incidents } from "./incidents.js";
import { plots } from "./plots.js";
import { drainButton } from "./sites.js";
import {
  HEALTH,
  STANCE,
  bare,
  checkText,
  clock,
  count,
  endpointHealth,
  moment,
  readable,
  siteHealth,
  span,
  state,
} from "./words.js";

const HISTORY = 30;

/** What an address of this page names: `{ kind, id }`, or nothing. */
export function chosen() {
  const [, kind, id] = location.hash.match(/^#\/(service|site|incident)\/(.+)$/) ?? [];
  return kind ? { kind, id: decodeURIComponent(id) } : null;
}

/** Shows what is chosen, as it is by now; `known` are the last incidents, `null` where there are none to ask for. */
export async function detail(what, overview, known) {
  if (!what) return show(byId("detail"));
  const parts = { service, site, incident: oneIncident }[what.kind];
  let content;
  try {
    content = await parts(what.id, overview, known);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // A page that cannot be made anew stays; the link says that it is old.
    if (error.status === 0 || error.status === 503) return;
    content = [h("h2", { id: "detail-heading" }, what.id), h("p", {}, error.message)];
  }
  // Another one was chosen meanwhile.
  if (JSON.stringify(chosen()) !== JSON.stringify(what)) return;
  show(
    byId("detail"),
    h(
      "p",
      { class: "closing" },
      h("a", { href: "#/", "aria-label": "Close the details" }, "Close"),
      " ",
      h("kbd", {}, "Esc"),
    ),
    content,
  );
}

/** What may not be there, in an older daemon or one without a past. */
async function optional(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return null;
    throw error;
  }
}

async function service(name, { services }, known) {
  const at = encodeURIComponent(name);
  const [explained, plotted, past] = await Promise.all([
    get(`/v1/explain?name=${at}`),
    optional(`/v1/plots/${at}`),
    get(`/v1/history?service=${at}&limit=${HISTORY}`),
  ]);
  const { explanation, because, answered_text: answered } = explained;
  if (!explanation) {
    return [
      h("h2", { id: "detail-heading" }, name),
      h("p", {}, "It is not steered: the zone file's records are answered."),
      records(answered),
    ];
  }
  const { now, service, checks, next } = explanation;
  const row = services.find((row) => row.name === name);
  return [
    h("h2", { id: "detail-heading" }, name, row && [" ", state(STANCE[row.stance])]),
    h("p", { class: "lead" }, readable(because ?? "no decision yet", now)),
    h("p", { class: "buttons" }, orders(service)),
    part(
      "Answer",
      records(answered),
      h(
        "p",
        { class: "faint" },
        service.serial ? `zone ${bare(service.zone)}, serial ${service.serial}` : "not published yet",
        service.decision && `, decision ${service.decision.id}`,
        service.since && [", from the same sites since ", moment(service.since, now)],
      ),
    ),
    part(
      "What can happen next",
      next.length === 0
        ? h("p", {}, "Nothing is pending.")
        : h(
            "ul",
            { class: "lines" },
            next.map((line) => h("li", {}, readable(line, now))),
          ),
    ),
    part(
      "Sites, the preferred first",
      service.endpoints.map((at) => endpoint(at, service, checks, now)),
    ),
    plotted && part("The last hour", plots(plotted, now)),
    known &&
      part(
        "Incidents",
        incidents(
          known.filter(({ services }) => services.some((touched) => bare(touched) === name)),
          now,
        ),
      ),
    part("History", history(past.entries, now)),
    part(
      "Policy",
      h("p", {}, service.policy),
      service.probes && h("p", { class: "faint" }, `probes: ${service.probes}`),
    ),
  ];
}

const part = (title, ...content) => h("section", { "data-key": title }, h("h3", {}, title), content);

const records = (lines) =>
  h(
    "pre",
    { class: "records", tabindex: "0", "aria-label": "Records" },
    lines.length ? lines.join("\n") : "no record",
  );

/** What an operator can order for a service as a whole. */
function orders({ name, endpoints, latched, decision }) {
  const service = bare(name);
  const button = (act, text, more) =>
    h("button", { type: "button", "data-act": act, "data-service": service, ...more }, text);
  const others = endpoints.filter((endpoint) => !endpoint.serving).map((endpoint) => endpoint.site);
  const first = endpoints[0]?.site;
  const away = latched || (decision && decision.sites[0] !== first);
  return [
    others.length > 0 && button("failover", "Fail over…", { "data-sites": others.join(" ") }),
    away && button("failback", "Fail back…"),
  ];
}

function endpoint(endpoint, service, checks, now) {
  const { site, serving, overridden, maintenance, places } = endpoint;
  // The buttons speak of this endpoint's own override; one on the site or the service is cleared where it is set.
  const own = overridden?.scope.endpoint ? overridden : null;
  return h(
    "section",
    { class: "endpoint", "data-key": site },
    h(
      "h4",
      {},
      h("a", { href: `#/site/${encodeURIComponent(site)}` }, site),
      " ",
      state(endpointHealth(endpoint)),
      serving && h("b", { class: "answered" }, "answered from here"),
    ),
    overridden &&
      h(
        "p",
        {},
        `${overridden.kind} by ${overridden.who}: ${overridden.reason}`,
        overridden.until && [", ends ", moment(overridden.until, now)],
      ),
    maintenance && h("p", {}, "in maintenance, which ends ", moment(maintenance, now)),
    places.map(({ place, health, because, serving, checks: keys }) => [
      h(
        "p",
        {},
        h("span", { class: "code" }, place.Addr ?? place.Name),
        keys.length !== 1 && [" ", state(HEALTH[health])],
        !serving && endpoint.serving && " left out of the answer",
        because && keys.length > 1 && `: ${because}`,
      ),
      checks
        .filter(({ key }) => keys.some((known) => checkText(known) === checkText(key)))
        .map((found) => check(found, now)),
    ]),
    h("p", { class: "buttons" }, drainButton({ endpoint: [service.name, site] }, own)),
  );
}

function check(
  { key, health, since, because, every_ms: every, last_sample_age_ms: age, stale, recent },
  now,
) {
  const sample = ({ at, outcome, latency }) => {
    const [which, word] = outcomeOf(outcome);
    const ms = latency.secs * 1000 + latency.nanos / 1e6;
    const text = `${clock(at, now)} ${word}, ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
    return h("li", { class: which, title: text }, h("span", { class: "unseen" }, text));
  };
  return h(
    "div",
    { class: "check" },
    h(
      "p",
      {},
      h("span", { class: "code" }, checkText(key)),
      " ",
      health === "unknown" && age === null
        ? "not yet checked"
        : [
            state(HEALTH[health]),
            " for ",
            span(now - since),
            because && health !== "up" && `: ${because}`,
          ],
    ),
    h(
      "p",
      { class: stale ? "bad" : "faint" },
      `every ${span(every)}, last sample ${age === null ? "none yet" : `${span(age)} ago`}`,
      stale && ": none for three intervals, this health is old",
    ),
    h(
      "ol",
      {
        class: "samples",
        "aria-label": `The last ${recent.length} samples of ${checkText(key)}, the oldest first`,
      },
      [...recent].reverse().map(sample),
    ),
  );
}

/** Style and words of what came of a run. */
function outcomeOf(outcome) {
  if (outcome === "ok" || outcome === "Ok") return ["ok", "ok"];
  const [kind, why] = Object.entries(outcome)[0];
  const words =
    typeof why === "string"
      ? why
      : Object.entries(why)
          .map(([what, more]) => `${what} ${typeof more === "object" ? JSON.stringify(more) : more}`)
          .join(", ");
  return kind.toLowerCase() === "failed"
    ? ["failed", words.replaceAll("_", " ")]
    : ["discarded", `not counted: ${words}`];
}

function history(entries, now) {
  if (entries.length === 0) return h("p", { class: "none" }, "Nothing yet.");
  // A line begins with its moment, which stands beside it here.
  const words = (text) => readable(text.replace(/^\S+Z\s+/, ""), now);
  return h(
    "ol",
    { class: "timeline" },
    entries.map(({ seq, at, text }) =>
      h("li", { "data-key": seq }, h("span", { class: "code" }, clock(at, now)), h("span", {}, words(text))),
    ),
  );
}

async function site(id, overview, known) {
  const { sites, overrides, maintenance, moves, now } = overview;
  const site = sites.find((site) => site.id === id);
  if (!site) return [h("h2", { id: "detail-heading" }, id), h("p", {}, "There is no such site.")];
  const at = encodeURIComponent(id);
  const off = await get(`/v1/overview?site=${at}&limit=200`);
  const away = moves.filter((move) => move.from === id);
  const here = overrides.filter(({ scope }) => scope.site === id || scope.endpoint?.[1] === id);
  const windows = maintenance.filter((window) => window.of === id);
  const rows = off.services.map((row) => ({
    row,
    endpoint: row.endpoints.find((endpoint) => endpoint.site === id),
  }));
  const line = ({ row, endpoint }) =>
    h(
      "li",
      { "data-key": row.name },
      state(endpointHealth(endpoint)),
      " ",
      h("a", { href: `#/service/${encodeURIComponent(row.name)}` }, row.name),
      endpoint.serving && h("b", { class: "answered" }, "answered from here"),
    );
  const location = site.location && `at ${site.location[0]}, ${site.location[1]}`;
  return [
    h("h2", { id: "detail-heading" }, site.name, " ", state(siteHealth(site))),
    h(
      "p",
      { class: "lead" },
      `answers ${count(site.serving, "service")}`,
      away.map(({ to, services }) => `; ${services} moved off to ${to}`),
    ),
    h(
      "p",
      { class: "faint" },
      [id, location, site.capacity && `load ${site.load} of ${site.capacity}`].filter(Boolean).join(", "),
    ),
    h("p", { class: "buttons" }, drainButton({ site: id }, site.overridden)),
    here.length > 0 &&
      part(
        "Overrides",
        h(
          "ul",
          { class: "lines" },
          here.map(({ kind, who, reason, until, scope }) =>
            h(
              "li",
              {},
              `${kind} ${scope.endpoint ? bare(scope.endpoint[0]) : "of the site"} by ${who}: ${reason}`,
              until && [", ends ", moment(until, now)],
            ),
          ),
        ),
      ),
    windows.length > 0 &&
      part(
        "Maintenance",
        h(
          "ul",
          { class: "lines" },
          windows.map(({ until, opens }) =>
            h(
              "li",
              {},
              until
                ? ["open, ends ", moment(until, now)]
                : opens
                  ? ["opens ", moment(opens, now)]
                  : "no further window",
            ),
          ),
        ),
      ),
    known &&
      part(
        "Incidents",
        incidents(
          known.filter(({ sites }) => sites.includes(id)),
          now,
        ),
      ),
    part(
      "Services here",
      h("ul", { class: "lines" }, rows.map(line)),
      off.matching > off.services.length &&
        h(
          "p",
          { class: "faint" },
          `and ${off.matching - off.services.length} more; choose the site above the table for all of them`,
        ),
    ),
  ];
}

/** The incident that is open here: its timeline is kept, and only what changed is asked for. */
let kept = { id: null, known: "", timeline: [] };

async function oneIncident(id, { now }) {
  const had = kept.id === id ? kept : { known: "", timeline: [] };
  const found = await get(`/v1/incidents/${encodeURIComponent(id)}?known=${encodeURIComponent(had.known)}`);
  const timeline = [...had.timeline.slice(0, found.timeline_from), ...found.timeline];
  kept = { id, known: found.known, timeline };
  return incident({ ...found, timeline }, now);
}
