"""The activation statistics of `lowrank calibrate`, in Python: the file's schema, and the fingerprint of a model.

An input is named after the first module that reads it. For an input `<m>` of n features the file holds

    <m>.moment            F64 or F32 [n(n+1)/2]  sum of x x^T, lower triangle row by row
    <m>.absolute_sum      F64 [n]                sum of |x|
    <m>.fourth_power_sum  F64 [1]                sum of |x|^4 (Euclidean norm)
    <m>.tokens            I64 [1]                number of x

The gradients of the model's loss towards the m outputs of a module are stored in the same way, under
`<module>.output_gradient`, where the file has them.

In its metadata, as text: lowrank_statistics (version 1), model_fingerprint, model_type, precision, inputs (JSON: input
to the modules that read it), gradients (JSON: the list of those names; missing where there are none) and runs (JSON:
the texts that went in).
"""

import hashlib
import json
import re

import oracle

VERSION = "1"


def read(path):
    """(metadata with its JSON parsed, {input or gradient: {moment (n x n), absolute_sum, fourth_power_sum, tokens}})"""
    numpy, safetensors = oracle.need("numpy", "safetensors")
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = dict(file.metadata())
        metadata["inputs"], metadata["runs"] = json.loads(metadata["inputs"]), json.loads(metadata["runs"])
        metadata["gradients"] = json.loads(metadata.get("gradients", "[]"))
        inputs = {}
        for name in list(metadata["inputs"]) + metadata["gradients"]:
            sums = {part: file.get_tensor(f"{name}.{part}")
                    for part in ("moment", "absolute_sum", "fourth_power_sum", "tokens")}
            features = len(sums["absolute_sum"])
            moment = numpy.zeros((features, features))
            moment[numpy.tril_indices(features)] = sums["moment"]
            sums["moment"] = moment + numpy.tril(moment, -1).T
            inputs[name] = sums
    return metadata, inputs


def write(path, fingerprint, model_type, precision, modules, sums, runs, gradients=()):
    """`modules`: {input: modules}, in the order of the model; `sums`: as `read` gives them; `gradients`: names."""
    numpy, save = oracle.need("numpy", "safetensors.numpy")
    dtype = numpy.float64 if precision == "f64" else numpy.float32
    tensors = {}
    for name in list(modules) + list(gradients):
        moment = sums[name]["moment"]
        tensors[f"{name}.moment"] = moment[numpy.tril_indices(len(moment))].astype(dtype)
        tensors[f"{name}.absolute_sum"] = sums[name]["absolute_sum"].astype(numpy.float64)
        tensors[f"{name}.fourth_power_sum"] = numpy.array([sums[name]["fourth_power_sum"]], numpy.float64)
        tensors[f"{name}.tokens"] = numpy.array([sums[name]["tokens"]], numpy.int64)
    metadata = {"lowrank_statistics": VERSION, "model_fingerprint": fingerprint, "model_type": model_type,
                "precision": precision, "inputs": compact(modules), "runs": compact(runs)}
    if gradients:
        metadata["gradients"] = compact(list(gradients))
    save.save_file(tensors, path, metadata=metadata)


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- The fingerprint of a checkpoint ---

class Number(str):
    """A number of config.json in the digits that stand there."""


def fingerprint(folder):
    """SHA-256 of config.json without white space, then of every tensor's name, type, shape and some of its bytes."""
    digest = hashlib.sha256(verbatim(json.loads(
        (folder / "config.json").read_text(encoding="utf-8"), parse_int=Number, parse_float=Number)).encode())
    for name, (file, dtype, shape, start, end) in sorted(tensors_of(folder).items(), key=lambda item: natural(item[0])):
        digest.update(compact([name, dtype, shape]).encode())
        with open(file, "rb") as stream:
            for first, last in samples(end - start):
                stream.seek(start + first)
                digest.update(stream.read(last - first))
    return digest.hexdigest()


def verbatim(value):
    """Compact JSON of a value whose numbers are `Number`s."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{compact(key)}:{verbatim(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(verbatim, value)) + "]"
    return compact(value)


def tensors_of(folder):
    """{name: (file, type, shape, first byte, byte behind the last)}"""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        with open(file, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        for name, entry in header.items():
            if name != "__metadata__":
                first, last = (8 + length + offset for offset in entry["data_offsets"])
                tensors[name] = (file, entry["dtype"], entry["shape"], first, last)
    return tensors


def natural(name):
    """Sorts numbers in names by value."""
    def number(match):
        digits = match.group().lstrip(b"0")
        return b"0" + bytes([min(len(digits), 255)]) + digits
    return re.sub(rb"[0-9]+", number, name.encode()), name.encode()


def samples(size):
    """The first, middle and last kilobyte, or everything where that is not more."""
    if size <= 3072:
        return [(0, size)]
    middle = (size - 1024) // 2
    return [(0, 1024), (middle, middle + 1024), (size - 1024, size)]
