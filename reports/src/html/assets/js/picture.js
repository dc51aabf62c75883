// Everything that is drawn of one tensor that differs.

/** How many of the worst elements are shown before one asks for the rest. */
const PICTURE_WORST_SHOWN = 8;

const PICTURE_CLASSES = {
  nan: "NaN",
  plus_infinity: "+infinity",
  minus_infinity: "−infinity",
  plus_zero: "+0",
  minus_zero: "−0",
  positive: "a positive number",
  negative: "a negative number",
};

/** The block of one tensor: `picture` as results.json has it, `info` with its verdict, budget_used, mismatched and total. */
function drawPicture(picture, info) {
  try {
    return h("div", { class: "picture" }, pictureParts(picture, info ?? {}));
  } catch (error) {
    // The figures are data, which anyone may have written.
    return h("p", { class: "picture" }, `The picture of this tensor cannot be drawn: ${error.message}.`);
  }
}

function pictureParts(picture, info) {
  const { rows, columns, used } = picture.heat;
  if (rows * columns !== used.length)
    throw new RangeError(`its heatmap has ${used.length} cells, not ${rows} × ${columns}`);
  const size = picture.shape.reduce((size, length) => size * length, 1);
  return [
    heatFigure(picture, info),
    // One element is all in its magnifier.
    size > 1 && h("div", { class: "picture-plots" }, plotUlps(picture), plotMagnitudes(picture)),
    pictureClasses(picture),
    pictureWorst(picture),
  ];
}

// ---- Kinds of numbers ---------------------------------------------------------------------------------------------

/** Which panel shows a pair of kinds that are not the same; nothing for numbers of one sign, zero or not. */
function picturePanelOf({ expected, got }) {
  if (expected === got) return null;
  const either = [expected, got];
  if (either.includes("nan")) return "nan";
  if (either.some((kind) => kind.endsWith("infinity"))) return "infinity";
  const isNegative = (kind) => kind.startsWith("minus") || kind === "negative";
  return isNegative(expected) === isNegative(got) ? null : "sign";
}

/** The panels of NaN, infinities and signs that do not match, as far as there are any; and all kinds in a table. */
function pictureClasses(picture) {
  if (picture.classes.length === 0) return null;
  const panels = {
    nan: "NaN on one side only",
    infinity: "Infinity on one side only, or of the other sign",
    sign: "The other sign",
  };
  const drawn = Object.entries(panels).map(([panel, title]) => {
    const pairs = picture.classes.filter((pair) => picturePanelOf(pair) === panel);
    return pairs.length > 0 ? picturePanel(panel, title, pairs) : null;
  });
  const clean = drawn.every((panel) => panel === null);
  const rows = picture.classes.map((pair) => [
    PICTURE_CLASSES[pair.expected],
    PICTURE_CLASSES[pair.got],
    thousands(pair.count),
    thousands(pair.outside),
    plotIndex(pair.first),
  ]);
  const headers = ["expected", "got", "elements", "outside", "first"];
  return h(
    "div",
    { class: "classes", role: "group", "aria-label": "Kinds of numbers" },
    h("p", { class: "picture-title" }, "NaN, infinities and signs"),
    clean && h("p", null, "Every NaN, infinity and sign is where it should be."),
    !clean && h("div", { class: "class-panels" }, drawn),
    plotDetails("All kinds of numbers, expected and got", () => plotTable("Kinds of numbers", headers, rows)),
  );
}

function picturePanel(panel, title, pairs) {
  const total = pairs.reduce((sum, pair) => sum + pair.count, 0);
  const outside = pairs.reduce((sum, pair) => sum + pair.outside, 0);
  const words = (pair) => {
    const where = pair.outside > 0 ? "first" : "first, within its budget,";
    const of = pair.outside === pair.count ? "" : `, ${thousands(pair.outside)} of them outside`;
    return [
      h("strong", null, thousands(pair.count)),
      ` × ${PICTURE_CLASSES[pair.got]} where ${PICTURE_CLASSES[pair.expected]} should be${of}; ${where} at `,
      h("code", null, plotIndex(pair.first)),
    ];
  };
  const glyph = outside > 0 ? "✗" : "≈";
  const verdict = outside > 0 ? `${thousands(outside)} of ${thousands(total)} outside` : "all within their budgets";
  return h(
    "div",
    { class: `class-panel ${outside > 0 ? "class-outside" : "class-within"}`, "data-panel": panel },
    h(
      "p",
      { class: "class-title" },
      h("span", { "aria-hidden": "true" }, `${glyph} `),
      h("strong", null, title),
      ` — ${verdict}`,
    ),
    h(
      "ul",
      null,
      pairs.map((pair) => h("li", null, words(pair))),
    ),
  );
}

