"""What the scripts of this folder have in common: the program, the data, and two columns, claimed and seen.

Every script takes `--lowrank PATH` (the release build by default) and `--data FOLDER` (`../shared/data` beside the
repository, or the environment's LOWRANK_DATA). What needs data that is not there is skipped, and says so.
"""

import argparse
import json
import math
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = pathlib.Path(os.environ.get("LOWRANK_DATA", ROOT.parent / "shared" / "data"))
SEPARATOR = "<|endoftext|>"


def options(document, *more):
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowrank", type=pathlib.Path, default=ROOT / ".build/release/lowrank")
    parser.add_argument("--data", type=pathlib.Path, default=DATA)
    for words, settings in more:
        parser.add_argument(*words, **settings)
    found = parser.parse_args()
    if not found.lowrank.exists():
        sys.exit(f"{found.lowrank} is not there: swift build -c release, or give --lowrank")
    return found


def heading(paper, claim):
    print(f"{paper}\n  the paper claims: {claim}", flush=True)


def see(text):
    print(f"  we see: {text}", flush=True)


def need(*paths):
    """Whether all paths are there; says which is not."""
    for path in paths:
        if not pathlib.Path(path).exists():
            print(f"  SKIPPED: needs {path}", flush=True)
            return False
    return True


def lowrank(program, *words, quiet=True):
    """Runs a command; its result as JSON where it was asked for. Ends the script where the command fails."""
    words = [str(word) for word in words] + (["-q"] if quiet else [])
    run = subprocess.run([str(program), *words], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"lowrank {' '.join(words)} ended with {run.returncode}: {run.stderr.strip()}")
    return json.loads(run.stdout) if "--json" in words else run.stdout


def report(folder):
    return json.loads((pathlib.Path(folder) / "report.json").read_text())


class Stories:
    """The small trained Llama with its calibration and evaluation stories."""

    def __init__(self, program, data, scratch, documents=256):
        self.program, self.scratch = program, pathlib.Path(scratch)
        self.model = data / "stories260K"
        self.calibration = data / "text/tinystories.calib.txt"
        self.evaluation = data / "text/tinystories.eval.txt"
        self.text = ["--text", self.calibration, "--documents", SEPARATOR, "--samples", documents]
        self._statistics = None

    @property
    def is_there(self):
        return need(self.model, self.calibration, self.evaluation)

    @property
    def statistics(self):
        if self._statistics is None:
            path = self.scratch / "stories.stats"
            lowrank(self.program, "calibrate", self.model, *self.text, "-o", path)
            self._statistics = path
        return self._statistics

    def compress(self, name, *words):
        output = self.scratch / name
        lowrank(self.program, "compress", self.model, "-o", output, "--force", *words)
        return output

    def evaluate(self, folder, reference=False):
        words = ["eval", folder, "--text", self.evaluation, "--documents", SEPARATOR, "--json"]
        return lowrank(self.program, *words, *(["--reference", self.model] if reference else []))

    def perplexity(self, folder):
        return self.evaluate(folder)["perplexity"]


def mean_error(folder, key="relative_error"):
    lines = [line for line in report(folder)["tensors"] if line[key] is not None]
    return sum(line[key] for line in lines) / len(lines)


def table(titles, rows):
    """Lines of text, numbers to the right."""
    cells = [titles] + [[cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}"
                         for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        print("    " + "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                                 for column, (cell, width) in enumerate(zip(row, widths))).rstrip(), flush=True)


def hollow_checkpoint(config, folder):
    """A checkpoint of a Llama or Qwen3 with the shapes of its configuration and no numbers: a file that is one hole.

    Enough for what reads headers only, and of no size on a disk that knows sparse files.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    document = json.loads(pathlib.Path(config).read_text())
    document["torch_dtype"] = "bfloat16"
    (folder / "config.json").write_text(json.dumps(document))
    hidden, inner, words = document["hidden_size"], document["intermediate_size"], document["vocab_size"]
    width = document.get("head_dim") or hidden // document["num_attention_heads"]
    queries, keys = document["num_attention_heads"] * width, document["num_key_value_heads"] * width
    shapes = {"model.embed_tokens.weight": [words, hidden], "model.norm.weight": [hidden]}
    if not document.get("tie_word_embeddings"):
        shapes["lm_head.weight"] = [words, hidden]
    for layer in range(document["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        shapes |= {
            f"{block}self_attn.q_proj.weight": [queries, hidden], f"{block}self_attn.k_proj.weight": [keys, hidden],
            f"{block}self_attn.v_proj.weight": [keys, hidden], f"{block}self_attn.o_proj.weight": [hidden, queries],
            f"{block}mlp.gate_proj.weight": [inner, hidden], f"{block}mlp.up_proj.weight": [inner, hidden],
            f"{block}mlp.down_proj.weight": [hidden, inner], f"{block}input_layernorm.weight": [hidden],
            f"{block}post_attention_layernorm.weight": [hidden]}
        if document["model_type"] == "qwen3":
            shapes |= {f"{block}self_attn.q_norm.weight": [width], f"{block}self_attn.k_norm.weight": [width]}
    entries, end = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(shapes):
        begin, end = end, end + 2 * math.prod(shapes[name])
        entries[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [begin, end]}
    header = json.dumps(entries).encode()
    header += b" " * (-len(header) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + end)
    return folder
