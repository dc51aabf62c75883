// A grid of which only the rows that can be seen are in the document, so that 50,000 are as fast as 50.

/** Pixels of a row: `--row` in page.css. */
const ROW_HEIGHT = 34;

/** Rows beyond the edge that are there before they can be seen. */
const BEYOND = 8;

/**
 * A grid in `element`, whose rows are in `body`. `source` says what it shows: `count()` rows; `make(place)`, a row's
 * element whose children are its cells; `open(place, column)`, what Enter and a click do.
 */
function windowed(element, body, source) {
  const focus = {place: 0, column: 0};
  let queued = false;

  /** Has the document hold the rows that can be seen, and the one that has the focus. */
  function draw() {
    queued = false;
    const count = source.count();
    const from = Math.max(0, Math.floor(element.scrollTop / ROW_HEIGHT) - BEYOND);
    const seen = Math.ceil(element.clientHeight / ROW_HEIGHT) + 2 * BEYOND;
    const to = Math.min(count, from + Math.max(seen, 2 * BEYOND));
    let next = body.firstElementChild;
    const skip = (place) => {
      while (next && next.place < place) {
        const row = next;
        next = next.nextElementSibling;
        if ((row.place < from || row.place >= to) && !row.contains(document.activeElement)) row.remove();
      }
    };
    for (let place = from; place < to; place++) {
      skip(place);
      if (next && next.place === place) next = next.nextElementSibling;
      else body.insertBefore(made(place), next);
    }
    skip(Infinity);
  }

  function made(place) {
    const row = source.make(place);
    row.place = place;
    row.style.top = `${place * ROW_HEIGHT}px`;
    row.setAttribute("aria-rowindex", place + 2);
    [...row.children].forEach((cell, column) => {
      cell.setAttribute("aria-colindex", column + 1);
      cell.tabIndex = place === focus.place && column === Math.min(focus.column, row.children.length - 1) ? 0 : -1;
    });
    return row;
  }

  /** Shows other rows. */
  function refresh(keepsPlace) {
    const had = body.contains(document.activeElement);
    body.replaceChildren();
    body.style.height = `${source.count() * ROW_HEIGHT}px`;
    element.setAttribute("aria-rowcount", source.count() + 1);
    if (!keepsPlace) {
      [focus.place, focus.column] = [0, 0];
      element.scrollTop = 0;
    }
    focus.place = Math.max(0, Math.min(focus.place, source.count() - 1));
    draw();
    if (had) move(focus.place, focus.column);
  }

  /** Puts the focus on a cell. */
  function move(place, column) {
    place = Math.max(0, Math.min(place, source.count() - 1));
    reveal(place);
    draw();
    const row = [...body.children].find((row) => row.place === place);
    if (!row) return;
    mark(place, Math.max(0, column));
    const cell = row.children[Math.min(focus.column, row.children.length - 1)];
    cell.focus({preventScroll: true});
    cell.scrollIntoView({block: "nearest", inline: "nearest"});
  }

  /** Makes a cell the one that Tab comes to. */
  function mark(place, column) {
    for (const cell of body.querySelectorAll("[tabindex='0']")) cell.tabIndex = -1;
    [focus.place, focus.column] = [place, column];
    const row = [...body.children].find((row) => row.place === place);
    if (row) row.children[Math.min(column, row.children.length - 1)].tabIndex = 0;
  }

  /** Scrolls until a row can be seen below the head. */
  function reveal(place) {
    const top = place * ROW_HEIGHT;
    const room = element.clientHeight - ROW_HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + room) element.scrollTop = top + ROW_HEIGHT - room;
  }

  element.addEventListener("scroll", () => {
    if (!queued) requestAnimationFrame(draw);
    queued = true;
  }, {passive: true});
  new ResizeObserver(() => { if (element.clientHeight > 0) draw(); }).observe(element);

  const cellOf = (event) => {
    const row = event.target.closest("[role=row]");
    if (!row || row.parentElement !== body) return null;
    return {place: row.place, column: [...row.children].findIndex((cell) => cell.contains(event.target))};
  };
  body.addEventListener("focusin", (event) => {
    const at = cellOf(event);
    if (at && (at.place !== focus.place || at.column !== focus.column)) mark(at.place, at.column);
  });
  body.addEventListener("click", (event) => {
    const at = cellOf(event);
    // A link does by itself what it is for, as with other buttons of the mouse.
    if (at && !event.target.closest("a")) source.open(at.place, at.column);
  });
  body.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || (event.ctrlKey && !["Home", "End"].includes(event.key))) return;
    const page = Math.max(1, Math.floor(element.clientHeight / ROW_HEIGHT) - 2);
    const {place, column} = focus;
    const last = source.count() - 1;
    const moves = {
      ArrowDown: [place + 1, column], ArrowUp: [place - 1, column],
      ArrowRight: [place, Math.min(column + 1, Number(element.getAttribute("aria-colcount")) - 1)], ArrowLeft: [place, column - 1],
      PageDown: [place + page, column], PageUp: [place - page, column],
      Home: event.ctrlKey ? [0, 0] : [place, 0], End: event.ctrlKey ? [last, column] : [place, Infinity],
    };
    if (event.key in moves) {
      const [to, at] = moves[event.key];
      move(to, at === Infinity ? Number(element.getAttribute("aria-colcount")) - 1 : at);
    } else if (event.key === "Enter" || event.key === " ") {
      source.open(place, column);
    } else {
      return;
    }
    event.preventDefault();
  });

  return {refresh, move, draw, focus};
}
