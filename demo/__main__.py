"""`python demo`: starts a real ComfyUI with this pack and the tiny models, makes pictures, and measures what guidance does.

Runs under any Python >= 3.10 with nothing installed; pictures are read and drawn in the host's Python.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(ROOT)]  # in place of demo/ itself

from demo import gallery, guidance, hunting, side_by_side, tuning  # noqa: E402
from demo.progress import say  # noqa: E402
from demo.spreading import SERVERS  # noqa: E402
from demo.versions import versions  # noqa: E402
from hosting import setup  # noqa: E402  (after the path is right)
from hosting.server import PromptError, Server, ServerError  # noqa: E402

FORMAT = "headhunter-demo/1"
PACK, TEMPLATE = "headhunter_demo", "demo_softpag"
# The fused attention suits a model this small. One thread a server: beside other work two were ten times slower (7 s against
# 0.7 s of CPU for a picture), and the pictures do not depend on the number of cores.
ARGUMENTS = ["--use-pytorch-cross-attention"]
THREADS = {"OMP_NUM_THREADS": "1"}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python demo", description="What SoftPAG guidance does, on a real ComfyUI with tiny models."
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "demo" / "out", metavar="DIR", help="where to write (default: demo/out)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="two captions, one picture each, few steps: a check, not a measurement"
    )
    parser.add_argument(
        "--serve", action="store_true", help="only serve ComfyUI, to open in a browser and paint; Ctrl-C ends it"
    )
    parser.add_argument("--measure", action="store_true", help="with --serve: run and measure everything meanwhile too")
    parser.add_argument(
        "--presets", action="store_true", help="make the pictures of the demo's presets anew, into demo/presets"
    )
    parser.add_argument(
        "--tune", action="store_true", help="measure every head and a grid of settings on the tuning captions instead"
    )
    return parser.parse_args()


def demo(chosen: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    started = time.monotonic()
    out: Path = chosen.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    host = setup.ensure(tools=False)
    os.environ.update(THREADS)
    say(f"starting ComfyUI {host.version} with this pack and the demo's models")
    folder = ROOT / "demo"
    base = out / "comfyui" if chosen.serve else None  # what a visitor saves is kept
    packs = [place for place in (folder / "custom_nodes").iterdir() if (place / "__init__.py").exists()]

    def server(base: Path | None = None) -> Server:
        return Server(host, models=[folder / "models"], custom_nodes=packs, base=base, arguments=ARGUMENTS)

    if base:
        gallery.offer(base)
    with server(base) as first:
        if chosen.serve:
            say(f"open {address(first)} in a browser, and paint; Ctrl-C ends it")
        if chosen.presets:
            gallery.write([first])
        elif chosen.measure or not chosen.serve:
            with ExitStack() as others:
                # A visitor's pictures should not wait behind the demo's.
                servers = [] if chosen.serve else [first]
                servers += [others.enter_context(server()) for _ in range(SERVERS - len(servers))]
                if chosen.tune:
                    tuning.run(servers, out, chosen.quick)
                else:
                    measure(servers, out, chosen.quick, started)
        if chosen.serve:
            keep_up(first)


def address(server: Server) -> str:
    """The page with the demo's workflow open in it."""
    return f"{server.url}/?template={TEMPLATE}&source={PACK}"


def measure(servers: Sequence[Server], out: Path, quick: bool, started: float) -> None:
    """The guidance, the hunts, then a comparison; prints what they show and writes summary.json."""
    part = guidance.run(servers, out, quick)
    print(f"\n{guidance.report(part)}\n", flush=True)
    hunts = hunting.run(servers, out, quick)
    print(f"\n{hunting.report(hunts)}\n", flush=True)
    comparison = side_by_side.run(servers[0], out, quick)
    seconds = round(time.monotonic() - started, 1)
    summary = {"format": FORMAT, "versions": versions(servers[0]), "seconds": seconds}
    summary |= {"guidance": part, "hunts": hunts, "comparison": comparison}
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(
        f"\n{side_by_side.report(comparison)}\n\n{out}: sheet.png, {side_by_side.SHEET}, summary.json, {guidance.FOLDER}/ and "
        f"{hunting.FOLDER}/, in {seconds:.0f} s"
    )


def keep_up(server: Server) -> None:
    """Waits until Ctrl-C. Raises ServerError when ComfyUI ends by itself."""
    while True:
        time.sleep(5)
        try:
            server.get("/system_stats")
        except OSError as error:
            raise ServerError(f"ComfyUI does not answer any more ({error}); its log is {server.log}") from error


def interrupt(*_: object) -> None:
    """Ends the run as Ctrl-C does, so that ComfyUI is stopped too."""
    raise KeyboardInterrupt


def main() -> int:
    """Runs the demo and returns its exit code."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        demo(options())
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except (ServerError, PromptError, OSError, RuntimeError) as error:
        print(f"The demo failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
