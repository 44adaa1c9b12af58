"""[grid] Reading, writing and drawing FLUX.1's 1368 heads, each with a strength of its own."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from headhunter_pack.headhunter.families import grid_named
from headhunter_pack.headhunter.heads import Head, format_heads, parse
from hosted import host
from timing import seconds

GRID = grid_named("flux1")
REPEATS = 20
IN_THE_PAGE = """async ([text, repeats]) => {
  const { parse, format } = await import('/extensions/headhunter/heads.js');
  const { draw } = await import('/extensions/headhunter/widget/drawing.js');
  const { layoutOf } = await import('/extensions/headhunter/widget/layout.js');
  const segments = [{ kind: 'double', letter: 'D', count: 19 }, { kind: 'single', letter: 'S', count: 38 }];
  const grid = { model: 'flux1', layers: 57, heads: 24, segments };
  const canvas = document.createElement('canvas'), ratio = devicePixelRatio, width = 420, height = 640;
  canvas.width = width * ratio; canvas.height = height * ratio;
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const heads = parse(text, grid), layout = layoutOf(grid, width, height);
  const scene = { heads, strength: 0.5, candidate: new Set(), result: null, cursor: null, focused: false, heat: null, pool: false };
  const colours = { text: '#fff', accent: '#57f', away: '#d60', dark: true };
  const work = { parse: () => parse(text, grid), write: () => format(heads, grid),
    draw: () => { draw(context, layout, scene, colours); context.getImageData(0, 0, 1, 1) } };
  const found = {};
  for (const [name, run] of Object.entries(work)) {
    found[name] = [];
    for (let i = -5; i < repeats; i++) {
      await new Promise(requestAnimationFrame);
      const begun = performance.now();
      run();
      if (i >= 0) found[name].push(performance.now() - begun);
    }
  }
  return found }"""


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds, in Python and in the page at pixel ratio 2; `page` is None where there is no Chromium."""
    heads = {
        Head(layer, head): round((layer * 24 + head) % 1000 / 1000, 3) for layer in range(57) for head in range(24)
    }
    text = format_heads(heads, GRID)
    assert parse(text, GRID) == heads
    work = {"parse": lambda: parse(text, GRID), "write": lambda: format_heads(heads, GRID)}
    in_python = {name: [1000 * seconds(run) for _ in range(rounds * REPEATS)] for name, run in work.items()}
    say("Python done")
    in_page = _in_the_page(text, rounds * REPEATS)
    return {"heads": len(heads), "python": _told(in_python), "page": in_page and _told(in_page)}


def _in_the_page(text: str, repeats: int) -> dict[str, list[float]] | None:
    from hosting import browser, chromium
    from hosting.server import Server

    executable = chromium.find()
    if executable is None:
        return None
    with (
        Server(host()) as server,
        browser.launched(executable) as opened,
        browser.open_page(opened, server, ratio=2) as page,
    ):
        return page.evaluate(IN_THE_PAGE, [text, repeats])


def _told(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {name: {"median": median(ms), "high": max(ms)} for name, ms in times.items()}


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    lines = [f"{part['heads']} heads, each with a strength of its own, ms (median, at most):"]
    for where, times in {"Python": part["python"], "page, pixel ratio 2": part["page"]}.items():
        told = ", ".join(f"{name} {ms['median']:.1f} ({ms['high']:.1f})" for name, ms in (times or {}).items())
        lines.append(f"  {where}: {told or 'no Chromium here'}")
    return "\n".join(lines)
