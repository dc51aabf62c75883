// The overview: the drawings of the whole run.

/** Fills the overview, once. */
const showOverview = remembered(async () => {
  const section = byId("overview");
  const faults = run.meta.has_faults ? await jsonOf("faults") : null;
  section.replaceChildren(
    h("h2", {tabindex: "-1"}, "Overview"),
    h("section", {"aria-label": "Budget used against κ"}, drawKappa(kappaPoints(), run.backends)),
    h("section", {"aria-label": "Time per backend and shape"}, drawTimes(timeRows(), run.backends)),
    h("section", {"aria-label": "Kill matrix"},
      faults ? drawKillMatrix(faults) : [h("p", null, h("strong", null, "Known mistakes and the suites that notice them. "), "This page was made without the kill matrix. To have it:"),
        copyable("bncheck faults && bncheck report --faults target/bncheck/faults.json")]),
  );
});

/** A point for each answer that was measured, and for each that fails without a measure. */
function kappaPoints() {
  const points = [];
  for (let row = 0; row < run.cases; row++) {
    const kappa = threeDigits(run.kappa[row]);
    for (let column = 0; column < run.backends.length; column++) {
      const used = usedOf(row, column);
      const failing = isUnexpected(row, column);
      if (used === null && !failing) continue;
      points.push({backend: column, kappa, used, failing, case: row});
    }
  }
  return points;
}

/** The median time of each backend by shape, the largest shapes first. */
function timeRows() {
  const shapes = new Map();
  for (let row = 0; row < run.cases; row++) {
    const shape = run.shapeOf[row];
    if (!shapes.has(shape)) shapes.set(shape, []);
    shapes.get(shape).push(row);
  }
  const rows = [];
  for (const [shape, cases] of shapes) {
    const sizes = run.meta.shapes[shape];
    if (sizes.length === 0) continue;
    const median_us = run.backends.map((_, column) => median(cases.filter((row) => wasAnswered(row, column)).map((row) => threeDigits(run.micros[column * run.cases + row]))));
    if (median_us.every((time) => time === null)) continue;
    rows.push({shape: sizes.join("×"), elements: sizes.reduce((product, size) => product * size, 1), median_us, cases: cases.length});
  }
  return rows.sort((one, other) => other.elements - one.elements || other.cases - one.cases);
}

/** Whether a time says anything: what is not supported is refused at once. */
function wasAnswered(row, column) {
  return ["pass", "fail", "known", "fixed"].includes(verdictOf(row, column));
}

function median(numbers) {
  const sorted = numbers.filter((number) => number !== null).sort((one, other) => one - other);
  if (sorted.length === 0) return null;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
