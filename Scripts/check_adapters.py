#!/usr/bin/env python3
"""Holds adapters against PEFT: PEFT loads them, and base plus adapter is the weight that it should be.

    Scripts/check_adapters.py [--lowrank .build/release/lowrank] [MODEL…]

For every model (by default the fixtures, and random mixtures of experts, which need target_parameters of PEFT 0.21 and
transformers 5): the loss of a compression as an adapter of full rank gives the dense weights again; one of limited rank
has the error that numpy's SVD of the difference has; logits of the merged model are those of the dense one, the adapter
added or beside the weights. Also checks what converters to GGUF need of `reconstruct`: the tensor names, shapes and
types of the source, and its config.json; with the package gguf, that llama.cpp's table knows every name.

Needs numpy, torch, transformers and peft; gguf if there.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

import make_random_model

try:
    import gguf
except ImportError:
    gguf = None

ROOT = pathlib.Path(__file__).resolve().parent.parent


def run(program, *words):
    result = subprocess.run([str(program), *map(str, words), "--quiet"], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"lowrank {' '.join(map(str, words))}\n{result.stderr}")


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def headers(folder):
    """Name, type and shape of every tensor of a folder."""
    found = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with open(file, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        header.pop("__metadata__", None)
        found |= {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in header.items()}
    return found


def relative(found, expected):
    return float(torch.linalg.norm(found - expected) / max(torch.linalg.norm(expected), 1e-30))


def matrices(name, weight, is_fused):
    """The matrices of a parameter that are linear layers of the file: itself, or those of each expert in a stack."""
    weight = weight.double().numpy()
    slices = [weight] if weight.ndim == 2 else list(weight) if weight.ndim == 3 else []
    halves = 2 if weight.ndim == 3 and not is_fused and name.endswith("gate_up_proj") else 1
    return [part for matrix in slices for part in np.split(matrix, halves)]


def check(program, model, scratch):
    small, dense = scratch / "small", scratch / "dense"
    run(program, "compress", model, "-o", small, "--keep", "0.5", "--export", "peft", "--export-rank", "4")
    run(program, "reconstruct", small, "-o", dense, "--dtype", "f32")
    exactly = ["--energy", "1", "--factor-dtype", "f32"]
    run(program, "extract-lora", model, "--base", small, "-o", scratch / "full", *exactly)
    source = load(model)
    weights = source.state_dict()
    ids = torch.arange(1, 33)[None] % source.config.vocab_size
    rows = []

    adapted = PeftModel.from_pretrained(load(dense), scratch / "full")
    with torch.no_grad():
        beside = relative(adapted(ids).logits, source(ids).logits)
    merged = adapted.merge_and_unload()
    worst = max(relative(merged.state_dict()[name], weight) for name, weight in weights.items())
    with torch.no_grad():
        logits = relative(merged(ids).logits, source(ids).logits)
    rows.append(("full rank: merged weights against the dense ones", worst, 1e-5))
    rows.append(("full rank: logits against those of the dense model", logits, 1e-4))
    rows.append(("the same with the adapter beside the weights", beside, 1e-4))

    base = load(dense)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    merged = PeftModel.from_pretrained(base, small / "peft").merge_and_unload()
    after = merged.state_dict()
    worst, count = 0.0, 0
    is_fused = any(name.endswith("gate_up_proj") for name in headers(model))
    for name, weight in weights.items():
        if not (after[name] - before[name]).abs().max() > 0:
            continue
        stages = (matrices(name, tensor, is_fused) for tensor in (weight, before[name], after[name]))
        for dense_part, start, end in zip(*stages):
            values = np.linalg.svd(dense_part - start, compute_uv=False)
            optimum = np.sqrt((values[4:] ** 2).sum())
            worst, count = max(worst, abs(np.linalg.norm(dense_part - end) - optimum) / optimum), count + 1
    rows.append((f"rank 4: error left against numpy's optimum, {count} matrices", worst, 1e-3 if count else -1))

    run(program, "reconstruct", small, "-o", scratch / "kept")
    expected, found = headers(model), headers(scratch / "kept")
    tied = set(expected) - set(found)
    same = all(found[name] == expected[name] for name in found) and tied <= {"lm_head.weight"}
    first, second = (json.loads((folder / "config.json").read_text()) for folder in (model, scratch / "kept"))
    title = "reconstruct: names, types, shapes and config.json of the source"
    rows.append((title, 0.0 if same and first == second else 1.0, 0))
    if any(".experts." in name for name in found):
        print("names in llama.cpp's table: skipped, its converter stacks experts first")
    elif gguf:
        table = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, source.config.model_type.upper()), 1024)
        unknown = [name for name in found if table.get_name(name, try_suffixes=(".weight", ".bias")) is None]
        rows.append((f"reconstruct: names of {len(found)} that llama.cpp's table lacks", float(len(unknown)), 0))
    else:
        print("names in llama.cpp's table: skipped, needs the package gguf")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowrank", default=ROOT / ".build/release/lowrank")
    parser.add_argument("models", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        models = arguments.models
        if not models:
            models = [ROOT / "Fixtures/tiny-llama", ROOT / "Fixtures/tiny-gpt2"]
            for family, fused in [("mixtral", False), ("qwen3-moe", False), ("mixtral", True)]:
                models.append(scratch / (family + "-fused" * fused))
                make_random_model.write(make_random_model.build(family), models[-1], fused_experts=fused)
        for index, model in enumerate(models):
            work = scratch / f"work{index}"
            work.mkdir()
            for title, value, limit in check(arguments.lowrank, model, work):
                failed |= not value <= limit
                print(f"{model.name:16} {title:66} {value:.1e} {'ok' if value <= limit else 'FAILED'}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
