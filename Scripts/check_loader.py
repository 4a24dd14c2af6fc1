"""Holds compressed folders, opened in transformers by the loader that lies in them, against dense ones and `lowrank`.

For every family (small random models of make_random_model.py), and every checkpoint named, and every form of storage:
compress, reconstruct in f32, open both in transformers, and look at

    logits      those of the compressed folder against the dense one's, relative: at most 1e-4
    lowrank     the same against the logits that `lowrank eval` computes
    perplexity  against that of `lowrank eval`, relative: at most 1e-4 (of encoders: the hidden states again)
    parameters  as many as report.json says
    step        one step of AdamW moves every factor, and no position
    generate    greedy text is that of the dense folder
    half        in bfloat16, and opened without the head, numbers stay near
    saved       save_pretrained writes the same names, types and bytes, and opens again with the same logits
    read back   `lowrank` reads what was saved: the same parameters and logits, and reconstructs it
    refused     without trust_remote_code there is an error that says what to do

Prints a line for each and the number of those that are wrong. A form that a model cannot have (sides that do not
divide, no group of that kind) is counted apart.

    swift build -c release
    python3 Scripts/check_loader.py                                       every family, every form
    python3 Scripts/check_loader.py --family llama2 gpt2 --form svd tt    some
    python3 Scripts/check_loader.py --model Fixtures/tiny-llama           a checkpoint

Random models have the config.json of the transformers that is installed. With 4.57, --rope-parameters gives them that
of transformers 5, as a model saved there has it: the loader understands it, and the dense folder, which that version
would read as one without scaling, is spelled back before it is compared.
"""

import argparse
import contextlib
import io
import json
import logging
import math
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

import check_runtime
import make_random_model
import oracle

SCRIPTS = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-4
HALF_TOLERANCE = 0.2

FAMILIES = ["llama2", "llama3", "mistral-sliding", "qwen2", "qwen3", "qwen3-moe", "mixtral", "mixtral-stacked",
            "gpt-neox", "gpt2", "gpt2-bare", "bert"]

# What the random models would otherwise be too small, or of the wrong sides, for.
SETTINGS = {
    "gpt2": {"n_embd": 64, "n_head": 4, "n_inner": 96}, "gpt2-bare": {"n_embd": 64, "n_head": 4, "n_inner": 96},
    "bert": {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96},
    "gpt-neox": {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96},
}

FORMS = {
    "svd": "svd --keep 0.6",
    "pivot": "svd --storage pivot --keep 0.6",
    "shared": "svd --share-layers 3 --keep 0.6",
    "shared-pivot": "svd --share-layers 3 --storage pivot --keep 0.6",
    "tucker": "tucker --keep 0.6",
    "tucker-pivot": "tucker --storage pivot --keep 0.6",
    "heads": "tucker --tucker-group heads --keep 0.6",
    "heads-full": "tucker --tucker-group heads --tucker-form full --keep 0.4",
    "heads-pivot": "tucker --tucker-group heads --tucker-form full --storage pivot --keep 0.4",
    "layers": "tucker --tucker-group layers --share-layers 3 --keep 0.5",
    "layers-full": "tucker --tucker-group layers --share-layers 3 --tucker-form full --keep 0.3",
    "layers-pivot": "tucker --tucker-group layers --share-layers 3 --tucker-form full --storage pivot --keep 0.3",
    "experts": "tucker --tucker-group experts --keep 0.5",
    "experts-full": "tucker --tucker-group experts --tucker-form full --keep 0.3",
    "tt": "tt --keep 0.5",
    "tt-3": "tt --tt-order 3 --keep 0.6",
    "tt-pivot": "tt --storage pivot --keep 0.5",
    "tt-split": "tt --tt-layout split --keep 0.5",
    "tt-split-pivot": "tt --tt-layout split --storage pivot --keep 0.5",
    "mixt": "mixt --mixt-branches 3",
    "mixt-ordered": "mixt --mixt-branches 3 --mixt-order fitted",
    "saten": "saten --keep 0.6",
    "saten-few": "saten --keep 0.15",
    "saten-2:4": "saten --saten-pattern 2:4 --keep 0.7",
    "saten-1:4": "saten --saten-pattern 1:4 --keep 0.6",
    "saten-pivot": "saten --storage pivot --keep 0.6",
    "saten-tt": "saten --saten-low-rank tt --saten-density 0.1 --keep 0.6",
    "saten-tt-pivot": "saten --saten-low-rank tt --saten-density 0.1 --storage pivot --keep 0.6",
    "tt-outliers": "tt --tt-outliers 1e-3 --keep 0.6",
}


