// Reads what pack.rs and index.rs write: deflated bytes as Base64 in elements that no browser runs.

/** What is known of the run: filled by `readIndex`. */
const run = {};

/** Resolves when the whole file has been read, and all blocks are there. */
const wholeFile = new Promise((resolve) => {
  if (document.readyState !== "loading") resolve();
  else document.addEventListener("DOMContentLoaded", () => resolve(), {once: true});
});

/** The bytes of a block; nothing where there is no such block. */
async function bytesOf(id) {
  // A block that stands after the script may be there in part.
  if (id !== "index") await wholeFile;
  const element = byId(id);
  if (!element) return null;
  const text = atob(element.textContent);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The value in a block of JSON; nothing where there is no such block. Read once. */
const jsonOf = remembered(async (id) => {
  const bytes = await bytesOf(id);
  return bytes && JSON.parse(textOf(bytes));
});

/** A function that remembers what it gave. */
function remembered(make) {
  const made = new Map();
  return (key) => {
    if (!made.has(key)) made.set(key, make(key));
    return made.get(key);
  };
}

function textOf(bytes) {
  return new TextDecoder().decode(bytes);
}

/** The parts of a block, each after its length. */
function partsOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at, true);
    parts.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}

/** Reads numbers of seven bits a byte, one after another. */
function varints(bytes) {
  let at = 0;
  return {
    next() {
      let number = 0;
      let scale = 1;
      for (;;) {
        const byte = bytes[at++];
        number += (byte & 0x7f) * scale;
        if (byte < 0x80) return number;
        scale *= 128;
      }
    },
    get done() { return at >= bytes.length; },
  };
}

/** A column of values, each with how often it stands in a row. */
function runsOf(bytes, length) {
  const column = new Uint32Array(length);
  const numbers = varints(bytes);
  for (let at = 0; !numbers.done;) {
    const value = numbers.next();
    const times = numbers.next();
    column.fill(value, at, at + times);
    at += times;
  }
  return column;
}

/** A column of two-byte numbers: all the high bytes, then all the low ones. */
function planesOf(bytes) {
  const length = bytes.length / 2;
  const column = new Uint16Array(length);
  for (let i = 0; i < length; i++) column[i] = bytes[i] << 8 | bytes[length + i];
  return column;
}

/** Texts that begin as the one before. */
function frontsOf(shared, rests) {
  const numbers = varints(shared);
  if (numbers.done) return [];
  let before = "";
  return textOf(rests).split("\n").map((rest) => {
    before = before.slice(0, numbers.next()) + rest;
    return before;
  });
}

/** A number of three digits; null where there is none. */
function threeDigits(code) {
  if (code === 0) return null;
  if (code === 1) return 0;
  // By way of text, so that it is the nearest number to these digits.
  return Number(`${(code - 2) % 900 + 100}e${Math.floor((code - 2) / 900) - 38}`);
}

/** What a passing step uses of its budget; null where there is nothing to use. */
function shareOf(byte) {
  if (byte === 0) return null;
  if (byte === 1) return 0;
  return 10 ** ((byte - 255) / 253 * 4);
}

/** Reads the index: everything that the matrix shows. */
async function readIndex() {
  const [meta, shared, rests, suites, verdicts, used, kappa, micros, shapes] = partsOf(await bytesOf("index"));
  run.meta = JSON.parse(textOf(meta));
  run.cases = run.meta.cases;
  run.backends = run.meta.backends;
  run.ids = frontsOf(shared, rests);
  run.suiteOf = runsOf(suites, run.cases);
  run.verdicts = verdicts;
  run.used = planesOf(used);
  run.kappa = planesOf(kappa);
  run.micros = planesOf(micros);
  run.shapeOf = runsOf(shapes, run.cases);
  const places = new Map();
  run.rowOf = (id) => {
    if (places.size === 0) run.ids.forEach((known, row) => places.set(known, row));
    return places.get(id);
  };
}

/** The verdict in a cell: its name, or `nothing`. */
function verdictOf(row, column) {
  return run.meta.verdicts[run.verdicts[column * run.cases + row]] ?? "nothing";
}

