// What the drawings share: figures in words, scales and their ticks, legends, tables; and the two plots of a tensor's
// bins.

const PLOT_SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** Ids that no other drawing of the page has. */
let plotIds = 0;
function plotId(prefix) {
  plotIds += 1;
  return `${prefix}-${plotIds}`;
}

/** A number to three digits or so. */
function plotNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e5 ? String(Number(value.toPrecision(4))) : scientific(value, 2);
}

/** A power as text: 10⁻³. */
function plotPower(base, exponent) {
  return base + [...String(exponent)].map((sign) => PLOT_SUPERSCRIPTS[sign]).join("");
}

/** A power of two of a bin: in digits where it is short. */
function plotPowerOfTwo(exponent) {
  return exponent >= 0 && exponent <= 9 ? String(2 ** exponent) : plotPower(2, exponent);
}

/** A place in a tensor: [1, 2, 0]. */
function plotIndex(index) {
  return `[${index.join(", ")}]`;
}

/** An element that is drawn anew by `draw(width)` whenever its width in CSS pixels changes: text keeps its size on a phone. */
function plotFluid(draw) {
  const box = h("div", { class: "plot" });
  let width = 0;
  const redraw = (next) => {
    if (next === width) return;
    width = next;
    box.replaceChildren(draw(width));
  };
  redraw(560);
  const observer = new ResizeObserver(([entry]) => {
    const next = Math.floor(entry.contentRect.width);
    // Not at once: what an observer changes may not change what it observes.
    if (next > 0) requestAnimationFrame(() => redraw(Math.min(next, 720)));
  });
  observer.observe(box);
  return box;
}

function plotSvg(width, height, label, ...children) {
  const box = { class: "plot-svg", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label };
  return svg("svg", box, children);
}

function plotText(x, y, text, attributes = {}) {
  return svg("text", { x, y, ...attributes }, text);
}

function plotLine(x1, y1, x2, y2, name) {
  return svg("line", { x1, y1, x2, y2, class: name });
}

/** Hatching to fill with; two drawings must not share the id. */
function plotHatch(id, name) {
  const lines = svg("path", { d: "M-1,1 l2,-2 M0,6 l6,-6 M5,7 l2,-2", class: `plot-hatch ${name}` });
  const ground = svg("rect", { width: 6, height: 6, class: `plot-hatch-ground ${name}` });
  return svg("defs", null, svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, ground, lines));
}

/** At most `most` of the whole numbers from `low` to `high`, evenly apart. */
function plotTicks(low, high, most) {
  const steps = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000];
  const step = steps.find((step) => (high - low) / step < most) ?? high - low;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
  return ticks;
}

/** What the marks of a drawing mean: pairs of a mark, drawn into 18 by 14, and words. */
function plotLegend(entries) {
  const item = ([mark, words]) =>
    h("li", null, svg("svg", { width: 18, height: 14, viewBox: "0 0 18 14", "aria-hidden": "true" }, mark), words);
  return h("ul", { class: "plot-legend" }, entries.map(item));
}

/** Something folded away, made when it is first opened. */
function plotDetails(summary, build) {
  const details = h("details", { class: "plot-details" }, h("summary", null, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(build());
  });
  return details;
}

/** A box that scrolls sideways where it must, reachable by keyboard. */
function plotScroll(label, ...children) {
  return h("div", { class: "plot-scroll", role: "group", "aria-label": label, tabindex: 0 }, children);
}

/** A table of texts and elements; the first column names the row. */
function plotTable(label, headers, rows) {
  const row = ([name, ...cells]) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, name),
      cells.map((cell) => h("td", null, cell)),
    );
  const head = h(
    "tr",
    null,
    headers.map((header) => h("th", { scope: "col" }, header)),
  );
  return plotScroll(
    label,
    h("table", { class: "plot-table" }, h("thead", null, head), h("tbody", null, rows.map(row))),
  );
}

/** The mark of an element or case outside its budget, and of one within: told apart by shape. */
function plotTriangle(x, y, size) {
  return `M${x},${y - size} l${size},${size * 1.8} h${-2 * size} z`;
}

// ---- How many representable numbers apart -------------------------------------------------------------------------

function plotUlpBin(bin) {
  if (bin.from === null) return "no distance";
  if (bin.from < 2) return String(bin.from);
  const power = Math.round(Math.log2(bin.from));
  if (power < 10) return `${bin.from}–${2 * bin.from - 1}`;
  return `${plotPower(2, power)} to below ${plotPower(2, power + 1)}`;
}

