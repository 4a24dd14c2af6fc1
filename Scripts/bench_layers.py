"""Times compressed layers of every form against dense layers of the same shape: what a form costs when it runs.

Writes a folder of random layers of one size, straight from the description of the format, and lets `lowrank bench
--checkpoint` time them. "rate" is the multiply-adds a second of the layer over those of the dense layer, "time" its
time over the dense layer's. Forms made of dense factors should keep a rate of 0.6 at 256 tokens (Saten 0.2), and pivot
storage at keep 0.5 a time of 1/1.7 at one token; what misses these is marked, and makes the exit status 1.

    swift build -c release
    python3 Scripts/bench_layers.py                                 every form, 4096 × 4096 in bf16, 1 and 256 tokens
    python3 Scripts/bench_layers.py --forms tt,tucker --batch 256
    python3 Scripts/bench_layers.py --size 2048 --threads 1 --json rates.json
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import oracle

numpy = oracle.need("numpy")

ROOT = pathlib.Path(__file__).resolve().parent.parent
RATE, SPARSE_RATE, PIVOT_TIME = 0.6, 0.2, 1 / 1.7


class Folder:
    """A checkpoint that holds nothing but compressed layers of random numbers."""

    def __init__(self, path, size):
        self.path, self.size = path, size
        self.tensors, self.modules, self.names = {}, {}, {}
        self.random = numpy.random.default_rng(1)

    def numbers(self, name, *shape):
        """bf16 numbers: the upper halves of float32 ones."""
        values = self.random.standard_normal(math.prod(shape), dtype="float32") / math.sqrt(self.size)
        self.tensors[name] = ("BF16", list(shape), (values.view("uint32") >> 16).astype("<u2").tobytes())

    def positions(self, name, dtype, array):
        self.tensors[name] = (dtype, list(array.shape), array.tobytes())

    def pivots(self, name, length, rank):
        """A factor that is the identity in `rank` of its rows."""
        chosen = numpy.sort(self.random.permutation(length)[:rank]).astype("<i4")
        self.numbers(name, length - rank, rank)
        self.positions(f"{name}.pivot.index", "I32", chosen)

    def module(self, label, schema, **entry):
        name = f"model.layers.{len(self.modules)}.mlp.up_proj"
        self.modules[name] = {"schema": schema, **entry}
        self.names[name] = label
        return name

    def write(self):
        self.path.mkdir(parents=True, exist_ok=True)
        config = {"model_type": "lowrank_llama", "architectures": ["LlamaForCausalLM"], "hidden_size": self.size,
                  "intermediate_size": self.size, "num_hidden_layers": len(self.modules), "num_attention_heads": 32,
                  "num_key_value_heads": 32, "vocab_size": 8, "torch_dtype": "bfloat16",
                  "low_rank_format_version": 1, "low_rank_method": "svd", "low_rank_schema": "mixed",
                  "low_rank_base_model_type": "llama", "low_rank_modules": self.modules}
        (self.path / "config.json").write_text(json.dumps(config))
        header, start = {"__metadata__": {"format": "pt"}}, 0
        for name, (dtype, shape, data) in self.tensors.items():
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + len(data)]}
            start += len(data)
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(self.path / "model.safetensors", "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, _, data in self.tensors.values():
                file.write(data)


# --- One function a method: its layers of S × S ---

def svd(folder, size):
    rank = size // 4
    name = folder.module("svd, keep 0.5", "ABLinear", rank=rank)
    folder.numbers(f"{name}.BLinear.weight", rank, size)
    folder.numbers(f"{name}.ALinear.weight", size, rank)
    rank = int(size * (1 - math.sqrt(0.5)))
    name = folder.module("svd pivot, keep 0.5", "PivotLinear", rank=rank)
    folder.numbers(f"{name}.pivot.weight", rank, size)
    folder.numbers(f"{name}.rest.weight", size - rank, rank)
    folder.positions(f"{name}.pivot.index", "I32",
                     numpy.sort(folder.random.permutation(size)[:rank]).astype("<i4"))


def tucker(folder, size):
    rank = int(size * (math.sqrt(1.5) - 1))
    for label, pivot in [("tucker matrix, keep 0.5", False), ("tucker matrix pivot, keep 0.5", True)]:
        # With pivots both factors lose their identity: 2 r (size − r) + r² numbers.
        ranks = [int(size * (1 - math.sqrt(0.5)))] * 2 if pivot else [rank] * 2
        name = folder.module(label, "TuckerLinear", ranks=ranks, **({"pivot": True} if pivot else {}))
        folder.numbers(f"{name}.tucker.core", *ranks)
        if pivot:
            folder.pivots(f"{name}.tucker.out", size, ranks[0])
            folder.pivots(f"{name}.tucker.in", size, ranks[1])
        else:
            folder.numbers(f"{name}.tucker.out", size, ranks[0])
            folder.numbers(f"{name}.tucker.in", ranks[1], size)
    for label, members, r in [("tucker, two layers, keep 0.5", 2, int(size * 0.366)),
                              ("tucker, eight experts, keep 0.5", 8, int(size * 0.593)),
                              ("tucker, eight experts with shared cores", 8, size // 2)]:
        group = folder.module(label, "TuckerLinear")
        whole = [0] if "shared" not in label else []
        stored = members if whole else members // 2
        folder.modules[group] |= {"ranks": [stored, r, r], "group": group, "slice": 0, "whole": whole}
        if not whole:
            del folder.modules[group]["whole"]
            folder.numbers(f"lowrank.tucker.{group}.factor.0", members, stored)
        folder.numbers(f"lowrank.tucker.{group}.core", stored, r, r)
        folder.numbers(f"lowrank.tucker.{group}.factor.1", size, r)
        folder.numbers(f"lowrank.tucker.{group}.factor.2", size, r)
    heads, width = 32, size // 32
    for label, axis in [("tucker heads, query", "outputs"), ("tucker heads, output", "inputs")]:
        ranks = [size // 2, width // 2, 2]
        group = folder.module(label, "TuckerLinear", ranks=ranks, slice=0, heads=heads, axis=axis)
        folder.modules[group]["group"] = group
        folder.numbers(f"lowrank.tucker.{group}.core", ranks[0], heads, ranks[1], ranks[2])
        for place, (length, rank) in {0: (size, ranks[0]), 2: (width, ranks[1]), 3: (4, ranks[2])}.items():
            folder.numbers(f"lowrank.tucker.{group}.factor.{place}", length, rank)


def train(folder, label, outputs, inputs, ranks, **entry):
    name = folder.module(label, "TTLinear", out_modes=outputs, in_modes=inputs, ranks=[1, *ranks, 1], **entry)
    for k, (m, n) in enumerate(zip(outputs, inputs)):
        folder.numbers(f"{name}.tt.{k}", ([1] + ranks)[k], m, n, (ranks + [1])[k])
    return name


def tt(folder, size):
    root = 1 << (size.bit_length() // 2)
    two = [root, size // root]
    third = 1 << math.ceil((size.bit_length() - 1) / 3)
    three = [third, third, size // third ** 2]
    for keep in (0.01, 0.1, 0.25, 0.5):
        rank = min(two[0] ** 2, two[1] ** 2, int(keep * size * size / sum(side * side for side in two)))
        train(folder, f"tt of two cores, rank {rank}", two, two[::-1], [rank])
    for keep in (0.01, 0.1, 0.25, 0.5):
        # Ranks of both bonds alike: r² in the middle core, r in the outer ones.
        middle, outer = three[1] ** 2, three[0] ** 2 + three[2] ** 2
        rank = int((math.sqrt(outer ** 2 + 4 * middle * keep * size * size) - outer) / (2 * middle))
        rank = min(rank, three[0] ** 2, three[2] ** 2)
        train(folder, f"tt of three cores, ranks {rank}", three, three, [rank, rank])
    rank = size // 4
    train(folder, f"tt split, rank {rank}", [1, 1, *two], [*two, 1, 1],
          [min(two[0], rank), rank, min(two[1], rank)])


def mixt(folder, size):
    for branches in (2, 3, 4, 5):
        copies = 2 ** (branches - 1)
        name = folder.module(f"mixt, {branches} branches", "MixTLinear", base=2, branches=branches,
                             padded=[size, size], size=[size, size])
        for k in range(branches):
            folder.numbers(f"{name}.mixt.{k}", size // copies, size // copies)


def saten(folder, size):
    for keep in (0.1, 0.25, 0.5, 0.8, "2:4"):
        share = 0.5 if keep == "2:4" else 0.9 * keep
        rank = max(1, int(0.05 * (0.55 if keep == "2:4" else keep) * size))
        low = {"schema": "ABLinear", "rank": rank}
        pattern = keep if keep == "2:4" else "topk"
        entries = int(share * size * size)
        name = folder.module(f"saten, {'keep ' if pattern == 'topk' else ''}{keep}", "SatenLinear", low_rank=low,
                             pattern=pattern, nnz=entries)
        folder.numbers(f"{name}.BLinear.weight", rank, size)
        folder.numbers(f"{name}.ALinear.weight", size, rank)
        if pattern == "2:4":
            folder.numbers(f"{name}.sparse.values", size, size // 2)
            pairs = numpy.array([[a, b] for a in range(4) for b in range(a + 1, 4)])
            chosen = pairs[folder.random.integers(0, 6, size * size // 4)].reshape(-1, 4)
            folder.positions(f"{name}.sparse.index", "U8", (chosen << [0, 2, 4, 6]).sum(1).astype("u1"))
            continue
        folder.numbers(f"{name}.sparse.values", entries)
        places = numpy.sort(folder.random.permutation(size * size)[:entries])
        rows, columns = places // size, places % size
        offsets = numpy.searchsorted(rows, numpy.arange(size + 1)).astype("<i4")
        if 2 * entries + 4 * (size + 1) < size * size / 8:
            steps = numpy.diff(columns, prepend=0)
            starts = offsets[:-1][numpy.diff(offsets) > 0]
            steps[starts] = columns[starts]
            folder.positions(f"{name}.sparse.columns", "U16", steps.astype("<u2"))
            folder.positions(f"{name}.sparse.offsets", "I32", offsets)
        else:
            mask = numpy.zeros(size * size, "u1")
            mask[places] = 1
            folder.positions(f"{name}.sparse.bitmap", "U8", numpy.packbits(mask, bitorder="little"))


FORMS = {"svd": svd, "tucker": tucker, "tt": tt, "mixt": mixt, "saten": saten}


# --- Figures ---

def judged(label, result):
    """What a result should reach, and whether it does; nil where nothing is asked."""
    if label.startswith("svd pivot") and result["n"] == 1:
        return result["relative_time"] <= PIVOT_TIME
    if result["n"] == 256:
        return result["relative_rate"] >= (SPARSE_RATE if label.startswith("saten") else RATE)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", default=",".join(FORMS), help="methods, separated by commas")
    parser.add_argument("--size", type=int, default=4096, help="side of the layers, a power of two (default 4096)")
    parser.add_argument("--batch", default="1,256", help="tokens, separated by commas")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--lowrank", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--keep-folder", type=pathlib.Path, help="write the layers here, or use those that are there")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="all that was measured")
    options = parser.parse_args()
    if not options.lowrank.exists():
        sys.exit(f"{options.lowrank}: not built; run `swift build -c release` or name it with --lowrank")
    with tempfile.TemporaryDirectory() as scratch:
        path = options.keep_folder or pathlib.Path(scratch) / "layers"
        labels = path / "labels.json"
        if not labels.exists():
            folder = Folder(path, options.size)
            for form in options.forms.split(","):
                FORMS[form](folder, options.size)
            folder.write()
            labels.write_text(json.dumps(folder.names))
        names = json.loads(labels.read_text())
        command = [options.lowrank, "bench", "--checkpoint", path, "--batch", options.batch, "--repeat", options.repeat,
                   "--threads", options.threads, "--json", "--quiet"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stderr.strip())
    found = json.loads(done.stdout)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    held = True
    print("| layer | tokens | time | dense | time / dense | rate / dense | holds |\n|---|---|---|---|---|---|---|")
    for result in found["results"]:
        label = names[result["module"]]
        good = judged(label, result)
        held = held and good is not False
        print(f"| {label} | {result['n']} | {result['seconds'] * 1e3:.2f} ms | {result['dense_seconds'] * 1e3:.2f} ms "
              f"| {result['relative_time']:.2f} | {result['relative_rate']:.2f} "
              f"| {'' if good is None else 'yes' if good else 'NO'} |")
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
