"""Heads at both signs, and the strategy signed, on planted problems; no ComfyUI."""

from __future__ import annotations

import json
import math

import pytest
from headhunter_pack.headhunter.chart import hunt_chart
from headhunter_pack.headhunter.heads import Head, HeadSet
from headhunter_pack.headhunter.hunt import hunt
from headhunter_pack.headhunter.measured import Measured, Stopped
from headhunter_pack.headhunter.plans import planned_evaluations, planned_gradients
from headhunter_pack.headhunter.report import dump, report_of
from headhunter_pack.headhunter.strategies import STRATEGIES
from test_hunt import GREEDY, GRID, POOL, USEFUL, Problem, hunted

AWAY = Head(4, 4)


@pytest.mark.parametrize("strategy", GREEDY)
def test_a_head_that_helps_only_away_from_the_perturbation_is_found_so(strategy):
    problem = Problem(USEFUL)
    result = hunted(problem, POOL, 8, 1, 3, strategy, both_signs=True)
    assert result.selected == {Head(0, 3): None, Head(2, 2): None, AWAY: -1.0}
    assert result.rounds[0].gain.mean == pytest.approx(7.0)
    report = json.loads(dump(report_of(result, GRID, {})))
    assert report["heads"] == "L0H3, L2H2, L4H4@-1"
    assert set(report["rounds"][0]["chosen"]) == {"L0H3", "L2H2", "L4H4@-1"}
    told = {candidate["head"]: candidate for candidate in report["rounds"][0]["candidates"]}
    assert told["L4H4@-1"]["mean"] - report["baseline"]["mean"] == pytest.approx(2.0)
    assert ("L4H4" in told) == (strategy != "attribution")  # the gradient knows the sign
    assert problem.calls == planned_evaluations(STRATEGIES[strategy], len(POOL), 8, 1, 3, signs=2)
    assert AWAY not in hunted(Problem(USEFUL), POOL, 8, 1, 3, strategy).selected


@pytest.mark.parametrize("strategy", GREEDY)
def test_no_head_is_chosen_at_both_signs(strategy):
    """Whatever the scores: here each head helps at either."""

    def evaluate(sets, pairs):
        return [[sum(1.0 + head.head for head in heads) for _ in pairs] for heads in sets]

    def attribute(chosen, pool, pairs, price=0.0):
        return {head: Measured(tuple(pairs), (1.0 + head.head,) * len(pairs)) for head in pool}

    result = hunt(evaluate, POOL[:6], 4, 2, 3, STRATEGIES[strategy], attribute=attribute, both_signs=True)
    assert len(result.heads) == len(set(result.heads)) == 6
    assert result.rounds[0].heads.keys() == {Head(0, 3), Head(0, 4), Head(0, 5)}


def test_the_opposite_of_a_strength_that_the_pool_gives():
    result = hunted(Problem(USEFUL), HeadSet({AWAY: 0.5, Head(0, 3): -0.25}), 4, 1, 2, "exhaustive", both_signs=True)
    assert [str(candidate) for candidate in result.rounds[0].candidates] == [
        "L0H3@-0.25",
        "L0H3@0.25",
        "L4H4@0.5",
        "L4H4@-0.5",
    ]
    assert result.selected == {Head(0, 3): 0.25, AWAY: -0.5}


class Curved:
    """slopes . u - bend |u|^2 / 2 on each pair; distortion: a norm in which heads weigh differently. The gradient is exact."""

    def __init__(self, slopes, weights, bend=0.0):
        self.slopes, self.weights, self.bend = slopes, weights, bend
        self.asked: list[HeadSet] = []

    def __call__(self, sets, pairs):
        self.asked += sets
        return [[pair + self.gain(heads.at(1.0)) for pair in pairs] for heads in sets]

    def gain(self, u):
        return sum(self.slopes[head] * own - self.bend * own**2 / 2 for head, own in u.items())

    def distort(self, heads, pairs):
        size = math.sqrt(sum((self.weights[head] * own) ** 2 for head, own in heads.at(1.0).items()))
        return [size] * len(pairs)

    def attribute(self, chosen, pool, pairs, price=0.0):
        u, size = chosen.at(1.0), self.distort(chosen, [0])[0]

        def slope(head):
            own = u.get(head, 0.0)
            away = self.weights[head] ** 2 * own / size if size else 0.0
            return self.slopes[head] - self.bend * own - price * away

        return {head: Measured(tuple(pairs), (slope(head),) * len(pairs)) for head in pool}

    def hunt(self, rounds, k, **settings):
        strategy = STRATEGIES["signed"]
        tools = {"attribute": self.attribute, "distort": self.distort} | settings
        return hunt(self, list(self.slopes), 3, rounds, k, strategy, **tools)

    def worth(self, heads):
        return self.gain(heads.at(1.0)) / self.distort(heads, [0])[0]


SLOPES = {Head(0, 0): 4.0, Head(0, 1): -2.0, Head(1, 0): 1.0, Head(1, 1): -0.5, Head(2, 0): 0.25}
WEIGHTS = {Head(0, 0): 4.0, Head(0, 1): 1.0, Head(1, 0): 0.5, Head(1, 1): 1.0, Head(2, 0): 1.0}


