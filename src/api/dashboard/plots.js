// Latency and failures of the last hour, in small: one bar for two minutes, a cross where runs failed.

import { h, s } from "./dom.js";
import { checkText, clock, span } from "./words.js";

const [WIDTH, HEIGHT, FOOT] = [300, 46, 10];

/** A figure for each check, of what `/v1/plots/{service}` gives. */
export function plots({ checks }, now) {
  if (!checks?.length) return h("p", { class: "none" }, "Nothing was measured yet.");
  return checks.map((check) => plot(check, now));
}

function plot({ site, probe, target, buckets }, now) {
  const sum = (key) => buckets.reduce((sum, bucket) => sum + (bucket[key] ?? 0), 0);
  const [runs, failures, discarded] = ["runs", "failures", "discarded"].map(sum);
  const highest = Math.max(0, ...buckets.map((bucket) => bucket.latency_ms?.max ?? 0));
  const top = niceTop(highest);
  const wide = WIDTH / Math.max(1, buckets.length);
  const high = (ms) => Math.max(1, (ms / top) * (HEIGHT - 6));
  const bars = buckets.flatMap(({ runs, failures, latency_ms: latency }, index) => {
    const x = index * wide;
    const bar = (style, ms) =>
      s("rect", { class: style, x: x + 1, width: wide - 2, y: HEIGHT - high(ms), height: high(ms) });
    return [
      latency?.max > 0 && bar("peak", latency.max),
      latency?.mean > 0 && bar("mean", latency.mean),
      failures > 0 && cross(x + wide / 2, failures === runs),
    ];
  });
  const words =
    runs === 0
      ? "no run in the last hour"
      : `${runs} runs, ${failures} failed${discarded ? `, ${discarded} not counted` : ""}, slowest ${span(highest)}`;
  const what = `${site}: ${typeof probe === "string" ? probe : checkText(probe)}${target ? ` at ${target}` : ""}`;
  const begin = buckets[0]?.at;
  return h(
    "figure",
    { class: "plot" },
    h(
      "figcaption",
      {},
      h("span", {}, what),
      h("span", { class: failures > 0 ? "alarm-text" : "faint" }, words),
    ),
    s(
      "svg",
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`,
        role: "img",
        "aria-label": `${what}. ${words}`,
        preserveAspectRatio: "none",
      },
      s("path", { class: "axis", d: `M0 ${HEIGHT}.5H${WIDTH}` }),
      bars,
    ),
    h(
      "p",
      { class: "scale" },
      h("span", {}, begin === undefined ? "" : clock(begin, now)),
      h("span", {}, `full height ${span(top)}`),
      h("span", {}, "now"),
    ),
  );
}

/** Bold where every run failed. */
function cross(x, all) {
  const [r, y] = [3, HEIGHT + FOOT / 2 + 1];
  return s("path", {
    class: all ? "failed all" : "failed",
    d: `M${x - r} ${y - r}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  });
}

/** The next of 1, 2, 5, 10, 20 ... milliseconds. */
function niceTop(ms) {
  const ten = 10 ** Math.floor(Math.log10(Math.max(1, ms)));
  return [1, 2, 5, 10].map((step) => step * ten).find((top) => top >= ms);
}
