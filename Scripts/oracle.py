"""What the Python oracles share: optional packages, and texts cut into windows or documents as `lowrank eval` does.

Every script here needs more than Python itself and says so in one line (exit status 69) when a package is absent.
"""

import hashlib
import importlib
import sys

MISSING_PACKAGE = 69


def need(*names):
    """The named packages; leaves with a clear message and status 69 if one is not installed."""
    try:
        modules = [importlib.import_module(name) for name in names]
    except ImportError as error:
        print(f"{sys.argv[0]}: needs the Python package '{error.name}' "
              "(pip install torch transformers tokenizers safetensors numpy)", file=sys.stderr)
        sys.exit(MISSING_PACKAGE)
    return modules[0] if len(modules) == 1 else modules


def load_tokenizer(folder):
    """`PreTrainedTokenizerFast` of tokenizer.json: family classes of transformers 5 may rewrite its normaliser."""
    return need("transformers").PreTrainedTokenizerFast.from_pretrained(folder)


def load_model(folder, dtype="float32", trust=False):
    """A causal language model, weights widened to `dtype`."""
    torch, transformers = need("torch", "transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), trust_remote_code=trust)
    return model.eval()


def window_ids(tokenizer, text, context, bos="auto"):
    """The text tokenised once, verbatim, in windows of `context` ids; the tail is dropped."""
    ids = tokenizer(text, add_special_tokens=bos == "auto")["input_ids"]
    if bos == "always":
        ids = [tokenizer.bos_token_id] + ids
    return [ids[i:i + context] for i in range(0, len(ids) - context + 1, context)]


def split_documents(text, separator):
    """What stands between lines equal to `separator`, stripped; empty documents are left out."""
    documents, lines = [], []
    for line in text.split("\n") + [separator]:
        if line == separator:
            documents.append("\n".join(lines).strip())
            lines = []
        else:
            lines.append(line)
    return [document for document in documents if document]


def document_ids(tokenizer, text, context, separator, bos="auto"):
    """Documents between lines equal to `separator`, stripped, each with BOS if the model has one, cut to `context`."""
    use_bos = bos == "always" or (bos == "auto" and tokenizer.bos_token_id is not None)
    start = [tokenizer.bos_token_id] if use_bos else []
    rows = [start + tokenizer(document, add_special_tokens=False)["input_ids"]
            for document in split_documents(text, separator)]
    return [row[:context] for row in rows if len(row) > 1]


def losses(model, rows):
    """Summed negative log-likelihood (nats) and number of scored tokens (2…L) of each row of ids."""
    torch = need("torch")
    results = []
    with torch.no_grad():
        for row in rows:
            ids = torch.tensor([row])
            logits = model(input_ids=ids, use_cache=False).logits[0, :-1].double()
            if not torch.isfinite(logits).all():
                raise SystemExit("non-finite logits")
            loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
            results.append((loss.item(), len(row) - 1))
    return results


def scored_sha256(rows):
    """SHA-256 of the scored ids (2…L of every row) as little-endian int32."""
    numpy = need("numpy")
    return hashlib.sha256(numpy.concatenate([row[1:] for row in rows]).astype("<i4").tobytes()).hexdigest()


def score(model, rows):
    """Loss, perplexity, standard error over rows, token and window counts, hash: the figures of METHODS' protocols."""
    numpy = need("numpy")
    sums, counts = map(numpy.array, zip(*losses(model, rows)))
    loss = sums.sum() / counts.sum()
    spread = (sums - loss * counts).std(ddof=1) * numpy.sqrt(len(rows)) / counts.sum() if len(rows) > 1 else 0.0
    return {"loss": float(loss), "perplexity": float(numpy.exp(loss)), "standard_error": float(spread),
            "tokens": int(counts.sum()), "windows": len(rows), "token_sha256": scored_sha256(rows)}
