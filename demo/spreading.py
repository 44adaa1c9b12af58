"""Work spread over several running servers: each has one thread, so that two cores are used without getting in each other's way."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

from hosting.server import Server

Item = TypeVar("Item")
Result = TypeVar("Result")

SERVERS = min(2, os.cpu_count() or 1)


def spread(servers: Sequence[Server], work: Callable[[Server, Item], Result], items: Sequence[Item]) -> list[Result]:
    """`work(server, item)` for each item, on whichever server is free; the results in the items' order.

    The first error, or Ctrl-C, ends it at once: what has not begun is dropped, and what runs ends with its server.
    """
    free: SimpleQueue[Server] = SimpleQueue()
    for server in servers:
        free.put(server)

    def on_a_free_server(item: Item) -> Result:
        server = free.get()
        try:
            return work(server, item)
        finally:
            free.put(server)

    pool = ThreadPoolExecutor(len(servers))
    try:
        return [future.result() for future in [pool.submit(on_a_free_server, item) for item in items]]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
