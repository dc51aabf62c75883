// The error of a tensor over batch and channels, and a magnifier over it.

/** The classes of cells: how they are named, and what they mean. */
const HEAT_CLASSES = {
  0: "up to half the budget",
  1: "up to the whole budget: still right",
  2: "outside: up to 10 budgets",
  3: "outside: up to 100 budgets",
  4: "outside: up to 10,000 budgets",
  5: "outside: more than 10,000 budgets",
  any: "outside: an error where none is allowed",
  kind: "outside: the wrong kind of number (NaN, infinity)",
  free: "no error to measure: NaN or infinity as expected, or not judged",
  none: "no elements",
};

/** The class of a cell. */
function heatClass(picture, cell) {
  const { heat, dtype } = picture;
  const used = heat.used[cell];
  const isOutside = heat.outside[cell] > 0;
  if (heat.expected[cell] === "") return "none";
  if (used === null) {
    if (!isOutside) return "free";
    // Of two numbers the error is without measure where the budget is 0.
    return heatIsNumbers(dtype, heat.expected[cell], heat.got[cell]) ? "any" : "kind";
  }
  if (used > 1e4) return "5";
  if (used > 100) return "4";
  if (used > 10) return "3";
  // What is just over the line may have been rounded to it.
  if (used > 1 || isOutside) return "2";
  return used > 0.5 ? "1" : "0";
}

function heatIsNumbers(dtype, expected, got) {
  const isFinite = (bits) => Number.isFinite(numberValue(dtype, numberPattern(bits)));
  return isFinite(expected) && isFinite(got);
}

