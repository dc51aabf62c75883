// The page of a case.

/** The case that is open. */
const opened = {row: null, column: null};

/** Shows a case, and of its answers that of a backend: the first one that is not as expected where none is named. */
async function showCase(id, backend) {
  const section = byId("case");
  const row = run.rowOf(id);
  if (row === undefined) {
    opened.row = null;
    section.removeAttribute("data-case");
    section.replaceChildren(h("h2", {tabindex: "-1"}, "There is no such case in this run"), h("p", null, h("code", null, id)), h("p", null, h("a", {href: "#/"}, "All cases")));
    return;
  }
  const named = run.backends.findIndex(({name}) => name === backend);
  const column = named >= 0 ? named : columnToShow(row);
  if (opened.row === row && section.dataset.case === id) {
    selectTab(column);
    return;
  }
  [opened.row, opened.column] = [row, column];
  const details = await readCase(row);
  // Another case may have been opened in the meantime.
  if (opened.row !== row) return;
  section.dataset.case = id;
  refill(section, crumbs(row), heading(row, details), answers(row, details), origin(row, details));
  await selectTab(opened.column);
  performance.mark("bncheck:case");
}

/** The column of the first answer that is not as expected, or else that does not pass. */
function columnToShow(row) {
  const bad = run.backends.findIndex((_, column) => isUnexpected(row, column));
  return bad >= 0 ? bad : Math.max(0, run.backends.findIndex((_, column) => !["pass", "nothing"].includes(verdictOf(row, column))));
}

function crumbs(row) {
  const to = (step, word, key) => {
    const next = nextFailing(row, step);
    return next !== undefined && next !== row && h("a", {href: caseLink(next)}, `${word} failing case `, h("kbd", null, key));
  };
  return h("p", {class: "crumbs"}, h("a", {href: matrixLink(byId("filter").value)}, "← All cases ", h("kbd", null, "Esc")), h("span", {class: "grow"}), to(-1, "Previous", "p"), to(1, "Next", "n"));
}

function heading(row, {file, line, written, suite}) {
  const kappa = threeDigits(run.kappa[row]);
  const shape = run.meta.shapes[run.shapeOf[row]];
  return h("header", null,
    h("h2", {tabindex: "-1"}, run.ids[row]),
    h("p", {class: "place"}, h("code", null, `${file}:${line}`), shape?.length > 0 && ` · input ${shape.join("×")}`, kappa !== null && ` · κ ${Number(kappa.toPrecision(3))}`),
    written?.about && h("p", {class: "lines"}, linked(written.about)),
    !written?.about && suite?.about && h("p", {class: "lines"}, linked(suite.about)),
  );
}

/** The tabs: one for each backend. */
function answers(row, details) {
  const tabs = run.backends.map(({name}, column) => {
    const verdict = verdictOf(row, column);
    const used = usedOf(row, column);
    return h("button", {type: "button", role: "tab", id: `tab-${column}`, "aria-controls": "answer", "aria-selected": "false", tabindex: "-1", "data-backend": name, "data-verdict": verdict,
      on: {click: () => { location.hash = caseLink(row, column); }}},
    verdictMark(verdict, name), h("span", {class: "small"}, ` ${verdict === "nothing" ? "no result" : verdict}${used === null ? "" : ` ${budgetUsed(used)}`}`));
  });
  const list = h("div", {role: "tablist", "aria-label": "Backends"}, tabs);
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target);
    const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const column = (to + tabs.length) % tabs.length;
    location.replace(caseLink(row, column));
    tabs[column].focus();
  });
  opened.details = details;
  return h("div", {class: "answers"}, list, h("div", {id: "answer", role: "tabpanel", tabindex: "0"}));
}

/** Shows one backend's answer. */
async function selectTab(column) {
  const {row, details} = opened;
  opened.column = column;
  const panel = byId("answer");
  if (!panel || !details) return;
  for (const tab of byId("case").querySelectorAll("[role=tab]")) {
    const isSelected = tab.id === `tab-${column}`;
    tab.setAttribute("aria-selected", isSelected);
    tab.tabIndex = isSelected ? 0 : -1;
  }
  panel.setAttribute("aria-labelledby", `tab-${column}`);
  const result = details.results[column];
  const hasDrawings = result?.steps.some((step) => step.tensors?.some((tensor) => tensor.drawn));
  const pictureOf = hasDrawings ? await readPictures(row, column) : () => undefined;
  if (opened.row !== row || opened.column !== column) return;
  refill(panel, answer(row, column, result, pictureOf));
}

