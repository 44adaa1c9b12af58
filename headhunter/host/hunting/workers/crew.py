"""The one who hunts: hands out jobs to workers on Ray, takes what comes, and goes on without a worker that is gone.

Ray places the workers, watches them, and starts one that died again, here or on another machine. What is done here: who may
work (identity), which job is next, and what becomes of the job of a worker that did not finish it: the next free one has it.
With no worker left the jobs are done in this process. Workers belong to one hunt, and end with it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Generic

import comfy.model_management

from ....measured import Stopped
from ....scoring.combine import components_of
from ....study import differences
from ...progress import Progress
from ..jobs import Each, J, Job, Maker, Outcome
from . import actor
from .cluster import Cluster
from .graph import Part
from .plan import Workers
from .returned import BadReturn, checked
from .wire import sent, versions

PAUSE = 0.25  # seconds to wait for a worker before the user's cancel is looked for
PATIENCE = 60.0  # seconds that Ray may take to find room for a first worker, before the jobs are done here
LOOK = 5.0  # seconds between looks whether Ray's head is there, and for free GPUs
MISSED = 3  # looks in vain, before it is given up
RESTARTS = 3


@dataclass(frozen=True)
class Crew:
    """Who works, and on what: a workers node's plan, and the part of the graph that each worker runs."""

    plan: Workers
    part: Part


@contextmanager
def hands(crew: Crew | None, maker: Maker, progress: Progress, identity: Mapping[str, Any]) -> Iterator[Each]:
    """What does the jobs while the block lasts: the crew's workers, or, where there is no crew, this process.

    maker: does jobs here. identity: what a worker must show (`identity_of`; more is ignored). Nothing is started before the
    first job. NoRay and NoWorkers say why there can be none.
    """
    if crew is None:
        yield maker.each
        return
    team = Team(crew, maker, progress, identity)
    try:
        yield team.each
    finally:
        team.close()


@dataclass
class Member:
    """A worker as seen from here. call: what it was asked last (an ObjectRef), None while it is idle.

    step: place (Ray looks for room), show (it loads, and says who it is), work.
    """

    handle: Any
    call: Any = None
    step: str = "place"
    name: str = "a worker"
    device: str = ""
    job: Job | None = None


class Waiting(Generic[J]):
    """Jobs that nobody does yet. `ended`: what ended them early."""

    def __init__(self, jobs: Iterable[J]):
        self._jobs = iter(jobs)
        self._first: deque[J] = deque()
        self.ended: Stopped | None = None

    def __bool__(self) -> bool:
        if not self._first and self.ended is None:
            try:
                self._first.extend([next(self._jobs)])
            except StopIteration:
                return False
            except Stopped as reason:
                self.ended = reason
        return bool(self._first)

    def take(self) -> J:
        return self._first.popleft()

    def back(self, job: J) -> None:
        """A job that was begun and not finished: the next one."""
        self._first.appendleft(job)


