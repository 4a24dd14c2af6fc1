"""Counts an output folder of `lowrank compress` from its files alone and holds the counts against report.json.

Proves that the numbers of the report are those of the files: parameters, bytes and multiply-adds of every compressed
module, those of the whole, the ranks in config.json against the tensors' shapes, the totals of a shard index, and the
fraction of the model that is kept. Parses the safetensors headers itself, so it needs Python alone and shares no code
with lowrank.

    python3 Scripts/check_counts.py OUT --against CKPT
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import multiply_adds

BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "U16": 16, "I16": 16, "F16": 16,
        "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64}
# Positions rather than numbers: they cost bytes and are no parameters.
INDEX_SUFFIXES = (".pivot.index", ".sparse.bitmap", ".sparse.columns", ".sparse.offsets", ".sparse.index",
                  ".mixt.rows", ".mixt.columns")
# What follows the module's name, for each schema; biases are not part of a compressed weight.
SUFFIXES = {
    "ABLinear": ("ALinear.weight", "BLinear.weight"),
    "PivotLinear": ("pivot.weight", "rest.weight", "pivot.index"),
    "SharedBasisLinear": ("coefficients",),
    "TuckerLinear": ("tucker.",),
    "TTLinear": ("tt.",),
    "MixTLinear": ("mixt.",),
}


class Tensor:
    def __init__(self, name, dtype, shape):
        self.name, self.dtype, self.shape = name, dtype, shape
        self.numbers = math.prod(shape)
        self.bytes = (self.numbers * BITS[dtype] + 7) // 8
        self.parameters = 0 if name.endswith(INDEX_SUFFIXES) else self.numbers


def header(path):
    if not path.exists():
        raise SystemExit(f"{path}: no such file")
    with open(path, "rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    tensors = {name: Tensor(name, e["dtype"], e["shape"]) for name, e in entries.items()}
    for name, entry in entries.items():
        begin, end = entry["data_offsets"]
        if end - begin != tensors[name].bytes:
            raise SystemExit(f"{path}: {name} occupies {end - begin} bytes, its shape needs {tensors[name].bytes}")
    expected = 8 + length + sum(tensor.bytes for tensor in tensors.values())
    if path.stat().st_size != expected:
        raise SystemExit(f"{path}: {path.stat().st_size} bytes, the header describes {expected}")
    return tensors


def load(folder):
    """Every tensor of the folder, over the shards that its index names."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return header(folder / "model.safetensors"), None
    document = json.loads(index.read_text())
    tensors = {}
    for shard in sorted(set(document["weight_map"].values())):
        tensors.update(header(folder / shard))
    return tensors, document


def own_tensors(tensors, module, schema, entry):
    """The tensors that belong to the module alone (shared ones are counted in the totals only)."""
    if schema == "SatenLinear":
        low_rank = entry["low_rank"]
        names = own_tensors(tensors, module, low_rank["schema"], low_rank)
        return names + [t for n, t in tensors.items() if n.startswith(f"{module}.sparse.")]
    suffixes = SUFFIXES[schema]
    return [t for n, t in tensors.items() if n.startswith(tuple(f"{module}.{s}" for s in suffixes))]


class Ledger:
    """Compares and remembers what differs."""

    def __init__(self):
        self.compared, self.differences = 0, []

    def same(self, what, found, reported):
        self.compared += 1
        close = isinstance(reported, float) and math.isclose(found, reported, rel_tol=1e-9)
        if not close and found != reported:
            self.differences.append(f"{what}: files {found}, reported {reported}")


def check_ranks(ledger, tensors, module, entry):
    schema, name = entry["schema"], module
    if schema == "ABLinear":
        ledger.same(f"{name} rank of B", tensors[f"{name}.BLinear.weight"].shape[0], entry["rank"])
        ledger.same(f"{name} rank of A", tensors[f"{name}.ALinear.weight"].shape[1], entry["rank"])
    elif schema == "PivotLinear":
        ledger.same(f"{name} pivots", tensors[f"{name}.pivot.weight"].shape[0], entry["rank"])
        ledger.same(f"{name} rest", tensors[f"{name}.rest.weight"].shape[1], entry["rank"])
        ledger.same(f"{name} index", tensors[f"{name}.pivot.index"].shape[0], entry["rank"])
    elif schema == "SharedBasisLinear":
        check_shared_basis(ledger, tensors, module, entry)
    elif schema == "TTLinear":
        cores = [tensors[f"{name}.tt.{k}"].shape for k in range(len(entry["out_modes"]))]
        if entry.get("storage") == "pivot":
            check_pivot_cores(ledger, tensors, module, entry, cores)
        else:
            ledger.same(f"{name} out_modes", [core[1] for core in cores], entry["out_modes"])
            ledger.same(f"{name} in_modes", [core[2] for core in cores], entry["in_modes"])
    elif schema == "TuckerLinear":
        check_tucker_ranks(ledger, tensors, module, entry)


