// One row a service, one page of them at a time: the daemon searches, so ten thousand are as quick as ten.

import { byId, h, show } from "./dom.js";
import { STANCE, breakable, count, endpointHealth, mark, moment, readable, state } from "./words.js";

const PAGE = 50;
/** Between the last key and the question. */
const TYPING_MS = 120;

const COLUMNS = ["State", "Service", "Answers", "From", "Since", "Why", "TTL", "Next", "Standby"];

/** What is looked for. */
export class Looking {
  #search = "";
  #show = "";
  #at = "";
  #offset = 0;
  #timer;

  /** `changed()` is called when there is something else to ask for. */
  constructor(changed) {
    const soon = (wait) => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(changed, wait);
    };
    const from = (id, event, take, wait) =>
      byId(id).addEventListener(event, ({ target }) => {
        take(target.value);
        this.#offset = 0;
        soon(wait);
      });
    from("search", "input", (value) => (this.#search = value.trim()), TYPING_MS);
    from("show", "change", (value) => (this.#show = value), 0);
    from("at", "change", (value) => (this.#at = value), 0);
    byId("pages").addEventListener("click", ({ target }) => {
      if (target.dataset.offset === undefined) return;
      this.#offset = Number(target.dataset.offset);
      changed().then(() => byId("services").scrollIntoView({ block: "nearest" }));
    });
  }

  /** The question. */
  query() {
    const asked = new URLSearchParams({ limit: PAGE, offset: this.#offset });
    if (this.#search) asked.set("search", this.#search);
    if (this.#show) asked.set("show", this.#show);
    if (this.#at) asked.set("site", this.#at);
    return `/v1/overview?${asked}`;
  }

  /** Shows the page that came. */
  took(overview, chosen) {
    this.#offset = overview.offset;
    show(byId("show"), this.#stances(overview));
    show(
      byId("at"),
      option("", "any"),
      overview.sites.map(({ id }) => option(id, id)),
    );
    byId("show").value = this.#show;
    byId("at").value = this.#at;
    const { matching, total } = overview;
    show(
      byId("found"),
      matching === total ? count(total, "service") : `${matching} of ${count(total, "service")}`,
    );
    show(byId("services"), table(overview, chosen));
    show(byId("pages"), pages(overview));
  }

  #stances({ total, stances }) {
    const off = total - (stances.home ?? 0);
    const each = Object.entries(STANCE).filter(([key]) => stances[key] || key === this.#show);
    return [
      option("", `all (${total})`),
      option("off", `to look at (${off})`),
      each.map(([key, { word }]) => option(key, `${word} (${stances[key] ?? 0})`)),
    ];
  }
}

const option = (value, text) => h("option", { value }, text);

function table({ services, now }, chosen) {
  if (services.length === 0) return h("p", { class: "none" }, "No service is what you look for.");
  const column = (name) => h("th", { scope: "col", role: "columnheader", class: name.toLowerCase() }, name);
  // The roles are said again because the style makes blocks of the rows on a narrow screen.
  return h(
    "table",
    { role: "table" },
    h("caption", { class: "unseen" }, "Services, those to look at first"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, COLUMNS.map(column))),
    h(
      "tbody",
      { role: "rowgroup" },
      services.map((row) => one(row, now, chosen === row.name)),
    ),
  );
}

function one(row, now, isChosen) {
  const stance = STANCE[row.stance];
  const cell = (name, ...content) =>
    h("td", { role: "cell", class: name.toLowerCase(), "data-name": name }, h("div", {}, content));
  const link = { href: `#/service/${encodeURIComponent(row.name)}`, "aria-current": isChosen && "true" };
  const because = readable(row.because, now);
  return h(
    "tr",
    { role: "row", class: `row ${row.stance === "home" ? "settled" : stance.tone}`, "data-key": row.name },
    cell("State", state(stance)),
    h(
      "th",
      { role: "rowheader", scope: "row", class: "service", "data-name": "Service" },
      h("a", link, breakable(row.name)),
    ),
    cell(
      "Answers",
      row.answers.map((answer) => h("span", { class: "code" }, breakable(answer))),
      row.more > 0 && h("span", {}, `and ${row.more} more`),
      row.answers.length === 0 && "the zone file",
    ),
    cell("From", row.endpoints.map(endpoint)),
    cell("Since", row.since === null ? "–" : moment(row.since, now)),
    cell("Why", h("span", { class: "clamped", title: because }, because)),
    cell("TTL", row.ttl === null ? "–" : `${row.ttl} s`),
    cell("Next", readable(row.next.text, now), row.next.at !== null && [", ", moment(row.next.at, now)]),
    cell("Standby", standby(row)),
  );
}

function endpoint(endpoint) {
  const which = endpointHealth(endpoint);
  const words = `${which.word}${endpoint.serving ? ", answered from here" : ""}${endpoint.maintenance ? ", in maintenance" : ""}`;
  return h(
    "span",
    { class: `at ${endpoint.serving ? "serving" : ""}`, title: `${endpoint.site}: ${words}` },
    mark(which),
    endpoint.site,
    h("span", { class: "unseen" }, ` ${words}. `),
  );
}

function standby({ standby, endpoints }) {
  if (endpoints.length < 2) return "none meant";
  if (!standby) return [mark(STANCE.exposed), " none works"];
  const [which, word] = standby.unready
    ? [STANCE.exposed, `${standby.site} not ready`]
    : [STANCE.home, `${standby.site} ready`];
  return h("span", { title: standby.unready }, mark(which), ` ${word}`);
}

function pages({ offset, matching }) {
  if (matching <= PAGE) return [];
  const button = (text, to, can) => h("button", { type: "button", "data-offset": to, disabled: !can }, text);
  const last = Math.floor((matching - 1) / PAGE) * PAGE;
  return [
    button("First", 0, offset > 0),
    button("Previous", Math.max(0, offset - PAGE), offset > 0),
    h("span", {}, `${offset + 1} to ${Math.min(offset + PAGE, matching)} of ${matching}`),
    button("Next", offset + PAGE, offset < last),
    button("Last", last, offset < last),
  ];
}
