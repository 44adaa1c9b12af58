"""Two one-thread processes that share gradients once a step: on a busy 2-core machine far quicker than two threads."""

import os
import tempfile
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn


def rank() -> int:
    """This process's number; 0 is the one that logs and saves."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(parameters: Iterable[Tensor], numbers: list[float]) -> list[float]:
    """Averages all gradients over the processes in place; gives back the sums of a few numbers."""
    if world() == 1:
        return numbers
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads] + [torch.tensor(numbers)])
    dist.all_reduce(flat)
    rest = flat[len(flat) - len(numbers) :].tolist()
    offset = 0
    for g in grads:
        g.copy_(flat[offset : offset + g.numel()].view_as(g)).div_(world())
        offset += g.numel()
    return rest


def divided(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f(x) for an f that treats the entries of x[N, ...] one by one: every process does its share and gets all."""
    if world() == 1 or len(x) < world():
        return f(x)
    share_of = -(-len(x) // world())
    mine = slice(rank() * share_of, (rank() + 1) * share_of)
    out = torch.zeros_like(x)
    out[mine] = f(x[mine])
    dist.all_reduce(out)
    return out


def run(train: Callable[[float], None], minutes: float, processes: int) -> None:
    """Runs `train(minutes)` in one or more processes."""
    if processes == 1:
        train(minutes)
        return
    with tempfile.TemporaryDirectory() as folder:
        spawn(_worker, (train, minutes, processes, f"{folder}/meeting"), nprocs=processes)


def _worker(number: int, train: Callable[[float], None], minutes: float, processes: int, meeting: str) -> None:
    import logging

    os.environ["DEMO_THREADS"] = "1"
    if hasattr(os, "sched_setaffinity"):  # left alone, both can end up sharing one core
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=number, world_size=processes)
    train(minutes)
    dist.barrier()
    dist.destroy_process_group()
