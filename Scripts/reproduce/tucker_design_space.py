"""Moar's Tucker design space: what 9 % of Llama-2-7B are, from the shapes alone.

    python3 Scripts/reproduce/tucker_design_space.py

Source: Moar et al., arXiv 2405.06626.
"""

import json
import tempfile

import common

OPTIONS = common.options(__doc__)


def arithmetic(scratch):
    config = OPTIONS.data / "configs/llama-2-7b.json"
    if not common.need(config):
        return
    model = common.hollow_checkpoint(config, f"{scratch}/llama")
    layers = json.loads(config.read_text())["num_hidden_layers"]
    common.see(f"2^{layers} sets of layers times 2^7 sets of tensors: 2^{layers + 7} designs for every rank")
    rows = []
    for chosen in ["15", "9,19,29", "5,10,15,20,25,30"]:
        for rank in [1, 64, 256]:
            plan = common.lowrank(OPTIONS.lowrank, "plan", model, "--method", "tucker", "--rank", rank, "--layers",
                                  chosen, "--json")
            dense = plan["source"]["parameters"]
            rows.append([f"layers {chosen}, rank {rank}", dense, plan["totals"]["parameters"],
                         f"{100 * (1 - plan['totals']['parameters'] / dense):.2f} %"])
    common.table(["all seven tensors of", "dense", "left", "removed"], rows)
    common.see("9 % are three of 32 blocks with everything at rank 1; that is close to leaving out what they add")


def control(scratch):
    """Rank 1 beside nothing at all, on a model that runs."""
    stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, scratch)
    if not stories.is_there:
        return
    rows = [["dense", stories.perplexity(stories.model)]]
    for layer in range(5):
        words = ["--method", "tucker", "--rank", "1", "--layers", layer]
        kept, dropped = stories.compress("rank1", *words), stories.compress("drop", *words, "--control", "drop")
        rows.append([f"block {layer} at rank 1; dropped", stories.perplexity(kept), stories.perplexity(dropped)])
    rows[0].append("")
    common.see("stories260K, perplexity of a block at rank 1 and without it")
    common.table(["model", "rank 1", "control drop"], rows)


common.heading("Tucker design space (Moar et al.)",
               "9 % fewer parameters of Llama-2-7B at 4 to 10 points of accuracy; avoid early and adjacent layers")
with tempfile.TemporaryDirectory() as folder:
    arithmetic(folder)
    control(folder)