class Case:
    """One source in one form: the folders, and how transformers opens them."""

    def __init__(self, lowrank, source, form, scratch):
        self.lowrank, self.source, self.scratch = lowrank, source, scratch
        self.packed, self.dense, self.saved = scratch / "packed", scratch / "dense", scratch / "saved"
        for folder in (self.packed, self.dense, self.saved):
            shutil.rmtree(folder, ignore_errors=True)
        self.made = lowrank.run("compress", source, "-o", self.packed, "--method", *form.split())
        self.report = json.loads((self.packed / "report.json").read_text())
        self.config = json.loads((self.packed / "config.json").read_text())
        self.is_encoder = self.config["low_rank_base_model_type"] == "bert" if self.is_compressed else False

    @property
    def is_compressed(self):
        return "low_rank_modules" in self.config

    def open(self, folder, dtype="float32", without_head=False, **options):
        torch, transformers = oracle.need("torch", "transformers")
        auto = transformers.AutoModel if without_head or self.is_encoder else transformers.AutoModelForCausalLM
        options = {"trust_remote_code": True, **options}
        return auto.from_pretrained(folder, dtype=dtype if dtype == "auto" else getattr(torch, dtype), **options).eval()

    def output(self, model, ids):
        """Logits, or the hidden states of an encoder, (tokens × …)."""
        torch = oracle.need("torch")
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids]))[0][0].double()


def relative(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


# --- The checks: each returns whether it is right, and a figure or nothing ---

def check_logits(case, model, ids, expected):
    error = relative(case.output(model, ids), expected)
    return error <= TOLERANCE, f"{error:.0e}"


def check_lowrank(case, model, ids, expected):
    error = relative(case.lowrank.logits(case.packed, ids), case.output(model, ids))
    return error <= TOLERANCE, f"{error:.0e}"


def check_perplexity(case, model, ids, expected):
    torch = oracle.need("torch")
    if case.is_encoder:
        return True, ""
    loss = torch.nn.functional.cross_entropy(case.output(model, ids)[:-1], torch.tensor(ids[1:])).item()
    found = case.lowrank.evaluate(case.packed, ids)["perplexity"]
    return abs(found / math.exp(loss) - 1) <= TOLERANCE, f"{abs(found / math.exp(loss) - 1):.0e}"


def check_parameters(case, model, ids, expected):
    count = sum(parameter.numel() for parameter in model.parameters())
    return count == case.report["totals"]["parameters"] - unused(case.packed), ""


def factors_of(model):
    modules = tuple(f"{name}." for name in model.config.low_rank_modules) + ("lowrank.",)
    return {name: value for name, value in model.named_parameters()
            if name.startswith(modules) and not name.endswith("bias")}


def check_step(case, model, ids, expected):
    torch = oracle.need("torch")
    before = {name: value.detach().clone() for name, value in factors_of(model).items()}
    positions = {name: value.clone() for name, value in model.named_buffers() if not value.is_floating_point()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for block in model.modules():
        if hasattr(block, "top_k") and hasattr(block, "experts"):
            block.top_k = len(block.gate.weight)  # an expert that no token chooses has no gradient
    output = model(input_ids=torch.tensor([ids]))[0]
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(5))
    (output * weight).sum().backward()
    optimiser.step()
    still = [name for name, value in factors_of(model).items() if torch.equal(value, before[name])]
    moved = [name for name, value in model.named_buffers()
             if name in positions and not torch.equal(value, positions[name])]
    return bool(before) and not still and not moved, (still + moved)[0] if still + moved else ""


def check_generate(case, model, ids, expected):
    torch = oracle.need("torch")
    if case.is_encoder:
        return True, ""
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    prompt = torch.tensor([ids[:12]])
    texts = [opened.generate(prompt, attention_mask=torch.ones_like(prompt), **options)
             for opened in (model, case.open(case.dense, trust_remote_code=False))]
    return torch.equal(*texts), ""


def check_half(case, model, ids, expected):
    error = relative(case.output(case.open(case.packed, "bfloat16"), ids), expected)
    base = case.output(case.open(case.packed, without_head=True), ids)
    dense = case.output(case.open(case.dense, without_head=True, trust_remote_code=False), ids)
    return error <= HALF_TOLERANCE and relative(base, dense) <= TOLERANCE, f"{error:.0e}"


def stored(folder):
    load = oracle.need("safetensors.torch").load_file
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load(file).items()}


def unused(folder):
    """Numbers of the positions that old BERT checkpoints store, and transformers computes and drops."""
    return sum(tensor.numel() for name, tensor in stored(folder).items() if name.endswith("position_ids"))


def check_saved(case, model, ids, expected):
    torch = oracle.need("torch")
    opened = case.open(case.packed, "auto")
    opened.save_pretrained(case.saved)
    ours, theirs = stored(case.packed), stored(case.saved)
    ours = {name: tensor for name, tensor in ours.items() if not name.endswith("position_ids")}
    prefix = opened.base_model_prefix + "."
    same = {name.removeprefix(prefix) for name in ours} == {name.removeprefix(prefix) for name in theirs}
    if not same:
        return False, sorted(set(ours) ^ set(theirs))[0]
    theirs = {name.removeprefix(prefix): tensor for name, tensor in theirs.items()}
    for name, tensor in ours.items():
        other = theirs[name.removeprefix(prefix)]
        if tensor.dtype != other.dtype or not torch.equal(tensor, other):
            return False, name
    again = case.open(case.saved, "auto")
    return torch.equal(case.output(again, ids), case.output(opened, ids)), ""