def test_signed_gains_more_for_its_distortion_in_every_round():
    toy = Curved(SLOPES, WEIGHTS, bend=0.5)
    result = toy.hunt(5, 5)
    worths = [toy.worth(round.heads) for round in result.rounds]
    assert worths == sorted(worths) and worths[-1] > 1.5 * worths[0]
    assert result.rounds[1].helped and all(round.heads in toy.asked for round in result.rounds)
    assert result.rounds[-1].joint.mean == pytest.approx(1 + toy.gain(result.selected.at(1.0)))
    assert max(map(abs, result.selected.values())) == 1.0
    assert {head for head, u in result.selected.items() if u < 0} == {Head(0, 1), Head(1, 1)}
    again = Curved(SLOPES, WEIGHTS, bend=0.5)
    assert again.hunt(5, 5) == result and again.asked == toy.asked


def test_signed_keeps_the_strongest_heads():
    result = Curved(SLOPES, WEIGHTS).hunt(1, 2, strength=0.5)
    assert result.selected == {Head(0, 0): 0.5, Head(0, 1): -0.25}
    for rounds in (2, 4):
        assert len(Curved(SLOPES, WEIGHTS).hunt(rounds, 2).selected) <= 2


def test_signed_takes_the_smaller_step_where_the_larger_goes_too_far():
    toy = Curved({Head(0, 0): 1.0}, {Head(0, 0): 1.0}, bend=1.6)
    assert [step.size for step in toy.hunt(1, 1).rounds[0].steps] == [1.0, 0.5]
    assert toy.hunt(1, 1).selected == {Head(0, 0): 0.5}


def test_signed_takes_smaller_steps_after_a_round_that_did_not_help():
    toy = Curved({Head(0, 0): 1.0}, {Head(0, 0): 1.0}, bend=8.0)
    result = toy.hunt(3, 1)
    assert [round.helped for round in result.rounds] == [False, True, False]
    assert [step.size for step in result.rounds[1].steps] == [0.25, 0.125]
    assert not result.rounds[0].heads and result.rounds[0].joint == result.baseline
    assert result.selected == {Head(0, 0): 0.125}


def test_signed_returns_what_it_began_with_where_nothing_helps():
    start = HeadSet({Head(5, 5): 0.5})
    toy = Curved(SLOPES | {Head(5, 5): 0.1}, WEIGHTS | {Head(5, 5): 1.0}, bend=100.0)
    result = toy.hunt(1, 5, start=start)
    assert result.selected == start and not result.rounds[0].helped
    flat = Curved(dict.fromkeys(SLOPES, 0.0), WEIGHTS).hunt(2, 5)
    assert not flat.selected and not flat.rounds[0].steps


def test_signed_leaves_the_heads_that_it_starts_with_as_they_are():
    toy = Curved(SLOPES, WEIGHTS)
    result = toy.hunt(3, 2, start=HeadSet({Head(0, 0): 0.25}))
    assert result.selected[Head(0, 0)] == 0.25 and len(result.selected) <= 3
    assert Head(0, 0) not in result.rounds[-1].attributions


def test_a_picture_without_a_score_is_not_taken():
    class Broken(Curved):
        def gain(self, u):
            return math.nan if max(map(abs, u.values()), default=0) == 1 else super().gain(u)

    result = Broken(SLOPES, WEIGHTS).hunt(1, 5)
    assert result.selected and max(map(abs, result.selected.values())) == 0.5
    assert json.loads(dump(report_of(result, GRID, {})))["rounds"][0]["steps"][0]["mean"] is None


def test_a_limit_ends_it_with_what_was_measured():
    toy = Curved(SLOPES, WEIGHTS)

    def limited(sets, pairs):
        if len(toy.asked) > 2:  # the unguided pictures, and the first round's two steps
            raise Stopped("enough")
        return toy(sets, pairs)

    result = hunt(limited, list(SLOPES), 3, 3, 5, STRATEGIES["signed"], attribute=toy.attribute, distort=toy.distort)
    assert result.stopped == "enough" and len(result.rounds) == 1 and result.selected == toy.asked[1]


@pytest.mark.parametrize("start", [(), (Head(5, 5),)])
def test_its_plan_is_exact_and_it_is_told(start):
    problem = Problem(USEFUL)
    result = hunted(problem, POOL, 8, 3, 4, "signed", start, both_signs=True)
    pool = len(POOL) - len(start)
    assert problem.calls == planned_evaluations(STRATEGIES["signed"], pool, 8, 3, 4, len(start), signs=2)
    assert problem.screened == planned_gradients(STRATEGIES["signed"], pool, 8, 3, 4) == 24
    report = json.loads(dump(report_of(result, GRID, {})))
    first = report["rounds"][0]
    assert first["candidates"] == [] and [step["size"] for step in first["steps"]] == [1.0, 0.5]
    assert first["steps"][0]["heads"] == "L0H3@1, L2H2@0.667, L4H4@-0.667, L5H5@0.5" or start
    assert all(step["distortion"] > 0 for step in first["steps"])
    assert hunt_chart(result, GRID, "a hunt").width > 100


def test_it_says_what_it_needs():
    toy = Curved(SLOPES, WEIGHTS)
    with pytest.raises(ValueError, match="gradients"):
        toy.hunt(1, 1, attribute=None)
    with pytest.raises(ValueError, match="distortions"):
        toy.hunt(1, 1, distort=None)
