/**
 * Pointer, wheel and keyboard on the canvas -> edits of a head set.
 *
 * A gesture writes once, when it is over: until then the grid only shows what it will be. ComfyUI takes its snapshots for
 * undo whenever a key or button comes up, and once more 50 ms later; none of them can then fall into the middle of one.
 *
 * @typedef {object} Target what the gestures act on
 * @property {() => import("./heads.js").Grid|null} grid
 * @property {() => import("./heads.js").HeadSet|null} heads a copy; null where nothing can be changed
 * @property {(heads: import("./heads.js").HeadSet|null) => void} draft show these, without writing them; null: what is written
 * @property {(heads: import("./heads.js").HeadSet) => void} write as one undo step; ends the draft
 * @property {() => number} strength the node's own
 * @property {(event: MouseEvent, inside?: boolean) => {layer: number|null, head: number|null}|null} spot
 *   what lies under the pointer; `inside`: the nearest cell
 * @property {(spot: object|null) => void} point the pointer is there now
 * @property {(rectangle: {from: object, to: object}|null) => void} frame show a rectangle
 * @property {() => object|null} cursor the cell that keys act on
 * @property {(cell: object) => void} move the cursor
 * @property {() => object} canvas ComfyUI's, for what is not ours: zoom and pan
 */

const STEP = 0.05;
const FINE = 0.01;
const TICK = 100;
const WHEEL_PAUSE_MS = 400;
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** Attaches all gestures to a canvas element. */
export function attach(element, target) {
  const endWheel = wheel(element, target);
  pointer(element, target, endWheel);
  keyboard(element, target, endWheel);
}

/** The cells that a spot means: one, a layer, a head in every layer, or all. */
function cellsOf(grid, { layer, head }) {
  const keys = [];
  for (let row = layer ?? 0; row <= (layer ?? grid.layers - 1); row++)
    for (let column = head ?? 0; column <= (head ?? grid.heads - 1); column++) keys.push(row * grid.heads + column);
  return keys;
}

function cellsBetween(grid, from, to) {
  const keys = [];
  for (let row = Math.min(from.layer, to.layer); row <= Math.max(from.layer, to.layer); row++)
    for (let column = Math.min(from.head, to.head); column <= Math.max(from.head, to.head); column++)
      keys.push(row * grid.heads + column);
  return keys;
}

/** Puts cells in or out; those that are in keep their own strength. */
function paint(heads, keys, add) {
  for (const key of keys) {
    if (!add) heads.delete(key);
    else if (!heads.has(key)) heads.set(key, null);
  }
}

function pointer(element, target, endWheel) {
  let gesture = null;

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 1) return target.canvas().processMouseDown?.(event);
    if (event.button !== 0 || gesture) return;
    endWheel();
    element.focus({ preventScroll: true });
    const spot = target.spot(event);
    const heads = target.heads();
    if (!spot || !heads) return;
    const grid = target.grid();
    const keys = cellsOf(grid, spot);
    const cell = spot.layer !== null && spot.head !== null;
    gesture = { id: event.pointerId, before: heads, heads, add: !keys.every((key) => heads.has(key)), from: spot, last: spot,
      rectangle: cell && event.shiftKey };
    element.setPointerCapture(event.pointerId);
    if (cell) target.move(spot);
    apply(spot);
  });

  element.addEventListener("pointermove", (event) => {
    if (event.buttons & 4) target.canvas().processMouseMove?.(event);
    target.point(target.spot(event));
    if (gesture?.id !== event.pointerId) return;
    for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) {
      const spot = target.spot(one, true);
      // A stroke that began on a label goes on along that label.
      if (gesture.from.layer === null) spot.layer = null;
      if (gesture.from.head === null) spot.head = null;
      if (spot.layer !== gesture.last.layer || spot.head !== gesture.last.head) apply(spot);
    }
  });

  const finish = (change) => (event) => {
    if (event.button === 1) target.canvas().processMouseUp?.(event);
    if (gesture?.id !== event.pointerId) return;
    change(gesture.heads);
    gesture = null;
    target.frame(null);
  };
  element.addEventListener("pointerup", finish(target.write));
  for (const name of ["pointercancel", "lostpointercapture"]) element.addEventListener(name, finish(() => target.draft(null)));
  element.addEventListener("pointerleave", () => gesture || target.point(null));

  function apply(spot) {
    const grid = target.grid();
    if (!grid) return;
    const { from, last, add } = gesture;
    gesture.last = spot;
    if (gesture.rectangle) {
      gesture.heads = new Map(gesture.before);
      paint(gesture.heads, cellsBetween(grid, from, spot), add);
      target.frame({ from, to: spot });
    } else for (const step of line(last, spot)) paint(gesture.heads, cellsOf(grid, step), add);
    target.draft(gesture.heads);
  }
}

