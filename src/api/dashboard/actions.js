// What an operator orders: asked for in a dialog that wants a reason and shows what will follow, worked out
// by the daemon on a copy of its engine, before the button can be pressed.

import { Refused, post, remove } from "./api.js";
import { byId, h, show } from "./dom.js";
import { TONE, bare, count, mark, readable, scopeText, span } from "./words.js";

const WHO = "detour-who";
/** How many services a preview names. */
const NAMED = 8;
const TIMES = [
  ["", "until it is cleared"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
];

const quoted = encodeURIComponent;

/** Each order: its words, what to suppose, and how it is given. `order` holds what the button said. One that is
 * `forcible` can be given although something speaks against it, by who confirms that as well. */
const ORDERS = {
  drain: {
    title: ({ scope }) => `Drain ${scopeText(scope)}`,
    says: "Healthy or not, it is not used, until you undrain it.",
    timed: true,
    forcible: true,
    supposes: ({ scope }, force) => ({ drain: [scope], heed_safety: !force }),
    gives: ({ scope }, asked) => post("/v1/overrides", { scope, kind: "drain", ...asked }),
  },
  clear: {
    title: ({ scope, word }) => `${word} ${scopeText(scope)}`,
    says: "What is forced on it ends; samples decide again.",
    supposes: ({ scope }) => ({ clear: [scope] }),
    gives: ({ scope }, asked) => remove("/v1/overrides", { scope, ...asked }),
  },
  failover: {
    title: ({ service }) => `Fail over ${service}`,
    says: "It is answered from the other site, and stays there until a failback; should that site fail, it moves on.",
    supposes: ({ service, to }) => ({ failover: [[service, to]] }),
    gives: ({ service, to }, asked) => post(`/v1/services/${quoted(service)}/failover`, { to, ...asked }),
  },
  failback: {
    title: ({ service }) => `Fail back ${service}`,
    says: "It goes back to the first site in order that is Up, without waiting for a hold or a latch.",
    supposes: ({ service }) => ({ failback: [service] }),
    gives: ({ service }, asked) => post(`/v1/services/${quoted(service)}/failback`, asked),
  },
  approve: {
    title: ({ proposal, service, to }) => `Approve proposal ${proposal}: ${service} to ${to}`,
    says: "The move that waits is made at once.",
    forcible: true,
    supposes: ({ proposal }) => ({ approve: [proposal] }),
    gives: ({ proposal }, asked) => post(`/v1/proposals/${proposal}/approve`, asked),
  },
  reject: {
    title: ({ proposal, service, to }) => `Reject proposal ${proposal}: ${service} to ${to}`,
    says: "The service stays where it is as long as the reason for the move lasts.",
    gives: ({ proposal }, asked) => post(`/v1/proposals/${proposal}/reject`, asked),
  },
};

/** Opens the dialog for every button that says `data-act`; `done()` is called when an order was given. */
export function actions(done) {
  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("button[data-act]");
    if (button) open(button.dataset, done);
  });
}

function open({ act, scope, word, service, proposal, to, sites }, done) {
  const kind = ORDERS[act];
  const order = {
    scope: scope && JSON.parse(scope),
    word,
    service,
    proposal: Number(proposal),
    to,
    sites: sites?.split(" "),
  };
  order.to ??= order.sites?.[0];
  const dialog = byId("act");
  // Anew, so that nothing is left of what was typed for another order.
  dialog.replaceChildren();
  show(dialog, content(kind, order));
  const form = Form.of(dialog, kind, order, done);
  dialog.onclose = () => form.leave();
  dialog.showModal();
  form.preview();
}

