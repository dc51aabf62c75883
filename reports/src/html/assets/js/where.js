// Where the errors of a tensor are, in words that claim no more than its cells show.

const WHERE_ORDINALS = ["", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"];

/** More pairs of sample and channel than this are not looked at one by one. */
const WHERE_MOST = 100_000;

/** "a", "a and b", "a, b and c". */
function whereListed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

/** One direction of the grid: `groups` groups of `size` samples or channels, of `count` in all. */
function whereAxis(what, groups, size, count) {
  return { what, groups, size, count };
}

/** The first and last member of a run of groups. */
function whereBounds(axis, first, last) {
  return [first * axis.size, Math.min((last + 1) * axis.size, axis.count) - 1];
}

/** A run of groups: "channel 3", "the last sample (7)", "channels 4–7". */
function whereRun(axis, first, last) {
  const [from, to] = whereBounds(axis, first, last);
  if (from !== to) return `${axis.what}s ${from}–${to}`;
  if (axis.count > 2 && from === axis.count - 1) return `the last ${axis.what} (${from})`;
  return `${axis.what} ${from}`;
}

/** Runs of successive groups in a sorted list. */
function whereRuns(groups) {
  const runs = [];
  for (const group of groups) {
    if (runs.length > 0 && runs.at(-1)[1] === group - 1) runs.at(-1)[1] = group;
    else runs.push([group, group]);
  }
  return runs;
}

/** A sorted list of groups in words, and whether the words name them. */
function whereNamed(axis, groups) {
  const { what, size } = axis;
  if (groups.length === axis.groups) {
    return { all: true, named: true, words: size === 1 ? `every ${what}` : `every group of ${size} ${what}s` };
  }
  const runs = whereRuns(groups);
  if (runs.length === 1) return { named: true, words: whereRun(axis, ...runs[0]) };
  const step = groups[1] - groups[0];
  const even = groups.every((group, place) => group === groups[0] + place * step);
  const whole = groups[0] < step && groups.at(-1) + step >= axis.groups;
  if (even && whole && size === 1 && groups.length > 2 && step < WHERE_ORDINALS.length) {
    return { named: true, words: `every ${WHERE_ORDINALS[step]} ${what}, from ${groups[0]} on` };
  }
  if (groups.length === axis.groups - 1 && axis.groups > 3) {
    const missing = [...Array(axis.groups).keys()].find((group) => !groups.includes(group));
    return { named: true, words: `every ${what} but ${whereRun(axis, missing, missing)}` };
  }
  if (runs.length <= 3) {
    const parts = runs.map(([first, last]) => {
      const [from, to] = whereBounds(axis, first, last);
      return from === to ? String(from) : `${from}–${to}`;
    });
    return { named: true, words: `${what}s ${whereListed(parts)}` };
  }
  const unit = size === 1 ? `${what}s` : `groups of ${size} ${what}s`;
  return { named: false, words: `${groups.length} of ${axis.groups} ${unit}` };
}

/** A cell, or a rectangle of them: "sample 0, channel 3". */
function whereCell(rows, columns, row, column) {
  const words = [];
  if (rows.count > 1) words.push(whereRun(rows, row, row));
  if (columns.count > 1) words.push(whereRun(columns, column, column));
  return words.join(", ") || "the only sample and channel";
}

/** The rows and columns of the heatmap's grid as directions. Without a batch, or with one sample, there is one row. */
function whereAxes(picture) {
  const { heat, shape } = picture;
  const [batch, channels] = shape.length > 1 ? shape : [1, shape[0] ?? 1];
  return [
    whereAxis("sample", heat.rows, heat.samples, batch),
    whereAxis("channel", heat.columns, heat.channels, channels),
  ];
}

/**
 * The grid in which errors are looked for: the heatmap's, or where every element outside is known, one of single samples
 * and channels.
 */
function whereGrid(picture) {
  const { heat, worst, shape } = picture;
  const [rows, columns] = whereAxes(picture);
  const outside = heat.outside.reduce((sum, count) => sum + count, 0);
  const asDrawn = rows.size * columns.size === 1 || rows.count * columns.count > WHERE_MOST;
  if (worst.length !== outside || asDrawn) {
    const cells = [...heat.outside.keys()].filter((cell) => heat.outside[cell] > 0);
    return { rows, columns, cells };
  }
  const single = ({ what, count }) => whereAxis(what, count, 1, count);
  const place = ({ index }) => (shape.length > 1 ? index[0] * columns.count + index[1] : (index[0] ?? 0));
  return { rows: single(rows), columns: single(columns), cells: whereOrdered(worst.map(place)) };
}

/** Each number once, the smallest first. */
function whereOrdered(numbers) {
  return [...new Set(numbers)].sort((one, other) => one - other);
}

/** Where the cells are that have an element outside its budget, as the end of a sentence; nothing where none has. */
function wherePattern(picture) {
  const grid = whereGrid(picture);
  const { rows, columns, cells } = grid;
  if (cells.length === 0 || rows.count * columns.count === 1) return null;
  const name = (cell) => whereCell(rows, columns, Math.floor(cell / columns.groups), cell % columns.groups);
  if (cells.length === 1) return `in ${name(cells[0])}`;
  const hitRows = whereOrdered(cells.map((cell) => Math.floor(cell / columns.groups)));
  const hitColumns = whereOrdered(cells.map((cell) => cell % columns.groups));
  if (cells.length === hitRows.length * hitColumns.length) return whereRectangle(grid, hitRows, hitColumns);
  const isDiagonal = cells.every((cell) => Math.floor(cell / columns.groups) === cell % columns.groups);
  if (isDiagonal && rows.size === columns.size && cells.length === Math.min(rows.groups, columns.groups)) {
    return "all where sample and channel have the same number";
  }
  if (cells.length <= 3) return `in ${cells.length} places: ${cells.map(name).join("; ")}`;
  return whereCross(grid) ?? whereSpan(grid, name) ?? whereRegion(grid, hitRows, hitColumns);
}

/** All cells of some samples and some channels. */
function whereRectangle({ rows, columns }, hitRows, hitColumns) {
  const [ofRows, ofColumns] = [whereNamed(rows, hitRows), whereNamed(columns, hitColumns)];
  if (ofRows.all && ofColumns.all) {
    if (rows.size * columns.size > 1) return "in every cell of the heatmap";
    const axes = [
      [rows, ofRows],
      [columns, ofColumns],
    ].filter(([axis]) => axis.count > 1);
    return `in ${whereListed(axes.map(([, { words }]) => words))}`;
  }
  const all = (words) => (words.startsWith("every") ? `in ${words}` : `all in ${words}`);
  if (rows.count === 1) return all(ofColumns.words);
  if (columns.count === 1) return all(ofRows.words);
  const rowsFirst = ofColumns.all || (!ofRows.all && !ofColumns.named && ofRows.named);
  const [narrow, other] = rowsFirst ? [ofRows, ofColumns] : [ofColumns, ofRows];
  return `${all(narrow.words)}, in ${other.words}`;
}

/** Whole samples and whole channels, or all but a rectangle. */
function whereCross({ rows, columns, cells }) {
  const hit = new Set(cells);
  const range = (length) => [...Array(length).keys()];
  const [everyRow, everyColumn] = [range(rows.groups), range(columns.groups)];
  const isHit = (row, column) => hit.has(row * columns.groups + column);
  const fullRows = everyRow.filter((row) => everyColumn.every((column) => isHit(row, column)));
  const fullColumns = everyColumn.filter((column) => everyRow.every((row) => isHit(row, column)));
  const overlap = fullRows.length * fullColumns.length;
  const covered = fullRows.length * columns.groups + fullColumns.length * rows.groups - overlap;
  if (covered !== cells.length || overlap === 0) return null;
  const otherRows = everyRow.filter((row) => !fullRows.includes(row));
  const otherColumns = everyColumn.filter((column) => !fullColumns.includes(column));
  if (otherRows.length * otherColumns.length <= cells.length) {
    const [ofRows, ofColumns] = [whereNamed(rows, otherRows), whereNamed(columns, otherColumns)];
    if (2 * otherRows.length > rows.groups && otherColumns.length < fullColumns.length) {
      return `in ${whereNamed(columns, fullColumns).words}, and of ${ofColumns.words} in ${whereNamed(rows, fullRows).words}`;
    }
    if (ofRows.named && ofColumns.named)
      return `in all samples and channels except ${ofColumns.words} of ${ofRows.words}`;
  }
  const [ofRows, ofColumns] = [whereNamed(rows, fullRows), whereNamed(columns, fullColumns)];
  return ofRows.named && ofColumns.named ? `all in ${ofColumns.words} and in ${ofRows.words}` : null;
}

/** From one cell on, up to one, or between two, when one reads them row by row. */
function whereSpan({ rows, columns, cells }, name) {
  if (whereRuns(cells).length !== 1) return null;
  const [first, last] = [cells[0], cells.at(-1)];
  if (last === rows.groups * columns.groups - 1) return `all from ${name(first)} on, row by row`;
  if (first === 0) return `all up to ${name(last)}, row by row`;
  return `all from ${name(first)} to ${name(last)}, row by row`;
}

/** Within some samples or channels next to each other, though not in all cells there; or without a pattern. */
function whereRegion({ rows, columns, cells }, hitRows, hitColumns) {
  const isNarrow = (axis, groups) => whereRuns(groups).length === 1 && 2 * groups.length <= axis.groups;
  const inColumns = isNarrow(columns, hitColumns);
  const inRows = isNarrow(rows, hitRows);
  const places = (count) => `${thousands(cells.length)} of ${thousands(count)} pairs of sample and channel`;
  if (!inColumns && !inRows) {
    const all = rows.groups * columns.groups;
    const where = rows.size * columns.size > 1 ? `${thousands(cells.length)} of ${thousands(all)} cells` : places(all);
    return `in ${where}, without a pattern`;
  }
  const there = (inColumns ? hitColumns.length : columns.groups) * (inRows ? hitRows.length : rows.groups);
  const words = [];
  if (inColumns) words.push(whereNamed(columns, hitColumns).words);
  if (inRows) words.push(whereNamed(rows, hitRows).words);
  return `all in ${words.join(", ")}: ${thousands(cells.length)} of the ${thousands(there)} places there`;
}

/** What the elements outside have in common beyond sample and channel, where all of them are known; else nothing. */
function whereBeyond(picture, mismatched) {
  const { shape, worst } = picture;
  if (worst.length !== mismatched || worst.length < 4) return null;
  const words = [];
  for (let axis = 2; axis < shape.length; axis += 1) {
    if (shape[axis] < 2) continue;
    const hit = whereOrdered(worst.map((element) => element.index[axis]));
    // A few elements miss a few positions by chance.
    if (2 * hit.length > shape[axis] || 3 * hit.length > worst.length) continue;
    const { named, words: name } = whereNamed(whereAxis("position", shape[axis], 1, shape[axis]), hit);
    if (named) words.push(`${name} of dimension ${axis}`);
  }
  return words.length > 0 ? `always at ${words.join(", ")}` : null;
}

/** How many elements of a tensor are outside their budget, and where; and whether some were not judged. */
function whereSentence(picture, { mismatched, total }) {
  const size = picture.shape.reduce((size, length) => size * length, 1);
  const outside = mismatched ?? picture.heat.outside.reduce((sum, count) => sum + count, 0);
  const judged = total ?? size;
  if (size === 0) return "The tensor has no elements.";
  const others =
    judged < size ? ` ${counted(size - judged, "element")} more ${size - judged === 1 ? "is" : "are"} not judged.` : "";
  if (outside === 0) return `None of ${counted(judged, "element")} is outside its budget.${others}`;
  if (outside === size) {
    return size === 1
      ? "The only element is outside its budget."
      : `Every one of the ${thousands(size)} elements is outside its budget.`;
  }
  const where = [wherePattern(picture), whereBeyond(picture, outside)].filter(Boolean);
  const place = where.length > 0 ? `: ${where.join(", ")}` : "";
  const are = outside === 1 ? "is outside its" : "are outside their";
  return `${thousands(outside)} of ${counted(judged, "element")} ${are} budget${place}.${others}`;
}
