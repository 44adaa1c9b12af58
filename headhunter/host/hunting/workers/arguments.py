"""The command line of a worker's ComfyUI: what decides pictures is as it is here, what belongs to this process is not."""

from __future__ import annotations

import sys

import comfy.options
from comfy.cli_args import args

OWN = {  # of this server, its page and its updates
    "--listen", "--port", "--tls-keyfile", "--tls-certfile", "--enable-cors-header", "--auto-launch", "--windows-standalone-build",
    "--cuda-device", "--default-device", "--temp-directory", "--database-url", "--front-end-version", "--front-end-root",
    "--enable-manager", "--quick-test-for-ci",
}  # fmt: skip
FOLDERS = {
    "--base-directory", "--extra-model-paths-config", "--output-directory", "--input-directory", "--user-directory",
    "--models-directory",
}  # fmt: skip


def worker_arguments(elsewhere: bool, cpu: bool) -> list[str]:
    """The arguments for a worker. elsewhere: in a ComfyUI of another folder, with models of its own. cpu: it has no GPU."""
    if comfy.options.args_parsing:
        given = without(sys.argv[1:], OWN | (FOLDERS if elsewhere else set()))
    else:  # the host's settings were made by a program, such as a test
        given = ["--cpu"] if args.cpu else []
        given += ["--base-directory", args.base_directory] if args.base_directory and not elsewhere else []
    return given if "--cpu" in given or not cpu else [*given, "--cpu"]


def without(arguments: list[str], dropped: set[str]) -> list[str]:
    """The arguments without some options and their values."""
    kept, keeping = [], True
    for argument in arguments:
        if argument.startswith("--"):
            keeping = argument.split("=")[0] not in dropped
        if keeping:
            kept.append(argument)
    return kept
