"""Log-likelihoods of `lowrank eval --choices` against the formula of lm-evaluation-harness in PyTorch.

Makes questions out of a text: the context is the beginning of a sentence, one choice its end and the others the ends of
other sentences; a part of them has spaces behind the context, an empty context, a context for each choice, or one
longer than the model allows. Every log-likelihood is compared, question by question, and both accuracies.

    python3 Scripts/check_choices.py ../shared/data/stories260K --text ../shared/data/text/tinystories.eval.txt
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import oracle

TOLERANCE = 1e-4  # of a log-likelihood, relative above 1 nat


def questions(text, count, seed):
    """Made-up questions; the unusual forms come up every tenth time."""
    draw = random.Random(seed)
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", text) if 40 < len(s) < 160]
    long_text = " ".join(sentences[:400])
    for number in range(count):
        chosen = draw.sample(sentences, 4)
        cuts = [s.rindex(" ", 0, len(s) * 2 // 3) for s in chosen]
        context, endings = chosen[0][:cuts[0]], [s[cut + 1:] for s, cut in zip(chosen, cuts)]
        answer = draw.randrange(4)
        endings[0], endings[answer] = endings[answer], endings[0]
        if number % 10 == 3:
            context += " " * draw.randint(1, 3)
        elif number % 10 == 5:
            context = ""
        elif number % 10 == 7:
            context, endings = [s[:cut] for s, cut in zip(chosen, cuts)], [endings[0]] * 4
        elif number % 40 == 9:
            context = long_text + " " + context
        yield {"context": context, "choices": endings, "answer": answer}


def expected_likelihoods(model, tokenizer, question, limit):
    """`loglikelihood` of the harness: the pair is tokenised together, too long a one is cut at its start."""
    torch = oracle.need("torch")
    contexts = question["context"] if isinstance(question["context"], list) else [question["context"]] * 4
    results = []
    for context, choice in zip(contexts, question["choices"]):
        continuation = " " + choice
        spaces = len(context) - len(context.rstrip())
        if spaces:
            continuation = context[-spaces:] + continuation
            context = context[:-spaces]

        def encode(part):
            return tokenizer.encode(part, add_special_tokens=False)

        before = encode(context) if context else [tokenizer.bos_token_id]
        whole = encode(context + continuation) if context else before + encode(continuation)
        answer = whole[len(before):]
        ids = (before + answer)[-(limit + 1):]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[:-1]])).logits[0].double().log_softmax(-1)
        rows = logits[-len(answer):]
        results.append(rows.gather(1, torch.tensor(answer)[:, None]).sum().item())
    return results


def accuracies(items, likelihoods):
    def best(values):
        return values.index(max(values))
    plain = [best(row) == item["answer"] for item, row in zip(items, likelihoods)]
    scaled = [best([v / len(c) for v, c in zip(row, item["choices"])]) == item["answer"]
              for item, row in zip(items, likelihoods)]
    return sum(plain) / len(items), sum(scaled) / len(items)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--text", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--program", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent.parent / ".build/release/lowrank")
    options = parser.parse_args()
    items = list(questions(options.text.read_text(encoding="utf-8"), options.questions, options.seed))
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "questions.jsonl"
        file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
        command = [str(options.program), "eval", str(options.model), "--choices", str(file), "--json"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["choices"]
    model, tokenizer = oracle.load_model(options.model), oracle.load_tokenizer(options.model)
    limit = model.config.max_position_embeddings
    expected = [expected_likelihoods(model, tokenizer, item, limit) for item in items]
    worst = max(abs(a - b) / max(1, abs(a)) for row, other in zip(expected, found["log_likelihoods"])
                for a, b in zip(row, other))
    shares = accuracies(items, expected)
    same = max(abs(shares[0] - found["accuracy"]), abs(shares[1] - found["accuracy_normalised"])) < 1e-12
    print(f"{len(items)} questions, largest difference {worst:.1e}; accuracy {found['accuracy']:.3f}, by length "
          f"{found['accuracy_normalised']:.3f}, {'as' if same else 'NOT as'} expected")
    return 0 if same and worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
