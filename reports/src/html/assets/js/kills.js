// The kill matrix: which suites notice which known mistakes.

/** The size of a cell, and of a letter of the names above the cells, in pixels. */
const KILL = { cell: 20, letter: 6.4 };

const KILL_ORDERS = {
  caught: "by number of cases, survivors first",
  name: "by name",
  catalogue: "as in the catalogue",
};

/** A mistake with its totals. */
function killRow(fault, place) {
  const total = fault.caught.reduce((sum, count) => sum + count, 0);
  return { fault, place, total, suites: fault.caught.filter((count) => count > 0).length };
}

/** The rows in an order. */
function killSorted(rows, order) {
  const byName = (one, other) => one.fault.name.localeCompare(other.fault.name);
  const orders = {
    caught: (one, other) => one.total - other.total || one.suites - other.suites || byName(one, other),
    name: byName,
    catalogue: (one, other) => one.place - other.place,
  };
  return [...rows].sort(orders[order]);
}

/** The shade of a count: 1, 2–9, 10–99, 100 and more. */
function killShade(count) {
  return count === 1 ? 1 : Math.min(4, String(count).length + 1);
}

/** The kill matrix, as results.json has it. */
function drawKillMatrix(faults) {
  const rows = faults.faults.map(killRow);
  const survivors = rows.filter((row) => row.total === 0);
  const said =
    rows.length === 0
      ? "No mistake was tried."
      : survivors.length === 0
        ? `Every one of ${counted(rows.length, "known mistake")} is caught by at least one of ${counted(faults.cases, "case")}.`
        : `${thousands(survivors.length)} of ${counted(rows.length, "known mistake")} ${survivors.length === 1 ? "survives" : "survive"} all ${counted(faults.cases, "case")}.`;
  const nothing =
    faults.void > 0 ? ` ${counted(faults.void, "case")} prove${faults.void === 1 ? "s" : ""} nothing.` : "";
  const caption = h("figcaption", null, h("strong", null, "Kill matrix. "), said, nothing);
  const figure = h("figure", { class: "kill-matrix" }, caption);
  if (rows.length === 0) return figure;
  const panel = h("div", {
    class: "kill-panel",
    "aria-live": "polite",
    role: "group",
    "aria-label": "The mistake pointed at",
  });
  const body = h("div");
  const select = h(
    "select",
    null,
    Object.entries(KILL_ORDERS).map(([value, words]) => h("option", { value }, words)),
  );
  const redraw = () => body.replaceChildren(killGrid(faults, killSorted(rows, select.value), panel));
  select.addEventListener("change", redraw);
  const shade = (number) => [svg("rect", { x: 2, width: 14, height: 14, class: `kill-cell kill-${number}` })];
  const legend = [
    [shade(1), "1 case"],
    [shade(2), "2–9"],
    [shade(3), "10–99"],
    [shade(4), "100 and more"],
    [svg("path", { d: "M4,2 l10,10 M14,2 l-10,10", class: "kill-cross" }), "survives: no case catches it"],
  ];
  redraw();
  figure.append(
    h("p", { class: "kill-order" }, h("label", null, "Order: ", select)),
    plotLegend(legend),
    panel,
    body,
    plotDetails("The matrix as a table", () => killTable(faults, killSorted(rows, select.value))),
  );
  return figure;
}

/** What is known of one mistake, and of one suite where one is pointed at. */
function killPanel(faults, row, column) {
  const { fault, total } = row;
  const suite = faults.suites[column];
  const caught = fault.caught.map((count, place) => [count, faults.suites[place]]).filter(([count]) => count > 0);
  const most = [...caught].sort(([one], [other]) => other - one).slice(0, 5);
  const others = caught.length > most.length ? `, and ${caught.length - most.length} more` : "";
  const by = most.map(([count, name]) => `${name} (${thousands(count)})`).join(", ");
  const verdict =
    total === 0
      ? h("p", { class: "kill-survives" }, "✗ survives: no case catches it")
      : h("p", null, `Caught by ${counted(total, "case")} of ${counted(caught.length, "suite")}: ${by}${others}.`);
  return [
    h("p", { class: "magnifier-title" }, h("strong", null, fault.name)),
    h("p", null, fault.about),
    verdict,
    fault.first && h("p", null, "First: ", killFirst(fault.first)),
    suite !== undefined && h("p", { class: "kill-at" }, `${suite}: ${counted(fault.caught[column], "case")}`),
  ];
}

/** The first case that catches a mistake, as a link, and where it shows. */
function killFirst(first) {
  const what = first.tensors.length > 0 ? first.tensors.join(", ") : "an error, or its absence";
  const link = h("a", { href: `#/case/${encodeURIComponent(first.case)}` }, first.case);
  return [link, ` in step ${first.step}, ${first.action}: ${what}`];
}

function killTable(faults, rows) {
  const suites = ({ fault }) =>
    fault.caught
      .map((count, place) => (count > 0 ? `${faults.suites[place]} ${thousands(count)}` : null))
      .filter(Boolean)
      .join(", ");
  const cells = (row) => [
    row.fault.name,
    row.total === 0 ? "✗ survives" : thousands(row.total),
    suites(row) || "none",
    row.fault.first ? h("span", null, killFirst(row.fault.first)) : "none",
    row.fault.about,
  ];
  return plotTable("Kill matrix", ["mistake", "cases", "suites", "first catch", "what is wrong"], rows.map(cells));
}

