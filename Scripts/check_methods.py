"""Compresses checkpoints by every method at several budgets and holds each output against independent counts.

For every checkpoint, method and budget: `compress`, `verify` (every error anew, from the two folders),
`check_counts.py` (parameters and bytes from the files alone), `reconstruct`, and, where transformers is installed, the
dense folder loaded by it. Prints a line for each and ends with 1 if anything differs. A budget that a method cannot
meet (exit 1 of compress) is printed with its reason and counts as right.

    python3 Scripts/check_methods.py CKPT… [--lowrank PATH] [--keep 0.8 0.5 0.25]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

SCRIPTS = pathlib.Path(__file__).resolve().parent
METHODS = ["svd", "svd --storage pivot", "svd --share-layers 2", "svd --share-layers 3 --storage pivot", "tucker",
           "tucker --tucker-group heads", "tucker --tucker-group layers", "tucker --storage pivot", "tt",
           "tt --tt-layout split", "tt --storage pivot", "tt --tt-outliers 1e-4", "mixt", "mixt --mixt-order fitted",
           "saten", "saten --saten-pattern 2:4", "saten --saten-low-rank tt --storage pivot", "tt --control svd",
           "mixt --control noise", "svd --control drop"]


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True)


def loads(folder):
    """Whether transformers opens the folder with every tensor in its place; None where it is not installed."""
    try:
        import transformers
    except ImportError:
        return None
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = json.loads((folder / "config.json").read_text())
    is_causal = any("CausalLM" in name or "LMHead" in name for name in config.get("architectures") or [])
    loader = transformers.AutoModelForCausalLM if is_causal else transformers.AutoModel
    _, found = loader.from_pretrained(folder, output_loading_info=True)
    return not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]


def check(lowrank, checkpoint, method, keep, scratch):
    """A line of text, and whether all is right."""
    start = time.perf_counter()
    output, dense = scratch / "out", scratch / "dense"
    made = run(
        lowrank, "compress", checkpoint, "-o", output, "--force", "-q", "--keep", keep, "--method", *method.split())
    seconds = time.perf_counter() - start
    if made.returncode == 1:
        return f"cannot be met: {made.stderr.strip().splitlines()[-1]}", True
    if made.returncode:
        return f"compress ended with {made.returncode}: {made.stderr.strip()}", False
    report = json.loads((output / "report.json").read_text())
    results = {
        "verify": run(lowrank, "verify", output, "--against", checkpoint, "-q").returncode == 0,
        "counts": run(sys.executable, SCRIPTS / "check_counts.py", output, "--against", checkpoint).returncode == 0,
        "target": report["totals"]["keep_compressed"] <= keep,
        "reconstruct": run(lowrank, "reconstruct", output, "-o", dense, "--force", "-q").returncode == 0,
    }
    results["transformers"] = loads(dense)
    lines = report["tensors"]
    error = sum(line["relative_error"] for line in lines) / len(lines)
    kept_dense = sum(bool(line["kept_dense_reason"]) for line in lines)
    words = ", ".join(
        f"{name} {'skipped' if right is None else 'ok' if right else 'WRONG'}" for name, right in results.items())
    return (f"keeps {report['totals']['keep_compressed']:.4f}, mean error {error:.4f}, {kept_dense} dense, "
            f"{seconds:.1f} s: {words}"), all(right is not False for right in results.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=pathlib.Path, metavar="CKPT")
    parser.add_argument("--lowrank", type=pathlib.Path, default=SCRIPTS.parent / ".build/release/lowrank")
    parser.add_argument("--keep", nargs="+", type=float, default=[0.8, 0.5, 0.25])
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for checkpoint in options.checkpoints:
            for keep in options.keep:
                for method in METHODS:
                    text, right = check(options.lowrank, checkpoint, method, keep, pathlib.Path(folder))
                    wrong += not right
                    print(f"{checkpoint.name} {keep} {method}: {text}", flush=True)
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
