"""Saten with its true bytes: low-rank part, entries and their positions.

    python3 Scripts/reproduce/saten.py

Source: Solgi et al., arXiv 2505.14871.
"""

import tempfile

import common

OPTIONS = common.options(__doc__)
FORMS = ["--saten-pattern 2:4", "--saten-pattern 1:4", "--saten-density 0.5", "--saten-density 0.25",
         "--saten-pattern 2:4 --saten-low-rank tt --tt-layout split"]


def size(path):
    """Parameters of the compressed matrices and bytes of all their tensors, from the report."""
    lines = [line for line in common.report(path)["tensors"] if not line["kept_dense_reason"]]
    dense = sum(line["shape"][0] * line["shape"][1] for line in lines)
    return sum(line["parameters"] for line in lines) / dense, sum(line["bytes"] for line in lines) / dense


def main(scratch):
    stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, scratch)
    if not stories.is_there:
        return
    rows = []
    for form in FORMS:
        # A budget just above the entries leaves a little for the low-rank part.
        words = ["--method", "saten", *form.split(), "--keep", "0.6", "--factor-dtype", "bf16"]
        output = stories.compress("out", *words)
        parameters, size_per_number = size(output)
        row = [form, f"{100 * parameters:.1f} %", f"{100 * size_per_number / 2:.1f} %", stories.perplexity(output)]
        control = stories.compress("svd", *words, "--control", "svd")
        equal_bytes = stories.compress("svd", "--keep", f"{size_per_number / 2:.4f}", "--factor-dtype", "bf16")
        rows.append(row + [stories.perplexity(control), stories.perplexity(equal_bytes)])
    common.see(f"stories260K in bf16, data-free (dense perplexity {stories.perplexity(stories.model):.2f}); bytes with "
               "positions, of the dense bf16 ones")
    common.table(["form at --keep 0.6", "numbers", "bytes", "perplexity", "svd of as many numbers", "of as many bytes"],
                 rows)
    common.see("2:4 alone in 16 bits is 9/16 = 56.25 % of the dense bytes: 8 of 16 bits for values, 1 for positions")


common.heading("Saten (Solgi et al.)", "a train plus a 2:4 residual at about half of the size; sparsity counted as the "
               "share of entries kept")
with tempfile.TemporaryDirectory() as folder:
    main(folder)
