"""The part of the user's graph that leads to a node's inputs: what a worker runs to have the same model, prompts and scorer.

The graph is the one that the page resolved when it queued: subgraphs unfolded, reroutes, muted and bypassed nodes gone. Nodes
that other nodes made as they ran (expansion) are there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from comfy_execution.graph_utils import is_link
from comfy_execution.utils import get_executing_context


@dataclass(frozen=True)
class Part:
    """nodes: by id, in API form. links: of the node's inputs, by name. index: which of the node's runs, where an input is a list.

    extra: what goes with the prompt (`extra_pnginfo`).
    """

    nodes: Mapping[str, dict[str, Any]]
    links: Mapping[str, list[Any]]
    index: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """The kinds of nodes in it, sorted."""
        return sorted({node["class_type"] for node in self.nodes.values()})


def part_of(hidden: Any, names: Iterable[str]) -> Part:
    """The part that leads to the inputs `names` of the node that runs now.

    hidden: the node's hidden inputs, with dynprompt, unique_id and extra_pnginfo. ValueError where the node was called from
    Python, so that there is no graph; an input that is not linked is left out.
    """
    graph = hidden.dynprompt if hidden else None
    if graph is None:
        raise ValueError(
            "workers run the same graph, and there is none: queue a workflow, or leave workers unconnected"
        )
    inputs = graph.get_node(hidden.unique_id)["inputs"]
    links = {name: list(inputs[name]) for name in names if is_link(inputs.get(name))}
    nodes: dict[str, dict[str, Any]] = {}
    wanted = [link[0] for link in links.values()]
    while wanted:
        name = wanted.pop()
        if name not in nodes:
            node = graph.get_node(name)
            nodes[name] = {"class_type": node["class_type"], "inputs": dict(node["inputs"])}
            wanted += [value[0] for value in node["inputs"].values() if is_link(value)]
    context = get_executing_context()
    extra = {"extra_pnginfo": hidden.extra_pnginfo} if hidden.extra_pnginfo else {}
    return Part(nodes, links, context.list_index or 0 if context else 0, extra)
