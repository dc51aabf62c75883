// The matrix of cases and backends: its filter, and its rows.

/** What the matrix shows at the moment. */
const matrix = {terms: [], rows: [], groups: null, failing: null, columns: [], grid: null};

/** Puts the matrix into its page, once. */
function buildMatrix() {
  const filter = h("input", {id: "filter", type: "search", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    placeholder: "pitfalls/*  dtype=f16,bf16  verdict=fail", "aria-describedby": "filter-error"});
  filter.addEventListener("input", () => {
    const from = performance.now();
    applyFilter(filter.value, from);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      matrix.grid.move(0, 0);
    }
  });
  const grouped = h("button", {type: "button", "aria-pressed": "true", on: {click: () => {
    order.grouped = !order.grouped;
    grouped.setAttribute("aria-pressed", order.grouped);
    fold.hidden = !order.grouped;
    showRows();
  }}}, "By suite");
  const fold = h("button", {type: "button", on: {click: () => {
    const suites = [...matrix.groups.keys()];
    if (suites.some((suite) => !order.folded.has(suite))) suites.forEach((suite) => order.folded.add(suite));
    else order.folded.clear();
    showRows();
  }}}, "Fold all");
  const head = h("div", {class: "head", role: "rowgroup"});
  const body = h("div", {class: "body", role: "rowgroup"});
  const element = h("div", {id: "matrix", role: "grid", "aria-label": "Cases and backends", "aria-readonly": "true"}, head, body);
  byId("matrix-page").append(
    h("div", {class: "bar"}, h("label", {for: "filter"}, "Filter"), filter, h("span", {id: "shown"}), grouped, fold),
    h("p", {id: "filter-error", role: "alert", hidden: true}),
    h("div", {class: "chips", role: "group", "aria-label": "Common filters"}),
    element,
  );
  matrix.fold = fold;
  matrix.grid = windowed(element, body, {count: () => Math.max(1, matrix.rows.length), make: rowAt, open: openRow});
}

/** The text of the filter that the address has; the box says the same. */
function showFilter(text) {
  byId("filter").value = text;
  return applyFilter(text);
}

/** Has the matrix show what a filter takes; `from` is when it was asked to. */
async function applyFilter(text, from) {
  const terms = termsOf(text);
  const filter = byId("filter");
  const error = byId("filter-error");
  try {
    const fields = needsFields(terms) ? await readFields() : new Map();
    // Another filter may have come in the meantime.
    if (filter.value !== text) return;
    Object.assign(matrix, filtered(terms, fields), {terms});
    error.hidden = true;
    filter.removeAttribute("aria-invalid");
  } catch (problem) {
    if (!(problem instanceof FilterError)) throw problem;
    error.textContent = problem.message;
    error.hidden = false;
    filter.setAttribute("aria-invalid", "true");
    return;
  }
  const address = matrixLink(text);
  if (location.hash !== address && currentPage() === "matrix") history.replaceState(null, "", address);
  showRows();
  if (from !== undefined) performance.measure("bncheck:filter", {start: from, end: performance.now()});
}

/** The address of the matrix with a filter. */
function matrixLink(text) {
  return text.trim() === "" ? "#/" : `#/?filter=${encodeURIComponent(text)}`;
}

/** Puts the rows in order and shows them. */
function showRows(keepsPlace = false) {
  Object.assign(matrix, rowsInOrder(matrix.taken, matrix.columns));
  const element = byId("matrix");
  element.style.setProperty("--columns", matrix.columns.length);
  element.setAttribute("aria-colcount", matrix.columns.length + 1);
  element.querySelector(".head").replaceChildren(headRow());
  const shown = matrix.taken.reduce((sum, taken) => sum + taken, 0);
  byId("shown").textContent = `${thousands(shown)} of ${counted(run.cases, "case")}`;
  if (matrix.groups) {
    matrix.fold.textContent = [...matrix.groups.keys()].every((suite) => order.folded.has(suite)) ? "Unfold all" : "Fold all";
  }
  showChips();
  matrix.grid.refresh(keepsPlace);
}

function headRow() {
  const names = matrix.columns.map((column) => run.backends[column]);
  return h("div", {role: "row", "aria-rowindex": "1"},
    h("div", {role: "columnheader", "aria-colindex": "1"}, h("span", null, "case")),
    names.map((backend, i) => h("div", {role: "columnheader", "aria-colindex": i + 2, title: `${backend.name}, ${backend.version}`}, h("span", null, backend.name))));
}

/** The row at a place of the list. */
function rowAt(at) {
  const row = matrix.rows[at];
  if (row === undefined) {
    return h("div", {role: "row", class: "none"}, h("div", {role: "gridcell"}, run.cases === 0 ? "The run has no case." : "No case is taken by this filter."));
  }
  return row < 0 ? groupRow(matrix.groups.get(-1 - row)) : caseRow(row);
}

