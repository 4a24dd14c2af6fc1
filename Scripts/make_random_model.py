"""Writes small random checkpoints of every family that the runtime knows, as transformers itself saves them.

For checks of the runtime and of module roles: shapes are awkward on purpose (odd head counts, grouped-query attention,
head sizes that do not divide the hidden size, sliding windows shorter than a text), norms and biases are random too,
so that a forgotten one shows. There is no tokenizer: feed ids.

    python3 Scripts/make_random_model.py --list
    python3 Scripts/make_random_model.py llama3 -o out/llama3
    python3 Scripts/make_random_model.py all -o out --dtype bfloat16 --old-spelling
    python3 Scripts/make_random_model.py llama2 -o out/big --set hidden_size=1024 --set num_hidden_layers=8
"""

import argparse
import json
import pathlib

import oracle

DECODER = dict(vocab_size=97, max_position_embeddings=128, num_hidden_layers=3, bos_token_id=1, eos_token_id=2,
               pad_token_id=None, initializer_range=0.15)


def llama(**settings):
    return "LlamaConfig", "LlamaForCausalLM", {
        **DECODER, "hidden_size": 60, "intermediate_size": 77, "num_attention_heads": 5, "num_key_value_heads": 5,
        "tie_word_embeddings": False, **settings}


def rope(kind, **settings):
    return {"rope_type": kind, "rope_theta": 10000.0, **settings}


GROUPED = dict(hidden_size=72, num_attention_heads=9, num_key_value_heads=3)
SPARSE = dict(DECODER, hidden_size=48, intermediate_size=56, num_attention_heads=3, num_key_value_heads=1, head_dim=16,
              num_experts_per_tok=2)

# name: (configuration class, model class, settings)
FAMILIES = {
    "llama1": llama(),
    "llama1-tied": llama(tie_word_embeddings=True),
    "llama2": llama(**GROUPED),
    "llama2-biases": llama(**GROUPED, attention_bias=True, mlp_bias=True),
    "llama2-head-dim": llama(**GROUPED, head_dim=20),
    "llama3": llama(**GROUPED, tie_word_embeddings=True, rope_parameters=rope(
        "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)),
    "llama-rope-linear": llama(rope_parameters=rope("linear", factor=4.0)),
    "llama-rope-dynamic": llama(max_position_embeddings=32, rope_parameters=rope("dynamic", factor=3.0)),
    "llama-rope-yarn": llama(rope_parameters=rope("yarn", factor=4.0, original_max_position_embeddings=32)),
    "mistral-sliding": ("MistralConfig", "MistralForCausalLM", {
        **DECODER, **GROUPED, "intermediate_size": 88, "sliding_window": 17, "tie_word_embeddings": False}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", {
        **DECODER, "hidden_size": 56, "intermediate_size": 91, "num_attention_heads": 7, "num_key_value_heads": 1,
        "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {
        **DECODER, "hidden_size": 50, "intermediate_size": 66, "num_attention_heads": 6, "num_key_value_heads": 2,
        "head_dim": 16, "tie_word_embeddings": False}),
    "qwen3-moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", {
        **SPARSE, "num_experts": 5, "moe_intermediate_size": 24, "norm_topk_prob": True, "mlp_only_layers": [1]}),
    "qwen3-moe-unnormalised": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", {
        **SPARSE, "num_experts": 5, "moe_intermediate_size": 24, "norm_topk_prob": False, "decoder_sparse_step": 2}),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", {**SPARSE, "num_local_experts": 4}),
    "gpt-neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", {
        **DECODER, "hidden_size": 60, "intermediate_size": 100, "num_attention_heads": 3,
        "rope_parameters": rope("default", partial_rotary_factor=0.3), "use_parallel_residual": True}),
    "gpt-neox-sequential": ("GPTNeoXConfig", "GPTNeoXForCausalLM", {
        **DECODER, "hidden_size": 60, "intermediate_size": 100, "num_attention_heads": 5,
        "rope_parameters": rope("default", partial_rotary_factor=1.0), "use_parallel_residual": False}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", dict(
        vocab_size=97, n_positions=128, n_embd=60, n_layer=3, n_head=5, n_inner=83, bos_token_id=1, eos_token_id=2,
        initializer_range=0.15)),
    "bert": ("BertConfig", "BertModel", dict(
        vocab_size=97, hidden_size=60, intermediate_size=83, num_hidden_layers=3, num_attention_heads=5,
        max_position_embeddings=128, initializer_range=0.15)),
}


