// The plots of a whole run: budget used against conditioning, and time by shape.

/** The size of a kappa panel in its own units, and the strips for what a logarithm cannot show. */
const KAPPA = {
  width: 360,
  height: 270,
  left: 40,
  right: 8,
  top: 10,
  bottom: 36,
  strip: 20,
  cell: 3,
  failing: 5,
  reach: 14,
  column: 28,
};

/** Budget used is drawn between these powers of ten; what is beyond stands at the edge. */
const KAPPA_USED = [-6, 12];

/** How many of the cases that use the most of their budget are listed. */
const KAPPA_LISTED = 10;

/**
 * Budget used against conditioning, one panel for each backend. `points` have a backend and a case by their numbers,
 * kappa, used, and whether they fail.
 */
function drawKappa(points, backends) {
  const panels = backends.map((backend, number) => ({ name: backend.name, points: [], number }));
  for (const point of points) panels[point.backend]?.points.push(point);
  const scale = kappaScale(points);
  const drawn = panels.filter((panel) => panel.points.length > 0);
  const legend = [
    [
      svg("path", { d: "M5,3 h8 v8 h-8 z", class: "kappa-dots kappa-2" }),
      "cases within budget; darker where there are many",
    ],
    [svg("path", { d: plotTriangle(9, 6, 5), class: "plot-point-outside" }), "failing cases"],
    [
      svg("path", { d: kappaDiamond(9, 7, 4.5), class: "kappa-known" }),
      "cases beyond the line that are declared (known)",
    ],
    [svg("path", { d: "M0,7 h18", class: "plot-budget" }), "1.0, the line: all of the budget"],
  ];
  return h(
    "figure",
    { class: "kappa" },
    h(
      "figcaption",
      null,
      h("strong", null, "Budget used against conditioning. "),
      "Each mark is a case, placed by its largest kappa = |mean| / √(var + eps) and by the largest share of a budget that the backend uses in it. A sound method stays flat; one that cancels climbs with kappa.",
    ),
    drawn.length === 0 && h("p", null, "There is no case with figures to draw."),
    drawn.length > 0 && plotLegend(legend),
    h(
      "div",
      { class: "kappa-panels" },
      drawn.map((panel) => kappaPanel(panel, scale)),
    ),
  );
}

/** The axes that all panels share. */
function kappaScale(points) {
  let [none, zero, unmeasured, exact] = [false, false, false, false];
  let [least, most, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { kappa, used } of points) {
    if (kappa > 0) {
      if (kappa < least) least = kappa;
      if (kappa > most) most = kappa;
    } else if (kappa === null) none = true;
    else zero = true;
    if (used > 0) {
      if (used < low) low = used;
      if (used > high) high = used;
    } else if (used === null) unmeasured = true;
    else exact = true;
  }
  const decades = (low, high, from, to) => [
    Math.max(from, Math.min(Math.floor(Math.log10(low)), to - 1)),
    Math.min(to, Math.max(Math.ceil(Math.log10(high)), from + 1)),
  ];
  const [kappaFrom, kappaTo] = least < Infinity ? decades(least, most, -6, 12) : [0, 1];
  const [usedFrom, usedTo] = decades(Math.min(low, 0.1), Math.max(high, 10), ...KAPPA_USED);
  const { width, height, left, right, top, bottom, strip, column } = KAPPA;
  const x0 = left + (none ? column : 0) + (zero ? column : 0);
  const y0 = height - bottom - (exact ? strip : 0);
  const y1 = top + (unmeasured ? strip : 0);
  const along = (value, from, to) => Math.min(1, Math.max(0, (Math.log10(value) - from) / (to - from)));
  return {
    none,
    zero,
    exact,
    unmeasured,
    x0,
    y0,
    y1,
    kappaFrom,
    kappaTo,
    usedFrom,
    usedTo,
    isOver: high > 10 ** usedTo,
    isUnder: low < 10 ** usedFrom,
    x: (kappa) => {
      if (kappa === null) return left + column / 2;
      if (kappa === 0) return x0 - column / 2;
      return x0 + 8 + along(kappa, kappaFrom, kappaTo) * (width - right - x0 - 11);
    },
    y: (used) => {
      if (used === null) return top + strip / 2;
      if (used === 0) return y0 + strip / 2;
      return y0 - 3 - along(used, usedFrom, usedTo) * (y0 - y1 - 6);
    },
  };
}

function kappaDiamond(x, y, size) {
  return `M${x},${y - size} l${size},${size} l${-size},${size} l${-size},${-size} z`;
}

