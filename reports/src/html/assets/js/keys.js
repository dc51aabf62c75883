// What keys do everywhere, the help that says so, and the theme.

const KEYS = [
  ["/", "to the filter"],
  ["↑ ↓ ← →", "from cell to cell; Page Up, Page Down, Home and End as well"],
  ["Enter", "opens a case, or folds a suite"],
  ["Esc", "back to all cases; in the filter, empties it"],
  ["n  p", "on a case: the next and the previous one with an answer that is not as expected"],
  ["o", "the overview"],
  ["t", "light or dark"],
  ["?", "this help"],
];

function buildHelp() {
  const dialog = byId("help");
  dialog.append(
    h("h2", {id: "help-title"}, "Keys"),
    h("dl", null, KEYS.map(([keys, what]) => [h("dt", null, keys.split("  ").map((key, i) => [i > 0 && " ", h("kbd", null, key)])), h("dd", null, what)])),
    h("p", null, "A filter is a list of terms: ", h("code", null, "pitfalls/*"), ", ", h("code", null, "!sequences"), ", ", h("code", null, "dtype=f16,bf16"), ", ", h("code", null, "verdict=fail"), ". ",
      h("a", {href: "#/how", on: {click: () => dialog.close()}}, "How to read this"), " has it all."),
    h("button", {type: "button", on: {click: () => dialog.close()}}, "Close"));
  byId("help-button").addEventListener("click", () => dialog.showModal());
  // A click beside it closes it.
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}

const THEMES = {auto: "Theme: as the system", light: "Theme: light", dark: "Theme: dark"};

function buildTheme() {
  let theme = "auto";
  try { theme = localStorage.getItem("bncheck-theme") ?? "auto"; } catch { /* kept by nobody */ }
  const show = () => {
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = theme;
    byId("theme").textContent = THEMES[theme];
  };
  const isDark = () => theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  const toggle = () => {
    // From what is seen to the other one.
    theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("bncheck-theme", theme); } catch { /* kept by nobody */ }
    show();
    announce(THEMES[theme]);
  };
  if (!(theme in THEMES)) theme = "auto";
  show();
  byId("theme").addEventListener("click", toggle);
  return toggle;
}

function buildKeys(toggleTheme) {
  const go = (step) => {
    const next = opened.row === null ? undefined : nextFailing(opened.row, step);
    if (next === undefined) announce(step > 0 ? "No failing case comes after this one." : "No failing case comes before this one.");
    else if (next !== opened.row) location.hash = caseLink(next);
  };
  const onCase = () => currentPage() === "case";
  document.addEventListener("keydown", (event) => {
    const filter = byId("filter");
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
    if (event.target === filter && event.key !== "Escape") return;
    if (event.target.closest?.("input, textarea, select") && event.target !== filter) return;
    const actions = {
      "/": () => { if (currentPage() !== "matrix") location.hash = matrixLink(filter.value); setTimeout(() => filter.focus(), 0); },
      "?": () => byId("help").showModal(),
      Escape: () => {
        if (event.target === filter) { if (filter.value === "") matrix.grid.move(0, 0); else showFilter(""); }
        else if (currentPage() !== "matrix") location.hash = matrixLink(filter.value);
      },
      n: onCase() && (() => go(1)),
      p: onCase() && (() => go(-1)),
      o: () => { location.hash = "#/overview"; },
      t: toggleTheme,
    };
    if (!Object.hasOwn(actions, event.key) || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
}
