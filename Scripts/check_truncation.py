"""Holds the factors that `lowrank compress --method svd` wrote against LAPACK's singular value decomposition.

Proves, for every module stored as A·B (or by pivots), that its Frobenius error is the least that any matrix of its rank
can have, up to --tolerance, and that report.json tells the error that is really there. Valid for plain SVD
(objective `weights`); factors rounded to bf16 or f16 need a wider tolerance, which is then the cost of the rounding.

    python3 Scripts/check_truncation.py OUT --against CKPT
    python3 Scripts/check_truncation.py OUT --against CKPT --tolerance 1e-3      (16-bit factors)
"""

import argparse
import json
import pathlib
import sys

import oracle


def load(folder):
    """All tensors of the folder, by shard."""
    safetensors = oracle.need("safetensors.torch")
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors.update(safetensors.load_file(path))
    return tensors


def wide(tensor):
    return tensor.double().numpy()


def compressed(tensors, module, schema):
    """W' (out × in) of the module, in float64."""
    if schema == "ABLinear":
        return wide(tensors[f"{module}.ALinear.weight"]) @ wide(tensors[f"{module}.BLinear.weight"])
    pivots, rest = wide(tensors[f"{module}.pivot.weight"]), wide(tensors[f"{module}.rest.weight"])
    numpy = oracle.need("numpy")
    index = tensors[f"{module}.pivot.index"].numpy()
    weight = numpy.empty((len(pivots) + len(rest), pivots.shape[1]))
    weight[index] = pivots
    weight[numpy.setdiff1d(numpy.arange(len(weight)), index)] = rest @ pivots
    return weight


def dense(tensors, module, conv1d):
    """W (out × in): GPT-2 keeps its transpose; a slice of a stacked tensor is named by its number."""
    if f"{module}.weight" in tensors:
        weight = wide(tensors[f"{module}.weight"])
        return weight.T if conv1d else weight
    stack, _, number = module.rpartition(".")
    return wide(tensors[stack][int(number)])


def excess(weight, approximation, rank):
    """(relative error, how far it lies above the optimum, relative to the optimum)."""
    numpy = oracle.need("numpy")
    singular = numpy.linalg.svd(weight, compute_uv=False)
    optimum = numpy.sqrt((singular[rank:] ** 2).sum()) / numpy.sqrt((singular ** 2).sum())
    error = numpy.linalg.norm(weight - approximation) / numpy.linalg.norm(weight)
    return error, error / optimum - 1 if optimum > 0 else error


def check(options):
    config = json.loads((options.output / "config.json").read_text())
    entries = json.loads((options.output / "report.json").read_text())["tensors"]
    reported = {entry["name"].removesuffix(".weight"): entry["relative_error"] for entry in entries}
    conv1d = config["low_rank_base_model_type"] == "gpt2"
    source, output = load(options.against), load(options.output)
    for module, entry in config["low_rank_modules"].items():
        if entry["schema"] not in ("ABLinear", "PivotLinear"):
            sys.exit(f"{module}: {entry['schema']} is no truncated SVD")
        weight = dense(source, module, conv1d)
        error, above = excess(weight, compressed(output, module, entry["schema"]), entry["rank"])
        yield module, error, above, abs(reported[module] - error)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path, help="folder written by `lowrank compress --method svd`")
    parser.add_argument("--against", type=pathlib.Path, required=True, metavar="CKPT")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="relative excess over the optimum (default 1e-5)")
    parser.add_argument("--quiet", action="store_true", help="only the worst module")
    options = parser.parse_args()
    rows = list(check(options))
    bad = 0
    for module, error, above, misreport in rows:
        wrong = above > options.tolerance or misreport > 1e-6
        bad += wrong
        if wrong or not options.quiet:
            print(f"{'DIFFERS' if wrong else 'ok     '} {module}: error {error:.6f}, {above:.1e} above the optimum, "
                  f"report off by {misreport:.1e}")
    print(f"{len(rows)} modules, worst {max(row[2] for row in rows):.1e} above the optimum, {bad} out of tolerance")
    sys.exit(1 if bad or not rows else 0)


if __name__ == "__main__":
    main()