def check_read_back(case, model, ids, expected):
    torch = oracle.need("torch")
    counts = [case.lowrank.run("inspect", folder)["parameters"] - unused(folder)
              for folder in (case.packed, case.saved)]
    logits = [case.lowrank.logits(folder, ids) for folder in (case.packed, case.saved)]
    case.lowrank.run("reconstruct", case.saved, "-o", case.scratch / "again", "--force", "--dtype", "f32")
    again, dense = (sorted(tuple(tensor.shape) for tensor in stored(folder).values())
                    for folder in (case.scratch / "again", case.dense))
    again += [tuple(tensor.shape) for name, tensor in stored(case.dense).items() if name.endswith("position_ids")]
    return counts[0] == counts[1] and torch.equal(*logits) and sorted(again) == dense, ""


def check_refused(case, model, ids, expected):
    try:
        case.open(case.packed, trust_remote_code=False)
    except ValueError as error:
        return "trust_remote_code" in str(error), ""
    return False, "opened"


CHECKS = {
    "logits": check_logits, "lowrank": check_lowrank, "perplexity": check_perplexity, "parameters": check_parameters,
    "generate": check_generate, "half": check_half, "saved": check_saved, "read back": check_read_back,
    "refused": check_refused, "step": check_step,
}


def check(lowrank, source, form, scratch, names):
    """A list of (name, right, figure); None where the form cannot be had."""
    try:
        case = Case(lowrank, source, form, scratch)
    except RuntimeError as error:
        if "\"code\":2" in str(error) or "exit 1" in str(error) or "exit 2" in str(error):
            return None
        raise
    if not case.is_compressed:
        return None
    lowrank.run("reconstruct", case.packed, "-o", case.dense, "--dtype", "f32")
    if make_random_model.is_older(oracle.need("transformers")):
        make_random_model.spell_old(case.dense / "config.json")
    model = case.open(case.packed)
    ids = check_runtime.random_ids(model.config.vocab_size, 48)
    expected = case.output(case.open(case.dense, trust_remote_code=False), ids)
    results = []
    for name in names:
        try:
            results.append((name, *CHECKS[name](case, model, ids, expected)))
        except Exception as error:  # whatever goes wrong in one check, the others are still of interest
            results.append((name, False, f"{type(error).__name__}: {str(error)[:200]}"))
    return results


def sources(options, scratch):
    """(name, folder) of every source."""
    for family in options.family:
        folder = scratch / family
        kind = {"mixtral-stacked": "mixtral", "gpt2-bare": "gpt2"}.get(family, family)
        model = make_random_model.build(kind, 0, SETTINGS.get(family))
        if family == "gpt2-bare":
            model = model.transformer  # as the first published checkpoints are: names without prefix, and no head
        make_random_model.write(model, folder, fused_experts=family.endswith("-stacked"))
        if family == "gpt2-bare":
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "architectures": ["GPT2LMHeadModel"]}))
        if options.rope_parameters:
            make_random_model.spell_new(folder / "config.json")
        yield family, folder
    for folder in options.model:
        yield folder.name, folder


def be_quiet():
    transformers = oracle.need("transformers")
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    os.environ.setdefault("TQDM_DISABLE", "1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", choices=FAMILIES, help="families of random models; default: all")
    parser.add_argument("--model", nargs="+", type=pathlib.Path, default=[], metavar="CKPT", help="checkpoints instead")
    parser.add_argument("--form", nargs="+", choices=FORMS, default=list(FORMS), help="forms of storage; default: all")
    parser.add_argument("--check", nargs="+", choices=CHECKS, default=list(CHECKS), help="checks; default: all")
    parser.add_argument("--rope-parameters", action="store_true", help="config.json in the keys of transformers 5")
    parser.add_argument("--lowrank", type=pathlib.Path, default=SCRIPTS.parent / ".build/release/lowrank")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.family is None:
        options.family = [] if options.model else FAMILIES
    torch, transformers = oracle.need("torch", "transformers")
    torch.set_num_threads(options.threads)
    be_quiet()
    right, wrong, absent = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        lowrank = check_runtime.Lowrank(options.lowrank, scratch, options.threads)
        for name, source in sources(options, scratch):
            for form in options.form:
                with contextlib.redirect_stderr(io.StringIO()):
                    results = check(lowrank, source, FORMS[form], scratch, options.check)
                if results is None:
                    absent += 1
                    continue
                words = [f"{check} {figure or 'ok'}" if good else f"{check} WRONG {figure}"
                         for check, good, figure in results]
                right += sum(good for _, good, _ in results)
                wrong += sum(not good for _, good, _ in results)
                print(f"{name:16} {form:15} {', '.join(words)}", flush=True)
    print(f"transformers {transformers.__version__}, torch {torch.__version__}: {right} right, {wrong} wrong; "
          f"{absent} forms that a model cannot have")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
