"""What a hunt costs, before it begins."""

from __future__ import annotations

from .rounds import Strategy


def planned_evaluations(
    strategy: Strategy, pool: int, pairs: int, rounds: int, k: int, start: int = 0, signs: int = 1
) -> int:
    """How many (set, pair) evaluations a hunt makes if nothing stops it.

    `start` is the size of the set it starts from; `signs` 2 where heads are tried at minus their strength, too.
    """
    total = pairs * (2 if start else 1) + strategy.evaluations_after(pairs)
    for left in _pools(strategy, pool, rounds, k):
        total += strategy.evaluations(left, pairs, k, signs)
        total += pairs if min(k, left) > 1 and not strategy.refines else 0
    return total


def planned_gradients(strategy: Strategy, pool: int, pairs: int, rounds: int, k: int) -> int:
    """How many pairs a hunt takes gradients of, over all rounds."""
    return strategy.gradients(pairs) * len(_pools(strategy, pool, rounds, k))


def planned_passes(
    strategy: Strategy,
    pool: int,
    pairs: int,
    rounds: int,
    k: int,
    start: int = 0,
    cfg: bool = False,
    in_attention: bool = False,
) -> int:
    """What a hunt costs in passes through the whole model for each sampling step; a backward pass counts two.

    A picture costs 1 pass unguided and 2 guided. A gradient costs 4 while no head is chosen (forward, forward again,
    backward), then 8, since the perturbed pass is apart. In attention a picture costs 1 and a gradient 4, and
    heads are tried at both signs. CFG adds 1 pass
    to each picture and 4 to each gradient. What prefix reuse saves, and what blocks run again to save memory, is not
    counted.
    """
    images = planned_evaluations(strategy, pool, pairs, rounds, k, start, signs=2 if in_attention else 1)
    gradients = planned_gradients(strategy, pool, pairs, rounds, k)
    if in_attention:
        return images + 4 * gradients + cfg * (images + 4 * gradients)
    light = min(pairs, gradients) if not start else 0
    return 2 * images - pairs + 8 * gradients - 4 * light + cfg * (images + 4 * gradients)


def _pools(strategy: Strategy, pool: int, rounds: int, k: int) -> list[int]:
    """How many heads are in the pool of each round."""
    if strategy.refines:
        return [pool] * rounds
    return [left for left in (pool - number * k for number in range(rounds)) if left > 0]