def build(family, seed=0, overrides=None):
    """A random float32 model of the family, ready to score."""
    torch, transformers = oracle.need("torch", "transformers")
    configuration, model_class, settings = FAMILIES[family]
    torch.manual_seed(seed)
    settings = {**settings, **(overrides or {})}
    if is_older(transformers):
        settings = with_older_keys(settings, is_neox=family.startswith("gpt-neox"))
    config = getattr(transformers, configuration)(**settings)
    model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def write(model, folder, dtype="float32", old_spelling=False, fused_experts=False):
    """The folder as `save_pretrained` leaves it, or with the older config keys, or with stacked expert tensors."""
    torch = oracle.need("torch")
    folder = pathlib.Path(folder)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    if fused_experts:
        save_stacked(model, folder)
    if old_spelling:
        spell_old(folder / "config.json")


def save_stacked(model, folder):
    """Expert weights as the model holds them (experts × rows × columns) instead of a matrix for each expert."""
    safetensors = oracle.need("safetensors.torch")
    tied = model.config.tie_word_embeddings
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()
               if not (tied and name == "lm_head.weight")}
    safetensors.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def is_older(transformers):
    """Whether this is the line that knows no `rope_parameters`."""
    return int(transformers.__version__.split(".")[0]) < 5


def with_older_keys(settings, is_neox):
    """Settings of a configuration with rope_theta, rope_scaling and rotary_pct for rope_parameters."""
    settings = dict(settings)
    scaling = dict(settings.pop("rope_parameters", None) or {})
    if scaling:
        settings["rotary_emb_base" if is_neox else "rope_theta"] = scaling.pop("rope_theta")
        if is_neox:
            settings["rotary_pct"] = scaling.pop("partial_rotary_factor")
        settings["rope_scaling"] = scaling if scaling["rope_type"] != "default" else None
    return settings


def spell_old(path):
    """config.json in the keys of transformers 4: torch_dtype, rope_theta, rope_scaling, rotary_pct."""
    config = json.loads(path.read_text())
    config["torch_dtype"] = config.pop("dtype", None) or config.get("torch_dtype")
    config.pop("layer_types", None)
    config = with_older_keys(config, config["model_type"] == "gpt_neox")
    path.write_text(json.dumps(config, indent=2) + "\n")


def spell_new(path):
    """config.json in the keys of transformers 5: dtype, rope_parameters."""
    config = json.loads(path.read_text())
    if "torch_dtype" in config:
        config["dtype"] = config.pop("torch_dtype")
    scaling = config.pop("rope_scaling", None) or {"rope_type": "default"}
    theta = [config.pop(key) for key in ("rotary_emb_base", "rope_theta") if key in config]
    share = [config.pop(key) for key in ("rotary_pct", "partial_rotary_factor") if key in config]
    if theta:
        config["rope_parameters"] = {**scaling, "rope_theta": theta[0]}
        if share:
            config["rope_parameters"]["partial_rotary_factor"] = share[0]
    path.write_text(json.dumps(config, indent=2) + "\n")


def setting(text):
    key, _, value = text.partition("=")
    return key, json.loads(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", nargs="?", choices=["all", *FAMILIES], metavar="FAMILY", help="see --list; or `all`")
    parser.add_argument("-o", "--output", type=pathlib.Path, help="folder; with `all` its parent")
    parser.add_argument("--list", action="store_true", help="name the families")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="KEY=JSON", help="change a setting")
    parser.add_argument("--old-spelling", action="store_true", help="config.json in the keys of transformers 4")
    parser.add_argument("--fused-experts", action="store_true", help="one stacked tensor for all experts")
    options = parser.parse_args()
    if options.list:
        return print("\n".join(FAMILIES))
    if not (options.family and options.output):
        parser.error("name a family and -o FOLDER")
    for family in FAMILIES if options.family == "all" else [options.family]:
        folder = options.output / family if options.family == "all" else options.output
        model = build(family, options.seed, dict(options.set))
        write(model, folder, options.dtype, options.old_spelling, options.fused_experts)
        print(f"{folder}: {sum(p.numel() for p in model.parameters())} parameters")


if __name__ == "__main__":
    main()
