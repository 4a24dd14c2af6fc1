"""Bundles: better reconstruction, worse perplexity.

    python3 Scripts/reproduce/bundle.py [--keep 0.5]

Source: arXiv 2605.30836, as METHODS §2.3 reads it. Only the square attention output projections take part, so that
nothing else moves the figures; λ is in units of the mean squared singular value.
"""

import tempfile

import common

OPTIONS = common.options(__doc__, (("--keep",), dict(type=float, default=0.5)))


def main():
    common.heading("Bundle", "37 to 46 % better reconstruction than SVD-LLM, yet perplexity 159 against 50")
    with tempfile.TemporaryDirectory() as scratch:
        stories = common.Stories(OPTIONS.lowrank, OPTIONS.data, scratch)
        if not stories.is_there:
            return
        base = ["--stats", stories.statistics, "--include", "o_proj", "--keep", OPTIONS.keep, "--method", "tucker"]
        rows = []
        for form in ["untied", "tied"]:
            for strength in ["0", "0.1", "1", "10", "1000"]:
                output = stories.compress("out", *base, "--tucker-bundle", strength, "--tucker-bundle-form", form)
                lines = common.report(output)["tensors"]
                found = stories.evaluate(output, reference=True)
                rows.append([f"{form}, λ = {strength}", lines[0]["bundle_energy"],
                             common.mean_error(output), common.mean_error(output, "activation_error"),
                             f"{found['reference']['kl']:.4f}", f"{found['perplexity']:.3f}"])
        output = stories.compress("svd", *base[:-2], "--storage", "factors", "--allocation", "uniform")
        found = stories.evaluate(output, reference=True)
        rows.append(["svd of the same budget", "", common.mean_error(output),
                     common.mean_error(output, "activation_error"), f"{found['reference']['kl']:.4f}",
                     f"{found['perplexity']:.3f}"])
        common.see(f"stories260K, o_proj at {OPTIONS.keep}; untied with a large λ is the whitened SVD in that form")
        common.table(["form", "energy", "‖W−W'‖", "‖(W−W')X‖", "divergence", "perplexity"], rows)


main()
