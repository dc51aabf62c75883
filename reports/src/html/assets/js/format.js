// Verdicts, numbers and links, as the terminal and the top of the page show them.

/** The sign of a verdict, or of there being none. */
function glyphOf(verdict) {
  return verdict === "nothing" ? "·" : run.meta.glyphs[run.meta.verdicts.indexOf(verdict)] ?? "?";
}

/** A verdict: its sign and its word. */
function verdictMark(verdict, word = verdict) {
  return h("span", {class: `verdict ${verdict}`}, h("span", {class: "glyph", "aria-hidden": "true"}, glyphOf(verdict)), ` ${word}`);
}

/** A share of the budget, short: 0.31, 12.5, 3.2e6. */
function budgetUsed(share) {
  if (share === null || share === undefined) return "";
  if (share === 0) return "0";
  if (share < 0.001) return scientific(share, 0);
  if (share < 10) return share.toFixed(3);
  if (share < 1e4) return share.toFixed(1);
  return scientific(share, 1);
}

/** 3.2e6, as Rust writes it. */
function scientific(number, digits) {
  return number.toExponential(digits).replace("e+", "e");
}

/** 12,345. */
function thousands(number) {
  return String(number).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** "1 case", "1,234 cases". */
function counted(number, what) {
  return `${thousands(number)} ${what}${Number(number) === 1 ? "" : "s"}`;
}

/** A time in microseconds. */
function duration(micros) {
  if (micros < 1000) return `${Number(micros.toPrecision(3))} µs`;
  return micros < 1e6 ? `${Number((micros / 1e3).toPrecision(3))} ms` : `${Number((micros / 1e6).toPrecision(3))} s`;
}

/** The address of a case, and of one backend's answer to it. */
function caseLink(row, column) {
  const backend = column === undefined || column === null ? "" : `/${encodeURIComponent(run.backends[column].name)}`;
  return `#/case/${encodeURIComponent(run.ids[row])}${backend}`;
}

/** The line that shows a case again. */
function replayLine(row, column) {
  const {replay, replays, backends} = run.meta;
  const argument = column === undefined || column === null ? "" : ` ${backends[column].argument}`;
  const own = replays[row];
  if (own !== undefined) {
    const [, tail] = replay;
    return own.slice(0, own.length - tail.length) + argument + tail;
  }
  return `${replay[0]}'${run.ids[row].replaceAll("'", "'\\''")}'${argument}${replay[1]}`;
}
