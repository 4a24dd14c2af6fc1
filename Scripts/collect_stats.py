"""Collects the statistics of `lowrank calibrate` with transformers, on a CPU or a GPU: for models that are too slow to
run otherwise. The file is the same but for rounding, and `lowrank compress --stats` takes either.

    python3 Scripts/collect_stats.py Llama-2-7b-hf --text wiki.txt --samples 128 --device cuda -o stats.safetensors

With `--gradients` the model is gone back through as well, for the second moments of the gradients of -sum log p(next
token) towards the outputs of every layer in a block, which `--objective kfac` needs. (For an encoder the loss is the
sum of its hidden states with random signs; those of `lowrank calibrate` are others.)

Mixtures of experts are refused, because transformers holds experts in stacks whose inputs no hook sees; use
`lowrank calibrate` for them.
"""

import argparse
import collections
import json
import pathlib
import sys

import oracle
import statistics_file

# Modules that read what the first of them reads, by the end of their names, for every family.
SHARED = [("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("query", "key", "value")]


class Sums:
    """Moments of one input, summed in float64 on the device of the model."""

    def __init__(self):
        self.moment = self.absolute = self.fourth = None
        self.tokens = 0

    def add(self, x):
        x = x.detach().reshape(-1, x.shape[-1]).double()
        new = x.T @ x, x.abs().sum(0), (x * x).sum(1).square().sum()
        if self.moment is None:
            self.moment, self.absolute, self.fourth = new
        else:
            self.moment += new[0]
            self.absolute += new[1]
            self.fourth += new[2]
        self.tokens += len(x)

    def numbers(self):
        return {"moment": self.moment.cpu().numpy(), "absolute_sum": self.absolute.cpu().numpy(),
                "fourth_power_sum": float(self.fourth), "tokens": self.tokens}


def load(folder, config, dtype, device):
    torch, transformers = oracle.need("torch", "transformers")
    if any(key in config for key in ("num_experts", "num_local_experts")):
        sys.exit("mixtures of experts are not supported here; use lowrank calibrate")
    kind = transformers.AutoModel if config["model_type"] == "bert" else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder, dtype=getattr(torch, dtype)).eval().to(device)


def linear_modules(model, folder):
    """{name in the checkpoint: module} of every linear layer in blocks, and of a head with a weight of its own."""
    torch, pytorch_utils = oracle.need("torch", "transformers.pytorch_utils")
    stored = statistics_file.tensors_of(folder)
    prefix = model.base_model_prefix + "."
    found = {}
    for name, module in model.named_modules():
        if not isinstance(module, (torch.nn.Linear, pytorch_utils.Conv1D)):
            continue
        names = [name, name.removeprefix(prefix), prefix + name]
        known = next((candidate for candidate in names if f"{candidate}.weight" in stored), None)
        is_head = module is model.get_output_embeddings()
        if known is None or (is_head and model.config.tie_word_embeddings):
            continue
        if is_head or any(part.isdigit() for part in known.split(".")):
            found[known] = module
    return found


def inputs_of(names):
    """{input: modules that read it}"""
    inputs = collections.OrderedDict()
    for name in names:
        stem, last = name.rsplit(".", 1) if "." in name else ("", name)
        shared = next((group for group in SHARED if last in group), (last,))
        first = f"{stem}.{shared[0]}" if stem else shared[0]
        inputs.setdefault(first, []).append(name)
    return inputs


def rows_of(options, config, folder):
    """Sequences of ids, cut as `lowrank calibrate` cuts them, and the context."""
    limit = config.get("max_position_embeddings") or config.get("n_positions")
    context = options.context or min(limit or 2048, 2048)
    if options.tokens:
        ids = json.loads(options.tokens.read_text())
        rows = ids if isinstance(ids[0], list) else [
            ids[i:i + context] for i in range(0, len(ids) - context + 1, context)]
        return [row[:context] for row in rows if len(row) > 1][:options.samples], context
    tokenizer = oracle.load_tokenizer(folder)
    text = "".join(path.read_bytes().decode("utf-8") for path in options.text)
    if config["model_type"] == "bert" and options.bos != "never":
        around = tokenizer("", add_special_tokens=True)["input_ids"]
        room, half = context - len(around), len(around) // 2
        documents = [text] if options.documents is None else oracle.split_documents(text, options.documents)
        rows = []
        for document in documents:
            ids = tokenizer(document, add_special_tokens=False)["input_ids"]
            parts = [ids[i:i + room] for i in range(0, len(ids), room)] if options.documents is None else [ids[:room]]
            rows += [around[:half] + part + around[half:] for part in parts]
    elif options.documents is None:
        rows = oracle.window_ids(tokenizer, text, context, options.bos)
    else:
        rows = oracle.document_ids(tokenizer, text, context, options.documents, options.bos)
    return [row for row in rows if len(row) > 1][:options.samples], context


def collect(model, modules, inputs, rows, device):
    torch = oracle.need("torch")
    sums = {name: Sums() for name in inputs}
    hooks = [modules[name].register_forward_pre_hook(lambda _, args, name=name: sums[name].add(args[0]))
             for name in inputs]
    with torch.no_grad():
        for index, row in enumerate(rows):
            model(input_ids=torch.tensor([row], device=device), **({} if model.config.model_type == "bert"
                                                                   else {"use_cache": False}))
            print(f"\rcollect: {index + 1}/{len(rows)} windows", end="", file=sys.stderr)
    print(file=sys.stderr)
    for hook in hooks:
        hook.remove()
    return {name: entry.numbers() for name, entry in sums.items()}


def collect_gradients(model, modules, rows, device):
    """{name: sums} over what reaches the outputs of the layers in blocks from the loss of each row."""
    torch = oracle.need("torch")
    inside = {name: module for name, module in modules.items() if module is not model.get_output_embeddings()}
    sums = {f"{name}.output_gradient": Sums() for name in inside}

    def watch(_, __, output, name):
        output.register_hook(lambda gradient: sums[f"{name}.output_gradient"].add(gradient))

    hooks = [module.register_forward_hook(lambda *call, name=name: watch(*call, name=name))
             for name, module in inside.items()]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    hooks.append(model.get_input_embeddings().register_forward_hook(lambda _, __, output: output.requires_grad_()))
    generator = torch.Generator().manual_seed(0)
    for index, row in enumerate(rows):
        ids = torch.tensor([row], device=device)
        if model.config.model_type == "bert":
            hidden = model(input_ids=ids).last_hidden_state
            signs = torch.randint(0, 2, hidden.shape, generator=generator).to(hidden) * 2 - 1
            (hidden * signs).sum().backward()
        else:
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
            torch.nn.functional.cross_entropy(logits.float(), ids[0, 1:], reduction="sum").backward()
        print(f"\rgradients: {index + 1}/{len(rows)} windows", end="", file=sys.stderr)
    print(file=sys.stderr)
    for hook in hooks:
        hook.remove()
    return {name: entry.numbers() for name, entry in sums.items()}


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path, help="dense Hugging Face folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", type=pathlib.Path, nargs="+")
    source.add_argument("--tokens", type=pathlib.Path, help="JSON: a list of ids, or of such lists")
    parser.add_argument("--documents", metavar="SEP", help="the text is documents between lines equal to SEP")
    parser.add_argument("--context", type=int)
    parser.add_argument("--samples", type=int, help="first windows or documents only")
    parser.add_argument("--bos", choices=["auto", "always", "never"], default="auto")
    parser.add_argument("--dtype", default="float32", help="of weights and activations: float32, bfloat16, float64")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    parser.add_argument("--gradients", action="store_true", help="look at gradients too")
    parser.add_argument("--precision", choices=["f32", "f64"], default="f64", help="of the stored moments")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True)
    return parser.parse_args(arguments)


def main(arguments):
    options = options_of(arguments)
    config = json.loads((options.model / "config.json").read_text())
    rows, context = rows_of(options, config, options.model)
    if not rows:
        sys.exit("the text is shorter than one window")
    model = load(options.model, config, options.dtype, options.device)
    modules = linear_modules(model, options.model)
    inputs = inputs_of(modules)
    sums = collect(model, modules, inputs, rows, options.device)
    gradients = collect_gradients(model, modules, rows, options.device) if options.gradients else {}
    sums.update(gradients)
    run = {"token_sha256": oracle.scored_sha256(rows), "tokens": sum(map(len, rows)), "windows": len(rows),
           "context": context, "bos": options.bos, "documents": options.documents, "program": "collect_stats.py 1"}
    statistics_file.write(options.output, statistics_file.fingerprint(options.model), config["model_type"],
                          options.precision, inputs, sums, [run], list(gradients))
    print(f"{len(inputs)} inputs of {len(modules)} linear layers over {run['tokens']} tokens: {options.output}")


if __name__ == "__main__":
    main(sys.argv[1:])
