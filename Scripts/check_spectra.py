"""Compresses matrices of prescribed spectra and holds every factor pair and every reconstruction against LAPACK.

Proves that `lowrank compress --method svd` is optimal where decompositions are hard: equal and clustered singular
values, steep decay, exact rank deficiency, duplicated and zero rows, zeros throughout, and scales of 1e±15. A small
checkpoint of Llama's layout is made, one layer for each spectrum; its outputs are judged from their files alone. The
error of each module may exceed the least possible at its rank by --tolerance of it, plus what rounding factors to
float32 costs. `reconstruct` must give the product of the factors.

    swift build -c release
    python3 Scripts/check_spectra.py
    python3 Scripts/check_spectra.py --keep 0.3 --storage pivot --work spectra
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import check_truncation
import oracle

ROOT = pathlib.Path(__file__).resolve().parent.parent
HIDDEN, MIDDLE, VOCABULARY = 96, 160, 64
MODULES = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN),
           "self_attn.v_proj": (HIDDEN, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
           "mlp.gate_proj": (MIDDLE, HIDDEN), "mlp.up_proj": (MIDDLE, HIDDEN), "mlp.down_proj": (HIDDEN, MIDDLE)}
# Rounding of two factors and their product to float32, relative to the norm of the matrix.
ROUNDING = 16 * 2.0 ** -24


def spectra():
    """Name → singular values (descending) for n of them, or a change that is made to a random matrix."""
    numpy = oracle.need("numpy")
    n = HIDDEN
    return {
        "slow": 1 / numpy.sqrt(1 + numpy.arange(n)),
        "steep": 10.0 ** -numpy.linspace(0, 12, n),
        "equal": numpy.ones(n),
        "clustered": numpy.repeat([3.0, 1.0, 1e-4], n // 3),
        "deficient": numpy.where(numpy.arange(n) < 5, 1.0, 0.0),
        "one": numpy.where(numpy.arange(n) < 1, 1.0, 0.0),
        "large": 1e15 / (1 + numpy.arange(n)),
        "small": 1e-15 / (1 + numpy.arange(n)),
        "zero": numpy.zeros(n),
        "duplicated rows": 1 / (1.0 + numpy.arange(n)),
        "zero rows": 1 / (1.0 + numpy.arange(n)),
    }


def matrix(name, values, shape, random):
    numpy = oracle.need("numpy")
    left, _ = numpy.linalg.qr(random.standard_normal((shape[0], len(values))))
    right, _ = numpy.linalg.qr(random.standard_normal((shape[1], len(values))))
    weight = left * values @ right.T
    if name == "duplicated rows":
        weight[1::2] = weight[::2]
    elif name == "zero rows":
        weight[::3] = 0
    return weight.astype("float32")


def write_checkpoint(folder):
    numpy, safetensors = oracle.need("numpy", "safetensors.numpy")
    random = numpy.random.default_rng(11)
    cases = spectra()
    ones = numpy.ones(HIDDEN, "float32")
    embedding = random.standard_normal((VOCABULARY, HIDDEN)).astype("float32")
    tensors = {"model.embed_tokens.weight": embedding, "model.norm.weight": ones}
    for layer, (name, values) in enumerate(cases.items()):
        for module, shape in MODULES.items():
            tensors[f"model.layers.{layer}.{module}.weight"] = matrix(name, values, shape, random)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{norm}.weight"] = ones
    folder.mkdir(parents=True)
    safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": MIDDLE,
        "num_hidden_layers": len(cases), "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCABULARY,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": True, "torch_dtype": "float32"}, indent=1))
    return list(cases)


def run(options, *arguments):
    command = [str(options.lowrank), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\nleft with {result.returncode}: {result.stderr.strip()}")


def judge(weight, approximation, rebuilt, rank, tolerance):
    """What is wrong with a module, as a list of sentences, and its excess over the optimum."""
    numpy = oracle.need("numpy")
    norm = numpy.linalg.norm(weight)
    if norm == 0:
        wrong = numpy.any(approximation) or numpy.any(rebuilt)
        return (["zero has become something"] if wrong else []), 0.0
    singular = numpy.linalg.svd(weight, compute_uv=False)
    optimum = numpy.linalg.norm(singular[rank:]) / norm
    error = numpy.linalg.norm(weight - approximation) / norm
    found = []
    if not error <= optimum * (1 + tolerance) + ROUNDING:
        found.append(f"error {error:.3e}, the least possible is {optimum:.3e}")
    difference = numpy.linalg.norm(rebuilt - approximation) / norm
    if not difference <= ROUNDING:
        found.append(f"reconstruct is off by {difference:.1e}")
    return found, error - optimum


def check(options, folder):
    names = write_checkpoint(folder / "dense")
    run(options, "compress", folder / "dense", "-o", folder / "factors", "--method", "svd", "--keep", options.keep,
        *(["--storage", options.storage] if options.storage else []))
    run(options, "reconstruct", folder / "factors", "-o", folder / "rebuilt", "--dtype", "f32")
    dense, factors, rebuilt = (check_truncation.load(folder / part) for part in ("dense", "factors", "rebuilt"))
    modules = json.loads((folder / "factors/config.json").read_text())["low_rank_modules"]
    missing = [name for layer, name in enumerate(names) if f"model.layers.{layer}.mlp.up_proj" not in modules]
    bad = 0
    for layer, name in enumerate(names):
        worst = 0.0
        for module, entry in modules.items():
            if not module.startswith(f"model.layers.{layer}."):
                continue
            weight = check_truncation.wide(dense[f"{module}.weight"])
            approximation = check_truncation.compressed(factors, module, entry["schema"])
            whole = check_truncation.wide(rebuilt[f"{module}.weight"])
            found, above = judge(weight, approximation, whole, entry["rank"], options.tolerance)
            worst = max(worst, above)
            bad += bool(found)
            for sentence in found:
                print(f"DIFFERS {name}, {module}: {sentence}")
        print(f"{name}: at most {worst:.1e} of the norm above the optimum")
    print(f"{len(modules)} modules, {bad} out of tolerance"
          + (f"; kept dense: {', '.join(missing)}" if missing else ""))
    return bad == 0 and len(modules) > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--storage", choices=("factors", "pivot"), help="default: the program's own")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="excess over the optimum, relative to it")
    parser.add_argument("--lowrank", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--work", type=pathlib.Path, help="keep the folders here (must not exist)")
    options = parser.parse_args()
    if not options.lowrank.exists():
        sys.exit(f"{options.lowrank}: not built; run `swift build -c release` or name it with --lowrank")
    if options.work:
        sys.exit(0 if check(options, options.work) else 1)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if check(options, pathlib.Path(folder)) else 1)


if __name__ == "__main__":
    main()
