"""Writes a checkpoint of the shapes that a config.json asks for, with weights whose spectra look like those of a
language model: for timing and for memory, where the real weights are too large to carry around.

A weight is G·diag(c)·Q plus a part of low rank: G is Gaussian, c falls like a power, Q is a fast random rotation, and
the low-rank part gives the few large singular values that trained layers have. It costs about as much as drawing the
numbers. Every tensor has its own seed, so the same command gives the same bytes for any number of threads, and a model
cut by --layers has the same first layers. Needs numpy.

    python3 Scripts/make_synthetic.py Llama-2-7b/config.json -o out/llama
    python3 Scripts/make_synthetic.py Llama-2-7b/config.json -o out/llama4 --layers 4 --shard-size 2GB
    python3 Scripts/make_synthetic.py Mixtral-8x7B/config.json -o out/headers --empty     # sparse files of zeros
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys

import numpy

BLOCK = 64      # size of the rotations that Q is made of
SPIKES = 48     # rank of the part with large singular values


# --- Shapes ---

def llama_names(config):
    """Tensors of Llama and what took its names: Mistral, Qwen 2 and 3, Mixtral, Qwen3-MoE."""
    hidden, kind = config["hidden_size"], config["model_type"]
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    query, key = heads * head, (config.get("num_key_value_heads") or heads) * head
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, shape in [("q_proj", (query, hidden)), ("k_proj", (key, hidden)), ("v_proj", (key, hidden)),
                            ("o_proj", (hidden, query))]:
            yield f"{prefix}self_attn.{name}.weight", shape
            if kind == "qwen2" and name != "o_proj":
                yield f"{prefix}self_attn.{name}.bias", shape[:1]
        if kind.startswith("qwen3"):
            yield f"{prefix}self_attn.q_norm.weight", (head,)
            yield f"{prefix}self_attn.k_norm.weight", (head,)
        yield from feed_forward(config, prefix, hidden)
        yield f"{prefix}input_layernorm.weight", (hidden,)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not config.get("tie_word_embeddings", False):
        yield "lm_head.weight", (config["vocab_size"], hidden)


def feed_forward(config, prefix, hidden):
    kind, inner = config["model_type"], config["intermediate_size"]
    if kind == "mixtral":
        experts = config["num_local_experts"]
        yield f"{prefix}block_sparse_moe.gate.weight", (experts, hidden)
        block, names = f"{prefix}block_sparse_moe.experts", ("w1", "w3", "w2")
    elif kind == "qwen3_moe":
        experts, inner = config["num_experts"], config["moe_intermediate_size"]
        yield f"{prefix}mlp.gate.weight", (experts, hidden)
        block, names = f"{prefix}mlp.experts", ("gate_proj", "up_proj", "down_proj")
    else:
        experts, block, names = None, f"{prefix}mlp", ("gate_proj", "up_proj", "down_proj")
    for expert in [""] if experts is None else [f".{index}" for index in range(experts)]:
        yield f"{block}{expert}.{names[0]}.weight", (inner, hidden)
        yield f"{block}{expert}.{names[1]}.weight", (inner, hidden)
        yield f"{block}{expert}.{names[2]}.weight", (hidden, inner)


def with_biases(modules):
    for name, shape in modules:
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]


def neox_names(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    yield "gpt_neox.embed_in.weight", (config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"gpt_neox.layers.{layer}."
        yield from with_biases([
            (prefix + "input_layernorm", (hidden,)), (prefix + "post_attention_layernorm", (hidden,)),
            (prefix + "attention.query_key_value", (3 * hidden, hidden)),
            (prefix + "attention.dense", (hidden, hidden)),
            (prefix + "mlp.dense_h_to_4h", (inner, hidden)), (prefix + "mlp.dense_4h_to_h", (hidden, inner))])
    yield from with_biases([("gpt_neox.final_layer_norm", (hidden,))])
    yield "embed_out.weight", (config["vocab_size"], hidden)


def bert_names(config):
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    tables = [("word", "vocab_size"), ("position", "max_position_embeddings"), ("token_type", "type_vocab_size")]
    for name, count in tables:
        yield f"bert.embeddings.{name}_embeddings.weight", (config[count], hidden)
    yield from with_biases([("bert.embeddings.LayerNorm", (hidden,))])
    for layer in range(config["num_hidden_layers"]):
        prefix = f"bert.encoder.layer.{layer}."
        yield from with_biases(
            [(f"{prefix}attention.self.{name}", (hidden, hidden)) for name in ("query", "key", "value")])
        yield from with_biases([
            (prefix + "attention.output.dense", (hidden, hidden)), (prefix + "attention.output.LayerNorm", (hidden,)),
            (prefix + "intermediate.dense", (inner, hidden)), (prefix + "output.dense", (hidden, inner)),
            (prefix + "output.LayerNorm", (hidden,))])
    yield from with_biases([("bert.pooler.dense", (hidden, hidden))])


FAMILIES = {**dict.fromkeys(["llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe"], llama_names),
            "gpt_neox": neox_names, "bert": bert_names}


# --- Numbers ---

def rotate(matrix, generator):
    """Multiplies from the right by a random orthogonal matrix: blocks on the diagonal, a permutation, blocks again."""
    columns = matrix.shape[1]
    if columns % BLOCK:
        return matrix[:, generator.permutation(columns)]
    for _ in range(2):
        block = numpy.linalg.qr(generator.standard_normal((BLOCK, BLOCK)))[0].astype(numpy.float32)
        matrix = (matrix.reshape(-1, BLOCK) @ block).reshape(matrix.shape)[:, generator.permutation(columns)]
    return matrix


def weight(shape, generator):
    """A matrix with entries of about 0.02, as they are after training."""
    rows, columns = shape
    scales = (1 + 20 * numpy.arange(columns, dtype=numpy.float32) / columns) ** -0.35
    matrix = generator.standard_normal(shape, dtype=numpy.float32) * scales
    matrix = rotate(matrix, generator)
    rank = min(SPIKES, rows, columns)
    sizes = 2.5 * (1 + numpy.arange(rank, dtype=numpy.float32)) ** -0.6 / min(rows, columns) ** 0.5
    left = generator.standard_normal((rows, rank), dtype=numpy.float32) * sizes
    matrix += left @ generator.standard_normal((rank, columns), dtype=numpy.float32)
    matrix *= 0.02 / matrix[: min(rows, 64)].std()
    return matrix


def numbers(name, shape, generator):
    if len(shape) == 2:
        return weight(shape, generator)
    if name.endswith(".bias"):
        return 0.01 * generator.standard_normal(shape, dtype=numpy.float32)
    return 1 + 0.1 * generator.standard_normal(shape, dtype=numpy.float32)


def bfloat16(values):
    """Rounds to nearest, ties to even; the bits as uint16."""
    bits = numpy.ascontiguousarray(values).view(numpy.uint32)
    return ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(numpy.uint16)


# --- Files ---

def parse_size(text):
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
    for unit, factor in units.items():
        if text.upper().endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def deal(tensors, limit):
    """Fills one shard after the other."""
    shards, filled = [[]], 0
    for name, shape in tensors:
        size = 2 * int(numpy.prod(shape))
        if shards[-1] and filled + size > limit:
            shards.append([])
            filled = 0
        shards[-1].append((name, shape))
        filled += size
    return shards


def write_shard(path, tensors, order, seed, pool, empty):
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        if empty:
            file.truncate(8 + len(text) + end)
            return

        def draw(entry):
            name, shape = entry
            return bfloat16(numbers(name, shape, numpy.random.Generator(numpy.random.SFC64([seed, order[name]]))))

        # A few tensors ahead of the file, so that memory stays small.
        waiting = []
        for entry in tensors:
            waiting.append(pool.submit(draw, entry))
            if len(waiting) > 2:
                waiting.pop(0).result().tofile(file)
        for future in waiting:
            future.result().tofile(file)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("config", type=pathlib.Path, help="config.json, or a folder with one")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="folder to write; must not exist")
    parser.add_argument("--layers", type=int, help="first N layers only")
    parser.add_argument("--vocabulary", type=int, help="another vocabulary, to save disk")
    parser.add_argument("--shard-size", type=parse_size, default=5 * 10**9, help="such as 2GB (default 5GB)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--empty", action="store_true", help="zeros in sparse files: only for what reads headers")
    return parser.parse_args()


def main():
    options = arguments()
    path = options.config / "config.json" if options.config.is_dir() else options.config
    config = json.loads(path.read_text())
    if config.get("model_type") not in FAMILIES:
        sys.exit(f"make_synthetic: model_type {config.get('model_type')} is not known; known: {', '.join(FAMILIES)}")
    if options.layers:
        config["num_hidden_layers"] = min(options.layers, config["num_hidden_layers"])
    if options.vocabulary:
        config["vocab_size"] = options.vocabulary
    config.pop("auto_map", None)
    config["dtype" if "dtype" in config else "torch_dtype"] = "bfloat16"
    options.output.mkdir(parents=True)
    tensors = list(FAMILIES[config["model_type"]](config))
    order = {name: index for index, (name, _) in enumerate(tensors)}
    shards = deal(tensors, options.shard_size)
    names = ["model.safetensors"] if len(shards) == 1 else [
        f"model-{index + 1:05}-of-{len(shards):05}.safetensors" for index in range(len(shards))]
    with concurrent.futures.ThreadPoolExecutor(options.threads) as pool:
        for name, shard in zip(names, shards):
            write_shard(options.output / name, shard, order, options.seed, pool, options.empty)
    parameters = sum(int(numpy.prod(shape)) for _, shape in tensors)
    if len(shards) > 1:
        index = {"metadata": {"total_size": 2 * parameters},
                 "weight_map": {name: file for file, shard in zip(names, shards) for name, _ in shard}}
        (options.output / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    (options.output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    print(f"wrote {options.output}: {len(tensors)} tensors, {parameters:,} parameters, {2 * parameters:,} bytes")


if __name__ == "__main__":
    main()