function content(kind, order) {
  const field = (label, input, hint) =>
    h("p", {}, h("label", { class: "field" }, label, input), hint && h("span", { class: "faint" }, hint));
  return [
    h("h2", { id: "act-heading" }, kind.title(order)),
    h("p", {}, kind.says),
    order.sites &&
      field(
        "To",
        h(
          "select",
          { id: "act-to" },
          order.sites.map((site) => h("option", {}, site)),
        ),
      ),
    field(
      "Reason (required)",
      h("input", { id: "act-reason", maxlength: 500, autocomplete: "off", required: true, autofocus: true }),
    ),
    kind.timed &&
      field(
        "For",
        h(
          "select",
          { id: "act-for" },
          TIMES.map(([value, text]) => h("option", { value }, text)),
        ),
      ),
    field(
      "Your name",
      h("input", {
        id: "act-who",
        maxlength: 200,
        autocomplete: "nickname",
        value: localStorage.getItem(WHO) ?? "",
      }),
    ),
    h(
      "section",
      { class: "preview", "aria-labelledby": "act-preview-heading" },
      h("h3", { id: "act-preview-heading" }, "What will follow"),
      h("div", { id: "act-preview", role: "status" }, "Working it out…"),
    ),
    kind.forcible &&
      h(
        "p",
        { id: "act-confirm", hidden: true },
        h("label", {}, h("input", { id: "act-force", type: "checkbox" }), " Do it anyway"),
      ),
    h("p", { id: "act-result", role: "status" }),
    h(
      "p",
      { class: "buttons" },
      h(
        "button",
        { id: "act-do", type: "button", class: "main", disabled: true, "aria-describedby": "act-result" },
        kind.title(order),
      ),
      h("button", { id: "act-cancel", type: "button" }, "Cancel"),
    ),
  ];
}

/** The open dialog, until it closes. */
class Form {
  #kind;
  #order;
  #done;
  #previews = 0;
  /** Whether what will follow is known, and nothing speaks against it. */
  #known = false;
  /** Whether the order was given, or is on its way. */
  #given = false;
  /** Whether it is to be done whatever speaks against it. */
  #force = false;