def check_pivot_cores(ledger, tensors, name, entry, cores):
    """A core is whole, or unfolded with the rows that are pivots, r of them, left out."""
    sides = [1, *entry["ranks"], 1] if len(entry["ranks"]) < len(cores) else entry["ranks"]
    for k, core in enumerate(cores):
        whole = sides[k] * entry["out_modes"][k] * entry["in_modes"][k] * sides[k + 1]
        index = tensors.get(f"{name}.tt.{k}.pivot.index")
        left_out = core[1] * index.shape[0] if index else 0
        ledger.same(f"{name} core {k}", math.prod(core) + left_out, whole)


def check_tucker_ranks(ledger, tensors, module, entry):
    """The core has the ranks of the entry on its axes (heads are one more), every factor the rank of its axis."""
    stack = f"lowrank.tucker.{entry['group']}" if "group" in entry else f"{module}.tucker"
    core = tensors[f"{stack}.core"].shape
    axes = [axis for axis in range(len(core)) if not ("heads" in entry and axis == 1)]
    ledger.same(f"{module} core", [core[axis] for axis in axes], entry["ranks"])
    if "heads" in entry:
        ledger.same(f"{module} heads", core[1], entry["heads"])
    for axis, rank in zip(axes, entry["ranks"]):
        if axis in entry.get("whole", []):
            continue
        factor = f"{stack}.factor.{axis}" if "group" in entry else f"{stack}.{('out', 'in')[axis]}"
        is_wide = factor == f"{module}.tucker.in" and not entry.get("pivot")
        ledger.same(f"{module} factor {axis}", tensors[factor].shape[0 if is_wide else 1], rank)
        if entry.get("pivot"):
            ledger.same(f"{module} pivots {axis}", tensors[f"{factor}.pivot.index"].shape, [rank])


def check_shared_basis(ledger, tensors, module, entry):
    """Basis and coefficients have the rank of the entry."""
    name, rank = f"lowrank.shared.{entry['basis']}.basis", entry["rank"]
    ledger.same(f"{module} coefficients", tensors[f"{module}.coefficients"].shape[1], rank)
    ledger.same(f"{module} basis", tensors[name].shape[1 if entry.get("pivot") else 0], rank)
    if entry.get("pivot"):
        ledger.same(f"{module} pivots", tensors[f"{name}.pivot.index"].shape, [rank])


def check_modules(ledger, tensors, modules, report):
    reported = {entry["name"].removesuffix(".weight"): entry for entry in report["tensors"]}
    for module, entry in modules.items():
        owned = own_tensors(tensors, module, entry["schema"], entry)
        parameters, size = sum(t.parameters for t in owned), sum(t.bytes for t in owned)
        if not owned and "group" not in entry:
            ledger.differences.append(f"{module}: no tensor of schema {entry['schema']}")
        check_ranks(ledger, tensors, module, entry)
        if module not in reported:
            ledger.differences.append(f"{module}: not in report.json")
        elif "group" not in entry and "basis" not in entry:
            ledger.same(f"{module} schema", entry["schema"], reported[module]["schema"])
            ledger.same(f"{module} parameters", parameters, reported[module]["parameters"])
            ledger.same(f"{module} bytes", size, reported[module]["bytes"])
        if module in reported:
            shapes = {t.name.removeprefix(f"{module}."): t.shape for t in owned}
            found = multiply_adds.of_module(entry, reported[module]["shape"], shapes)
            ledger.same(f"{module} macs", found, reported[module]["macs"])


def check_totals(ledger, tensors, index, totals):
    parameters, size = sum(t.parameters for t in tensors.values()), sum(t.bytes for t in tensors.values())
    ledger.same("total parameters", parameters, totals["parameters"])
    ledger.same("total bytes", size, totals["bytes"])
    if index:
        ledger.same("index total_size", size, index["metadata"]["total_size"])
        ledger.same("index names", sorted(tensors), sorted(index["weight_map"]))
        if "total_parameters" in index["metadata"]:
            ledger.same("index total_parameters", parameters, index["metadata"]["total_parameters"])
    return parameters, size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path, help="folder written by `lowrank compress`")
    parser.add_argument("--against", type=pathlib.Path, metavar="CKPT", help="the dense checkpoint it was made from")
    options = parser.parse_args()
    tensors, index = load(options.output)
    config = json.loads((options.output / "config.json").read_text())
    report = json.loads((options.output / "report.json").read_text())
    totals, modules, ledger = report["totals"], config["low_rank_modules"], Ledger()
    check_modules(ledger, tensors, modules, report)
    parameters, size = check_totals(ledger, tensors, index, totals)
    if options.against:
        dense = load(options.against)[0]
        dense_parameters = sum(t.parameters for t in dense.values())
        ledger.same("dense parameters", dense_parameters, totals["dense_parameters"])
        ledger.same("dense bytes", sum(t.bytes for t in dense.values()), totals["dense_bytes"])
        ledger.same("keep_model", parameters / dense_parameters, float(totals["keep_model"]))
    print(f"{len(modules)} compressed modules, {parameters} parameters, {size} bytes: "
          f"{ledger.compared} figures compared, {len(ledger.differences)} differ")
    for difference in ledger.differences:
        print("  " + difference)
    sys.exit(1 if ledger.differences else 0)


if __name__ == "__main__":
    main()
