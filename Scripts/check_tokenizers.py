"""What the `tokenizers` library makes of hard texts: the oracle of the tokenizers in Sources/Models.

Writes Tests/ModelsTests/Resources/tokenizer_goldens.json, which the Swift tests compare with: the ids of every hard
case for each real tokenizer, the number and SHA-256 of the ids of whole texts (as little-endian int32), line by line
and as one text, and short digests for variants of these tokenizers that together use every supported component.

    python3 Scripts/check_tokenizers.py --data ../shared/data            # writes the file
    python3 Scripts/check_tokenizers.py --data ../shared/data --compare  # says whether it would change

Needs: pip install tokenizers transformers
"""

import argparse
import copy
import hashlib
import json
import pathlib
import struct
import sys
import tempfile

import tokenizers
import transformers

from tokenizer_cases import CASES, VARIANTS, every_scalar

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "Tests/ModelsTests/Resources/tokenizer_goldens.json"
TEXTS = ["tinystories.calib.txt", "tinystories.eval.txt", "wikitext2.test.joined.txt", "wikitext2.test.raw",
         "wikitext2.valid.tokenised.txt"]
FILES = {
    "stories260K": "stories260K/tokenizer.json",
    "llama-2": "tokenizers/llama-2.tokenizer.json",
    "gpt2": "tokenizers/gpt2.tokenizer.json",
    "gptneox": "tokenizers/pythia-gptneox.tokenizer.json",
    "bert": "tokenizers/bert-base-uncased.tokenizer.json",
}
QWEN = {"vocab.json": "qwen3.vocab.json", "merges.txt": "qwen3.merges.txt",
        "tokenizer_config.json": "qwen3.tokenizer_config.json", "added_tokens.json": "qwen3.added_tokens.json"}


def from_json(description):
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(description))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def qwen3(data):
    with tempfile.TemporaryDirectory() as folder:
        for name, source in QWEN.items():
            (pathlib.Path(folder) / name).write_bytes((data / "tokenizers" / source).read_bytes())
        return transformers.AutoTokenizer.from_pretrained(folder).backend_tokenizer


def encode(tokenizer, text, special=False):
    return tokenizer.encode(text, add_special_tokens=special).ids


def digest(ids):
    return hashlib.sha256(struct.pack(f"<{len(ids)}i", *ids)).hexdigest()


def summary(ids):
    return {"tokens": len(ids), "sha256": digest(ids)}


def text_goldens(tokenizer, data):
    result = {}
    for name in TEXTS:
        text = (data / "text" / name).read_bytes().decode()
        lines = tokenizer.encode_batch(text.split("\n"), add_special_tokens=False)
        result[name] = {"lines": summary([i for line in lines for i in line.ids]),
                        "whole": summary(encode(tokenizer, text))}
    return result


def real_goldens(tokenizer, data):
    ids = [encode(tokenizer, case) for case in CASES]
    return {
        "ids": ids,
        "decoded": [tokenizer.decode(i, skip_special_tokens=False) for i in ids],
        "withSpecialTokens": encode(tokenizer, "Hello world", special=True),
        "everyScalar": summary(encode(tokenizer, every_scalar())),
        "texts": text_goldens(tokenizer, data),
    }


def merged(base, changes):
    """`base` with the members of `changes` in their place, objects member by member where both are `model`."""
    result = copy.copy(base)
    for key, value in changes.items():
        if key == "model":
            result[key] = {**base[key], **value}
        elif key == "added_tokens":
            result[key] = base[key] + value
        else:
            result[key] = value
    return result


def variant_goldens(descriptions):
    result = []
    for name, base, changes in VARIANTS:
        tokenizer = from_json(merged(descriptions[base], changes))
        ids = [encode(tokenizer, case, special=True) for case in CASES]
        result.append({
            "name": name, "base": base, "changes": changes,
            "digests": [digest(i)[:8] for i in ids],
            "decoded": digest_of_texts([tokenizer.decode(i, skip_special_tokens=True) for i in ids]),
            "everyScalar": summary(encode(tokenizer, every_scalar())),
        })
    return result


def digest_of_texts(texts):
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=GOLDENS.parents[3].parent / "shared" / "data")
    parser.add_argument("--compare", action="store_true", help="write nothing, fail where the file would change")
    options = parser.parse_args()

    descriptions = {name: json.loads((options.data / path).read_text()) for name, path in FILES.items()}
    real = {name: from_json(description) for name, description in descriptions.items()}
    real["qwen3"] = qwen3(options.data)
    goldens = {
        "origin": f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}",
        "cases": CASES,
        "everyScalar": hashlib.sha256(every_scalar().encode()).hexdigest(),
        "tokenizers": {name: real_goldens(tokenizer, options.data) for name, tokenizer in real.items()},
        "variants": variant_goldens(descriptions),
    }
    text = json.dumps(goldens, ensure_ascii=True, separators=(",", ":")).replace('},"', '},\n"').replace("]],", "]],\n")
    text += "\n"
    if options.compare:
        if GOLDENS.read_text() != text:
            sys.exit(f"{GOLDENS} differs from what {goldens['origin']} gives")
        print("unchanged")
        return
    GOLDENS.parent.mkdir(exist_ok=True)
    GOLDENS.write_text(text)
    print(f"{GOLDENS}: {len(CASES)} cases, {len(VARIANTS)} variants, {len(text)} bytes")


if __name__ == "__main__":
    main()