/** The spots on the way: a fast stroke skips none. */
function* line(from, to) {
  const between = (a, b, part) => (b === null ? null : Math.round(a + (b - a) * part));
  const steps = Math.max(Math.abs((to.layer ?? 0) - (from.layer ?? 0)), Math.abs((to.head ?? 0) - (from.head ?? 0)), 1);
  for (let i = 0; i <= steps; i++)
    yield { layer: between(from.layer, to.layer, i / steps), head: between(from.head, to.head, i / steps) };
}

/** Strength to the wheel's steps; only with focus, else the wheel belongs to ComfyUI's canvas. */
function wheel(element, target) {
  let rest = 0;
  let timer = 0;
  let run = null; // the heads of a run of the wheel that is not over

  const end = () => {
    if (!run) return;
    clearTimeout(timer);
    const heads = run;
    run = null;
    rest = 0;
    target.write(heads);
  };

  // The attribute keeps Nodes 2.0 from taking the wheel; older versions look at nothing else.
  element.addEventListener("focus", () => element.setAttribute("data-capture-wheel", "true"));
  element.addEventListener("blur", () => {
    element.removeAttribute("data-capture-wheel");
    end();
  });
  element.addEventListener("wheel", (event) => {
    const heads = document.activeElement === element ? run ?? target.heads() : null;
    const spot = target.spot(event);
    const ours = heads && spot && spot.layer !== null && spot.head !== null;
    if (!ours || event.ctrlKey || event.metaKey) return target.canvas().processMouseWheel?.(event);
    event.preventDefault();
    event.stopPropagation();
    // With shift the browser turns the wheel sideways.
    rest -= (event.deltaY || event.deltaX) * (event.deltaMode ? 33 : 1);
    const ticks = Math.trunc(rest / TICK);
    if (!ticks) return;
    rest -= ticks * TICK;
    clearTimeout(timer);
    timer = setTimeout(end, WHEEL_PAUSE_MS);
    const key = spot.layer * target.grid().heads + spot.head;
    heads.set(key, tidy((heads.get(key) ?? target.strength()) + ticks * (event.shiftKey ? FINE : STEP)));
    run = heads;
    target.move(spot);
    target.draft(heads);
  }, { passive: false });
  return end;
}

const tidy = (strength) => Math.round(Math.min(1, Math.max(-1, strength)) * 1000) / 1000 || 0;

/**
 * Arrows move; space and enter toggle; 1..9 are strength 0.1..0.9, 0 is 1; minus turns a strength around; n gives back the
 * node's; delete takes a head out. Escape leaves.
 */
function keyboard(element, target, endWheel) {
  element.addEventListener("keydown", (event) => {
    endWheel(); // also before the shortcuts of others, such as undo
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") element.blur();
    else if (event.key in MOVES) moveBy(...MOVES[event.key]);
    else {
      const edit = editFor(event.key);
      if (!edit) return;
      const heads = target.heads();
      const cell = target.cursor();
      if (heads && cell) {
        edit(heads, cell.layer * target.grid().heads + cell.head);
        target.write(heads);
      }
    }
    event.preventDefault();
    event.stopPropagation();
  });

  function moveBy(down, right) {
    const grid = target.grid();
    if (!grid) return;
    const cell = target.cursor();
    const step = (value, by, count) => Math.min(count - 1, Math.max(0, value + by));
    target.move(cell ? { layer: step(cell.layer, down, grid.layers), head: step(cell.head, right, grid.heads) } : { layer: 0, head: 0 });
  }

  function editFor(key) {
    if (key === " " || key === "Enter") return (heads, at) => paint(heads, [at], !heads.has(at));
    if (/^[0-9]$/.test(key)) return (heads, at) => heads.set(at, key === "0" ? 1 : Number(key) / 10);
    if (key === "-") return (heads, at) => heads.set(at, tidy(-(heads.get(at) ?? target.strength())));
    if (key === "n") return (heads, at) => heads.has(at) && heads.set(at, null);
    if (key === "Delete" || key === "Backspace") return (heads, at) => heads.delete(at);
    return null;
  }
}
