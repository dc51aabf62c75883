// The filter grammar of the command line (cases/src/filter.rs), and three fields of the page's own: `verdict`, `backend`
// and `only-fails`. reports/tests/filter-table.json holds both to the same answers.

/** A filter that cannot be understood. */
class FilterError extends Error {}

/** The terms of a text: what spaces part, and quotation marks hold together. */
function termsOf(text) {
  const terms = [];
  let term = null;
  let quote = null;
  for (const c of text) {
    if (quote) {
      if (c === quote) quote = null;
      else term += c;
    } else if (c === '"' || c === "'") {
      quote = c;
      term ??= "";
    } else if (/\s/.test(c)) {
      if (term !== null) terms.push(term);
      term = null;
    } else {
      term = (term ?? "") + c;
    }
  }
  if (term !== null) terms.push(term);
  return terms;
}

/** The text of terms: the other way round. */
function textOfTerms(terms) {
  const quoted = (term) => term.includes('"') ? `'${term}'` : `"${term}"`;
  return terms.map((term) => term === "" || /[\s'"]/.test(term) ? quoted(term) : term).join(" ");
}

/** Fields that the page adds to those of the cases. */
const PAGE_FIELDS = ["verdict", "backend", "only-fails"];

/** Reads a term: `{id}`, `{notId}`, or `{path, values, negated}`. */
function parseTerm(term, fields) {
  const incomplete = () =>
    new FilterError(`the filter \`${term}\` is incomplete: write PATTERN, !PATTERN, FIELD=VALUE or FIELD!=VALUE`);
  // Within brackets, and after what no field has in its name, `=` belongs to an id.
  const end = term.search(/[[*?/]/);
  const place = term.slice(0, end < 0 ? term.length : end).indexOf("=");
  if (place < 0) {
    if (term === "" || (term.length === 1 && term < "\x80" && term !== "*" && !/[0-9A-Za-z]/.test(term))) throw incomplete();
    return term.startsWith("!") ? {notId: term.slice(1)} : {id: term};
  }
  const negated = term.slice(0, place).endsWith("!");
  const path = term.slice(0, place).replace(/!+$/, "");
  const values = term.slice(place + 1).split(",");
  if (path === "" || values.includes("")) throw incomplete();
  if (!PAGE_FIELDS.includes(path) && !fields.has(path)) {
    const guess = didYouMean(path, fields);
    throw new FilterError(`unknown field \`${path}\` in the filter \`${term}\`${guess ? `: did you mean \`${guess}\`?` : ""}`);
  }
  return {path, values, negated};
}

/** Whether a pattern is found in an id. */
function idMatches(pattern, id) {
  return /[*?]/.test(pattern) ? wildcard(pattern, id) : id.includes(pattern);
}

/** Whether a value is the one that is wanted. */
function valueMatches(wanted, found) {
  if (wanted === found || wildcard(wanted, found)) return true;
  // 1e-5 and 0.00001 are the same number.
  const number = numberIn(wanted);
  return number !== null && number === numberIn(found);
}

/** The number that a text is, as Rust reads it; null where it is none. */
function numberIn(text) {
  if (!/^[+-]?(inf|infinity|nan|(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)$/i.test(text)) return null;
  const word = text.replace(/^[+-]/, "").toLowerCase();
  if (word === "nan") return NaN;
  if (word.startsWith("inf")) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}

/** Whether `text` is `pattern`, where `*` stands for anything and `?` for one character. */
function wildcard(pattern, text) {
  // The places after the latest star, and after what it has taken.
  let star = null;
  let p = 0;
  let t = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (c === "*") {
      star = [++p, t];
    } else if (c === "?") {
      p++;
      t += width(text, t);
    } else if (c !== undefined && c === text[t]) {
      p++;
      t++;
    } else if (star === null) {
      return false;
    } else {
      // Let the latest star take one character more.
      star[1] += width(text, star[1]);
      [p, t] = star;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

/** How many units the character at a place takes. */
function width(text, place) {
  return text.codePointAt(place) > 0xffff ? 2 : 1;
}

/** The field that may have been meant, from the names that may stand where the path first leads nowhere. */
function didYouMean(path, fields) {
  const paths = [...fields.keys()];
  let prefix = "";
  let word = path;
  for (const segment of path.split(".")) {
    word = segment;
    const longer = `${prefix}${segment}`;
    if (!paths.some((known) => known === longer || known.startsWith(`${longer}.`))) break;
    prefix = `${longer}.`;
  }
  const next = paths.filter((known) => known.startsWith(prefix)).map((known) => known.slice(prefix.length).split(".")[0]);
  let best = null;
  let most = 0.8;
  for (const known of new Set([...next, ...paths, ...PAGE_FIELDS])) {
    const score = likeness(word, known);
    if (score > most) [best, most] = [known, score];
  }
  return best;
}

/** How alike two words are, after Jaro and Winkler: 1 where they are the same. */
function likeness(one, other) {
  const reach = Math.max(0, Math.floor(Math.max(one.length, other.length) / 2) - 1);
  const taken = new Array(other.length).fill(false);
  const found = [];
  for (let i = 0; i < one.length; i++) {
    for (let j = Math.max(0, i - reach); j < Math.min(other.length, i + reach + 1); j++) {
      if (!taken[j] && one[i] === other[j]) {
        taken[j] = true;
        found.push(one[i]);
        break;
      }
    }
  }
  if (found.length === 0) return 0;
  const inOrder = [...other].filter((_, j) => taken[j]);
  const swapped = found.filter((c, i) => c !== inOrder[i]).length / 2;
  const m = found.length;
  const jaro = (m / one.length + m / other.length + (m - swapped) / m) / 3;
  let alike = 0;
  while (alike < 4 && alike < one.length && one[alike] === other[alike]) alike++;
  return jaro + 0.1 * alike * (1 - jaro);
}

/** What a filter takes: which cases (`taken`, a byte for each), and the columns of the backends it looks at. */
function filtered(terms, fields) {
  const parsed = terms.map((term) => parseTerm(term, fields));
  const columns = columnsOf(parsed);
  const taken = new Uint8Array(run.cases).fill(1);
  const ids = parsed.filter((term) => term.id !== undefined);
  if (ids.length > 0) {
    keep(taken, (row) => ids.some(({id}) => idMatches(id, run.ids[row])));
  }
  for (const {notId, path, values, negated} of parsed) {
    if (notId !== undefined) {
      keep(taken, (row) => !idMatches(notId, run.ids[row]));
    } else if (path === "backend") {
      continue;
    } else if (path === "verdict") {
      const wanted = [...run.meta.verdicts, "nothing"].map((verdict) => values.some((value) => valueMatches(value, verdict)));
      keep(taken, (row) => columns.some((column) => wanted[place(row, column)]) !== negated);
    } else if (path === "only-fails") {
      const wanted = run.backends.map(({name}) => values.some((value) => valueMatches(value, name)));
      keep(taken, (row) => failsAlone(row, wanted) !== negated);
    } else if (path !== undefined) {
      const field = fields.get(path);
      // No value is no hit; of the others, each is compared once.
      const hits = [false, ...field.values.map((found) => values.some((value) => valueMatches(value, found)))];
      const codes = field.codes;
      keep(taken, (row) => hits[codes[row]] !== negated);
    }
  }
  return {taken, columns};
}

function keep(taken, isWanted) {
  for (let row = 0; row < taken.length; row++) {
    if (taken[row] && !isWanted(row)) taken[row] = 0;
  }
}

/** The place of a cell's verdict in the list of all, with nothing as the last. */
function place(row, column) {
  return Math.min(run.verdicts[column * run.cases + row], run.meta.verdicts.length);
}

/** The columns that terms on backends leave. */
function columnsOf(parsed) {
  const onBackends = parsed.filter(({path}) => path === "backend");
  const isLeft = ({name}) => onBackends.every(({values, negated}) => values.some((value) => valueMatches(value, name)) !== negated);
  return run.backends.map((_, column) => column).filter((column) => isLeft(run.backends[column]));
}

/** Whether one of the wanted backends does not answer as expected, and no other. */
function failsAlone(row, wanted) {
  let failing = null;
  for (let column = 0; column < run.backends.length; column++) {
    if (isUnexpected(row, column)) {
      if (failing !== null) return false;
      failing = column;
    }
  }
  return failing !== null && wanted[failing];
}

/** Whether a filter can be answered without the fields of the cases, which are read later than their ids. */
function needsFields(terms) {
  return terms.some((term) => {
    const parsed = parseTerm(term, {has: () => true});
    return parsed.path !== undefined && !PAGE_FIELDS.includes(parsed.path);
  });
}