  static of(dialog, kind, order, done) {
    const form = new Form();
    [form.#kind, form.#order, form.#done] = [kind, order, done];
    byId("act-cancel").onclick = () => dialog.close();
    byId("act-do").onclick = () => form.#give();
    byId("act-reason").oninput = () => form.#judge();
    byId("act-reason").onkeydown = ({ key }) => {
      if (key === "Enter" && !byId("act-do").disabled) form.#give();
    };
    if (kind.forcible) {
      byId("act-force").onchange = ({ target }) => {
        form.#force = target.checked;
        form.preview();
      };
    }
    if (order.sites) {
      byId("act-to").onchange = ({ target }) => {
        order.to = target.value;
        form.preview();
      };
    }
    return form;
  }

  leave() {
    this.#previews += 1;
  }

  async preview() {
    const number = ++this.#previews;
    this.#known = false;
    this.#judge();
    let [fine, content] = [true, h("p", {}, "Nothing moves.")];
    if (this.#kind.supposes) {
      show(byId("act-preview"), "Working it out…");
      try {
        const heeded = await post("/v1/whatif", this.#kind.supposes(this.#order, false));
        const { refused } = heeded;
        let outlook = heeded;
        // What would be refused is shown with what would follow if it were done anyway.
        if (this.#kind.forcible && refused.length > 0)
          outlook = { ...(await post("/v1/whatif", this.#kind.supposes(this.#order, true))), refused };
        const asks = this.#kind.forcible && (refused.length > 0 || overloaded(outlook).length > 0);
        fine = asks ? this.#force : refused.length === 0;
        content = told(outlook);
        if (number === this.#previews && asks) byId("act-confirm").hidden = false;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        [fine, content] = [false, h("p", { class: "bad" }, `It could not be worked out: ${error.message}`)];
      }
    }
    if (number !== this.#previews) return;
    show(byId("act-preview"), content);
    this.#known = fine;
    this.#judge();
  }

  #judge() {
    const reason = byId("act-reason").value.trim();
    byId("act-do").disabled = this.#given || !this.#known || reason === "";
    if (!this.#given)
      byId("act-result").textContent =
        this.#known && reason === "" ? "Write a reason: it is kept in the history." : "";
  }

  async #give() {
    this.#given = true;
    this.#judge();
    const who = byId("act-who").value.trim();
    localStorage.setItem(WHO, who);
    const asked = { reason: byId("act-reason").value.trim(), who: who || "dashboard" };
    const seconds = Number(byId("act-for")?.value ?? 0);
    if (seconds > 0) asked.for_secs = seconds;
    if (this.#force) asked.force = true;
    const result = byId("act-result");
    result.textContent = "Asking…";
    try {
      const { decisions } = await this.#kind.gives(this.#order, asked);
      result.className = "well";
      result.textContent = `Done. ${decided(decisions)}`;
      byId("act-do").hidden = true;
      byId("act-cancel").textContent = "Close";
      byId("act-cancel").focus();
      this.#done();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#given = false;
      this.#judge();
      result.className = "bad";
      result.textContent =
        error.status === 0
          ? `${error.message}; whether it was done, the history says`
          : `Not done: ${error.message}`;
    }
  }
}

/** To whole seconds, so that nothing is promised sooner than it comes. */
function roundedUp(ms) {
  return Math.ceil(ms / 1000) * 1000;
}

function decided(decisions) {
  const [first] = decisions;
  if (!first) return "Nothing had to move.";
  const where = first.sites.join(" and ") || "nowhere";
  return `${bare(first.service)} is answered from ${where}${decisions.length > 1 ? `, and ${count(decisions.length - 1, "other service")} decided anew` : ""}.`;
}

/** Sites that would carry more than they can, and more than they do. */
function overloaded({ loads }) {
  return loads.filter(({ after, before, capacity }) => after > capacity && after > before);
}

/** An outlook in words: what moves, what does not, and what speaks against it. */
function told(outlook) {
  const { moved, stays, untouched, refused, held, at, changesets } = outlook;
  const sites = (list) => list.join(" and ") || "nowhere";
  const move = (one) =>
    h(
      "li",
      {},
      h("b", {}, bare(one.service)),
      ` from ${sites(one.from)} to ${sites(one.to)}`,
      one.stranded && h("b", { class: "bad" }, ": no site that works is left"),
    );
  const list = (all, line) =>
    h(
      "ul",
      {},
      all.slice(0, NAMED).map(line),
      all.length > NAMED && h("li", {}, `and ${all.length - NAMED} more`),
    );
  const stranded = [...moved, ...stays].filter((one) => one.stranded);
  const still = stays.filter((one) => !one.stranded);
  const over = overloaded(outlook);
  return [
    refused.map((why) => h("p", { class: "bad" }, `It would be refused: ${readable(why, at)}`)),
    held.map((why) => h("p", { class: "bad" }, `It would wait: ${readable(why, at)}`)),
    moved.length > 0
      ? [
          h(
            "p",
            {},
            h("b", {}, `${count(moved.length, "service")} ${moved.length === 1 ? "moves" : "move"}`),
            ` (${count(
              Object.values(changesets).reduce((sum, number) => sum + number, 0),
              "zone change",
            )}):`,
          ),
          list(moved, move),
          h(
            "p",
            { class: "faint" },
            `Every client has its new answer after ${span(roundedUp(Math.max(...moved.map((one) => one.worst_ms))))} at the latest.`,
          ),
        ]
      : h("p", {}, h("b", {}, "No service moves.")),
    stranded.length > 0 && [
      h(
        "p",
        { class: "bad" },
        mark(TONE.alarm),
        ` ${count(stranded.length, "service")} would have no site that works:`,
      ),
      list(stranded, (one) => h("li", {}, bare(one.service))),
    ],
    still.length > 0 && [
      h(
        "p",
        {},
        `${count(still.length, "service")} concerned ${still.length === 1 ? "stays" : "stay"} where ${still.length === 1 ? "it is" : "they are"}${moved.length === 0 ? ":" : "."}`,
      ),
      moved.length === 0 &&
        list(still, (one) => h("li", {}, bare(one.service), `: ${readable(one.because, at)}`)),
    ],
    over.map(({ site, after, capacity }) =>
      h("p", { class: "bad" }, `${site} would carry ${after}, and its capacity is ${capacity}.`),
    ),
    untouched > 0 && h("p", { class: "faint" }, `${count(untouched, "other service")} not concerned.`),
  ];
}
