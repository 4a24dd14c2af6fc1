"""How far compression turns the sentence embeddings of an encoder such as all-MiniLM-L6-v2: the mean cosine between
those of the original and of the compressed model, over lines that the calibration has not seen.

Calibrates on one text, compresses as SVD-LLM does (whitened factors of uniform ranks) and by the recipe of --stats and
--text, writes both back as dense checkpoints, and embeds lines of another text with transformers (mean over tokens).

    swift build -c release
    python3 Scripts/embedding_cosines.py MiniLM --calibration wiki.valid.txt --lines wiki.test.txt
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import oracle

PACKAGE = pathlib.Path(__file__).resolve().parent.parent
LEAST_CHARACTERS = 80


def run(*words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"exit {done.returncode}: {' '.join(map(str, words))}\n{done.stderr.strip()}")


def embeddings(folder, tokenizer, lines):
    torch, transformers = oracle.need("torch", "transformers")
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        found = [model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0) for ids in lines]
    return torch.nn.functional.normalize(torch.stack(found), dim=-1)


def lines_of(path, tokenizer, count):
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if len(line.strip()) >= LEAST_CHARACTERS]
    # Spread over the text, so that they are of many articles.
    chosen = lines[::max(1, len(lines) // count)][:count]
    return [tokenizer(line)["input_ids"][:256] for line in chosen]


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="dense Hugging Face folder of a BERT encoder")
    parser.add_argument("--calibration", type=pathlib.Path, required=True, help="text to calibrate on")
    parser.add_argument("--lines", type=pathlib.Path, required=True, help="text whose lines are embedded")
    parser.add_argument("--count", type=int, default=200, help="lines that are embedded")
    parser.add_argument("--samples", type=int, default=64, help="windows of 256 tokens that are calibrated on")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.8, 0.6, 0.4])
    parser.add_argument("--program", type=pathlib.Path, default=PACKAGE / ".build" / "release" / "lowrank")
    return parser.parse_args(arguments)


def main(arguments):
    options = options_of(arguments)
    oracle.need("torch", "transformers")
    tokenizer = oracle.load_tokenizer(options.model)
    lines = lines_of(options.lines, tokenizer, options.count)
    original = embeddings(options.model, tokenizer, lines)
    text = ["--text", options.calibration, "--context", 256, "--samples", options.samples]
    program, rising = options.program, True
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        statistics = scratch / "statistics"
        run(program, "calibrate", options.model, *text, "-o", statistics, "--quiet")
        forms = {"svd-llm": ["--stats", statistics, "--storage", "factors"],
                 "recipe": ["--stats", statistics, *text]}
        print(f"mean cosine of {len(lines)} embeddings to the original's\n{'keep':>6}  " + "  ".join(
            f"{name:>8}" for name in forms))
        for keep in options.keep:
            cosines = []
            for words in forms.values():
                small, dense = scratch / "small", scratch / "dense"
                run(program, "compress", options.model, "-o", small, "--keep", keep, *words, "--force", "--quiet")
                run(program, "reconstruct", small, "-o", dense, "--force", "--quiet")
                cosines.append(float((embeddings(dense, tokenizer, lines) * original).sum(-1).mean()))
            rising &= cosines[1] > cosines[0]
            print(f"{keep:6}  " + "  ".join(f"{cosine:8.4f}" for cosine in cosines), flush=True)
    return 0 if rising else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
