// What people should know before it is too late: what waits for them, what is forced, what is near a limit,
// who lags behind. A panel is there when there is something in it.

import { h } from "./dom.js";
import { drainButton } from "./sites.js";
import { incidents } from "./incidents.js";
import { bare, moment, readable, scopeText, span } from "./words.js";

/** Every panel that has something to say; `known` are the incidents, `null` where none can be asked for. */
export function watch(overview, known) {
  const { now } = overview;
  return [
    panel(
      "Moves that wait for you",
      overview.proposals.map((held) => proposal(held, now)),
      true,
    ),
    panel(
      "Overrides",
      overview.overrides.map((forced) => override(forced, now)),
    ),
    known &&
      h(
        "section",
        { class: "panel", "data-key": "incidents" },
        h("h2", {}, "Incidents"),
        incidents(known, now),
      ),
    panel("Safety rules", overview.rules.map(rule)),
    panel(
      "Maintenance",
      overview.maintenance.map((window) => maintenance(window, now)),
    ),
    panel("Secondaries", overview.secondaries.map(secondary)),
    panel(
      "Zones from a primary",
      overview.transferred.map((zone) => transferred(zone, now)),
    ),
    panel(
      "Alerts",
      overview.alerts.map((receiver) => receiverLine(receiver, now)),
    ),
    panel("Configuration", configuration(overview, now)),
  ];
}

function panel(title, lines, loud = false) {
  const some = lines.filter(Boolean);
  if (some.length === 0) return null;
  return h(
    "section",
    { class: `panel ${loud ? "loud" : ""}`, "data-key": title },
    h("h2", {}, title),
    h("ul", { class: "lines" }, some),
  );
}

const line = (key, bad, ...content) => h("li", { "data-key": key, class: bad ? "bad" : "" }, content);

function proposal({ id, service, from, to, at, due, limit, state }, now) {
  const rejected = typeof state === "object" ? state.rejected.by : null;
  const button = (act, word) =>
    h(
      "button",
      {
        type: "button",
        "data-act": act,
        "data-proposal": id,
        "data-service": bare(service),
        "data-to": to,
        "aria-label": `${word} proposal ${id}`,
      },
      `${word}…`,
    );
  return line(
    id,
    rejected === null,
    h(
      "p",
      {},
      h("a", { href: `#/service/${encodeURIComponent(bare(service))}` }, bare(service)),
      ` from ${from} to ${to}`,
      limit && `, held by a safety rule: ${limit}`,
    ),
    h(
      "p",
      { class: "faint" },
      rejected === null ? ["waits since ", moment(at, now)] : `rejected by ${rejected}`,
      due &&
        rejected === null && [
          "; ",
          moment(due[0], now),
          due[1] === "move" ? " it is made" : " it is dropped",
        ],
    ),
    h(
      "p",
      { class: "buttons" },
      button("approve", "Approve"),
      rejected === null && button("reject", "Reject"),
    ),
  );
}

function override({ scope, kind, who, reason, at, until }, now) {
  return line(
    scopeText(scope),
    false,
    h("p", {}, h("b", {}, `${kind} ${scopeText(scope)}`), ` by ${who}: ${reason}`),
    h(
      "p",
      { class: "faint" },
      "set ",
      moment(at, now),
      until ? [", ends ", moment(until, now)] : ", until cleared",
    ),
    h("p", { class: "buttons" }, drainButton(scope, { kind })),
  );
}

function rule({ rule, counts, now, limit, reached }) {
  const least = rule.startsWith("min_");
  return line(
    rule,
    reached,
    h(
      "p",
      {},
      `${counts}: `,
      h("b", {}, now),
      `, ${least ? "at least" : "at most"} ${limit}`,
      reached && h("b", {}, ": reached"),
    ),
    h("p", { class: "faint code" }, rule),
  );
}

function maintenance({ of, until, opens }, now) {
  const when =
    until !== null
      ? ["open, ends ", moment(until, now)]
      : opens !== null
        ? ["opens ", moment(opens, now)]
        : "no further window";
  return line(of, until !== null, h("p", {}, h("b", {}, bare(of)), " ", when));
}

function secondary({ zone, address, published, serial, lag_ms: lag, outcome }) {
  const state = lag > 0 ? `${span(lag)} behind` : "current";
  return line(
    `${zone} ${address}`,
    lag > 0,
    h(
      "p",
      {},
      h("span", { class: "code" }, address),
      ` has ${bare(zone)} ${serial ?? "unknown"}: `,
      h("b", {}, state),
    ),
    (lag > 0 || serial === null) &&
      h("p", { class: "faint" }, `published is ${published ?? "nothing"}; ${outcome}`),
  );
}

function transferred({ zone, serial, expired, confirmed, expires, last }, now) {
  const state = expired ? "EXPIRED" : serial === null ? "none yet" : `serial ${serial}`;
  return line(
    zone,
    expired || serial === null,
    h("p", {}, h("b", {}, bare(zone)), ` ${state}`, expires && [", expires ", moment(expires, now)]),
    h("p", { class: "faint" }, confirmed && ["confirmed ", moment(confirmed, now), "; "], last),
  );
}

function receiverLine(
  { id, way, queued, given_up: givenUp, failing, last_success: success, last_error: error },
  now,
) {
  return line(
    id,
    failing || givenUp > 0,
    h(
      "p",
      {},
      h("b", {}, id),
      ` (${way}) `,
      failing ? "fails" : "works",
      queued > 0 && `, ${queued} waiting`,
      givenUp > 0 && `, ${givenUp} given up`,
    ),
    h(
      "p",
      { class: "faint" },
      success ? ["delivered ", moment(success, now)] : "nothing delivered yet",
      failing && error && ["; ", moment(error[0], now), `: ${error[1]}`],
    ),
  );
}

function configuration({ last_load: load, warnings }, now) {
  return [
    !load.ok &&
      line(
        "load",
        true,
        h(
          "p",
          {},
          h("b", {}, "The last load was refused"),
          " ",
          moment(load.at, now),
          "; the last good one serves",
        ),
        h("pre", {}, load.problems),
      ),
    ...warnings.map((warning) => line(warning, true, h("pre", {}, readable(warning, now)))),
  ];
}
