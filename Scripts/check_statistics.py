"""Holds `lowrank calibrate` against hooks in PyTorch: moments to 1e-6, those of gradients to 1e-4, and everything else
that its file says exactly.

For each model, runs both over the same text and compares inputs, the modules that share them, fingerprints, hashes,
token counts, second moments (largest difference over the largest element), mean sizes and fourth powers. Then
compresses with either file and compares the errors reported.

    swift build -c release
    python3 Scripts/check_statistics.py                        the fixtures, and stories260K where it is there
    python3 Scripts/check_statistics.py --model MiniLM --text wiki.txt --samples 20
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import oracle
import statistics_file

TOLERANCE = 1e-6
# A gradient has gone through the model twice in float32.
GRADIENT_TOLERANCE = 1e-4
PACKAGE = pathlib.Path(__file__).resolve().parent.parent
DATA = PACKAGE.parent / "shared" / "data"


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode == oracle.MISSING_PACKAGE:
        sys.exit(oracle.MISSING_PACKAGE)
    if done.returncode != 0:
        sys.exit(f"exit {done.returncode}: {' '.join(map(str, words))}\n{done.stderr.strip()}")
    return done.stdout


def largest(numbers):
    return float(abs(numbers).max())


def compare(ours, theirs):
    """Worst relative differences by part; leaves where something else differs."""
    (metadata, inputs), (expected, wanted) = statistics_file.read(ours), statistics_file.read(theirs)
    for key in ("model_fingerprint", "model_type", "inputs", "gradients", "lowrank_statistics"):
        if metadata[key] != expected[key]:
            sys.exit(f"{key} differs:\n{metadata[key]}\n{expected[key]}")
    for run_of_ours, run_of_theirs in zip(metadata["runs"], expected["runs"], strict=True):
        for key in set(run_of_ours) - {"program"}:
            if run_of_ours[key] != run_of_theirs[key]:
                sys.exit(f"{key} differs: {run_of_ours[key]}, {run_of_theirs[key]}")
    worst = {}
    is_encoder = metadata["model_type"] == "bert"
    for name, sums in inputs.items():
        if sums["tokens"] != wanted[name]["tokens"]:
            sys.exit(f"{name}: {sums['tokens']} tokens, not {wanted[name]['tokens']}")
        is_gradient = name in metadata["gradients"]
        if is_gradient and is_encoder:
            continue  # Its signs are random, and not the same.
        for part in ("moment", "absolute_sum", "fourth_power_sum"):
            difference = largest(sums[part] - wanted[name][part]) / largest(wanted[name][part])
            key = f"gradient {part}" if is_gradient else part
            worst[key] = max(worst.get(key, 0.0), difference)
    return worst


def activation_errors(program, model, statistics, scratch):
    output = scratch / "compressed"
    run(program, "compress", model, "-o", output, "--keep", "0.6", "--stats", statistics, "--storage", "factors",
        "--factor-dtype", "f32", "--force", "--quiet")
    return [tensor["activation_error"] for tensor in json.loads((output / "report.json").read_text())["tensors"]]


def check(program, model, words, scratch):
    ours, theirs = scratch / "ours.safetensors", scratch / "theirs.safetensors"
    run(program, "calibrate", model, *words, "-o", ours, "--force", "--quiet")
    run(sys.executable, PACKAGE / "Scripts" / "collect_stats.py", model, *words, "--gradients", "-o", theirs)
    worst = compare(ours, theirs)
    errors = [activation_errors(program, model, file, scratch) for file in (ours, theirs)]
    worst["activation_error"] = max(abs(a - b) for a, b in zip(*errors, strict=True) if a is not None)
    good = all(difference <= (GRADIENT_TOLERANCE if part.startswith("gradient") else TOLERANCE)
               for part, difference in worst.items())
    print(f"{model.name}: " + ", ".join(f"{part} {value:.1e}" for part, value in worst.items())
          + (": ok" if good else ": DIFFERS"))
    return good


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path, default=PACKAGE / ".build" / "release" / "lowrank")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=20)
    return parser.parse_args(arguments)


def main(arguments):
    options = options_of(arguments)
    oracle.need("numpy", "torch", "transformers", "safetensors")
    samples = ["--samples", options.samples]
    if options.model:
        cases = [(options.model, ["--text", options.text] + samples)]
    else:
        fixtures = [PACKAGE / "Fixtures" / name for name in ("tiny-llama", "tiny-gpt2")]
        cases = [(model, ["--text", model / "calibration.txt"] + samples) for model in fixtures]
        if DATA.exists():
            cases.append((DATA / "stories260K", ["--text", DATA / "text" / "tinystories.calib.txt", "--documents",
                                                 "<|endoftext|>", "--samples", "64"]))
        else:
            print("stories260K: skipped, needs ../shared/data")
    with tempfile.TemporaryDirectory() as scratch:
        results = [check(options.program, model, words, pathlib.Path(scratch)) for model, words in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
