#!/usr/bin/env python3
"""Times whole methods of lowrank beside tensorly and numpy, on the same tensors in the same run.

    python3 Scripts/bench_methods.py                       # all methods
    python3 Scripts/bench_methods.py tt --rounds 5 --json

Ours is a run of `lowrank compress` on a file with one weight; the time is the matrix's own in its report, which contains
measuring the error of the numbers as written. Theirs is the decomposition alone. Rounds alternate between contenders, so
that a noisy machine slows all of them; medians are printed, the ratio to ours, and the errors, which must agree.

One function for each method: it yields cases, and a case has our options and their functions.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time

MODULE = "model.layers.0.mlp.up_proj"


def need(name):
    try:
        return __import__(name, fromlist=["_"])
    except ImportError:
        sys.exit(f"bench_methods.py needs {name}; install it with pip")


numpy = need("numpy")


class Case:
    """A weight, our options, and what others do with the same numbers.

    peers: name → (function of no arguments that decomposes, function of its result that gives the matrix back).
    """

    def __init__(self, name, weight, options, peers):
        self.name, self.weight, self.options, self.peers = name, weight, options, peers

    def error(self, matrix):
        difference = self.weight.astype("f8") - matrix.astype("f8")
        return float(numpy.linalg.norm(difference) / numpy.linalg.norm(self.weight.astype("f8")))


def weight(rows, columns, decay, seed=7):
    """Random singular vectors and a spectrum that falls as i^-decay."""
    random = numpy.random.default_rng(seed)
    side = min(rows, columns)
    left = numpy.linalg.qr(random.standard_normal((rows, side)))[0]
    right = numpy.linalg.qr(random.standard_normal((columns, side)))[0]
    return (left * numpy.arange(1, side + 1.0) ** -decay @ right.T).astype("f4")


# The methods


def tt(args):
    """TT-SVD: a square matrix in two forms, and a stack of matrices as a train of three plain modes."""
    decomposition, tenalg = need("tensorly.decomposition"), need("tensorly")

    def interleaved(w, out, inner):
        d = len(out)
        return w.reshape(*out, *inner).transpose([x for k in range(d) for x in (k, d + k)])

    def matrix(train, out, inner):
        d = len(out)
        t = tenalg.tt_to_tensor(train).reshape([x for k in range(d) for x in (out[k], inner[k])])
        return t.transpose([*range(0, 2 * d, 2), *range(1, 2 * d, 2)]).reshape(math.prod(out), math.prod(inner))

    def numpy_train(tensor, ranks):
        cores, rest, rank = [], tensor, 1
        for size, wanted in zip(tensor.shape[:-1], ranks):
            u, s, v = numpy.linalg.svd(rest.reshape(rank * size, -1), full_matrices=False)
            cores.append(u[:, :wanted].reshape(rank, size, wanted))
            rest, rank = s[:wanted, None] * v[:wanted], wanted
        return cores + [rest.reshape(rank, tensor.shape[-1], 1)]

    for name, (m, n), out, inner, ranks in [
        ("1024×1024, two cores", (1024, 1024), (32, 32), (32, 32), (128,)),
        ("1024×1024, three cores", (1024, 1024), (16, 8, 8), (8, 8, 16), (96, 96)),
        ("8×1024×512 stack", (8192, 512), (8, 1024, 1), (1, 1, 512), (8, 128)),
    ]:
        w = weight(m, n, 0.5)
        sizes = [a * b for a, b in zip(out, inner)]
        tensor = numpy.ascontiguousarray(interleaved(w, out, inner)).reshape(sizes)
        full = [1, *ranks, 1]
        modes = f"out={'x'.join(map(str, out))},in={'x'.join(map(str, inner))}"
        back = lambda cores, out=out, inner=inner: matrix(cores, out, inner)
        yield Case(
            name, w, ["--method", "tt", "--tt-modes", modes, "--tt-ranks", ",".join(map(str, ranks))],
            {
                "tensorly tensor_train": (
                    lambda t=tensor, full=full: decomposition.tensor_train(t, rank=full), back),
                "numpy": (lambda t=tensor, ranks=ranks: numpy_train(t, ranks), back),
                **(
                    {
                        "tensorly tensor_train_matrix": (
                            lambda t=w.reshape(*out, *inner), full=full: decomposition.tensor_train_matrix(t, rank=full),
                            lambda f, m=m, n=n: tenalg.tt_matrix.tt_matrix_to_matrix(f).reshape(m, n)),
                    }
                    if len(out) == 2
                    else {}
                ),
            })


METHODS = {"tt": tt}


# Running


def ours(args, case, folder):
    """Seconds and error of our run."""
    source, output = os.path.join(folder, "source"), os.path.join(folder, "output")
    if not os.path.isdir(source):
        write_model(source, case.weight)
    command = [args.lowrank, "compress", source, "-o", output, "--force", "--quiet", "--factor-dtype", "f32", *case.options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    with open(os.path.join(output, "report.json")) as file:
        entry = json.load(file)["tensors"][0]
    if entry["kept_dense_reason"]:
        sys.exit(f"{case.name}: kept dense, {entry['kept_dense_reason']}")
    return entry["seconds"], entry["relative_error"]


def write_model(path, matrix):
    """A checkpoint that is this one matrix."""
    os.makedirs(path)
    header = json.dumps(
        {MODULE + ".weight": {"dtype": "F32", "shape": list(matrix.shape), "data_offsets": [0, matrix.nbytes]}}).encode()
    header += b" " * (-len(header) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + numpy.ascontiguousarray(matrix).tobytes())
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump({"model_type": "llama", "hidden_size": matrix.shape[1], "intermediate_size": matrix.shape[0],
                   "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 1}, file)


def run(args, case):
    """Rows of (contender, median seconds, error), ours first."""
    seconds, errors = {"lowrank": []}, {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            taken, errors["lowrank"] = ours(args, case, folder)
            seconds["lowrank"].append(taken)
            for name, (decompose, back) in case.peers.items():
                start = time.perf_counter()
                result = decompose()
                seconds.setdefault(name, []).append(time.perf_counter() - start)
                if name not in errors:
                    errors[name] = case.error(back(result))
    return [(name, statistics.median(taken), errors[name]) for name, taken in seconds.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("methods", nargs="*", help="of " + ", ".join(METHODS) + "; all by default")
    parser.add_argument("--lowrank", default=".build/release/lowrank", help="the program")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    unknown = [name for name in args.methods if name not in METHODS]
    if unknown:
        parser.error(f"{unknown[0]} is none of {', '.join(METHODS)}")
    results = []
    for method in args.methods or METHODS:
        for case in METHODS[method](args):
            rows = run(args, case)
            for name, taken, error in rows:
                results.append({"method": method, "case": case.name, "contender": name, "seconds": taken,
                                "ratio": taken / rows[0][1], "relative_error": error})
                if not args.json:
                    print(f"{method:8} {case.name:26} {name:30} {taken * 1e3:9.1f} ms  "
                          f"{taken / rows[0][1]:6.1f} ×  error {error:.6f}", flush=True)
    if args.json:
        print(json.dumps({"results": results}, indent=1))


if __name__ == "__main__":
    main()