/** The cases of a panel, in bins of a few pixels, those beyond the line wider: how many, and the one that uses the most. */
function kappaBins(points, scale) {
  const bins = new Map();
  for (const point of points) {
    // Not failing though beyond the line: declared.
    const kind = point.failing ? "failing" : point.used > 1 ? "known" : "within";
    const cell = kind === "within" ? KAPPA.cell : KAPPA.failing;
    const column = Math.round(scale.x(point.kappa) / cell);
    const row = Math.round(scale.y(point.used) / cell);
    const key = (kind === "within" ? 0 : kind === "known" ? 1e6 : 2e6) + row * 1000 + column;
    const bin = bins.get(key);
    if (!bin) bins.set(key, { x: column * cell, y: row * cell, count: 1, point, kind });
    else {
      bin.count += 1;
      if ((point.used ?? Infinity) > (bin.point.used ?? Infinity)) bin.point = point;
    }
  }
  return [...bins.values()];
}

function kappaPanel({ name, points }, scale) {
  const { width, height } = KAPPA;
  const bins = kappaBins(points, scale);
  const failing = points.reduce((sum, point) => sum + (point.failing ? 1 : 0), 0);
  const known = points.reduce((sum, point) => sum + (!point.failing && point.used > 1 ? 1 : 0), 0);
  const declared = known > 0 ? `, ${thousands(known)} known` : "";
  const said = `${counted(points.length, "case")}, ${thousands(failing)} failing${declared}`;
  const marks = kappaAxes(scale);
  // One path for each shade: a quarter of a million cases are as quick to show as a hundred.
  for (let shade = 0; shade < 4; shade += 1) {
    const within = bins.filter(
      (bin) => bin.kind === "within" && Math.min(3, Math.floor(Math.log10(bin.count) * 1.5)) === shade,
    );
    const d = within.map((bin) => `M${bin.x - 1.5},${bin.y - 1.5}h3v3h-3z`).join("");
    if (d) marks.push(svg("path", { d, class: `kappa-dots kappa-${shade}` }));
  }
  const shapes = (kind, shape) =>
    bins
      .filter((bin) => bin.kind === kind)
      .map((bin) => shape(bin.x, bin.y, 3))
      .join("");
  marks.push(svg("path", { d: shapes("known", kappaDiamond), class: "kappa-known" }));
  marks.push(svg("path", { d: shapes("failing", plotTriangle), class: "plot-point-outside kappa-failing" }));
  const ring = svg("circle", { r: 7, class: "kappa-ring", visibility: "hidden" });
  marks.push(ring);
  const box = {
    class: "plot-svg",
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `${name}: budget used against kappa, ${said}`,
  };
  const plot = svg("svg", box, marks);
  const readout = h("p", { class: "kappa-readout" }, kappaHint());
  const nearest = (event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plot.getScreenCTM().inverse());
    // A failing case is easier to hit than those around it.
    const away = (bin) => Math.hypot(bin.x - at.x, bin.y - at.y) - (bin.kind === "failing" ? 3 : 0);
    let best = null;
    for (const bin of bins) if (!best || away(bin) < away(best)) best = bin;
    return best && away(best) < KAPPA.reach ? best : null;
  };
  const show = (bin) => {
    ring.setAttribute("visibility", bin ? "visible" : "hidden");
    plot.classList.toggle("kappa-hit", bin !== null);
    if (!bin) return readout.replaceChildren(kappaHint());
    ring.setAttribute("cx", bin.x);
    ring.setAttribute("cy", bin.y);
    const more = bin.count > 1 ? `, and ${thousands(bin.count - 1)} more here` : "";
    return readout.replaceChildren(
      h("strong", null, run.ids[bin.point.case]),
      ` — ${kappaFigures(bin.point)}${more}`,
    );
  };
  plot.addEventListener("pointermove", (event) => show(nearest(event)));
  plot.addEventListener("pointerleave", () => show(null));
  plot.addEventListener("click", (event) => {
    const bin = nearest(event);
    if (bin) location.hash = caseLink(bin.point.case, bin.point.backend);
  });
  return h(
    "div",
    { class: "kappa-panel" },
    h("p", { class: "picture-title" }, name, h("span", { class: "kappa-said" }, ` ${said}`)),
    plot,
    readout,
    plotDetails(`The ${KAPPA_LISTED} cases that use the most, ${name}`, () => kappaList(points)),
  );
}

function kappaHint() {
  return "Point at a mark for its case; a click opens it.";
}

function kappaFigures(point) {
  const used = point.used === null ? "nothing to measure" : `${budgetUsed(point.used)} of its budget`;
  const kappa = point.kappa === null ? "no kappa" : `kappa ${plotNumber(point.kappa)}`;
  const verdict = point.failing ? "fails, " : point.used > 1 ? "as declared, " : "";
  return `${verdict}${used}, ${kappa}`;
}

