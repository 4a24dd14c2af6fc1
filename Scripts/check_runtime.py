"""Parity and speed of lowrank's transformer runtime against transformers, on the same checkpoints and ids.

Proves that `lowrank eval` computes the same function as PyTorch in float32: for random models of every family
(make_random_model.py) and for any checkpoint named, the largest difference of a logit is at most 1e-4 of the largest
logit, and the loss agrees; for encoders, that embeddings have cosine 0.99999 or more. With --speed, compares tokens per
second of prefill and of cached decoding with 2 threads each. With --memory (Linux), proves that weights are mapped and
not copied: the memory that is no page of a file stays below a quarter of the weights, whose size should be 500 MB or
more for this to say something.

    swift build -c release
    python3 Scripts/check_runtime.py                                      every family
    python3 Scripts/check_runtime.py --family llama3 --compare loss
    python3 Scripts/check_runtime.py --model ../shared/data/stories260K --length 300
    python3 Scripts/check_runtime.py --speed --model ../shared/data/stories260K
    python3 Scripts/check_runtime.py --speed --random-llama 1024x8
    python3 Scripts/check_runtime.py --memory --random-llama 2048x8 --length 512
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import make_random_model
import oracle

LOGIT_TOLERANCE = 1e-4   # of the largest logit
LOSS_TOLERANCE = 2e-6    # nats per token
COPIED_SHARE = 0.25      # of the bytes of the weights
COSINE_FLOOR = 0.99999


class Lowrank:
    """The program under test: the one place that knows its command line and the names in its output."""

    def __init__(self, program, scratch, threads):
        self.program, self.scratch, self.threads = program, scratch, threads

    def run(self, *arguments):
        command = [str(self.program), *map(str, arguments), "--threads", str(self.threads), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"exit {done.returncode}: {' '.join(command)}\n{done.stderr.strip()}")
        return json.loads(done.stdout)

    def evaluate(self, folder, ids, *more):
        """`eval` over one window that is exactly the ids."""
        tokens = self.scratch / "ids.json"
        tokens.write_text(json.dumps(ids))
        return self.run("eval", folder, "--tokens", tokens, "--context", len(ids), "--bos", "never", *more)

    def logits(self, folder, ids):
        """Logits (tokens × vocabulary), or for an encoder the hidden states (tokens × hidden)."""
        output = self.scratch / "logits.safetensors"
        self.evaluate(folder, ids, "--logits", output, "--force")
        tensors = oracle.need("safetensors.torch").load_file(output)
        return next(iter(tensors.values())).reshape(len(ids), -1).double()

    def prefill_rate(self, folder, ids, repeats):
        """Over windows of the same ids, the first of which finds cold caches."""
        tokens = self.scratch / "ids.json"
        tokens.write_text(json.dumps(ids * repeats))
        result = self.run("eval", folder, "--tokens", tokens, "--context", len(ids), "--bos", "never")
        return result["tokens_per_second"]

    def decode_rate(self, folder, ids, count):
        tokens = self.scratch / "ids.json"
        tokens.write_text(json.dumps(ids))
        result = self.run("generate", folder, "--tokens", tokens, "--max-tokens", count, "--ignore-eos")
        return result["decode_tokens_per_second"]


    def most_anonymous_memory(self, folder, ids):
        """Largest resident memory in bytes that is no page of a file, looked at every 20 ms of a run over the ids."""
        tokens = self.scratch / "ids.json"
        tokens.write_text(json.dumps(ids))
        process = subprocess.Popen(
            [str(self.program), "eval", str(folder), "--tokens", str(tokens), "--context", str(len(ids)), "--bos",
             "never", "--threads", str(self.threads), "--quiet"], stdout=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            most = max([most] + [1024 * int(line.split()[1]) for line in status.splitlines() if "RssAnon" in line])
            time.sleep(0.02)
        if process.returncode != 0:
            raise RuntimeError(f"exit {process.returncode}")
        return most


# --- The transformers side ---

def load_any(folder):
    """The model in float32, with its head if it has one."""
    torch, transformers = oracle.need("torch", "transformers")
    config = json.loads((folder / "config.json").read_text())
    kind = transformers.AutoModel if config["model_type"] == "bert" else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def reference_logits(model, ids):
    torch = oracle.need("torch")
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]))[0][0].double()


def reference_prefill_rate(model, ids, repeats):
    torch = oracle.need("torch")
    rows, rates = torch.tensor([ids]), []
    with torch.no_grad():
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            model(input_ids=rows, use_cache=False)
            rates.append(len(ids) / (time.perf_counter() - begin))
    return statistics.median(rates[1:])


def reference_decode_rate(model, ids, count):
    """Greedy decoding, one token a step, with the cache; the prompt is not timed."""
    torch = oracle.need("torch")
    with torch.no_grad():
        step = model(input_ids=torch.tensor([ids]), use_cache=True)
        begin = time.perf_counter()
        for _ in range(count):
            token = step.logits[:, -1:].argmax(-1)
            step = model(input_ids=token, past_key_values=step.past_key_values, use_cache=True)
        return count / (time.perf_counter() - begin)


# --- Checks ---

def random_ids(vocabulary, length, seed=3):
    return oracle.need("numpy").random.default_rng(seed).integers(3, vocabulary, length).tolist()


def ids_for(model, length):
    """Random ids, as many as the model allows; dynamic rope scaling only shows beyond its trained length."""
    limit = getattr(model.config, "max_position_embeddings", length)
    rope = getattr(model.config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "dynamic":
        limit = int(limit * rope["factor"])
    return random_ids(model.config.vocab_size, min(length, limit))


def compare_logits(expected, found):
    difference = (expected - found).abs().max().item() / expected.abs().max().item()
    return difference <= LOGIT_TOLERANCE, f"largest difference {difference:.1e} of the largest logit"


def compare_embeddings(expected, found):
    torch = oracle.need("torch")
    cosine = torch.nn.functional.cosine_similarity(expected.mean(0), found.mean(0), dim=0).item()
    return cosine >= COSINE_FLOOR, f"cosine of the mean-pooled embeddings {cosine:.8f}"


def compare_loss(expected, ids, found):
    torch = oracle.need("torch")
    loss = torch.nn.functional.cross_entropy(expected[:-1], torch.tensor(ids[1:])).item()
    return abs(loss - found) <= LOSS_TOLERANCE * max(1, abs(loss)), f"loss {found:.7f}, expected {loss:.7f}"


def check_parity(lowrank, folder, options):
    model = load_any(folder)
    ids = ids_for(model, options.length)
    expected = reference_logits(model, ids)
    if model.config.model_type == "bert":
        found = lowrank.logits(folder, ids)
        results = [compare_logits(expected, found), compare_embeddings(expected, found)]
    elif options.compare == "loss":
        results = [compare_loss(expected, ids, lowrank.evaluate(folder, ids)["loss"])]
    else:
        results = [compare_logits(expected, lowrank.logits(folder, ids))]
    return all(good for good, _ in results), "; ".join(text for _, text in results)


def check_speed(lowrank, folder, options):
    """Ratios lowrank / transformers; they must reach --prefill-ratio and --decode-ratio where those are given."""
    model = load_any(folder)
    if model.config.model_type == "bert":
        return True, "skipped, an encoder decodes nothing"
    ids = ids_for(model, options.length)
    prompt = ids[:max(1, len(ids) - options.decode)]
    pairs = [("prefill", options.prefill_ratio, lowrank.prefill_rate(folder, ids, repeats=6),
              reference_prefill_rate(model, ids, repeats=5)),
             ("decode", options.decode_ratio, lowrank.decode_rate(folder, prompt, options.decode),
              reference_decode_rate(model, prompt, options.decode))]
    good = all(floor is None or ours / theirs >= floor for _, floor, ours, theirs in pairs)
    return good, "; ".join(f"{name} {ours:.0f} tokens/s, transformers {theirs:.0f}: {ours / theirs:.2f} ×"
                           for name, _, ours, theirs in pairs)


def check_memory(lowrank, folder, options):
    config = json.loads((folder / "config.json").read_text())
    ids = random_ids(config["vocab_size"], min(options.length, config["max_position_embeddings"]))
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    found = lowrank.most_anonymous_memory(folder, ids)
    return found <= COPIED_SHARE * weights, f"{found / 1e6:.0f} MB beside {weights / 1e6:.0f} MB of mapped weights"


def random_llama(shape, folder):
    """HIDDENxLAYERS: a Llama whose feed-forward side is 2.75 × hidden, heads of 64, vocabulary 4096."""
    hidden, layers = map(int, shape.split("x"))
    model = make_random_model.build("llama2", overrides=dict(
        hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers, vocab_size=4096,
        num_attention_heads=hidden // 64, num_key_value_heads=max(1, hidden // 256), max_position_embeddings=2048,
        initializer_range=0.02))
    make_random_model.write(model, folder)
    return folder


def folders(options, scratch):
    """(name, folder) of everything to check, random models written one at a time."""
    for folder in options.model:
        yield folder.name, folder
    for shape in options.random_llama:
        yield f"random Llama {shape}", random_llama(shape, scratch / f"llama-{shape}")
    chosen = options.family or ([] if options.model or options.random_llama else list(make_random_model.FAMILIES))
    for family in chosen:
        # Spellings and stacks of the same weights have one speed.
        for variant in [[]] if options.speed else variants(family):
            folder = scratch / " ".join([family, *variant]).replace(" ", "-")
            make_random_model.write(make_random_model.build(family), folder, **{key: True for key in variant})
            yield " ".join([family, *variant]), folder


def variants(family):
    """As saved; with the older config keys; and, for experts, stacked."""
    experts = [["fused_experts"]] if "moe" in family or family == "mixtral" else []
    return [[], ["old_spelling"]] + experts


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent.parent / ".build/release/lowrank")
    parser.add_argument("--family", action="append", choices=list(make_random_model.FAMILIES), metavar="FAMILY",
                        help="only these random models (default: all, where no --model is given)")
    parser.add_argument("--model", action="append", type=pathlib.Path, default=[], help="a checkpoint folder")
    parser.add_argument("--random-llama", action="append", default=[], metavar="HIDDENxLAYERS")
    parser.add_argument("--length", type=int, default=96, help="ids in the window (default 96)")
    parser.add_argument("--compare", choices=["logits", "loss"], default="logits")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--speed", action="store_true", help="compare tokens per second instead")
    parser.add_argument("--memory", action="store_true", help="check that weights are not copied instead")
    parser.add_argument("--decode", type=int, default=64, help="tokens to decode for --speed")
    parser.add_argument("--prefill-ratio", type=float, help="fail below this ratio")
    parser.add_argument("--decode-ratio", type=float, help="fail below this ratio")
    options = parser.parse_args()
    if options.memory and not (options.model or options.random_llama):
        parser.error("--memory says something of large weights only: give --model or --random-llama 2048x8")
    return options


def main():
    options = options_of()
    torch = oracle.need("torch", "transformers", "safetensors", "numpy")[0]
    torch.set_num_threads(options.threads)
    if not options.program.exists():
        sys.exit(f"{options.program} is not built: swift build -c release")
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        lowrank = Lowrank(options.program, pathlib.Path(scratch), options.threads)
        for name, folder in folders(options, pathlib.Path(scratch)):
            try:
                check = check_speed if options.speed else check_memory if options.memory else check_parity
                good, text = check(lowrank, folder, options)
            except RuntimeError as error:
                good, text = False, str(error)
            failures += not good
            print(f"{'ok    ' if good else 'FAILED'} {name}: {text}", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
