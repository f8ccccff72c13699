#!/usr/bin/env python3
"""tile_order.py [--blocks P]: how evenly the orders in which blocks may take the work tiles of a causal kernel spread the work.

Tile t of a head costs t + 1 blocks of keys, and one more for what a tile has once (first product, first softmax, last
product). Printed is the time of the busiest of P multiprocessors over the least possible, and the keys and values that are
live at a time, in MB, at head_dim 128, 16 bits and tiles of 128 rows, each head with keys of its own.

  launch   a block a tile, in groups of eight heads, as multiprocessors become free; half a block more for each launch
  counter  the same order from a counter in global memory, without that half
  stride   the same order, block x takes every P-th tile from x
  snake    all heads, heaviest first; every other round backwards
  groups   what codegen/nvvm/PersistentWork.cpp does: snake in groups of heads of about four rounds, every other group
           mirrored
"""
import argparse
import heapq
import random

ROUNDS_TOGETHER = 4
TILE_BYTES = 128 * 2 * 128 * 2  # keys and values of a tile's length
SHAPES = [("4k, 16 heads", 16, 32), ("4k, 32 heads", 32, 32), ("4k, 64 heads", 64, 32), ("4k, 20 heads", 20, 32), ("2k, 64 heads", 64, 16),
          ("1k, 128 heads", 128, 8), ("8k, 32 heads", 32, 64), ("16k, 16 heads", 16, 128), ("16k, 32 heads", 32, 128), ("16k, 64 heads", 64, 128)]


def costs_of(heads, tiles):
    """Of tiles of some heads, heaviest first."""
    return [t + 2.0 for t in reversed(range(tiles)) for _ in range(heads)]


def in_eights(heads, tiles):
    return [cost for first in range(0, heads, 8) for cost in costs_of(min(8, heads - first), tiles)]


def greedy(blocks, costs, extra=0.0):
    free = [0.0] * blocks
    for cost in costs:
        heapq.heappush(free, heapq.heappop(free) + cost + extra)
    return max(free)


def stride(blocks, costs):
    return max(sum(costs[x::blocks]) for x in range(blocks))


def group_count(blocks, heads, tiles):
    together = blocks * ROUNDS_TOGETHER
    return min(max((heads * tiles + together // 2) // together, 1), heads)


def snake(blocks, heads, tiles, groups):
    busy = [0.0] * blocks
    for group in range(groups):
        size = heads // groups + (group < heads % groups)
        for index, cost in enumerate(costs_of(size, tiles)):
            place = index % blocks
            if (index // blocks + group) % 2:
                place = blocks - 1 - place
            busy[place] += cost
    return max(busy)


def ratios(blocks, heads, tiles):
    eights = in_eights(heads, tiles)
    groups = group_count(blocks, heads, tiles)
    least = max(sum(eights) / blocks, tiles + 1.0)
    times = [greedy(blocks, eights, 0.5), greedy(blocks, eights), stride(blocks, eights), snake(blocks, heads, tiles, 1),
             snake(blocks, heads, tiles, groups)]
    return [time / least for time in times], groups


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=132)
    blocks = parser.parse_args().blocks
    names = ["launch", "counter", "stride", "snake", "groups"]
    print(f"{'':16}" + "".join(f"{name:>9}" for name in names) + "   MB live")
    for name, heads, tiles in SHAPES:
        row, groups = ratios(blocks, heads, tiles)
        print(f"{name:16}" + "".join(f"{value:9.3f}" for value in row) + f"{-(-heads // groups) * tiles * TILE_BYTES / 1e6:10.0f}")
    random.seed(1)
    drawn = [(random.choice(range(4, 129)), random.choice(range(4, 257))) for _ in range(400)]
    rows = [ratios(blocks, heads, tiles)[0] for heads, tiles in drawn if 1.5 * blocks < heads * tiles < 20000]
    for word, of in [("mean", lambda column: sum(column) / len(column)), ("worst", max)]:
        print(f"{f'{word} of {len(rows)}':16}" + "".join(f"{of(column):9.3f}" for column in map(list, zip(*rows))))


if __name__ == "__main__":
    main()