/** How many elements are how far from what is expected, in representable numbers. */
function plotUlps(picture) {
  const bins = picture.ulps.filter((bin) => bin.from !== null);
  const apart = picture.ulps.find((bin) => bin.from === null);
  const total = picture.ulps.reduce((sum, bin) => sum + bin.count, 0);
  const equal = bins.find((bin) => bin.from === 0)?.count ?? 0;
  const far = bins.at(-1);
  const said = [`${thousands(equal)} of ${counted(total, "element")} equal what is expected.`];
  if (far && far.from > 0) said.push(`The furthest: ${plotUlpBin(far)} ${far.from === 1 ? "ulp" : "ulps"}.`);
  if (apart) {
    const verb = apart.count === 1 ? "has" : "have";
    said.push(`${thousands(apart.count)} ${verb} no distance: a NaN on either side, or an infinity on only one.`);
  }
  const id = plotId("hatch");
  const legend = [
    [svg("rect", { x: 1, y: 1, width: 16, height: 12, class: "plot-bar" }), "all elements that far away"],
    [
      svg("rect", { x: 1, y: 1, width: 16, height: 12, class: "plot-bar-outside", fill: `url(#${id}-0)` }),
      "those outside their budget, counted from the same base line",
    ],
  ];
  const rows = picture.ulps.map((bin) => [plotUlpBin(bin), thousands(bin.count), thousands(bin.outside)]);
  return h(
    "figure",
    { class: "ulps" },
    h("figcaption", null, h("strong", null, "How far apart, in representable numbers (ulps). "), said.join(" ")),
    plotFluid((width) => plotUlpBars(width, bins, apart, id, said.join(" "))),
    h(
      "div",
      { class: "plot-hatches", "aria-hidden": "true" },
      svg("svg", { width: 0, height: 0 }, plotHatch(`${id}-0`, "plot-outside")),
    ),
    plotLegend(legend),
    plotDetails("The counts as a table", () =>
      plotTable("Elements by distance", ["ulps", "elements", "outside"], rows),
    ),
  );
}

function plotUlpBars(width, bins, apart, id, label) {
  const height = 210;
  const [left, right, bottom] = [34, 6, 40];
  const base = height - bottom;
  // 0, 1, 2, 4, …: the place of a bin on the axis.
  const place = (from) => (from === 0 ? 0 : Math.round(Math.log2(from)) + 1);
  const last = Math.max(4, ...bins.map((bin) => place(bin.from)));
  const slots = last + 1 + (apart ? 2.6 : 0);
  const slot = Math.min(64, (width - left - right) / slots);
  const most = Math.max(10, ...bins.map((bin) => bin.count), apart?.count ?? 0);
  // Counts stand over their bars, upright where the bars are narrow; not at all where these are very narrow.
  const digits = 7 * thousands(most).length;
  const upright = digits > slot;
  const top = !upright ? 20 : slot < 11 ? 8 : digits + 8;
  const y = (count) => base - ((Math.log10(count) + 0.35) / (Math.log10(most) + 0.35)) * (base - top);
  const marks = [plotHatch(id, "plot-outside")];
  for (const power of plotTicks(0, Math.floor(Math.log10(most)), 5)) {
    marks.push(plotLine(left, y(10 ** power), width - right, y(10 ** power), "plot-grid"));
    const text = power < 4 ? String(10 ** power) : plotPower(10, power);
    marks.push(plotText(left - 5, y(10 ** power) + 4, text, { "text-anchor": "end" }));
  }
  const bar = (bin, x, wide) => {
    const inset = Math.min(4, wide / 5);
    const title = `${plotUlpBin(bin)}: ${counted(bin.count, "element")}, ${thousands(bin.outside)} outside`;
    const group = svg("g", null, svg("title", null, title));
    const all = { x: x - wide / 2, width: wide, y: y(bin.count), height: base - y(bin.count), class: "plot-bar" };
    group.append(svg("rect", all));
    if (bin.outside > 0) {
      const part = {
        x: x - wide / 2 + inset,
        width: wide - 2 * inset,
        y: y(bin.outside),
        height: base - y(bin.outside),
      };
      group.append(svg("rect", { ...part, class: "plot-bar-outside", fill: `url(#${id})` }));
    }
    const above = y(bin.count) - 5;
    const text = thousands(bin.count);
    if (!upright) group.append(plotText(x, above, text, { "text-anchor": "middle", class: "plot-strong" }));
    else if (slot >= 11) group.append(plotText(x + 4, above, text, { transform: `rotate(-90 ${x + 4} ${above})` }));
    return group;
  };
  const x = (slotNumber) => left + (slotNumber + 0.5) * slot;
  const wide = Math.max(3, Math.min(slot - 3, 40));
  for (const bin of bins) marks.push(bar(bin, x(place(bin.from)), wide));
  const every = Math.max(1, Math.ceil(30 / slot));
  for (let at = 0; at <= last; at += 1) {
    if (at > 1 && (at - 1) % every !== 0) continue;
    if (at === 1 && slot < 12) continue;
    const text = at === 0 ? "0" : plotPowerOfTwo(at - 1);
    marks.push(plotText(x(at), base + 16, text, { "text-anchor": "middle" }));
  }
  marks.push(plotLine(left, base, left + (last + 1) * slot, base, "plot-axis"));
  marks.push(plotText(left, height - 6, "ulps apart, at least →"));
  if (apart) {
    const center = left + (last + 2.5) * slot;
    marks.push(plotLine(center - Math.max(slot, 14), base, center + Math.max(slot, 14), base, "plot-axis"));
    marks.push(bar(apart, center, Math.max(wide, 14)));
    marks.push(plotText(Math.min(center, width - right - 18), base + 16, "none", { "text-anchor": "middle" }));
  }
  return plotSvg(width, height, `Elements by distance in ulps. ${label}`, marks);
}

