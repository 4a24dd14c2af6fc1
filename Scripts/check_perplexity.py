"""Perplexity of a dense Hugging Face folder in transformers: the oracle of `lowrank eval` and of `reconstruct`.

Proves that a checkpoint, an original or one that `lowrank reconstruct` wrote, has the loss that is claimed for it,
under the two protocols of `eval`: non-overlapping windows of one long text, or documents between separator lines.

    python3 Scripts/check_perplexity.py ../shared/data/stories260K --text ../shared/data/text/tinystories.eval.txt \\
        --documents '<|endoftext|>' --expect-loss 1.433427
    python3 Scripts/check_perplexity.py Fixtures/tiny-llama --text Fixtures/tiny-llama/heldout.txt \\
        --golden Fixtures/tiny-llama/golden.json
"""

import argparse
import json
import pathlib
import sys

import oracle


def context_of(model, requested):
    limit = getattr(model.config, "max_position_embeddings", None) or 2048
    if requested and requested > limit:
        sys.exit(f"--context {requested}: the model allows {limit}")
    return requested or min(limit, 2048)


def measure(model, tokenizer, options, separator):
    context = context_of(model, options.context)
    text = options.text.read_bytes().decode("utf-8")
    if separator is None:
        rows = oracle.window_ids(tokenizer, text, context, options.bos)
    else:
        rows = oracle.document_ids(tokenizer, text, context, separator, options.bos)
    rows = rows[:options.samples]
    if not rows:
        sys.exit(f"{options.text} is shorter than one window of {context} tokens")
    return {**oracle.score(model, rows), "context": context, "bos": options.bos}


def agrees(found, expected, tolerance):
    """Same loss within `tolerance`, and the same scored ids where the expectation names them."""
    close = abs(found["loss"] - expected["loss"]) <= tolerance
    same = all(found[key] == expected[key] for key in ("tokens", "token_sha256") if key in expected)
    print(f"expected loss {expected['loss']:.6f}: {'ok' if close and same else 'DIFFERS'}"
          + ("" if same else " (other token ids)"))
    return close and same


def show(protocol, scores, as_json):
    if as_json:
        print(json.dumps(scores))
    else:
        print(f"{protocol}: loss {scores['loss']:.6f}  perplexity {scores['perplexity']:.5f}  "
              f"tokens {scores['tokens']}  windows {scores['windows']}  context {scores['context']}  "
              f"sha256 {scores['token_sha256'][:16]}")


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="dense Hugging Face folder")
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--documents", metavar="SEPARATOR", help="score documents between lines equal to SEPARATOR")
    parser.add_argument("--context", type=int, help="window length (default: the model's, at most 2048)")
    parser.add_argument("--samples", type=int, help="first N windows or documents only")
    parser.add_argument("--bos", choices=["auto", "always", "never"], default="auto")
    parser.add_argument("--dtype", choices=["float32", "float64", "bfloat16"], default="float32")
    parser.add_argument("--expect-loss", type=float)
    parser.add_argument("--golden", type=pathlib.Path, help="golden.json of a fixture: checks both protocols")
    parser.add_argument("--tolerance", type=float, default=2e-6, help="of the loss, nats per token (default 2e-6)")
    parser.add_argument("--trust-remote-code", action="store_true", help="for a compressed folder and its loader files")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = options_of(arguments)
    model = oracle.load_model(options.model, options.dtype, options.trust_remote_code)
    tokenizer = oracle.load_tokenizer(options.model)
    if options.golden:
        golden = json.loads(options.golden.read_text())
        checks = [("windows", None, golden["windows"]), ("documents", golden["separator"], golden["documents"])]
    else:
        expected = None if options.expect_loss is None else {"loss": options.expect_loss}
        checks = [("windows" if options.documents is None else "documents", options.documents, expected)]
    good = True
    for protocol, separator, expected in checks:
        scores = measure(model, tokenizer, options, separator)
        show(protocol, scores, options.json)
        good = (expected is None or agrees(scores, expected, options.tolerance)) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
