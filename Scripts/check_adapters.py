#!/usr/bin/env python3
"""Holds adapters against PEFT: PEFT loads them, and base plus adapter is the weight that it should be.

    Scripts/check_adapters.py [--lowrank .build/release/lowrank] [MODEL…]

For every model (the fixtures by default): the loss of a compression as an adapter of full rank gives the dense weights
again; one of limited rank has the error that numpy's SVD of the difference has; logits of the merged model are those of
the dense one. Also checks what converters to GGUF need of `reconstruct`: the tensor names, shapes and types of the
source, and its config.json; with the package gguf, that llama.cpp's table knows every name.

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
    merged = adapted.merge_and_unload()
    worst = max(relative(merged.state_dict()[name], weight) for name, weight in weights.items())
    with torch.no_grad():
        logits = relative(merged(ids).logits, source(ids).logits)
    rows.append(("full rank: merged weights against the dense ones", worst, 1e-5))
    rows.append(("full rank: logits against those of the dense model", logits, 1e-4))

    base = load(dense)
    before = {name: weight.clone() for name, weight in base.state_dict().items()}
    merged = PeftModel.from_pretrained(base, small / "peft").merge_and_unload()
    after = merged.state_dict()
    worst, count = 0.0, 0
    for name, weight in weights.items():
        difference = (weight - before[name]).double().numpy()
        if difference.ndim != 2 or not (after[name] - before[name]).abs().max() > 0:
            continue
        values = np.linalg.svd(difference, compute_uv=False)
        optimum = np.sqrt((values[4:] ** 2).sum())
        left = np.linalg.norm((weight - after[name]).double().numpy())
        worst, count = max(worst, abs(left - optimum) / optimum), count + 1
    rows.append((f"rank 4: error left against numpy's optimum, {count} matrices", worst, 1e-3 if count else -1))

    run(program, "reconstruct", small, "-o", scratch / "kept")
    expected, found = headers(model), headers(scratch / "kept")
    tied = set(expected) - set(found)
    same = all(found[name] == expected[name] for name in found) and tied <= {"lm_head.weight"}
    first, second = (json.loads((folder / "config.json").read_text()) for folder in (model, scratch / "kept"))
    title = "reconstruct: names, types, shapes and config.json of the source"
    rows.append((title, 0.0 if same and first == second else 1.0, 0))
    if gguf:
        table = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, source.config.model_type.upper()), 1024)
        unknown = [name for name in found if table.get_name(name, try_suffixes=(".weight", ".bias")) is None]
        rows.append((f"reconstruct: names of {len(found)} that llama.cpp's table lacks", float(len(unknown)), 0))
    else:
        print("names in llama.cpp's table: skipped, needs the package gguf")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lowrank", default=ROOT / ".build/release/lowrank")
    parser.add_argument("models", nargs="*", default=[ROOT / "Fixtures/tiny-llama", ROOT / "Fixtures/tiny-gpt2"])
    arguments = parser.parse_args()
    failed = False
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as scratch:
            for title, value, limit in check(arguments.lowrank, pathlib.Path(model), pathlib.Path(scratch)):
                failed |= value > limit
                print(f"{pathlib.Path(model).name:16} {title:66} {value:.1e} {'FAILED' if value > limit else 'ok'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
