"""Holds compressed folders in vLLM, run by its Transformers backend, against transformers on the same folders.

For small random models of every family (make_random_model.py, with heads as wide as vLLM takes) and every checkpoint
named, and every form of storage: compress, let vLLM continue a random prompt greedily in float32, and look at

    greedy      whether each token is the likeliest one to transformers too, rounding aside
    logprobs    of all tokens, those of the prompt too, against those of transformers: at most 1e-3 apart

Runs on a CPU with a build of vLLM for it, and as well on a GPU. Every case is a process of its own, for vLLM keeps
state; one takes half a minute on two cores. --compile lets vLLM compile the model, which it cannot do with mixtures.

    swift build -c release
    python3 Scripts/check_vllm.py                                     every family as factors and as pivots
    python3 Scripts/check_vllm.py --family llama3 --form all          every form
    python3 Scripts/check_vllm.py --model CKPT --form svd saten       a checkpoint, whose heads vLLM must take
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import check_loader
import check_runtime
import make_random_model
import oracle

TOLERANCE = 1e-3  # of a logarithm of a probability
PROMPT, NEW = 24, 16

# vLLM's attention on a CPU takes heads of 32 numbers and of more; those of the random models are smaller.
WIDE = {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 96}
SETTINGS = {
    "llama2": {"head_dim": 32}, "llama3": {"head_dim": 32}, "mistral-sliding": {"head_dim": 32}, "qwen2": WIDE,
    "qwen3": {"head_dim": 32}, "qwen3-moe": {"head_dim": 32}, "mixtral": {"head_dim": 32},
    "mixtral-stacked": {"head_dim": 32}, "gpt-neox": WIDE,
}

FORMS = {
    **check_loader.FORMS,
    # vLLM joins dense layers that stand side by side, and must not take compressed ones for such.
    "first-dense": "svd --keep 0.6 --layers 1,2",
    "some-dense": "svd --keep 0.6 --exclude 0.*(q|k|gate|up)_proj --exclude 1.*(k|v)_proj",
}


def work(folder, ids, is_eager):
    """In a process of its own: prints the tokens that vLLM adds, and the logarithm of the probability of each one."""
    import vllm

    llm = vllm.LLM(model=folder, skip_tokenizer_init=True, trust_remote_code=True, model_impl="transformers",
                   dtype="float32", enforce_eager=is_eager, max_model_len=PROMPT + NEW, max_num_seqs=4)
    greedy = vllm.SamplingParams(temperature=0, max_tokens=NEW, ignore_eos=True, logprobs=0, prompt_logprobs=0,
                                 detokenize=False)
    result = llm.generate([{"prompt_token_ids": ids}], greedy, use_tqdm=False)[0]
    tokens = list(result.outputs[0].token_ids)
    chances = [*result.prompt_logprobs[1:], *result.outputs[0].logprobs]
    found = [chance[token].logprob for token, chance in zip((ids + tokens)[1:], chances)]
    print(json.dumps({"tokens": tokens, "logprobs": found}))


def in_vllm(folder, ids, is_eager):
    """What `work` prints, or the last lines of its error."""
    command = [sys.executable, __file__, "--work", json.dumps([str(folder), ids, is_eager])]
    quiet = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR",
             "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env={**quiet, **os.environ})
    if done.returncode != 0:
        raise RuntimeError(" | ".join(done.stderr.strip().splitlines()[-2:])[-400:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(folder, ids, found):
    """Whether both agree, and by how much they do not."""
    torch, transformers = oracle.need("torch", "transformers")
    auto = transformers.AutoModelForCausalLM
    model = auto.from_pretrained(folder, dtype=torch.float32, trust_remote_code=True).eval()
    everything = torch.tensor([ids + found["tokens"]])
    with torch.no_grad():
        expected = model(input_ids=everything).logits[0, :-1].log_softmax(-1)
    chosen = expected.gather(1, everything[0, 1:, None]).flatten()
    apart = (chosen - torch.tensor(found["logprobs"])).abs().max().item()
    less = (expected.max(-1).values - chosen)[PROMPT - 1:].max().item()
    return apart <= TOLERANCE and less <= TOLERANCE, f"logprobs {apart:.0e} apart, {less:.0e} below the likeliest"


def check(lowrank, source, form, scratch, is_eager):
    """Whether it is right, with a figure; None where the model cannot have the form."""
    torch = oracle.need("torch")
    folder = scratch / "packed"
    try:
        lowrank.run("compress", source, "-o", folder, "--force", "--method", *FORMS[form].split())
    except RuntimeError as error:
        if "exit 1" in str(error) or "exit 2" in str(error):
            return None
        raise
    config = json.loads((folder / "config.json").read_text())
    if "low_rank_modules" not in config:
        return None
    chance = torch.Generator().manual_seed(7)
    ids = torch.randint(3, config["vocab_size"], (PROMPT,), generator=chance).tolist()
    try:
        return compare(folder, ids, in_vllm(folder, ids, is_eager))
    except RuntimeError as error:
        return False, str(error)


def sources(options, scratch):
    """(name, folder) of every source."""
    for family in options.family:
        is_stacked = family.endswith("-stacked")
        model = make_random_model.build(family.removesuffix("-stacked"), 0, SETTINGS[family])
        make_random_model.write(model, scratch / family, fused_experts=is_stacked)
        yield family, scratch / family
    for folder in options.model:
        yield folder.name, folder


def main():
    if sys.argv[1:2] == ["--work"]:
        return work(*json.loads(sys.argv[2]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", nargs="+", choices=SETTINGS, help="families of random models; default: all")
    parser.add_argument("--model", nargs="+", type=pathlib.Path, default=[], metavar="CKPT", help="checkpoints instead")
    parser.add_argument("--form", nargs="+", choices=["all", *FORMS], default=["svd", "pivot"], help="forms of storage")
    parser.add_argument("--compile", action="store_true", help="without enforce_eager")
    parser.add_argument("--lowrank", type=pathlib.Path, default=check_loader.SCRIPTS.parent / ".build/release/lowrank")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if importlib.util.find_spec("vllm") is None:
        print("skipped: vllm is not installed", file=sys.stderr)
        sys.exit(oracle.MISSING_PACKAGE)
    if options.family is None:
        options.family = [] if options.model else list(SETTINGS)
    forms = list(FORMS) if "all" in options.form else options.form
    check_loader.be_quiet()
    right, wrong, absent = 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        lowrank = check_runtime.Lowrank(options.lowrank, scratch, options.threads)
        for name, source in sources(options, scratch):
            for form in forms:
                result = check(lowrank, source, form, scratch, not options.compile)
                if result is None:
                    absent += 1
                    continue
                is_right, figure = result
                right, wrong = right + is_right, wrong + (not is_right)
                print(f"{name:<16} {form:<14} {'right' if is_right else 'WRONG'}  {figure}", flush=True)
    print(f"{right} right, {wrong} wrong, {absent} that cannot be had")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