/** The budget used in a cell. */
function usedOf(row, column) {
  return threeDigits(run.used[column * run.cases + row]);
}

/** Whether a backend's answer to a case is not as expected; none is none. */
function isUnexpected(row, column) {
  return run.meta.expected[run.verdicts[column * run.cases + row]] === false;
}

/** The fields of the cases: by path the values, and which case has which (0: none). Columns are read when asked for. */
const readFields = remembered(async () => {
  const [names, ...columns] = partsOf(await bytesOf("fields"));
  const fields = new Map();
  JSON.parse(textOf(names)).forEach(([path, values], place) => {
    let codes = null;
    fields.set(path, {
      values,
      get codes() { return codes ??= runsOf(columns[place], run.cases); },
    });
  });
  return fields;
});

/** A block of details: what is shared in it, and where each result's shares of the budget begin. */
const readGroup = remembered(async (number) => {
  const [json, shares] = partsOf(await bytesOf(`d${number}`));
  const group = JSON.parse(textOf(json));
  let at = 0;
  group.sharesAt = group.results.map((told) => {
    const from = at;
    if (typeof told === "number") at += group.scripts[told].length;
    return from;
  });
  group.shares = shares;
  return group;
});

/** Everything about a case: how it is written, in words, and each backend's answer to it. */
async function readCase(row) {
  const size = run.meta.group;
  const group = await readGroup(Math.floor(row / size));
  const place = row % size;
  const {words, ...details} = group.cases[place];
  const columns = run.backends.length;
  const results = run.backends.map((_, column) => told(group, place * columns + column));
  const suites = await jsonOf("suites");
  const suite = suites?.find((suite) => suite.name === run.meta.suites[run.suiteOf[row]]);
  const written = suite?.written.find((written) => written.name === details.name);
  return {...details, words: words.map((line) => group.lines[line]).join("\n"), results, suite, written, hasSuites: suites !== null};
}

/** A result: nothing, what passes step by step, or everything. */
function told(group, place) {
  const result = group.results[place];
  if (result === null) return null;
  if (typeof result === "number") {
    const at = group.sharesAt[place];
    const steps = group.scripts[result].map((step, i) => ({...group.steps[step], share: shareOf(group.shares[at + i])}));
    return {steps, isBrief: true};
  }
  const diagnosis = (result.diagnosis ?? []).map((suspected) => ({...suspected, mistakes: suspected.mistakes.map((at) => group.mistakes[at])}));
  return {...result, steps: result.steps ?? [], diagnosis};
}

/** The pictures of a result: a function of a step's number and a tensor's place in it. */
async function readPictures(row, column) {
  const cell = row * run.backends.length + column;
  const block = (await jsonOf("pictures") ?? []).findIndex((cells) => cells.includes(cell));
  const pictures = block < 0 ? [] : await jsonOf(`p${block}`);
  return (step, tensor) => {
    const found = pictures.find((one) => one.cell === cell && one.step === step && one.tensor === tensor);
    return found && pictureOf(found.picture);
  };
}

/** A picture in the structure that results have: pictures.rs packs it. */
function pictureOf({ulps, magnitudes, worst, ...picture}) {
  const {dtype, shape} = picture;
  const number = (bits) => ({decimal: numberDecimal(dtype, numberPattern(bits)), bits: `0x${bits}`});
  return {
    ...picture,
    ulps: ulps.map(([from, count, outside]) => ({from, count, outside})),
    magnitudes: magnitudes.map(([exponent, count, error, budget, smallest_budget, largest_budget]) => ({exponent, count, error, budget, smallest_budget, largest_budget})),
    worst: worst.map(([place, expected, got, budget, used]) => {
      const ulps = numberUlps(dtype, numberPattern(expected), numberPattern(got));
      return {index: indexOf(place, shape), expected: number(expected), got: number(got), ulps: ulps === null ? null : Number(ulps), budget, used};
    }),
  };
}

/** A place in the flat order along each dimension. */
function indexOf(place, shape) {
  const index = [];
  for (const size of [...shape].reverse()) {
    index.unshift(place % size);
    place = Math.floor(place / size);
  }
  return index;
}