/** The cases that use the most, failing ones without a figure first. */
function kappaList(points) {
  const badness = (point) => point.used ?? (point.failing ? Infinity : -1);
  const worst = [...points].sort((one, other) => {
    const [of, than] = [badness(one), badness(other)];
    return of === than ? one.case - other.case : than - of;
  });
  const item = (point) =>
    h(
      "li",
      null,
      h("a", { href: caseLink(point.case, point.backend) }, run.ids[point.case]),
      ` — ${kappaFigures(point)}`,
    );
  return h("ol", { class: "kappa-list" }, worst.slice(0, KAPPA_LISTED).map(item));
}

function kappaAxes(scale) {
  const { width, height, left, right, top, bottom, strip } = KAPPA;
  const { x0, y0, y1, x, y } = scale;
  const [end, floor] = [width - right, height - bottom];
  const marks = [];
  const middle = { "text-anchor": "middle" };
  const atEnd = { "text-anchor": "end" };
  for (const tick of plotTicks(scale.usedFrom, scale.usedTo, 8)) {
    const isNearEdge = (scale.isOver && tick > scale.usedTo - 1.5) || (scale.isUnder && tick < scale.usedFrom + 1.5);
    marks.push(plotLine(x0, y(10 ** tick), end, y(10 ** tick), "plot-grid"));
    if (tick !== 0 && !isNearEdge) marks.push(plotText(left - 5, y(10 ** tick) + 4, plotPower(10, tick), atEnd));
  }
  const edge = (sign, power) => plotText(left - 5, y(10 ** power) + 4, `${sign}${plotPower(10, power)}`, atEnd);
  if (scale.isOver) marks.push(edge("≥", scale.usedTo));
  if (scale.isUnder) marks.push(edge("≤", scale.usedFrom));
  for (const tick of plotTicks(scale.kappaFrom, scale.kappaTo, 8)) {
    marks.push(plotLine(x(10 ** tick), y1, x(10 ** tick), floor, "plot-grid"));
    marks.push(plotText(x(10 ** tick), floor + 14, plotPower(10, tick), middle));
  }
  if (scale.none || scale.zero) marks.push(plotLine(x0, top, x0, floor, "plot-cut"));
  if (scale.none) marks.push(plotText(x(null), floor + 14, "none", middle));
  if (scale.zero) marks.push(plotText(x(0), floor + 14, "0", middle));
  if (scale.exact) marks.push(plotLine(left, y0, end, y0, "plot-cut"), plotText(left - 5, y(0) + 4, "0", atEnd));
  if (scale.unmeasured) {
    marks.push(plotLine(left, y1, end, y1, "plot-cut"), plotText(left - 5, top + strip / 2 + 4, "none", atEnd));
  }
  marks.push(
    plotLine(left, y(1), end, y(1), "plot-budget"),
    plotText(left - 5, y(1) + 4, "1.0", { ...atEnd, class: "plot-strong" }),
  );
  marks.push(plotLine(left, floor, end, floor, "plot-axis"), plotLine(left, top, left, floor, "plot-axis"));
  marks.push(plotText(end, height - 5, "kappa →   (↑ budget used)", atEnd));
  return marks;
}

// ---- Time by shape ------------------------------------------------------------------------------------------------

/** The marks of backends, told apart by shape; after the last they are hollow. */
const TIMES_SHAPES = [
  (x, y) => `M${x - 4},${y} a4,4 0 1,0 8,0 a4,4 0 1,0 -8,0 z`,
  (x, y) => `M${x - 4},${y - 4} h8 v8 h-8 z`,
  (x, y) => `M${x},${y - 5} l5,9 h-10 z`,
  (x, y) => `M${x},${y - 5.5} l5.5,5.5 l-5.5,5.5 l-5.5,-5.5 z`,
  (x, y) => `M${x},${y + 5} l5,-9 h-10 z`,
  (x, y) => `M${x - 1.5},${y - 5} h3 v3.5 h3.5 v3 h-3.5 v3.5 h-3 v-3.5 h-3.5 v-3 h3.5 z`,
];
const TIMES_WIDTH = 260;

function timesMark(backend, x, y) {
  const shape = TIMES_SHAPES[backend % TIMES_SHAPES.length];
  const hollow = Math.floor(backend / TIMES_SHAPES.length) % 2 === 1;
  return svg("path", { d: shape(x, y), class: `times-mark times-${backend % 6}${hollow ? " times-hollow" : ""}` });
}

