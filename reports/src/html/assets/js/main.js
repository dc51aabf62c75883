// Which page is shown, by the address.

/** The parts of the document that are pages; the summary stands above the matrix. */
const PAGES = {matrix: ["summary", "matrix-page"], case: ["case"], overview: ["overview"], changes: ["changes"], how: ["how"]};

/** What an address asks for. */
function routeOf(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, ...rest] = path.split("/").map(decoded);
  if (page === "case" && rest.length > 0) return {page, id: rest[0], backend: rest[1]};
  if (Object.hasOwn(PAGES, page) && page !== "case") return {page};
  return {page: "matrix", filter: new URLSearchParams(query ?? "").get("filter")};
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** The page that is shown. */
function currentPage() {
  return document.documentElement.dataset.page;
}

/** Shows what the address asks for. */
async function show(isFirst) {
  const route = routeOf(location.hash);
  const before = currentPage();
  document.documentElement.dataset.page = route.page;
  for (const [page, sections] of Object.entries(PAGES)) {
    for (const id of sections) byId(id).hidden = page !== route.page;
  }
  for (const anchor of document.querySelectorAll("nav [data-page]")) {
    if (anchor.dataset.page === route.page) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  if (route.page === "matrix") {
    const filter = route.filter ?? "";
    if (isFirst || filter !== byId("filter").value || matrix.taken === undefined) await showFilter(filter);
    matrix.grid.draw();
    if (before === "case") matrix.grid.move(matrix.grid.focus.place, matrix.grid.focus.column);
  } else if (route.page === "case") {
    if (matrix.taken === undefined) await showFilter("");
    await showCase(route.id, route.backend);
  } else if (route.page === "overview") {
    await showOverview();
  } else if (route.page === "changes") {
    await showChanges();
  }
  document.title = titleOf(route);
  if (!isFirst && route.page === "case" && before === "case") announce(document.title);
  if (!isFirst && before !== route.page && route.page !== "matrix") {
    scrollTo(0, 0);
    byId(PAGES[route.page][0]).querySelector("h2")?.focus();
  }
}

const firstTitle = document.title;

function titleOf({page, id}) {
  const words = {case: id, overview: "Overview", changes: "Changes", how: "How to read this"}[page];
  return words ? `${words} – bncheck` : firstTitle;
}

async function begin() {
  document.documentElement.classList.add("js");
  // The matrix has it all: causes are a click away, where they are many.
  for (const causes of document.querySelectorAll(".causes")) causes.open = causes.querySelectorAll("li").length <= 5;
  const toggleTheme = buildTheme();
  buildHelp();
  await readIndex();
  buildMatrix();
  buildKeys(toggleTheme);
  await show(true);
  performance.mark("bncheck:rows");
  addEventListener("hashchange", () => show(false));
  await wholeFile;
  // So that the first filter on a field is answered at once.
  (window.requestIdleCallback ?? setTimeout)(() => readFields());
}

// For tests, and for whoever wants to ask the page from the console: which cases a filter takes.
Object.defineProperty(window, "bncheck", {value: Object.freeze({
  filter: async (terms) => {
    await begun;
    const {taken} = filtered(terms, await readFields());
    return allOf(taken).map((row) => run.ids[row]);
  },
})});

const begun = begin().catch((problem) => {
  document.documentElement.classList.remove("js");
  byId("summary").prepend(h("p", {class: "note bad"}, `The data of this page could not be read, so only the summary is shown: ${problem.message}`));
  throw problem;
});
