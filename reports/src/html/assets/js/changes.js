// What has changed since a baseline, each change a link.

/** The kinds, the worst first, in words: summary.rs has the same. */
const KINDS = {
  newly_failing: "Newly failing", fixed: "Fixed", other_verdict: "Another verdict", budget_up: "More of the budget used",
  budget_down: "Less of the budget used", added: "Added", removed: "Removed",
};

/** How many changes of a kind are shown at once. */
const CHANGES_SHOWN = 200;

/** Fills the page of changes, once. */
const showChanges = remembered(async () => {
  const section = byId("changes");
  if (!run.meta.has_changes) {
    section.replaceChildren(h("h2", {tabindex: "-1"}, "Changes"), h("p", null, "This run was compared with no other. To have it compared: ",
      h("code", null, "bncheck run --baseline OLD.json"), " or ", h("code", null, "bncheck diff OLD.json NEW.json"), "."));
    return;
  }
  const changes = await jsonOf("transitions");
  const ofKind = (kind) => changes.filter((change) => change.kind === kind);
  const parts = [h("h2", {tabindex: "-1"}, "Changes since the baseline"),
    ...Object.entries(KINDS).map(([kind, words]) => [words, ofKind(kind)]).filter(([, list]) => list.length > 0).map(([words, list]) =>
      h("section", {"data-kind": words}, h("h3", null, `${words} (${thousands(list.length)})`), changeList(list))),
    changes.length === 0 && h("p", null, "Nothing has changed."),
    run.meta.changes_left_out > 0 && h("p", null, `… and ${thousands(run.meta.changes_left_out)} more, all of them in results.json.`)];
  section.replaceChildren(...parts.filter(Boolean));
});

function changeList(list) {
  const items = h("ul", {class: "change-list"}, list.slice(0, CHANGES_SHOWN).map(changeItem));
  let shown = CHANGES_SHOWN;
  const more = list.length > shown && h("button", {type: "button", on: {click: () => {
    items.append(...list.slice(shown, shown += CHANGES_SHOWN).map(changeItem));
    if (shown >= list.length) more.remove();
  }}}, "Show more");
  return [items, more].filter(Boolean).reduce((all, one) => (all.append(one), all), h("div", null));
}

function changeItem({row, case: gone, backend, before, after, difference}) {
  const column = run.backends.findIndex(({name}) => name === backend);
  const id = row === undefined ? gone : run.ids[row];
  const side = (side) => side ? [verdictMark(side.verdict), side.budget_used !== null && ` ${budgetUsed(side.budget_used)}`] : "–";
  return h("li", null,
    h("div", null, h("strong", null, backend), " ", row === undefined ? h("code", null, id) : h("a", {href: caseLink(row, column < 0 ? null : column), class: "id"}, id)),
    h("div", null, side(before), " → ", side(after)),
    difference && h("div", {class: "difference lines"}, difference));
}
