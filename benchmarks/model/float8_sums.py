#!/usr/bin/env python3
"""What sums of products of 8-bit floats lose on tensor cores (docs/numerics.md, "Sums of 8-bit products").

A model of the published findings, not a measurement: 32 summands at a time are aligned to the largest of them and of the sum
so far, and cut off 13 places below its leading bit. Prints how far a sum of n positive summands falls short when it is carried through
all of them, and when each block of 128 is summed from 0 and added in f32; then the error of a score.
"""
import math
import random
import statistics

DEPTH, PLACES, BLOCK = 32, 13, 128


def summed(summands):
    total = 0.0
    for first in range(0, len(summands), DEPTH):
        step = summands[first:first + DEPTH]
        largest = max(abs(total), max(map(abs, step)))
        if largest == 0:
            continue
        unit = 2.0 ** (math.floor(math.log2(largest)) - PLACES)
        total = unit * (math.trunc(total / unit) + sum(math.trunc(x / unit) for x in step))
    return total


def rounded(x):
    """To e4m3."""
    if x == 0:
        return 0.0
    unit = 2.0 ** (max(math.floor(math.log2(abs(x))), -6) - 3)
    return round(x / unit) * unit


def main():
    random.seed(1)
    print(f"{'keys':>6}  {'carried':>9}  {'by block':>9}")
    for count in (128, 1024, 4096, 16384):
        weights = [random.random() for _ in range(count)]
        exact = sum(weights)
        by_block = sum(summed(weights[i:i + BLOCK]) for i in range(0, count, BLOCK))
        print(f"{count:6}  {1 - summed(weights) / exact:9.2%}  {1 - by_block / exact:9.2%}")
    for head_dim in (64, 128, 256):
        errors = []
        for _ in range(2000):
            products = [rounded(random.gauss(0, 1)) * rounded(random.gauss(0, 1)) for _ in range(head_dim)]
            errors.append((summed(products) - sum(products)) / math.sqrt(head_dim))
        print(f"score, head_dim {head_dim}: error 2^{math.log2(statistics.pstdev(errors)):.1f}")


if __name__ == "__main__":
    main()
