// The sites: where they are, how they are, and where services went. A drawing for those who see it, and
// beside it a list that says the same to everybody.

import { h, s } from "./dom.js";
import { HEALTH, count, moment, scopeText, shapeOf, siteHealth, state } from "./words.js";

const [WIDTH, HEIGHT] = [420, 190];
const MARGIN = { x: 62, y: 42 };
/** A map shows at least this many degrees, so that two neighbours are not made to look a world apart. */
const MIN_DEGREES = 12;
/** With more sites their names would lie on each other. */
const MAX_NAMED = 16;

/** Drawing and list. */
export function sites({ sites, moves, now }) {
  if (sites.length === 0) return h("p", { class: "none" }, "No site is configured.");
  return [
    drawing(sites, moves),
    h(
      "ul",
      { class: "cards" },
      sites.map((site) => card(site, moves, now)),
    ),
  ];
}

function drawing(sites, moves) {
  const located = sites.every((site) => site.location);
  const { places, ground } = located ? onMap(sites) : onRing(sites);
  const total = sites.reduce((sum, site) => sum + site.serving, 0);
  const word = (site) => `${site.name} ${siteHealth(site).word}`;
  const label = `${located ? "Map" : "Ring"} of sites: ${sites.map(word).join(", ")}`;
  return s(
    "svg",
    { class: "drawing", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    s("g", { class: "ground" }, ground),
    moves.map((move) => way(places.get(move.from), places.get(move.to), move)),
    sites.map((site) => node(site, places.get(site.id), total, sites.length <= MAX_NAMED)),
  );
}

/** By latitude and longitude, which are as far apart as they are at the middle of the map. */
function onMap(sites) {
  const [lats, lons] = [0, 1].map((axis) => sites.map((site) => site.location[axis]));
  const middle = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  const reach = (values) => Math.max(...values) - Math.min(...values);
  const [lat, lon] = [middle(lats), middle(lons)];
  const narrow = Math.cos((lat * Math.PI) / 180);
  const [wide, high] = [WIDTH - 2 * MARGIN.x, HEIGHT - 2 * MARGIN.y];
  const scale = Math.min(
    wide / Math.max(reach(lons) * narrow, MIN_DEGREES),
    high / Math.max(reach(lats), MIN_DEGREES),
  );
  const x = (degrees) => WIDTH / 2 + (degrees - lon) * narrow * scale;
  const y = (degrees) => HEIGHT / 2 - (degrees - lat) * scale;
  const places = new Map(sites.map(({ id, location }) => [id, { x: x(location[1]), y: y(location[0]) }]));
  const step = [1, 2, 5, 10, 15, 30].find((step) => step * scale > 36) ?? 45;
  const lines = [];
  for (let at = -180; at <= 180; at += step) {
    if (x(at) > 0 && x(at) < WIDTH) lines.push(s("path", { d: `M${x(at)} 0V${HEIGHT}` }));
    if (Math.abs(at) <= 90 && y(at) > 0 && y(at) < HEIGHT)
      lines.push(s("path", { d: `M0 ${y(at)}H${WIDTH}` }));
  }
  return { places, ground: lines };
}

function onRing(sites) {
  const [cx, cy] = [WIDTH / 2, HEIGHT / 2];
  const [rx, ry] = [cx - MARGIN.x, cy - MARGIN.y];
  const angle = (index) => Math.PI * (1 + (2 * index) / sites.length);
  const place = (index) => ({ x: cx + rx * Math.cos(angle(index)), y: cy + ry * Math.sin(angle(index)) });
  const places = new Map(sites.map((site, index) => [site.id, place(index)]));
  return { places, ground: s("ellipse", { cx, cy, rx, ry }) };
}

/** A site: its mark, and around it a disc as large as its part of the services. */
function node(site, { x, y }, total, named) {
  const which = siteHealth(site);
  const part = total === 0 ? 0 : site.serving / total;
  const halo = site.serving > 0 ? 15 + 12 * Math.sqrt(part) : 0;
  const text = (dy, style, words) => s("text", { y: dy, class: style }, words);
  return s(
    "g",
    {
      class: `node ${which.tone}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      "data-key": site.id,
    },
    halo > 0 && s("circle", { class: "halo", r: halo.toFixed(1) }),
    s("circle", { class: "face", r: 13 }),
    s("path", {
      class: "shape",
      d: shapeOf(which),
      "fill-rule": "evenodd",
      transform: "translate(-7.2 -7.2) scale(1.2)",
    }),
    named && text(-Math.max(halo, 13) - 6, "name", site.id),
    named && text(Math.max(halo, 13) + 15, "word", which.word),
  );
}

/** The way services went, bent aside so that one back does not cover it. */
function way(from, to, { services }) {
  if (!from || !to) return null;
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const begin = { x: from.x + ux * 30, y: from.y + uy * 30 };
  const end = { x: to.x - ux * 32, y: to.y - uy * 32 };
  const bend = Math.min(34, length / 5);
  const top = { x: (begin.x + end.x) / 2 + uy * bend, y: (begin.y + end.y) / 2 - ux * bend };
  // The head points the way the curve arrives.
  const arrive = Math.atan2(end.y - top.y, end.x - top.x);
  const wing = (turn) => `${end.x - 9 * Math.cos(arrive + turn)} ${end.y - 9 * Math.sin(arrive + turn)}`;
  // Outside of the bend, where no line crosses it.
  const aside = uy === 0 || Math.abs(ux) > Math.abs(uy) ? 15 : 34;
  const [lx, ly] = [
    (begin.x + end.x) / 4 + top.x / 2 + uy * aside,
    (begin.y + end.y) / 4 + top.y / 2 - ux * aside,
  ];
  return s(
    "g",
    { class: "way" },
    s("path", { d: `M${begin.x} ${begin.y}Q${top.x} ${top.y} ${end.x} ${end.y}` }),
    s("path", { d: `M${wing(0.45)}L${end.x} ${end.y}L${wing(-0.45)}` }),
    s("text", { x: lx, y: ly + 4 }, `${services} moved`),
  );
}

function card(site, moves, now) {
  const { id, name, overridden } = site;
  const away = moves.filter((move) => move.from === id).reduce((sum, move) => sum + move.services, 0);
  return h(
    "li",
    { class: "card", "data-key": id },
    h(
      "p",
      { class: "card-head" },
      h("a", { href: `#/site/${encodeURIComponent(id)}` }, name),
      name !== id && h("span", { class: "code" }, id),
      state(siteHealth(site)),
    ),
    h(
      "p",
      {},
      `answers ${count(site.serving, "service")}`,
      away > 0 && `, ${away} moved off`,
      site.capacity && `; load ${site.load} of ${site.capacity}`,
    ),
    h("p", { class: "faint" }, endpoints(site)),
    overridden &&
      h(
        "p",
        { class: "forced" },
        `${HEALTH.drained.word} by ${overridden.who}: ${overridden.reason}`,
        overridden.until && [", ends ", moment(overridden.until, now)],
      ),
    h("p", { class: "buttons" }, drainButton({ site: id }, overridden)),
  );
}

function endpoints({ up, suspect, down, unknown }) {
  const all = up + suspect + down + unknown;
  const parts = [
    [down, "Down"],
    [suspect, "Suspect"],
    [unknown, "Unknown"],
  ];
  const off = parts.filter(([number]) => number > 0).map(([number, word]) => `${number} ${word}`);
  return `${count(all, "endpoint")}${off.length ? `: ${up} Up, ${off.join(", ")}` : all > 0 ? ", all Up" : ""}`;
}

/** Drains what is not drained, and clears what is. */
export function drainButton(scope, overridden) {
  const [act, word] = overridden
    ? ["clear", overridden.kind === "drain" ? "Undrain" : "Clear"]
    : ["drain", "Drain"];
  const text = scopeText(scope);
  return h(
    "button",
    {
      type: "button",
      "data-act": act,
      "data-scope": JSON.stringify(scope),
      "data-word": word,
      "aria-label": `${word} ${text}`,
    },
    `${word}…`,
  );
}
