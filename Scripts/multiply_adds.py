"""Multiply-adds of one token through a compressed layer, from config.json and shapes alone.

Every count is made by walking through the products that the layer's definition needs, with sizes in place of numbers;
no formula of lowrank is repeated. Used by check_counts.py.
"""

import functools
import itertools
import math


def of_module(entry, shape, owned):
    """entry: of config.json. shape: (out, in) of the dense weight. owned: {suffix: shape} of the module's tensors."""
    return COUNTS[entry["schema"]](entry, shape, owned)


def products(*shapes):
    """A vector through matrices of these (rows, columns), the last one first."""
    return sum(rows * columns for rows, columns in shapes)


def factors(entry, shape, owned):
    return products(owned["ALinear.weight"], owned["BLinear.weight"])


def pivot(entry, shape, owned):
    """The pivot rows of the output are what the first product gives: no work."""
    return products(owned["rest.weight"], owned["pivot.weight"])


def shared_basis(entry, shape, owned):
    """Inputs at the pivots of a basis are taken as they are."""
    rank = entry["rank"]
    return products(owned["coefficients"], (rank, shape[1] - (rank if entry.get("pivot") else 0)))


def tucker(entry, shape, owned):
    """Factor, core and factor; those of the modes that are kept whole do not exist."""
    heads, whole, ranks = entry.get("heads", 1), entry.get("whole", []), entry["ranks"]
    if "heads" in entry:
        width, height = shape if entry["axis"] == "inputs" else shape[::-1]
        (wide, tall), (wide_axis, tall_axis) = ranks[:2], (0, 2)
    else:
        height, width = shape
        tall, wide = ranks[-2:]
        wide_axis, tall_axis = (2, 1) if "group" in entry else (1, 0)
    return ((0 if wide_axis in whole else width * wide) + heads * tall * wide
            + (0 if tall_axis in whole else height * tall))


def train(entry, shape, owned):
    """The cheapest of contracting neighbouring cores into at most three blocks, or none, and sweeping x through."""
    modes = list(zip(entry["out_modes"], entry["in_modes"]))
    ranks = [*entry["ranks"]]
    if len(ranks) == len(modes) - 1:
        ranks = [1, *ranks, 1]

    def block(first, last):
        return {"left": ranks[first], "right": ranks[last],
                "out": math.prod(m for m, _ in modes[first:last]), "in": math.prod(n for _, n in modes[first:last])}

    @functools.cache
    def contraction(first, last):
        """Cores first ..< last into one: every element of the result sums over the bond between its halves."""
        if last - first == 1:
            return 0
        return min(contraction(first, middle) + contraction(middle, last)
                   + ranks[first] * ranks[middle] * ranks[last] * math.prod(m * n for m, n in modes[first:last])
                   for middle in range(first + 1, last))

    def sweep(blocks):
        """x holds one input mode a block; each block in turn swaps its input mode and a bond for an output mode."""
        axes, work = [part["in"] for part in blocks], 0
        for k, part in enumerate(blocks):
            others = math.prod(axes[:k] + axes[k + 1:])
            work += others * part["in"] * part["left"] * part["right"] * part["out"]
            axes[k] = part["out"]
        return work

    count, best = len(modes), math.inf
    cuts = [c for size in range(min(3, count)) for c in itertools.combinations(range(1, count), size)]
    for cut in cuts + [tuple(range(1, count))]:
        ends = [0, *cut, count]
        ranges = list(itertools.pairwise(ends))
        once = sum(contraction(*part) for part in ranges)
        blocks = [block(*part) for part in ranges]
        best = min(best, once + sweep(blocks), once + sweep(blocks[::-1]))
    return best


def mixt(entry, shape, owned):
    """Every branch is multiplied once for each of its copies."""
    copies = entry["base"] ** (entry["branches"] - 1)
    return sum(copies * math.prod(owned[f"mixt.{k}"]) for k in range(entry["branches"]))


def saten(entry, shape, owned):
    return of_module(entry["low_rank"], shape, owned) + math.prod(owned["sparse.values"])


COUNTS = {"ABLinear": factors, "PivotLinear": pivot, "SharedBasisLinear": shared_basis, "TuckerLinear": tucker,
          "TTLinear": train, "MixTLinear": mixt, "SatenLinear": saten}
