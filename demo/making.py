"""Makes the pictures of several settings through running servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hosting.server import Server

from . import graph
from .captions import Caption
from .progress import Steps
from .settings import Setting
from .spreading import spread

Pictures = dict[str, list[list[Path]]]  # a setting's name -> for each caption, its rows


def make(
    servers: Sequence[Server],
    captions: Sequence[Caption],
    settings: Sequence[Setting],
    rows: int,
    steps: int,
    folder: Path,
) -> Pictures:
    """Posts one graph for each caption and saves its pictures as `folder`/<setting>/<caption>-<row>.png.

    The files are ComfyUI's own: dropped onto its page, one opens the graph that it came from.

    Raises:
        PromptError, ServerError: the server refused or failed; as they come.
    """
    workflow = graph.load(servers[0])
    for setting in settings:
        (folder / setting.name).mkdir(parents=True, exist_ok=True)
    progress = Steps(len(captions))

    def pictures_of(server: Server, caption: Caption) -> dict[str, list[Path]]:
        pictures = {}
        prompt, savers = graph.branched(workflow, settings, caption, rows, steps)
        outputs = server.run(prompt)["outputs"]
        for name, saver in savers.items():
            files = []
            for row, (_, content) in enumerate(server.images({"outputs": {saver: outputs[saver]}})):
                files.append(folder / name / f"{caption.name}-{row}.png")
                files[-1].write_bytes(content)
            pictures[name] = files
        progress.step(caption.text)
        return pictures

    made = spread(servers, pictures_of, captions)
    return {setting.name: [pictures[setting.name] for pictures in made] for setting in settings}