// ---- Error against magnitude --------------------------------------------------------------------------------------

/** The largest error of each size of expected numbers, and the budget. */
function plotMagnitudes(picture) {
  const bins = picture.magnitudes;
  // An error beyond the largest f64 is written as nothing.
  const above = bins.filter((bin) => (bin.error ?? Infinity) > bin.budget);
  const size = (bin) =>
    bin.exponent === null ? "zero" : `${plotPower(2, bin.exponent)} to ${plotPower(2, bin.exponent + 1)}`;
  const error = (bin) => (bin.error === null ? "beyond f64" : plotNumber(bin.error));
  let said = "No element is a number on both sides with a finite budget, so there is no error to draw.";
  if (bins.length > 0) {
    said =
      above.length === 0
        ? "The largest error of every size of number is within that element's budget."
        : above.length === bins.length
          ? `The largest error is above its budget at every size of number.`
          : `The largest error is above its budget at ${above.length} of ${bins.length} sizes: ${plotSizes(above)}.`;
  }
  const legend = [
    [
      svg("path", { d: plotTriangle(9, 6, 5), class: "plot-point-outside" }),
      "largest error of its size, above its budget",
    ],
    [svg("circle", { cx: 9, cy: 7, r: 4, class: "plot-point" }), "largest error, within"],
    [svg("path", { d: "M0,7 h18", class: "plot-budget" }), "budget of that element: the line not to cross"],
    [svg("rect", { x: 1, y: 2, width: 16, height: 10, class: "plot-band" }), "smallest to largest budget"],
  ];
  const budgets = (bin) =>
    bin.smallest_budget === bin.largest_budget
      ? plotNumber(bin.budget)
      : `${plotNumber(bin.smallest_budget)} to ${plotNumber(bin.largest_budget)}`;
  const rows = bins.map((bin) => [size(bin), thousands(bin.count), error(bin), plotNumber(bin.budget), budgets(bin)]);
  const headers = ["expected size", "elements", "largest error", "its budget", "budgets"];
  return h(
    "figure",
    { class: "magnitudes" },
    h("figcaption", null, h("strong", null, "Error against magnitude. "), said),
    bins.length > 0 && plotFluid((width) => plotErrors(width, bins, said)),
    bins.length > 0 && plotLegend(legend),
    bins.length > 0 && plotDetails("The errors as a table", () => plotTable("Errors by magnitude", headers, rows)),
  );
}

/** Sizes of bins in words: zero, and a range of powers. */
function plotSizes(bins) {
  const exponents = bins.filter((bin) => bin.exponent !== null).map((bin) => bin.exponent);
  const words = bins.some((bin) => bin.exponent === null) ? ["zero"] : [];
  if (exponents.length > 0) {
    const [low, high] = [Math.min(...exponents), Math.max(...exponents) + 1];
    const gaps = exponents.length < high - low ? " (not all of them)" : "";
    words.push(`${plotPower(2, low)} to ${plotPower(2, high)}${gaps}`);
  }
  return words.join(" and ");
}