class Team:
    """The workers of one hunt; see the module."""

    def __init__(self, crew: Crew, maker: Maker, progress: Progress, identity: Mapping[str, Any]):
        self.crew = crew
        self.maker = maker
        self.progress = progress
        self.identity = identity
        self.members: list[Member] = []
        self.refused = 0
        self.scorers = len(components_of(maker.scorer)) if maker.scorer else 0
        self.cluster: Cluster | None = None
        self.request: Any = None
        self._begun = self._looked = 0.0
        self._missed = 0
        self._given_up = False

    def each(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """An `Each`."""
        waiting = Waiting(jobs)
        while waiting or any(member.job for member in self.members):
            cluster = self.cluster or self._begin()
            alone = self._alone()
            if alone and waiting:
                job = waiting.take()
                yield job, self.maker(job)
            self._hand_out(waiting)
            for member in cluster.ready(self.members, 0 if alone else PAUSE):
                yield from self._answer(cluster, member, waiting)
            comfy.model_management.throw_exception_if_processing_interrupted()
            self._watch(cluster, waiting)
            self.progress.send()
        if waiting.ended:
            raise waiting.ended

    def close(self) -> None:
        """End the workers, and a Ray that was started for them."""
        if self.cluster and not self._given_up:
            self.cluster.close([member.handle for member in self.members])
        self.members = []

    def _begin(self) -> Cluster:
        plan, part = self.crew.plan, self.crew.part
        self.cluster = cluster = Cluster(plan)
        if plan.gpus_per_worker:  # this process's GPU may be a worker's now
            comfy.model_management.unload_all_models()
            comfy.model_management.soft_empty_cache()
        self.request = cluster.put(
            {
                "nodes": dict(part.nodes),
                "links": dict(part.links),
                "index": part.index,
                "extra": part.extra,
                "kinds": part.kinds,
                "versions": versions(part.kinds),
                "sampling": asdict(self.maker.generator.sampling),
            }
        )
        self._begun = self._looked = time.monotonic()
        self._hire(cluster, plan.workers or cluster.free())
        if not self.members:
            self._tell("Ray has no free GPU: this ComfyUI works alone")
        return cluster

    def _hire(self, cluster: Cluster, count: int) -> None:
        for _ in range(count):
            handle = cluster.start(actor.Worker, RESTARTS)
            self.members.append(Member(handle, cluster.call(handle.place)))
        self._describe()

    def _alone(self) -> bool:
        """Whether there is nobody to wait for."""
        if any(member.step != "place" for member in self.members):
            return False
        return not self.members or time.monotonic() - self._begun > PATIENCE

    def _hand_out(self, waiting: Waiting[Any]) -> None:
        for member in self.members:
            if member.call is None and member.step == "work" and waiting:
                member.job = job = waiting.take()
                member.call = member.handle.work.remote(sent(job))

    def _answer(self, cluster: Cluster, member: Member, waiting: Waiting[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Take what a worker answered: its job with the outcome, if it was one."""
        call, job = member.call, member.job
        member.call = member.job = None
        try:
            answer = cluster.get(call)
            if job is not None:
                outcome = self._outcome(job, answer)
                self.progress.jobs[member.name] += 1
                yield job, outcome
            elif member.step == "place":
                member.name = answer["machine"]
                member.step, member.call = "show", member.handle.show.remote(self.request)
            else:
                self._shown(cluster, member, answer)
        except cluster.Ended as error:
            self._leave(cluster, member, f"it ended ({cluster.reason(error)})")
        except cluster.Lost:
            logging.warning("HeadHunter: the worker on %s is gone; Ray starts it again.", member.name)
            member.step, member.call = "place", cluster.call(member.handle.place)
        except BadReturn as error:
            self._leave(cluster, member, str(error))
        else:
            job = None
        if job is not None:
            waiting.back(job)
        self._describe()

    def _outcome(self, job: Job, answer: Mapping[str, Any]) -> Outcome:
        if "failed" in answer:
            raise BadReturn(f"it failed: {answer['failed']}")
        outcome = checked(job, answer.get("outcome"), self.scorers, self.maker.grid)
        self.maker.generator.noticed(answer.get("halved"), answer.get("frame"))
        return outcome

    def _shown(self, cluster: Cluster, member: Member, answer: Mapping[str, Any]) -> None:
        member.device = str(answer.get("device", ""))
        why = self._objection(answer)
        if why:
            self.refused += 1
            self._leave(cluster, member, why)
        else:
            member.step = "work"
            self.progress.began()

    def _objection(self, answer: Mapping[str, Any]) -> str:
        """Why a worker may not work, "" where it may."""
        if "refused" in answer:
            return str(answer["refused"])
        other = differences(answer.get("versions"), versions(self.crew.part.kinds))
        if not other:
            shown = answer.get("identity")
            ours = {name: self.identity[name] for name in shown} if isinstance(shown, dict) else self.identity
            other = differences(shown, ours)
        return f"it would not do the same work; what differs: {', '.join(other)}" if other else ""

    def _leave(self, cluster: Cluster, member: Member, why: str) -> None:
        self.members.remove(member)
        cluster.end(member.handle)
        self._tell(f"A worker on {member.name} is left out: {why}")

    def _tell(self, text: str) -> None:
        logging.warning("HeadHunter: %s", text)
        self.progress.notes.append(text)

    def _watch(self, cluster: Cluster, waiting: Waiting[Any]) -> None:
        """Now and then: whether Ray is still there, and, where workers are one for each free GPU, whether there are more."""
        if self._given_up or time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        self._missed = 0 if cluster.answers() else self._missed + 1
        if self._missed >= MISSED:
            self._give_up(cluster, waiting)
        elif not self._missed and not self.crew.plan.workers:
            unplaced = sum(member.step == "place" for member in self.members)
            self._hire(cluster, max(0, cluster.free() - unplaced - self.refused))

    def _give_up(self, cluster: Cluster, waiting: Waiting[Any]) -> None:
        """Ray's head is gone: what was begun is done here."""
        self._given_up = True
        for member in self.members:
            if member.job is not None:
                waiting.back(member.job)
        self.members = []
        self._tell("Ray's head is gone: this ComfyUI works alone")
        cluster.close([])
        self._describe()

    def _describe(self) -> None:
        """The workers in a few words, for the line under the node."""
        working = Counter(member.name for member in self.members if member.step == "work")
        loading = sum(member.step != "work" for member in self.members)
        names = ", ".join(f"{name} x{count}" if count > 1 else name for name, count in sorted(working.items()))
        parts = [f"{working.total()} workers ({names})"] if working else []
        parts += [f"{loading} loading"] if loading else []
        self.progress.workers = ", ".join(parts)