// ---- The worst elements -------------------------------------------------------------------------------------------

/** What an element uses of its budget, in a word or two. */
function pictureUsed(dtype, element) {
  if (element.used === null) {
    return heatIsNumbers(dtype, element.expected.bits, element.got.bits) ? "none allowed" : "wrong kind";
  }
  return element.used > 1 && element.used < 1.0005 ? "just over 1" : budgetUsed(element.used);
}

function pictureUlps(dtype, element) {
  const ulps = numberUlps(dtype, numberPattern(element.expected.bits), numberPattern(element.got.bits));
  return ulps === null ? "none" : thousands(ulps);
}

/** The elements furthest outside, two lines each so that digit stands above digit. */
function pictureWorst(picture) {
  const { worst, dtype } = picture;
  if (worst.length === 0) return null;
  const headers = ["index", "", "decimal", "hex float", "bits"].map((name) =>
    name ? h("th", { scope: "col" }, name) : h("td"),
  );
  headers.push(...["ulps", "budget", "used"].map((name) => h("th", { scope: "col", class: "worst-both" }, name)));
  const element = (element) => {
    const [expected, got] = [numberOf(dtype, element.expected.bits), numberOf(dtype, element.got.bits)];
    const line = (name, number, other, decimal) => {
      const [, hex, bits] = heatNumber(number, other);
      return [h("th", { scope: "row" }, name), h("td", null, decimal), h("td", null, hex), h("td", null, bits)];
    };
    const both = (value) => h("td", { rowspan: 2, class: "worst-both" }, value);
    return [
      h(
        "tr",
        { class: "worst-expected" },
        h("th", { rowspan: 2, scope: "rowgroup", class: "worst-index" }, plotIndex(element.index)),
        line("expected", expected, got, element.expected.decimal),
        both(pictureUlps(dtype, element)),
        both(element.budget === null ? "none" : `± ${plotNumber(element.budget)}`),
        both(pictureUsed(dtype, element)),
      ),
      h("tr", { class: "worst-got" }, line("got", got, expected, element.got.decimal)),
    ];
  };
  const rest = worst.slice(PICTURE_WORST_SHOWN);
  const restId = plotId("worst");
  const hidden = h("tbody", { id: restId, hidden: true });
  const table = h(
    "table",
    { class: "worst plot-table" },
    h(
      "caption",
      null,
      `The ${worst.length === 1 ? "element" : `${worst.length} elements`} furthest outside, the worst first`,
    ),
    h("thead", null, h("tr", null, headers)),
    h("tbody", null, worst.slice(0, PICTURE_WORST_SHOWN).map(element)),
    rest.length > 0 && hidden,
  );
  const more = h(
    "button",
    { type: "button", "aria-expanded": "false", "aria-controls": restId },
    `Show all ${worst.length}`,
  );
  more.addEventListener("click", () => {
    if (hidden.childElementCount === 0) hidden.append(...rest.flatMap(element));
    hidden.hidden = !hidden.hidden;
    more.setAttribute("aria-expanded", String(!hidden.hidden));
    more.textContent = hidden.hidden ? `Show all ${worst.length}` : `Show the first ${PICTURE_WORST_SHOWN}`;
  });
  return h(
    "div",
    { class: "worst-elements", role: "group", "aria-label": "Worst elements" },
    h("p", { class: "picture-title" }, "Worst elements"),
    plotScroll("Table of the worst elements", table),
    h("div", { class: "worst-buttons" }, rest.length > 0 && more, pictureCopy(picture)),
  );
}

/** A button that copies the worst elements as tab-separated values. */
function pictureCopy(picture) {
  const said = h("span", { role: "status", class: "worst-copied" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(pictureTsv(picture));
      said.textContent = `${counted(picture.worst.length, "element")} copied`;
    } catch {
      said.textContent = "The browser does not let this page copy.";
    }
  };
  const button = h("button", { type: "button", class: "copy-worst", on: { click: copy } }, "Copy as TSV");
  return [button, said];
}

function pictureTsv(picture) {
  const { dtype } = picture;
  const sides = ["expected", "got"].flatMap((side) => [side, `${side}_hex`, `${side}_bits`]);
  const header = ["index", ...sides, "ulps", "budget", "used"];
  const forms = (number) => [number.decimal, numberOf(dtype, number.bits).hex, number.bits];
  const line = (element) => [
    element.index.join(","),
    ...forms(element.expected),
    ...forms(element.got),
    numberUlps(dtype, numberPattern(element.expected.bits), numberPattern(element.got.bits)) ?? "",
    element.budget ?? "",
    element.used ?? "",
  ];
  return [header, ...picture.worst.map(line)].map((cells) => cells.join("\t") + "\n").join("");
}