function plotErrors(width, bins, label) {
  const height = 250;
  const [left, right, top, bottom] = [42, 8, 12, 40];
  const zeros = bins.find((bin) => bin.exponent === null);
  const sized = bins.filter((bin) => bin.exponent !== null);
  const values = bins.flatMap((bin) => [bin.error, bin.smallest_budget, bin.largest_budget]);
  const positive = values.filter((value) => value > 0 && Number.isFinite(value)).map(Math.log10);
  const strip = values.some((value) => value === 0) ? 22 : 0;
  const base = height - bottom - strip;
  const low = Math.floor(Math.min(...positive, Infinity) - 0.2);
  const high = Math.ceil(Math.max(...positive, -Infinity) + 0.2);
  const [from, to] = positive.length > 0 ? [low, Math.max(high, low + 2)] : [-1, 1];
  const y = (value) => {
    if (value === 0) return base + strip / 2;
    if (value === null) return top;
    return base - ((Math.log10(value) - from) / (to - from)) * (base - top);
  };
  const columns = zeros ? 34 : 0;
  const exponents = sized.map((bin) => bin.exponent);
  const first = exponents.length > 0 ? Math.min(...exponents) : 0;
  const last = exponents.length > 0 ? Math.max(...exponents) : 0;
  const slot = Math.min(70, (width - left - right - columns) / Math.max(1, last - first + 1));
  const x = (exponent) => left + columns + (exponent - first) * slot;
  const end = Math.max(x(last + 1), left + columns + 60);
  const marks = [];
  for (const tick of plotTicks(from, to, 6)) {
    marks.push(plotLine(left, y(10 ** tick), end, y(10 ** tick), "plot-grid"));
    marks.push(plotText(left - 5, y(10 ** tick) + 4, plotPower(10, tick), { "text-anchor": "end" }));
  }
  if (strip) {
    marks.push(plotLine(left, base, end, base, "plot-cut"));
    marks.push(plotText(left - 5, base + strip / 2 + 4, "0", { "text-anchor": "end" }));
  }
  const column = (bin) =>
    bin.exponent === null ? [left + 2, left + columns - 8] : [x(bin.exponent), x(bin.exponent + 1)];
  for (const bin of bins) {
    const [start, stop] = column(bin);
    const [ceiling, floor] = [y(bin.largest_budget), y(bin.smallest_budget)];
    const band = { x: start, width: stop - start, y: ceiling - 1, height: Math.max(2, floor - ceiling + 2) };
    marks.push(svg("rect", { ...band, class: "plot-band" }));
  }
  for (const bin of bins) {
    const [start, stop] = column(bin);
    marks.push(plotLine(start, y(bin.budget), stop, y(bin.budget), "plot-budget"));
  }
  for (const bin of bins) {
    const [start, stop] = column(bin);
    const [cx, cy] = [(start + stop) / 2, y(bin.error)];
    const outside = (bin.error ?? Infinity) > bin.budget;
    const title = `${bin.exponent === null ? "zero" : plotPower(2, bin.exponent)}: error ${bin.error === null ? "beyond f64" : plotNumber(bin.error)}, budget ${plotNumber(bin.budget)}`;
    const shape = outside
      ? svg("path", { d: plotTriangle(cx, cy, 5), class: "plot-point-outside" }, svg("title", null, title))
      : svg("circle", { cx, cy, r: 3.5, class: "plot-point" }, svg("title", null, title));
    marks.push(shape);
  }
  const bottomLine = base + strip;
  marks.push(
    plotLine(left, bottomLine, end, bottomLine, "plot-axis"),
    plotLine(left, top, left, bottomLine, "plot-axis"),
  );
  if (zeros) {
    marks.push(plotLine(left + columns - 4, top, left + columns - 4, bottomLine, "plot-cut"));
    marks.push(plotText(left + (columns - 6) / 2, bottomLine + 16, "0", { "text-anchor": "middle" }));
  }
  const ticks = exponents.length > 0 ? plotTicks(first, last + 1, Math.max(2, (end - left - columns) / 44)) : [];
  for (const tick of ticks) {
    marks.push(plotLine(x(tick), bottomLine, x(tick), bottomLine + 4, "plot-axis"));
    marks.push(plotText(x(tick), bottomLine + 16, plotPower(2, tick), { "text-anchor": "middle" }));
  }
  marks.push(plotText(left, height - 6, "size of the expected number →   (↑ error)"));
  return plotSvg(width, height, `Error against magnitude. ${label}`, marks);
}
