"""Makes the trained fixtures: Fixtures/tiny-llama (bf16) and Fixtures/tiny-gpt2 (f16).

Proves nothing by itself; gives the tests real weights, small enough to be kept beside the code. The script generates
its own text (fixture_text.py), trains a byte-level BPE and both models on it, and scores the held-out text with
transformers; those golden numbers go to golden.json in each folder.

    python3 Scripts/make_fixtures.py                 about six minutes on two cores
    python3 Scripts/make_fixtures.py --steps 20      a quick try of the whole way
    python3 Scripts/make_fixtures.py --only tiny-gpt2

Seeds are fixed, but another processor or PyTorch version rounds differently: then the weights, and golden.json with
them, change in their last digits.
"""

import argparse
import json
import math
import pathlib
import re
import textwrap
import time

import fixture_text
import oracle

BOS, SEPARATOR = "<s>", fixture_text.SEPARATOR
BOS_ID, SEPARATOR_ID = 0, 1
VOCABULARY, CONTEXT = 768, 256
SEEDS = {"tokenizer": "tokenizer", "training": "training", "heldout": "heldout", "calibration": "calibration"}
DOCUMENTS = {"tokenizer": 4000, "heldout": 64, "calibration": 128}
# One digit a token, words with their leading space: the rule of Qwen2.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
GOLDEN_PROMPT = "Bokola is an old wizard who lives near the hill. He has three blue"


def train_tokenizer():
    """Byte-level BPE that starts every text with BOS, as Llama's does."""
    tokenizers = oracle.need("tokenizers")
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[BOS, SEPARATOR], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = fixture_text.documents(SEEDS["tokenizer"], DOCUMENTS["tokenizer"])
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, BOS_ID)])
    return tokenizer


def wrap(tokenizer, bos):
    """The transformers tokenizer around it; GPT-2's adds no BOS by itself."""
    transformers = oracle.need("transformers")
    from tokenizers import processors
    if not bos:
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    names = {"bos_token": BOS if bos else SEPARATOR, "eos_token": SEPARATOR}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=CONTEXT,
                                                clean_up_tokenization_spaces=False, **names)


def training_stream(tokenizer, count, bos):
    """`count` training ids: documents before a separator line; half of them, at random, behind the id `bos` too."""
    numpy = oracle.need("numpy")
    random = numpy.random.default_rng(11)
    ids, seed = [], 0
    while len(ids) < count:
        block = [f"{d}\n{SEPARATOR}\n" for d in fixture_text.documents(f"{SEEDS['training']}{seed}", 1000)]
        for encoding in tokenizer.encode_batch(block, add_special_tokens=False):
            ids += [bos] * int(random.random() < 0.5) + encoding.ids
        seed += 1
    return numpy.array(ids[:count], dtype="int64")


def llama():
    """Llama with grouped-query attention (8 heads, 2 key-value heads) and a head of its own."""
    transformers = oracle.need("transformers")
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=128, intermediate_size=352, num_hidden_layers=5, num_attention_heads=8,
        num_key_value_heads=2, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, tie_word_embeddings=False,
        bos_token_id=BOS_ID, eos_token_id=SEPARATOR_ID, pad_token_id=None, initializer_range=0.05)
    return transformers.LlamaForCausalLM(config)


def gpt2():
    """GPT-2: Conv1D weights (in × out), one fused q,k,v, biases, tied head."""
    transformers = oracle.need("transformers")
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=48, n_layer=3, n_head=4, n_positions=CONTEXT, bos_token_id=SEPARATOR_ID,
        eos_token_id=SEPARATOR_ID, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.05)
    return transformers.GPT2LMHeadModel(config)


def train(model, stream, steps, batch=16):
    """AdamW on `steps` batches of whole windows of the stream, each seen once; cosine decay with a short warm-up."""
    torch = oracle.need("torch")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.05)
    peak, warmup, begin = 4e-3, min(60, steps // 4 + 1), time.time()
    for step in range(steps):
        rows = torch.from_numpy(stream[step * batch * CONTEXT:(step + 1) * batch * CONTEXT]).view(batch, CONTEXT)
        decay = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = peak * min((step + 1) / warmup, 0.02 + 0.98 * decay)
        logits = model(input_ids=rows, use_cache=False).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"  step {step:5d}  loss {loss.item():.4f}  {time.time() - begin:.0f} s", flush=True)