function groupRow(group) {
  const name = run.meta.suites[group.suite];
  const counts = [...group.counts].map((count, i) => ({count, verdict: run.meta.verdicts[i] ?? "nothing", isBad: run.meta.expected[i] === false})).filter(({count}) => count > 0);
  // Stable: what is not as expected first.
  counts.sort((one, other) => other.isBad - one.isBad);
  return h("div", {role: "row", class: "group", "data-suite": name},
    h("div", {role: "rowheader", "aria-expanded": String(!order.folded.has(group.suite)), "aria-colspan": matrix.columns.length + 1},
      h("span", {class: "twisty", "aria-hidden": "true"}),
      h("span", {class: "name"}, name),
      h("span", {class: "counts"}, counted(group.rows.length, "case"), counts.map(({count, verdict}) => verdictMark(verdict, `${thousands(count)} ${verdict}`)))));
}

function caseRow(row) {
  const id = run.ids[row];
  const suite = `${run.meta.suites[run.suiteOf[row]]}/`;
  const name = matrix.groups && id.startsWith(suite) ? id.slice(suite.length) : id;
  return h("div", {role: "row", "data-case": id},
    h("div", {role: "rowheader", title: id}, h("a", {href: caseLink(row), tabindex: "-1"}, name)),
    matrix.columns.map((column) => cell(row, column)));
}

function cell(row, column) {
  const verdict = verdictOf(row, column);
  const used = usedOf(row, column);
  const word = verdict === "nothing" ? "no result" : verdict;
  return h("div", {role: "gridcell", "data-backend": run.backends[column].name, "data-verdict": verdict},
    verdictMark(verdict, word),
    used !== null && h("span", {class: "used"}, h("span", {class: "unseen"}, "budget used "), budgetUsed(used)));
}

/** What Enter and a click do. */
function openRow(at, column) {
  const row = matrix.rows[at];
  if (row === undefined) return;
  if (row < 0) {
    const suite = -1 - row;
    if (!order.folded.delete(suite)) order.folded.add(suite);
    showRows(true);
    return;
  }
  location.hash = caseLink(row, column > 0 ? matrix.columns[column - 1] : null);
}

/** The buttons for common filters; each writes the filter's text. */
function showChips() {
  const {verdicts, fails} = matrix.given ??= givenVerdicts();
  const chips = byId("matrix-page").querySelector(".chips");
  const focused = chips.contains(document.activeElement) ? document.activeElement.dataset.term : null;
  chips.replaceChildren(
    h("span", {class: "label"}, "verdict"),
    ...verdicts.map(({name, count}) => chip(`verdict=${name}`, verdictMark(name, `${name} ${thousands(count)}`))),
    ...(run.backends.length > 1 ? [h("span", {class: "label"}, "backend"), ...run.backends.map(({name}) => chip(`backend=${name}`, name))] : []),
    ...(run.backends.length > 1 && fails.length > 0 ? [h("span", {class: "label"}, "fails alone"), ...fails.map(({name}) => chip(`only-fails=${name}`, name))] : []),
  );
  if (focused) [...chips.children].find((chip) => chip.dataset.term === focused)?.focus();
}

/** The verdicts that were given and how often, and the backends that fail somewhere. */
function givenVerdicts() {
  const counts = new Uint32Array(run.meta.verdicts.length + 1);
  for (const verdict of run.verdicts) counts[Math.min(verdict, run.meta.verdicts.length)]++;
  const verdicts = run.meta.verdicts.map((name, i) => ({name, count: counts[i]})).filter(({count}) => count > 0);
  return {verdicts, fails: run.backends.filter((_, column) => failsSomewhere(column))};
}

function failsSomewhere(column) {
  for (let row = 0; row < run.cases; row++) {
    if (isUnexpected(row, column)) return true;
  }
  return false;
}

/** A button that puts a term into the filter, in place of others on the same field, or takes it out. */
function chip(term, label) {
  const has = matrix.terms.includes(term);
  return h("button", {type: "button", "aria-pressed": String(has), "data-term": term, on: {click: () => {
    const path = term.slice(0, term.indexOf("=") + 1);
    const others = matrix.terms.filter((other) => !other.startsWith(path));
    showFilter(textOfTerms(has ? others : [...others, term]));
  }}}, label);
}

/** The next case with an answer that is not as expected, after a case or before it; in the order of the matrix. */
function nextFailing(row, step) {
  const rows = (matrix.groups ? [...matrix.groups.values()].flatMap((group) => failingFirst(group.rows, matrix.failing)) : matrix.rows);
  const failing = rows.filter((one) => matrix.failing[one] || one === row);
  const at = failing.indexOf(row);
  if (at < 0) return failing[0];
  return failing[at + step];
}
