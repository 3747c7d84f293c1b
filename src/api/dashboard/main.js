// Joins the parts of the page: what comes from the daemon goes to each, and what people do to where it is
// done.

import { Refused, get } from "./api.js";
import { actions } from "./actions.js";
import { chosen, detail } from "./detail.js";
import { byId, h, show } from "./dom.js";
import { Live } from "./live.js";
import { Looking } from "./services.js";
import { sites } from "./sites.js";
import { watch } from "./watch.js";
import { TONE, clock, mark, moment, readable, relative, span } from "./words.js";

const SECOND_MS = 1000;
const THEMES = ["auto", "light", "dark"];
const THEME = "detour-theme";
/** Incidents change rarely; while the state is the same they are asked for no more often than this. */
const INCIDENTS_MS = 5000;
const INCIDENTS_KNOWN = 20;
const INCIDENTS_SHOWN = 5;

let newest;
let known = null;
let knownAt = -Infinity;
let knownFor;
let fault = null;

const looking = new Looking(() => live.refresh());
const live = new Live(() => looking.query(), took, tick);

function took(overview) {
  newest = overview;
  document.body.classList.add("ready");
  state(overview);
  show(byId("sites"), sites(overview));
  const what = chosen();
  looking.took(overview, what?.kind === "service" ? what.id : null);
  show(byId("watch"), watch(overview, known?.slice(0, INCIDENTS_SHOWN)));
  foot(overview);
  detail(what, overview, known);
  learnIncidents();
}

/** How things are, the worst first. */
function state({ sentences, now }) {
  const sentence = ({ tone, text, since }) => [
    mark(TONE[tone]),
    h(
      "span",
      {},
      h("span", { class: "unseen" }, `${TONE[tone].word}: `),
      readable(text, now),
      since !== null && [", ", moment(since, now)],
    ),
  ];
  const [first, ...rest] = sentences;
  show(
    byId("state"),
    h("p", { class: `headline ${first.tone}` }, sentence(first)),
    rest.length > 0 &&
      h(
        "ul",
        {},
        rest.map((one) => h("li", { class: one.tone }, sentence(one))),
      ),
  );
  const plain = `${TONE[first.tone].word}: ${first.text}`;
  // Said once for each change, and not when the page opens: a screen reader begins at the top anyway.
  if (state.said !== undefined && state.said !== plain) byId("news").textContent = readable(plain, now);
  state.said = plain;
  document.title =
    first.tone === "well" ? "Detour" : `${first.tone === "alarm" ? "✕" : "▲"} ${first.text} · Detour`;
}

/** Whatever this page does wrong is told as well: what is shown would be old without a word. */
function broke(what) {
  fault = String(what?.message ?? what);
  tick();
}

/** What has to be loud: no answer, an engine that does not turn, checks that do not run. */
function loud() {
  if (fault !== null)
    return [
      h("strong", {}, `This page has a fault: ${fault}. `),
      "What you see may be old: load it anew. `detour status` has the same.",
    ];
  const age = live.age();
  if (live.isOld()) {
    const error = live.error;
    const why =
      error?.status === 0
        ? "Detour does not answer"
        : error?.status === 503
          ? "The checker is stuck"
          : error
            ? "Detour refuses to show itself"
            : "No news from Detour";
    const shown = age === null ? "There is nothing to show yet." : "What you see is old, and may be wrong.";
    return [
      h("strong", {}, `${why}${error ? `: ${error.message}` : ""}.`),
      ` ${shown} `,
      age !== null &&
        h(
          "span",
          { "aria-hidden": "true" },
          `As of ${clock(live.now() - age, live.now())}, ${span(age)} ago.`,
        ),
    ];
  }
  const troubles = newest?.troubles ?? [];
  if (troubles.length === 0) return null;
  return [h("strong", {}, "The checker is not well. "), `${troubles.join("; ")}.`];
}

/** Every second: what is loud, how fresh it is, and all that says how long ago something was. */
function tick() {
  const message = loud();
  const lost = byId("lost");
  lost.hidden = message === null;
  show(lost, message);
  document.body.classList.toggle("old", live.isOld() && live.age() !== null);
  const link = live.isOld()
    ? ["alarm", "No news"]
    : live.age() === null
      ? ["faint", "Connecting"]
      : live.streaming
        ? ["well", "Live"]
        : ["well", "Live, every 2 s"];
  const shape = { alarm: TONE.alarm, well: TONE.well, faint: { shape: "ring", tone: "faint" } }[link[0]];
  show(
    byId("link"),
    mark(shape),
    h("span", {}, link[1]),
    live.age() !== null && h("span", { class: "faint clock" }, clock(live.now() - live.age(), 0).slice(11)),
  );
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = relative(Number(time.dataset.at), live.now());
    if (time.textContent !== text) time.textContent = text;
  }
}

/** Every daemon of this version has them; without, the panel is not there. */
async function learnIncidents() {
  const said = JSON.stringify(newest.sentences);
  if (knownFor === said && performance.now() - knownAt < INCIDENTS_MS) return;
  [knownAt, knownFor] = [performance.now(), said];
  try {
    known = (await get(`/v1/incidents?limit=${INCIDENTS_KNOWN}&brief=true`)).incidents;
    detail(chosen(), newest, known);
    show(byId("watch"), watch(newest, known.slice(0, INCIDENTS_SHOWN)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

function foot({ version, config, started, now, zones }) {
  const serials = zones.slice(0, 5).map(({ apex, serial }) => `${apex} serial ${serial}`);
  show(
    byId("foot"),
    h(
      "p",
      {},
      `detour ${version}, `,
      h("span", { class: "code" }, config),
      ", started ",
      moment(started, now),
      ". Times are UTC.",
    ),
    h("p", {}, serials.join("; "), zones.length > 5 && ` and ${zones.length - 5} more zones`),
  );
}

async function follow() {
  const what = chosen();
  byId("detail").hidden = what === null;
  document.body.classList.toggle("chosen", what !== null);
  if (!newest) return;
  looking.took(newest, what?.kind === "service" ? what.id : null);
  await detail(what, newest, known);
  if (what) {
    byId("detail").focus({ preventScroll: true });
    byId("detail").scrollIntoView({ block: "start" });
  }
}

function keys(event) {
  const typing = event.target.matches?.("input, select, textarea");
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) {
    event.preventDefault();
    byId("search").focus();
    byId("search").select();
  } else if (event.key === "Escape" && chosen()) {
    const { kind, id } = chosen();
    location.hash = "#/";
    const links = [...document.querySelectorAll("main a[href]")];
    links.find((link) => link.getAttribute("href") === `#/${kind}/${encodeURIComponent(id)}`)?.focus();
  } else if ((event.key === "j" || event.key === "k") && !typing) {
    const links = [...document.querySelectorAll("#services th a")];
    const at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
  }
}

function theme() {
  const set = (name) => {
    document.documentElement.dataset.theme = name;
    byId("theme").textContent = `Theme: ${name}`;
  };
  set(THEMES.find((name) => name === localStorage.getItem(THEME)) ?? "auto");
  byId("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    localStorage.setItem(THEME, next);
    set(next);
  });
}

theme();
actions(() => live.refresh());
addEventListener("error", ({ error, message }) => broke(error ?? message));
addEventListener("unhandledrejection", ({ reason }) => broke(reason));
addEventListener("hashchange", follow);
addEventListener("keydown", keys);
byId("detail").hidden = chosen() === null;
document.body.classList.toggle("chosen", chosen() !== null);
setInterval(tick, SECOND_MS);
live.start();
