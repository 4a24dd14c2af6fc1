"""Tensor trains and tied Tucker forms against the SVD of each matrix, and how far subspaces are shared.

    python3 Scripts/reproduce/tensor_train.py [--keep 0.8 0.5]

Sources: the claim is that of the many papers that tensorise layers of language models; METHODS §4 and §7.
"""

import tempfile

import common

OPTIONS = common.options(__doc__, (("--keep",), dict(nargs="+", type=float, default=[0.8, 0.5])))
METHODS = ["svd", "svd --storage pivot", "tt", "tt --storage pivot", "tt --tt-order 3", "tt --tt-layout split",
           "tucker --tucker-group heads", "tucker --tucker-group layers"]


def sharing(model):
    found = common.lowrank(OPTIONS.lowrank, "diagnose", model, "--json")
    rows = [[f"{line['kind']}, {line['role']}", line["measured"], line["chance"],
             "" if line["shared_error"] is None else f"{line['shared_error']:.3f}",
             "" if line["own_error"] is None else f"{line['own_error']:.3f}"] for line in found["verdicts"]]
    common.see("overlap of leading subspaces (1: the same); errors at half of the size, shared by two layers and apart")
    common.table(["tied", "overlap", "chance", "shared", "apart"], rows)


def comparison(stories):
    rows = []
    for method in METHODS:
        row = [method]
        for keep in OPTIONS.keep:
            output = stories.compress("out", "--keep", keep, "--method", *method.split())
            row += [f"{common.mean_error(output):.3f}", f"{stories.perplexity(output):.1f}"]
        rows.append(row)
    common.see("stories260K, data-free, mean relative error and perplexity")
    common.table(["method"] + [title for keep in OPTIONS.keep for title in (f"error {keep}", "perplexity")], rows)


common.heading("Tensor trains against SVD", "tensor formats exploit structure over modes, heads and layers that an SVD "
               "does not see, and so compress further")
with tempfile.TemporaryDirectory() as folder:
    stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, folder)
    if stories.is_there:
        comparison(stories)
        sharing(stories.model)
