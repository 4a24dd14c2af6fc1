"""SVD-LLM, ASVD, Basis Sharing: the order in which truncated SVDs stand on a trained model.

    python3 Scripts/reproduce/svd_family.py [--keep 0.8 0.6]

Sources: SVD-LLM (arXiv 2403.07378), ASVD (2312.05821), Basis Sharing (2410.03765).
"""

import tempfile

import common

OPTIONS = common.options(__doc__, (("--keep",), dict(nargs="+", type=float, default=[0.9, 0.8, 0.6])))


def forms(stories):
    statistics = ["--stats", stories.statistics, "--storage", "factors", "--allocation", "uniform"]
    shared = statistics + ["--share-layers"]
    return {
        "SVD": ["--storage", "factors"],
        "ASVD": statistics + ["--objective", "asvd"],
        "SVD-LLM": statistics,
        "Basis Sharing, 2 layers": shared + ["2", "--share-sweeps", "0"],
        "Basis Sharing, 5 layers": shared + ["5", "--share-sweeps", "0"],
        "Basis Sharing, 2 layers, o and down too": shared + ["2", "--share-sweeps", "0", "--share-projections", "all"],
        "ours: 2 layers, basis fitted": shared + ["2"],
        "ours: 5 layers, basis fitted": shared + ["5"],
        "ours: pivots, one by one": ["--stats", stories.statistics, "--allocation", "uniform"],
        "ours: pivots, 2 layers share": ["--stats", stories.statistics, "--share-layers", "2"],
    }


def main():
    common.heading(
        "SVD-LLM, ASVD, Basis Sharing",
        "LLaMA-7B, WikiText-2, 20 % removed: perplexity 20061 by SVD, 11.14 by ASVD, 7.94 by SVD-LLM, 7.74 by Basis "
        "Sharing; dense 5.68")
    with tempfile.TemporaryDirectory() as scratch:
        stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, scratch)
        if not stories.is_there:
            return
        common.see(f"stories260K, 186 documents; dense perplexity {stories.perplexity(stories.model):.3f}")
        rows = []
        for name, words in forms(stories).items():
            row = [name]
            for keep in OPTIONS.keep:
                output = stories.compress("out", "--keep", keep, *words)
                kept = common.report(output)["totals"]["keep_compressed"]
                row += [f"{stories.perplexity(output):.2f}", f"{kept:.3f}"]
            rows.append(row)
        common.table(["method"] + [title for keep in OPTIONS.keep for title in (f"at {keep}", "kept")], rows)


main()
