"""Times lowrank's methods against tensorly and numpy on the same weights, and compares the errors they end at.

Every case is a checkpoint with one matrix or a stack of them, made here. Ours is `lowrank compress` on it, timed by
what report.json says of the matrices (reading, decomposing, rounding and measuring, no process start) and judged by the
weights of `lowrank reconstruct`. Theirs is the call that does the same work on the same float32 numbers, timed alone.
Contenders take turns; the ratio is the median over the rounds of (their time / our time), above 1 lowrank is faster.

    swift build -c release
    python3 Scripts/bench_methods.py                        every case
    python3 Scripts/bench_methods.py --cases tucker --rounds 5
    python3 Scripts/bench_methods.py --list

A case that asks for a ratio or an error and does not reach it makes the exit status 1.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

# Settings of the shell can hold a library to older kernels; the peers run as they choose for themselves.
for name in [name for name in os.environ if name.startswith(("OPENBLAS_", "MKL_", "OMP_", "GOMP_"))]:
    del os.environ[name]

import oracle

numpy, safetensors, tensorly = oracle.need("numpy", "safetensors.numpy", "tensorly")
tensorly_decomposition = oracle.need("tensorly.decomposition")

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Case:
    """One line of the table.

    weights: matrices of one shape, compressed together where the options say so. options: those of `lowrank compress`.
    theirs: a function of no arguments that returns the approximation of the stack. name_of_theirs: what it is.
    ratio: least factor of their time over ours that is asked. excess: most that our error may be above theirs.
    """

    def __init__(self, name, weights, options, theirs, name_of_theirs, ratio=None, excess=None):
        self.name, self.weights, self.options = name, weights, options
        self.theirs, self.name_of_theirs = theirs, name_of_theirs
        self.ratio, self.excess = ratio, excess


# Weights

def decaying(rows, columns, seed, power=0.5):
    """A matrix whose singular values fall like 1/i^power, about as those of trained layers do."""
    random = numpy.random.default_rng(seed)
    size = min(rows, columns)
    left = numpy.linalg.qr(random.standard_normal((rows, size)))[0]
    right = numpy.linalg.qr(random.standard_normal((columns, size)))[0]
    return (left * (1 + numpy.arange(size)) ** -power @ right.T).astype("float32")


def related(count, rows, columns, seed):
    """Matrices that have half of their energy in directions they share."""
    random = numpy.random.default_rng(seed)
    left, right = decaying(rows, rows, seed + 1), decaying(columns, columns, seed + 2)
    own = random.standard_normal((count, rows, columns)).astype("float32")
    shared = numpy.stack([left @ core @ right for core in own])
    noise = random.standard_normal(shared.shape).astype("float32")
    return list((shared / numpy.linalg.norm(shared) + noise / numpy.linalg.norm(noise)) * numpy.sqrt(shared.size))


# Cases, by method

def tucker():
    """HOOI after the same number of sweeps, on a matrix and on stacks; tensorly starts from the HOSVD as we do."""
    sweeps = 3

    def peer(tensor, ranks):
        # A negative tolerance never stops early.
        core, factors = tensorly_decomposition.tucker(
            tensor, rank=list(ranks), n_iter_max=sweeps, init="svd", svd="truncated_svd", tol=-1)
        return lambda: tensorly.tucker_to_tensor((core, factors))

    def case(name, weights, ranks, group):
        tensor = weights[0] if group == "matrix" else numpy.stack(weights)
        options = ["--method", "tucker", "--tucker-group", group, "--tucker-sweeps", str(sweeps),
                   "--tucker-ranks", ",".join(map(str, ranks))]
        if group == "layers":
            options += ["--share-layers", str(len(weights))]
        return Case(name, weights, options, lambda: peer(tensor, ranks), "tensorly tucker", ratio=5, excess=1e-5)

    return [
        case("tucker-1024x1024", [decaying(1024, 1024, 1)], (256, 256), "matrix"),
        case("tucker-8x1024x512", related(8, 1024, 512, 2), (8, 384, 192), "layers"),
        case("tucker-8x1024x512-full", related(8, 1024, 512, 2), (5, 384, 192), "layers"),
    ]


def tt():
    """TT-SVD of given ranks: a matrix with interleaved modes, and a stack as a train of its three axes."""
    def interleaved(weight, out, inner):
        count = len(out)
        order = [axis for k in range(count) for axis in (k, count + k)]
        return numpy.ascontiguousarray(weight.reshape(*out, *inner).transpose(order))

    def back(tensor, out, inner):
        count = len(out)
        digits = tensor.reshape([mode for k in range(count) for mode in (out[k], inner[k])])
        return digits.transpose([*range(0, 2 * count, 2), *range(1, 2 * count, 2)])

    def options(out, inner, ranks):
        modes = f"out={'x'.join(map(str, out))},in={'x'.join(map(str, inner))}"
        return ["--method", "tt", "--tt-modes", modes, "--tt-ranks", ",".join(map(str, ranks))]

    def train(name, weight, out, inner, ranks):
        tensor = interleaved(weight, out, inner).reshape([m * n for m, n in zip(out, inner)])

        def peer():
            cores = tensorly_decomposition.tensor_train(tensor, rank=[1, *ranks, 1])
            return lambda: back(tensorly.tt_to_tensor(cores), out, inner)

        return Case(name, [weight], options(out, inner, ranks), peer, "tensorly tensor_train", ratio=5, excess=1e-5)

    def matrix(name, weight, out, inner, ranks):
        def peer():
            cores = tensorly_decomposition.tensor_train_matrix(weight.reshape(*out, *inner), rank=[1, *ranks, 1])
            return lambda: tensorly.tt_matrix.tt_matrix_to_tensor(cores)

        return Case(name, [weight], options(out, inner, ranks), peer, "tensorly tensor_train_matrix", ratio=5,
                    excess=1e-5)

    def factors(name, weight, out, inner, rank):
        unfolding = interleaved(weight, out, inner).reshape(out[0] * inner[0], -1)

        def peer():
            left, values, right = numpy.linalg.svd(unfolding, full_matrices=False)
            return lambda: back(left[:, :rank] * values[:rank] @ right[:rank], out, inner)

        return Case(name, [weight], options(out, inner, [rank]), peer, "numpy svd", ratio=5, excess=1e-5)

    square, stack = decaying(1024, 1024, 1), numpy.concatenate(related(8, 1024, 512, 2))
    return [
        matrix("tt-1024x1024", square, (32, 32), (32, 32), (128,)),
        factors("tt-1024x1024-numpy", square, (32, 32), (32, 32), 128),
        train("tt-1024x1024-three", square, (16, 8, 8), (8, 8, 16), (96, 96)),
        train("tt-8x1024x512", stack, (8, 1024, 1), (1, 1, 512), (8, 128)),
    ]


METHODS = {"tucker": tucker, "tt": tt}


# Ours

class Checkpoint:
    """A folder with one MLP projection a layer, which is all that `compress` needs."""

    def __init__(self, weights, folder):
        self.folder = pathlib.Path(folder)
        self.names = [f"model.layers.{layer}.mlp.up_proj.weight" for layer in range(len(weights))]
        rows, columns = weights[0].shape
        config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": columns,
                  "intermediate_size": rows, "num_hidden_layers": len(weights), "num_attention_heads": 8,
                  "num_key_value_heads": 8, "vocab_size": 8, "torch_dtype": "float32"}
        source = self.folder / "dense"
        source.mkdir(parents=True)
        (source / "config.json").write_text(json.dumps(config))
        safetensors.save_file(dict(zip(self.names, weights)), source / "model.safetensors", {"format": "pt"})

    def compress(self, lowrank, options):
        """Seconds of one compression."""
        run(lowrank, "compress", self.folder / "dense", "-o", self.folder / "small", "--force", *options)
        report = json.loads((self.folder / "small" / "report.json").read_text())
        dense = [tensor["name"] for tensor in report["tensors"] if tensor["kept_dense_reason"]]
        if dense:
            sys.exit(f"kept dense: {dense[0]}")
        return sum(tensor["seconds"] for tensor in report["tensors"])

    def approximation(self, lowrank):
        run(lowrank, "reconstruct", self.folder / "small", "-o", self.folder / "again", "--force")
        tensors = safetensors.load_file(self.folder / "again" / "model.safetensors")
        return numpy.stack([tensors[name] for name in self.names])


def run(*command):
    command = [str(part) for part in command] + ["--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nleft with {done.returncode}: {done.stderr.strip()}")


# Measuring

def relative_error(weights, approximation):
    exact = numpy.stack(weights).astype("float64")
    found = numpy.asarray(approximation, "float64").reshape(exact.shape)
    return float(numpy.linalg.norm(exact - found) / numpy.linalg.norm(exact))


def measure(case, options):
    """Times of both, by round, and the errors they end at."""
    folder = tempfile.mkdtemp()
    try:
        checkpoint = Checkpoint(case.weights, folder)
        ours, theirs, finish = [], [], None
        for turn in range(options.rounds):
            for contender in ("ours", "theirs") if turn % 2 == 0 else ("theirs", "ours"):
                if contender == "ours":
                    ours.append(checkpoint.compress(options.lowrank, case.options))
                else:
                    started = time.perf_counter()
                    finish = case.theirs()
                    theirs.append(time.perf_counter() - started)
        return {"name": case.name, "peer": case.name_of_theirs, "ours": ours, "theirs": theirs,
                "our_error": relative_error(case.weights, checkpoint.approximation(options.lowrank)),
                "their_error": relative_error(case.weights, finish())}
    finally:
        shutil.rmtree(folder)


def judged(case, found):
    """The ratio, and whether the case holds what it asks."""
    ratio = statistics.median(theirs / ours for ours, theirs in zip(found["ours"], found["theirs"]))
    holds = case.ratio is None or ratio >= case.ratio
    if case.excess is not None:
        holds = holds and found["our_error"] <= found["their_error"] * (1 + case.excess)
    return ratio, holds


def milliseconds(samples):
    return f"{statistics.median(samples) * 1e3:.3g} ms"


def line(case, found):
    ratio, holds = judged(case, found)
    cells = [case.name, milliseconds(found["ours"]), f"{found['peer']} {milliseconds(found['theirs'])}",
             f"**{ratio:.1f}**", f"{case.ratio:g}" if case.ratio else "", f"{found['our_error']:.6f}",
             f"{found['their_error']:.6f}", "yes" if holds else "NO"]
    return "| " + " | ".join(cells) + " |"


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", help="beginnings of names, separated by commas")
    parser.add_argument("--list", action="store_true", help="names of all methods")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lowrank", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all samples")
    return parser.parse_args(arguments)


def main():
    options = options_of(sys.argv[1:])
    wanted = options.cases.split(",") if options.cases else [""]
    if options.list:
        print("\n".join(METHODS))
        return
    if not options.lowrank.exists():
        sys.exit(f"{options.lowrank}: not built; run `swift build -c release` or name it with --lowrank")
    methods = [name for name in METHODS if any(part.startswith(name) or name.startswith(part) for part in wanted)]
    if not methods:
        sys.exit(f"--cases {options.cases}: no such method; --list shows them")
    print(f"numpy {numpy.__version__}, tensorly {tensorly.__version__}; {options.rounds} rounds.\n")
    print("| case | lowrank | peer | ratio | asked | our error | its error | holds |")
    print("|---|---|---|---|---|---|---|---|")
    results, held = [], True
    for method in methods:
        for case in METHODS[method]():
            if not any(case.name.startswith(part) for part in wanted):
                continue
            results.append(measure(case, options))
            held = held and judged(case, results[-1])[1]
            print(line(case, results[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