function answer(row, column, result, pictureOf) {
  if (!result) return [h("p", null, "There is no result: the backend was not asked, or the run is not complete.")];
  const line = replayLine(row, column);
  const missing = {
    leftOut: "Its drawing was left out, as the page would have become too large: see results.json, or replay the case.",
    never: `A drawing is kept for the first such results of each written case alone. To have this one drawn, run this case alone: ${line.replace(" replay ", " run ")}`,
  };
  const micros = threeDigits(run.micros[column * run.cases + row]);
  return [
    h("p", null, verdictMark(verdictOf(row, column)), ` ${run.backends[column].name}, ${run.backends[column].version}`, micros !== null && h("span", {class: "small"}, ` · answered in about ${duration(micros)}`)),
    result.reason && h("p", {class: "lines reason"}, linked(result.reason)),
    suspects(result.diagnosis),
    copyable(line),
    result.cut && h("p", {class: "note"}, result.cut === "none" ? "Its steps were left out, as the page would have become too large." : "Only the first difference is shown: the page would have become too large."),
    result.steps.length > 0 && timeline(result, pictureOf, missing),
  ];
}

/** The mistakes that reproduce a failing answer, in words. */
function suspects(diagnosis) {
  if (!diagnosis?.length) return null;
  const mistake = ({name, about, link: where}) => [about, " ", h("code", null, name), where && [" ", link(where, "where it was made")]];
  const one = ({mistakes, explains, contradicted}) => [
    mistakes.map((each, i) => [i > 0 && h("em", null, " and "), mistake(each)]),
    h("span", {class: "small"}, ` reproduces ${counted(explains, "replayed failure")}${contradicted ? `, but would show in ${counted(contradicted, "case")} that the backend passes` : ""}`),
  ];
  return h("div", {class: "diagnosis"},
    h("p", null, h("strong", null, "Likely: "), one(diagnosis[0])),
    diagnosis.length > 1 && h("details", null, h("summary", null, `or one of ${diagnosis.length - 1} more that give the same answer here`), h("ul", {class: "suspects"}, diagnosis.slice(1).map((each) => h("li", null, one(each))))));
}

/** How the case is written, what it is in words, and the story that its suite tells. */
function origin(row, {words, written, suite, line, hasSuites}) {
  const story = suite?.story;
  return [
    h("div", {class: "columns"},
      h("section", null, h("h3", null, "As it is written"),
        written ? h("pre", {class: "yaml", tabindex: "0", role: "region", "aria-label": "YAML"}, unindented(written.yaml)) : h("p", null, hasSuites ? `See line ${line} of the file.` : "Left out, as the page would have become too large."),
        suite?.defaults && h("details", null, h("summary", null, "The suite's defaults"), h("pre", {tabindex: "0", role: "region", "aria-label": "Defaults"}, suite.defaults))),
      words && h("section", null, h("h3", null, "In words"), h("pre", {class: "wrap words"}, words))),
    story && h("section", {class: "story"}, h("h3", null, "The story"),
      h("p", null, h("strong", null, "What is computed. "), h("span", {class: "lines"}, linked(story.formula))),
      h("p", null, h("strong", null, "What goes wrong. "), h("span", {class: "lines"}, linked(story.goes_wrong))),
      h("p", null, h("strong", null, "What is right. "), h("span", {class: "lines"}, linked(story.right))),
      story.documented.length > 0 && h("ul", null, story.documented.map((text) => h("li", null, linked(text))))),
    story && h("p", null, h("code", null, `bncheck explain ${run.meta.suites[run.suiteOf[row]]}`), " says the same in a terminal."),
  ];
}

/** Lines without the indentation that all of them share. */
function unindented(text) {
  const lines = text.replace(/\n+$/, "").split("\n");
  const depth = Math.min(...lines.filter((line) => line.trim()).map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(depth)).join("\n");
}