/** The cells in a box that scrolls by itself, the names staying in sight. The arrow keys move from cell to cell. */
function killGrid(faults, rows, panel) {
  const { cell, letter } = KILL;
  const [width, height] = [faults.suites.length * cell, rows.length * cell];
  const names = rows.map((row) =>
    h(
      "li",
      { class: row.total === 0 ? "kill-survivor" : null },
      h("span", null, row.total === 0 ? "✗ " : "", row.fault.name),
      h("span", { class: "kill-total" }, thousands(row.total)),
    ),
  );
  const across = svg("rect", { height: cell, width, class: "kill-across" });
  const down = svg("rect", { width: cell, height, class: "kill-across" });
  const cursor = svg("rect", { width: cell, height: cell, class: "kill-cursor" });
  const cells = svg(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, class: "kill-cells", "aria-hidden": "true" },
    across,
    down,
    killShades(rows, width),
    cursor,
  );
  // The names stand at 65 degrees; very long ones are cut.
  const longest = Math.min(32, Math.max(0, ...faults.suites.map((name) => name.length))) * letter;
  const top = Math.ceil(16 + longest * 0.91);
  const suites = faults.suites.map((name, column) =>
    plotText(0, 0, name, {
      transform: `translate(${(column + 0.5) * cell + 4},${top - 6}) rotate(-65)`,
      "data-column": column,
    }),
  );
  const reach = Math.ceil(longest * 0.43);
  const head = svg(
    "svg",
    {
      width: width + reach,
      height: top,
      viewBox: `0 0 ${width + reach} ${top}`,
      class: "kill-suites",
      "aria-hidden": "true",
    },
    suites,
  );
  const box = h(
    "div",
    {
      class: "kill-scroll",
      role: "application",
      tabindex: 0,
      "aria-label": "Kill matrix: the arrow keys move over mistakes and suites; the same is in the table below",
    },
    h(
      "div",
      { class: "kill-sheet" },
      h("div", { class: "kill-corner" }, h("span", null, "mistake"), h("span", null, "cases")),
      h("div", { class: "kill-head" }, head),
      h("ul", { class: "kill-names" }, names),
      cells,
    ),
  );
  let [at, column] = [-1, -1];
  const go = (toRow, toColumn, follow) => {
    const row = Math.max(0, Math.min(rows.length - 1, toRow));
    const suite = Math.max(0, Math.min(faults.suites.length - 1, toColumn));
    if (row === at && suite === column) return;
    names[at]?.classList.remove("kill-here");
    suites[column]?.classList.remove("plot-strong");
    [at, column] = [row, suite];
    names[at].classList.add("kill-here");
    suites[column]?.classList.add("plot-strong");
    for (const mark of [across, cursor]) mark.setAttribute("y", at * cell);
    for (const mark of [down, cursor]) mark.setAttribute("x", column * cell);
    refill(panel, killPanel(faults, rows[at], column));
    if (follow) killFollow(box, names[at], at, column);
  };
  box.addEventListener("keydown", (event) => {
    const steps = {
      ArrowUp: [-1, 0],
      ArrowDown: [1, 0],
      ArrowLeft: [0, -1],
      ArrowRight: [0, 1],
      PageUp: [-10, 0],
      PageDown: [10, 0],
      Home: [0, -1e6],
      End: [0, 1e6],
    };
    const step = steps[event.key];
    if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    go(at + step[0], column + step[1], true);
  });
  const point = (event) => {
    const bounds = cells.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    if (y >= 0 && event.target.closest(".kill-cells, .kill-names"))
      go(Math.floor(y / cell), x < 0 || !event.target.closest(".kill-cells") ? column : Math.floor(x / cell));
  };
  box.addEventListener("pointermove", point);
  box.addEventListener("click", point);
  go(
    0,
    Math.max(
      0,
      rows[0].fault.caught.findIndex((count) => count > 0),
    ),
  );
  return box;
}

/** Scrolls the box so that the cell is in sight beside the names. */
function killFollow(box, name, row, column) {
  const { cell } = KILL;
  const [left, top] = [name.offsetWidth, box.querySelector(".kill-head").offsetHeight];
  const [y, x] = [row * cell, column * cell];
  const below = y + cell + top - box.clientHeight + 20;
  const right = x + cell + left - box.clientWidth + 20;
  if (y < box.scrollTop) box.scrollTop = y;
  else if (below > box.scrollTop) box.scrollTop = below;
  if (x < box.scrollLeft) box.scrollLeft = x;
  else if (right > box.scrollLeft) box.scrollLeft = right;
}

/** One path for each shade, and a line through what survives. */
function killShades(rows, width) {
  const { cell } = KILL;
  const paths = ["", "", "", "", ""];
  let survivors = "";
  rows.forEach((row, y) => {
    if (row.total === 0) survivors += `M2,${(y + 0.5) * cell} H${width - 2}`;
    row.fault.caught.forEach((count, x) => {
      if (count === 0) return;
      paths[killShade(count)] += `M${x * cell + 1},${y * cell + 1}h${cell - 2}v${cell - 2}h${2 - cell}z`;
    });
  });
  const shades = paths.map((d, shade) => d && svg("path", { d, class: `kill-cell kill-${shade}` }));
  return [shades.filter(Boolean), survivors && svg("path", { d: survivors, class: "kill-cross kill-line" })];
}
