// The rows of the matrix: cases and the headings of their suites, what fails first.

/** How the rows are put in order. */
const order = {grouped: true, folded: new Set()};

/** The rows: a case's number, or -1 - the number of a suite for its heading. */
function rowsInOrder(taken, columns) {
  const failing = failingOf(taken, columns);
  if (!order.grouped) return {rows: failingFirst(allOf(taken), failing), groups: null, failing};
  const groups = groupsOf(taken, columns, failing);
  const rows = [];
  for (const group of groups.values()) {
    rows.push(-1 - group.suite);
    if (!order.folded.has(group.suite)) for (const row of failingFirst(group.rows, failing)) rows.push(row);
  }
  return {rows, groups, failing};
}

/** Which of the cases have an answer that is not as expected, in these columns. */
function failingOf(taken, columns) {
  const failing = new Uint8Array(taken.length);
  for (const column of columns) {
    for (let row = 0; row < taken.length; row++) {
      if (taken[row] && isUnexpected(row, column)) failing[row] = 1;
    }
  }
  return failing;
}

function allOf(taken) {
  const rows = [];
  for (let row = 0; row < taken.length; row++) if (taken[row]) rows.push(row);
  return rows;
}

function failingFirst(rows, failing) {
  return [...rows.filter((row) => failing[row]), ...rows.filter((row) => !failing[row])];
}

/** The suites with their cases and how often each verdict was given; those with failing cases first. */
function groupsOf(taken, columns, failing) {
  const groups = new Map();
  for (let row = 0; row < taken.length; row++) {
    if (!taken[row]) continue;
    const suite = run.suiteOf[row];
    let group = groups.get(suite);
    if (!group) groups.set(suite, group = {suite, rows: [], failing: 0, counts: new Uint32Array(run.meta.verdicts.length + 1)});
    group.rows.push(row);
    group.failing += failing[row];
    for (const column of columns) group.counts[place(row, column)]++;
  }
  const inOrder = [...groups.values()];
  return new Map([...inOrder.filter((group) => group.failing), ...inOrder.filter((group) => !group.failing)].map((group) => [group.suite, group]));
}