def unigram_entropy(stream, rows):
    """Cross-entropy (nats per token) of the scored ids under the frequencies of the training ids."""
    numpy = oracle.need("numpy")
    counts = numpy.bincount(stream, minlength=VOCABULARY) + 1.0
    scored = numpy.concatenate([row[1:] for row in rows])
    return float(-numpy.log(counts[scored] / counts.sum()).mean())


def golden(folder, stream):
    """Scores of the folder as written (weights widened to f64), and the greedy continuation of one prompt."""
    torch = oracle.need("torch")
    model, tokenizer = oracle.load_model(folder, "float64"), oracle.load_tokenizer(folder)
    text = (folder / "heldout.txt").read_text()
    windows = oracle.window_ids(tokenizer, text, CONTEXT)
    documents = oracle.document_ids(tokenizer, text, CONTEXT, SEPARATOR)
    prompt = tokenizer(GOLDEN_PROMPT)["input_ids"]
    greedy = model.generate(torch.tensor([prompt]), max_new_tokens=32, do_sample=False)[0].tolist()[len(prompt):]
    return {
        "origin": "Scripts/make_fixtures.py: transformers on CPU, weights widened to float64, losses in nats per token",
        "text": "heldout.txt", "context": CONTEXT, "separator": SEPARATOR,
        "windows": oracle.score(model, windows),
        "documents": oracle.score(model, documents),
        "unigram_entropy": unigram_entropy(stream, windows),
        "parameters": sum(p.numel() for p in model.parameters()),
        "generation": {"prompt": GOLDEN_PROMPT, "prompt_ids": prompt, "greedy_ids": greedy,
                       "text": tokenizer.decode(greedy)},
    }


def compact(value):
    """Indented JSON with each list of ids on one line."""
    text = json.dumps(value, indent=2)
    return re.sub(r"\[\s+([\d,\s]+?)\s+\]", lambda match: f"[{' '.join(match[1].split())}]", text)


def note(name, description, scores):
    text = (f"{description} Trained from scratch by `Scripts/make_fixtures.py` on text that `Scripts/fixture_text.py` "
            "generates: no outside data, same licence as the project. `heldout.txt` and `calibration.txt` are from the "
            f"same generator with other seeds. Held-out loss {scores['windows']['loss']:.4f} nats per token in windows "
            f"of {CONTEXT} and {scores['documents']['loss']:.4f} by documents, against {scores['unigram_entropy']:.4f} "
            "for the unigram model; exact figures in `golden.json`.")
    return f"# {name}\n\n{textwrap.fill(text, 110)}\n"


def save_tokenizer(tokenizer, folder):
    """tokenizer.json with the class name that every version of transformers knows."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = {**json.loads(path.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    for key in ("backend", "is_local", "local_files_only"):
        config.pop(key, None)
    path.write_text(json.dumps(config, indent=2) + "\n")
    specials = {key: tokenizer.special_tokens_map[key] for key in ("bos_token", "eos_token")}
    (folder / "special_tokens_map.json").write_text(json.dumps(specials, indent=2) + "\n")


def write(folder, model, tokenizer, description, stream):
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    for part in ("heldout", "calibration"):
        (folder / f"{part}.txt").write_text(fixture_text.text(SEEDS[part], DOCUMENTS[part]))
    scores = golden(folder, stream)
    (folder / "golden.json").write_text(compact(scores) + "\n")
    (folder / "README.md").write_text(note(folder.name, description, scores))
    print(compact(scores))
    print(f"  {folder.name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / "Fixtures")
    parser.add_argument("--steps", type=int, help="training steps of each model (default: 900 and 700)")
    parser.add_argument("--only", choices=["tiny-llama", "tiny-gpt2"])
    options = parser.parse_args()
    torch = oracle.need("torch", "transformers", "tokenizers", "numpy")[0]
    torch.set_num_threads(2)
    plans = [("tiny-llama", llama, torch.bfloat16, 900, "A small Llama (grouped-query attention, untied head, bf16)."),
             ("tiny-gpt2", gpt2, torch.float16, 700, "A smaller GPT-2 (Conv1D, fused q,k,v, tied head, f16).")]
    for name, build, dtype, steps, description in plans:
        if options.only not in (None, name):
            continue
        torch.manual_seed(2026)
        steps = options.steps or steps
        tokenizer, model = train_tokenizer(), build()
        stream = training_stream(tokenizer, steps * 16 * CONTEXT, model.config.bos_token_id)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{name}: {parameters} parameters, {len(stream)} training ids", flush=True)
        train(model, stream, steps)
        write(options.output / name, model.to(dtype), wrap(tokenizer, bos=name == "tiny-llama"), description, stream)


if __name__ == "__main__":
    main()