/** How one duration compares with another, in words. */
function timesRatio(micros, first) {
  if (!(micros > 0) || !(first > 0)) return "";
  const ratio = micros / first;
  if (ratio > 0.95 && ratio < 1.05) return "about as long";
  return ratio >= 1 ? `${Number(ratio.toPrecision(2))} × as long` : `${Number((1 / ratio).toPrecision(2))} × as fast`;
}

/**
 * The median time of each backend to answer a case, by the shape of its first input. `rows` have a shape, its elements,
 * a median for each backend or nothing, and how many cases that is of. They are shown
 * in their order. A backend without any time is left out.
 */
function drawTimes(rows, backends) {
  const wasMeasured = backends.map((_, backend) => rows.some((row) => row.median_us[backend] !== null));
  const measured = (list) => list.filter((_, backend) => wasMeasured[backend]);
  const names = measured(backends).map(({ name }) => name);
  const lines = rows.map((row) => ({ ...row, median_us: measured(row.median_us) }));
  const caption = [
    h("strong", null, "Time by shape. "),
    "The median over the cases of a shape of how long a backend took to answer all steps of a case, on a logarithmic axis. These are times of checking, not a benchmark.",
  ];
  const times = lines
    .flatMap((row) => row.median_us)
    .filter((time) => time > 0)
    .map(Math.log10);
  if (times.length === 0) {
    return h("figure", { class: "times" }, h("figcaption", null, caption), h("p", null, "No time was measured."));
  }
  const from = Math.floor(Math.min(...times));
  const to = Math.max(from + 1, Math.ceil(Math.max(...times)));
  const x = (time) => 8 + ((Math.log10(time) - from) / (to - from)) * (TIMES_WIDTH - 16);
  const headers = [
    h("th", { scope: "col" }, "shape"),
    h("th", { scope: "col" }, "cases"),
    h("th", { scope: "col", class: "times-axis" }, timesAxis(from, to, x)),
    names.map((name, backend) => h("th", { scope: "col", class: "times-of" }, timesKey(backend), name)),
  ];
  const line = (row) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, row.shape || "a scalar"),
      h("td", null, thousands(row.cases)),
      h("td", { class: "times-strip" }, timesStrip(row, names, from, to, x)),
      row.median_us.map((time, backend) =>
        h(
          "td",
          null,
          time === null ? "–" : duration(time),
          backend > 0 && time !== null && h("small", null, timesRatio(time, row.median_us[0])),
        ),
      ),
    );
  const table = h(
    "table",
    { class: "plot-table times-table" },
    h("thead", null, h("tr", null, headers)),
    h("tbody", null, lines.map(line)),
  );
  return h(
    "figure",
    { class: "times" },
    h("figcaption", null, caption, names.length > 1 && ` Ratios are to ${names[0]}.`),
    plotLegend(names.map((name, backend) => [timesMark(backend, 9, 7), name])),
    h("div", { class: "plot-scroll times-scroll", role: "group", "aria-label": "Time by shape", tabindex: 0 }, table),
  );
}

function timesKey(backend) {
  return svg("svg", { width: 14, height: 14, viewBox: "2 0 14 14", "aria-hidden": "true" }, timesMark(backend, 9, 7));
}

function timesAxis(from, to, x) {
  const label = (tick) => duration(10 ** tick).replace("000 µs", " ms");
  const texts = plotTicks(from, to, 6).map((tick) => {
    const anchor = tick === from ? "start" : tick === to ? "end" : "middle";
    return plotText(tick === from ? 2 : tick === to ? TIMES_WIDTH - 2 : x(10 ** tick), 11, label(tick), {
      "text-anchor": anchor,
    });
  });
  const box = { class: "plot-svg", width: TIMES_WIDTH, height: 15, viewBox: `0 0 ${TIMES_WIDTH} 15`, role: "img" };
  return svg("svg", { ...box, "aria-label": "median time, on a logarithmic axis" }, texts);
}

function timesStrip(row, names, from, to, x) {
  const marks = plotTicks(from, to, 6).map((tick) => plotLine(x(10 ** tick), 0, x(10 ** tick), 22, "plot-grid"));
  const measured = row.median_us.map((time, backend) => [time, backend]).filter(([time]) => time > 0);
  const places = measured.map(([time]) => x(time));
  if (places.length > 1) marks.push(plotLine(Math.min(...places), 11, Math.max(...places), 11, "times-span"));
  marks.push(...measured.map(([time, backend]) => timesMark(backend, x(time), 11)));
  const label = measured.map(([time, backend]) => `${names[backend]} ${duration(time)}`).join(", ");
  const box = { class: "plot-svg", width: TIMES_WIDTH, height: 22, viewBox: `0 0 ${TIMES_WIDTH} 22`, role: "img" };
  return svg("svg", { ...box, "aria-label": label || "not measured" }, marks);
}
