"""What both models' training loops share: an update over all processes, the training time, the log of the loss."""

import time

import torch
from torch import Tensor, nn

from .host import note, stopping
from .parallel import rank, share, world

NOTED = 50  # steps between two lines of the log


class Training:
    """Updates a model's parameters until so many minutes of training time are used; the clock of process 0 counts.

    `state` holds the steps and seconds so far, earlier runs included; it is kept in the checkpoint.
    """

    def __init__(self, name: str, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, minutes: float):
        self.name, self.model, self.optimizer, self.state = name, model, optimizer, state
        self.seconds_in_all = minutes * 60
        self.mean = self.exported_at = 0.0
        self.stopped = False
        self.first = rank() == 0
        self._start_clock()

    def _start_clock(self) -> None:
        self._started = time.monotonic() - self.state["seconds"]

    @property
    def done(self) -> float:
        """The share of the training time that is used."""
        return self.state["seconds"] / self.seconds_in_all

    @property
    def over(self) -> bool:
        """Whether the time is used, or somebody asked to stop; the same in all processes."""
        return self.done >= 1 or self.stopped

    def backward(self, loss: Tensor, logged: Tensor) -> None:
        """Gradients of this process's loss, averaged over all processes; `logged` is the number for the log."""
        self.optimizer.zero_grad()
        loss.backward()
        clock = time.monotonic() - self._started
        logged_sum, seconds, stops = share(
            self.model.parameters(), [logged.item(), self.first * clock, self.first * stopping()]
        )
        self.state["seconds"] = seconds
        self.stopped = stops > 0
        self.mean += logged_sum / world() / NOTED

    def step(self, rate: float) -> bool:
        """Moves the parameters by the gradients. True every 50 steps, after the mean of what was logged is written."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.state["step"] += 1
        if self.state["step"] % NOTED:
            return False
        if self.first:
            note(self.name, self.state, self.mean)
        self.mean = 0.0
        return True

    def exports(self, every: float) -> bool:
        """Whether this process is to export now: at the end, and after so many seconds of training."""
        return self.first and (self.over or self.state["seconds"] - self.exported_at > every)

    def exported(self) -> None:
        """Goes on after an export, which is no training time."""
        self.exported_at = self.state["seconds"]
        self._start_clock()
