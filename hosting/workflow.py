"""Saved workflows (the browser's form) to prompts (the API's form), as the browser does it when it queues."""

from __future__ import annotations

from typing import Any

WIDGET_TYPES = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
VIEWS = {"IMAGECOMPARE": {"__value__": ["", ""]}}  # widgets that show results: never saved, and queued empty
CONTROLS = {
    "fixed",
    "increment",
    "decrement",
    "randomize",
}  # the value of the widget that the browser adds after a seed
SILENT = {"Note", "MarkdownNote", "Reroute"}


def to_api(workflow: dict[str, Any], object_info: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The prompt of a saved workflow.

    Args:
        workflow: a saved graph without subgraphs; muted and bypassed nodes are not supported.
        object_info: the server's node definitions.

    Raises:
        KeyError: the server does not know a node; names its type.
        ValueError: a node has more or fewer widget values than it has widgets.
    """
    links = {link[0]: (str(link[1]), link[2]) for link in workflow["links"]}
    return {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": _widgets(node, object_info[node["type"]])
            | {
                slot["name"]: list(links[slot["link"]])
                for slot in node.get("inputs", [])
                if slot.get("link") is not None
            },
        }
        for node in workflow["nodes"]
        if node["type"] not in SILENT
    }


def _widgets(node: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    optional = definition["input"].get("optional", {})
    inputs = definition["input"].get("required", {}) | optional
    names = [name for name, spec in inputs.items() if _is_widget(spec)]
    values = list(node.get("widgets_values", []))
    result = {name: VIEWS[spec[0]] for name, spec in inputs.items() if str(spec[0]) in VIEWS}
    for name in names:
        if not values and name in optional:  # newer than the workflow: the page takes the input's default
            result[name] = inputs[name][1]["default"]
            continue
        if not values:
            raise ValueError(f"node {node['id']} ({node['type']}) has no value for {name}")
        result[name] = values.pop(0)
        if inputs[name][0] == "INT" and values and values[0] in CONTROLS:
            values.pop(0)
    if values:
        raise ValueError(f"node {node['id']} ({node['type']}) has values left over: {values}")
    return result


def _is_widget(spec: list[Any]) -> bool:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    return (isinstance(kind, list) or kind in WIDGET_TYPES) and not options.get("forceInput")