/** The place of an element along each dimension, from its place in the flat order. */
function heatIndex(shape, place) {
  const index = [];
  let rest = place;
  for (const length of [...shape].reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

/** The heatmap with its magnifier. `info` has what the verdict says of the tensor. */
function heatFigure(picture, info) {
  const { heat } = picture;
  const said = whereSentence(picture, info);
  const caption = h("figcaption", null, h("strong", null, "Error over batch and channels. "), said);
  if (heat.used.length === 0) return h("figure", { class: "heatmap" }, caption);
  const classes = [...heat.used.keys()].map((cell) => heatClass(picture, cell));
  const legendId = plotId("heat-legend");
  const magnifier = h("div", { class: "magnifier", "aria-live": "polite", role: "group", "aria-label": "Magnifier" });
  const show = (cell) => refill(magnifier, heatMagnified(picture, cell));
  const grid = heatGrid(picture, classes, legendId, show);
  return h(
    "figure",
    { class: "heatmap" },
    caption,
    h(
      "div",
      { class: "heat-body" },
      h("div", { class: "heat-side" }, heatAxesInWords(picture), grid, heatLegend(classes, legendId)),
      magnifier,
    ),
  );
}

/** What rows and columns stand for. */
function heatAxesInWords(picture) {
  const [rows, columns] = whereAxes(picture);
  const each = (axis, line) => (axis.size === 1 ? `${axis.what}s` : `${axis.what}s, ${axis.size} in each ${line}`);
  const down = rows.count > 1 ? [h("span", null, `↓ ${each(rows, "row")}`)] : [];
  return h("p", { class: "heat-axes" }, h("span", null, `→ ${each(columns, "column")}`), down);
}

function heatLegend(classes, id) {
  const special = (name) => !/\d/.test(name);
  const shown = Object.keys(HEAT_CLASSES).filter((name) => !special(name) || classes.includes(name));
  const item = (name) =>
    h("li", null, h("span", { class: `heat-cell heat-${name}`, "aria-hidden": "true" }), HEAT_CLASSES[name]);
  return h(
    "div",
    { class: "heat-legend", id },
    h("p", null, "The worst element of each cell; a mark means outside, a larger one further outside:"),
    h("ul", null, shown.map(item)),
  );
}

/** The cells. The arrow keys move over them, Home and End to the ends of a row, with Control to the first and last cell. */
function heatGrid(picture, classes, legendId, show) {
  const { heat } = picture;
  const [rows, columns] = whereAxes(picture);
  const id = plotId("heat");
  const every = heat.columns <= 10 ? 1 : heat.columns <= 16 ? 2 : 4;
  // Each cell says where it is: the numbers beside the cells are for the eye.
  const head = [...Array(heat.columns).keys()].map((column) =>
    h("div", { class: "heat-head" }, column % every === 0 ? column * heat.channels : null),
  );
  const cells = [];
  const lines = [...Array(heat.rows).keys()].map((row) => {
    const line = [...Array(heat.columns).keys()].map((column) => {
      const cell = row * heat.columns + column;
      const label = `${whereCell(rows, columns, row, column)}: ${HEAT_CLASSES[classes[cell]]}`;
      const attributes = { role: "gridcell", id: `${id}-${cell}`, class: `heat-cell heat-${classes[cell]}` };
      cells.push(h("div", { ...attributes, "data-cell": cell, "aria-selected": "false", "aria-label": label }));
      return cells.at(-1);
    });
    const text = rows.count > 1 ? row * heat.samples : null;
    const header = h("div", { class: "heat-head heat-row-head", "aria-hidden": "true" }, text);
    return h("div", { role: "row", class: "heat-row" }, header, line);
  });
  const label = "Heatmap of the error; the arrow keys move the magnifier";
  const attributes = {
    class: "heat-grid",
    role: "grid",
    tabindex: 0,
    "aria-label": label,
    "aria-describedby": legendId,
  };
  const grid = h("div", attributes, h("div", { class: "heat-row", "aria-hidden": "true" }, h("div"), head), lines);
  grid.style.setProperty("--heat-columns", heat.columns);
  grid.classList.toggle("heat-dense", heat.columns > 16);
  let at = null;
  const go = (cell) => {
    if (cell === at || !cells[cell]) return;
    cells[at ?? cell].setAttribute("aria-selected", "false");
    cells[cell].setAttribute("aria-selected", "true");
    grid.setAttribute("aria-activedescendant", cells[cell].id);
    at = cell;
    show(cell);
  };
  const point = (event) => {
    const cell = event.target.closest("[data-cell]");
    if (cell) go(Number(cell.dataset.cell));
  };
  grid.addEventListener("pointermove", point);
  grid.addEventListener("click", point);
  grid.addEventListener("keydown", (event) => {
    const next = heatMoved(event, at, heat);
    if (next === null) return;
    event.preventDefault();
    event.stopPropagation();
    go(next);
  });
  go(heatWorst(picture, classes));
  return grid;
}

/** The cell that a key leads to; nothing for other keys. */
function heatMoved(event, at, heat) {
  if (event.altKey || event.metaKey || event.shiftKey) return null;
  const [row, column] = [Math.floor(at / heat.columns), at % heat.columns];
  const all = event.ctrlKey;
  if (all && event.key !== "Home" && event.key !== "End") return null;
  switch (event.key) {
    case "ArrowLeft":
      return column > 0 ? at - 1 : at;
    case "ArrowRight":
      return column < heat.columns - 1 ? at + 1 : at;
    case "ArrowUp":
      return row > 0 ? at - heat.columns : at;
    case "ArrowDown":
      return row < heat.rows - 1 ? at + heat.columns : at;
    case "Home":
      return all ? 0 : row * heat.columns;
    case "End":
      return all ? heat.rows * heat.columns - 1 : (row + 1) * heat.columns - 1;
    default:
      return null;
  }
}

/** The worst cell: a wrong kind of number before any error. */
function heatWorst(picture, classes) {
  const badness = (cell) => {
    if (classes[cell] === "kind" || picture.heat.used[cell] === null) {
      return picture.heat.outside[cell] > 0 ? Infinity : -1;
    }
    return picture.heat.used[cell];
  };
  let worst = 0;
  for (let cell = 1; cell < classes.length; cell += 1) if (badness(cell) > badness(worst)) worst = cell;
  return worst;
}

// ---- The magnifier ------------------------------------------------------------------------------------------------

/** A number with all its forms; the digits of its bits that another number does not have stand out. */
function heatNumber(number, other) {
  const digits = [...number.bits].map((digit, place) =>
    place > 1 && other && other.bits[place] !== digit ? h("b", null, digit) : digit,
  );
  return [
    h("span", { class: "number-decimal" }, number.decimal),
    h("span", { class: "number-hex" }, number.hex),
    h("span", { class: "number-bits" }, digits),
  ];
}

/** How far two numbers are apart, with its sign; nothing where one of them is none. */
function heatDifference(dtype, expected, got) {
  if (dtype === "i64") {
    const apart = BigInt.asIntN(64, got.pattern) - BigInt.asIntN(64, expected.pattern);
    return (apart > 0n ? "+" : "") + thousands(apart);
  }
  if (!Number.isFinite(expected.value) || !Number.isFinite(got.value)) return null;
  const apart = got.value - expected.value;
  return (apart > 0 ? "+" : "") + plotNumber(apart);
}

/** What a cell's worst element uses of its budget, in words. */
function heatUsedInWords(used, isOutside, expected, got) {
  if (used !== null) {
    if (isOutside && used < 1.0005) return "just over 1 budget: outside";
    return `${budgetUsed(used)} ${used === 1 ? "budget" : "budgets"}: ${isOutside ? "outside" : "within"}`;
  }
  const numbers = Number.isFinite(expected.value) && Number.isFinite(got.value);
  if (isOutside) return numbers ? "no error is allowed here: outside" : "the wrong kind of number: outside";
  if (Number.isNaN(expected.value) && Number.isNaN(got.value)) return "NaN, as it should be";
  if (!numbers && expected.value === got.value) return "infinite, as it should be";
  return "not judged: a sound answer may be anything here";
}

function heatMagnified(picture, cell) {
  const { heat, dtype, shape } = picture;
  const [rows, columns] = whereAxes(picture);
  const [row, column] = [Math.floor(cell / heat.columns), cell % heat.columns];
  const place = whereCell(rows, columns, row, column);
  const title = h("p", { class: "magnifier-title" }, h("strong", null, place[0].toUpperCase() + place.slice(1)));
  if (heat.expected[cell] === "") return [title, h("p", null, "No elements.")];
  const length = (axis, group) => whereBounds(axis, group, group)[1] - whereBounds(axis, group, group)[0] + 1;
  const size = length(rows, row) * length(columns, column) * shape.slice(2).reduce((size, length) => size * length, 1);
  const count = heat.outside[cell];
  const outside = `${thousands(count)} of ${counted(size, "element")} outside`;
  const [expected, got] = [numberOf(dtype, heat.expected[cell]), numberOf(dtype, heat.got[cell])];
  const index = heatIndex(shape, heat.places[cell]);
  const listed = picture.worst.find((element) => plotIndex(element.index) === plotIndex(index));
  const ulps = numberUlps(dtype, expected.pattern, got.pattern);
  const facts = [
    [
      h("span", null, count > 0 ? "worst element" : "largest error"),
      shape.length > 0 ? plotIndex(index) : "the only one",
    ],
    ["expected", heatNumber(expected, got)],
    ["got", heatNumber(got, expected)],
    ["difference", heatDifference(dtype, expected, got) ?? "none: not two numbers"],
    ["apart", ulps === null ? "no distance" : counted(ulps, "ulp")],
    ["allowed", listed && listed.budget !== null ? `± ${plotNumber(listed.budget)}` : null],
    ["used", heatUsedInWords(listed?.used ?? heat.used[cell], count > 0, expected, got)],
  ];
  const shown = facts.filter(([, value]) => value !== null);
  return [
    title,
    h("p", { class: count > 0 ? "magnifier-outside" : null }, outside),
    h(
      "dl",
      null,
      shown.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
    ),
  ];
}
