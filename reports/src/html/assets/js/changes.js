// What has changed since a baseline, each change a link.

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
  const lists = run.meta.kinds.map(([kind, words]) => [words[0].toUpperCase() + words.slice(1), changes.filter((change) => change.kind === kind)]);
  refill(section, h("h2", {tabindex: "-1"}, "Changes since the baseline"),
    lists.filter(([, list]) => list.length > 0).map(([words, list]) =>
      h("section", {"data-kind": words}, h("h3", null, `${words} (${thousands(list.length)})`), changeList(list))),
    changes.length === 0 && h("p", null, "Nothing has changed."),
    run.meta.changes_left_out > 0 && h("p", null, `… and ${thousands(run.meta.changes_left_out)} more, all of them in results.json.`));
});

function changeList(list) {
  const items = h("ul", {class: "change-list"}, list.slice(0, CHANGES_SHOWN).map(changeItem));
  let shown = CHANGES_SHOWN;
  const more = list.length > shown && h("button", {type: "button", on: {click: () => {
    items.append(...list.slice(shown, shown += CHANGES_SHOWN).map(changeItem));
    if (shown >= list.length) more.remove();
  }}}, "Show more");
  return h("div", null, items, more);
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
