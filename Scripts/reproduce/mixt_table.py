"""MixT's parameters, multiply-adds and memory on real shapes, counted over what is executed; and its controls.

    python3 Scripts/reproduce/mixt_table.py

Source: Lu et al., arXiv 2605.25344. No weights are needed: the counts follow from the shapes in config.json.
"""

import json
import tempfile

import common

OPTIONS = common.options(__doc__)


def counts(name, scratch):
    config = OPTIONS.data / f"configs/{name}.json"
    if not common.need(config):
        return
    model = common.hollow_checkpoint(config, f"{scratch}/{name}")
    rows = []
    for padding in ["multiple", "power"]:
        for branches in [2, 3, 4, 5]:
            plan = common.lowrank(OPTIONS.lowrank, "plan", model, "--method", "mixt", "--mixt-branches", branches,
                                  "--mixt-padding", padding, "--json")
            modules = plan["modules"].values()
            dense = sum(m * n for m, n in shapes(config))
            parameters, macs = sum(m["parameters"] for m in modules), sum(m["macs"] for m in modules)
            rows.append([f"N = {branches}, padded to a {padding}", f"{100 * branches / 4 ** (branches - 1):.2f} %",
                         f"{100 * parameters / dense:.2f} %", f"{100 * macs / dense:.2f} %",
                         f"{sum(m['bytes'] for m in modules) / 1e9:.2f} GB",
                         f"{100 * plan['totals']['parameters'] / plan['source']['parameters']:.2f} %"])
    common.see(f"{name}, all block matrices: shares of the dense ones")
    common.table(["form", "claimed", "parameters", "multiply-adds", "bf16", "whole model"], rows)


def shapes(config):
    c = json.loads(config.read_text())
    hidden, inner = c["hidden_size"], c["intermediate_size"]
    width = c.get("head_dim") or hidden // c["num_attention_heads"]
    queries, keys = c["num_attention_heads"] * width, c["num_key_value_heads"] * width
    block = [(queries, hidden), (keys, hidden), (keys, hidden), (hidden, queries), (inner, hidden), (inner, hidden),
             (hidden, inner)]
    return block * c["num_hidden_layers"]


def controls(scratch):
    stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, scratch)
    if not stories.is_there:
        return
    rows = []
    # Back to front, as the paper replaces blocks.
    for blocks in ["last:1", "last:2", "last:3"]:
        words = ["--method", "mixt", "--mixt-branches", "3", "--layers", blocks, "--stats", stories.statistics]
        row = [f"{blocks}, N = 3", stories.perplexity(stories.compress("mixt", *words))]
        for control in ["drop", "noise", "svd"]:
            row.append(stories.perplexity(stories.compress(control, *words, "--control", control)))
        rows.append(row)
    common.see(f"stories260K without further training, perplexity (dense {stories.perplexity(stories.model):.2f})")
    common.table(["blocks", "mixt", "dropped", "noise", "svd of equal size"], rows)


common.heading("MixT (Lu et al.)", "parameters and FLOPs of replaced blocks both fall to N/2^(2N-2): 50, 18.75, 6.25, "
               "1.95 % for N = 2 to 5; the result comes after 3000 steps of training")
with tempfile.TemporaryDirectory() as folder:
    for model in ["llama-2-7b", "qwen3-8b"]:
        counts(model, folder)
    controls(folder)
