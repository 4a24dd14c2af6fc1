"""Turns local copies of public multiple-choice sets into the file that `lowrank eval --choices` reads.

    python3 Scripts/convert_choices.py mmlu data/test/*_test.csv -o mmlu.jsonl --shots 5 --shots-from data/dev/*_dev.csv
    python3 Scripts/convert_choices.py arc ARC-Challenge-Test.jsonl -o arc.jsonl
    python3 Scripts/convert_choices.py hellaswag hellaswag_val.jsonl -o hellaswag.jsonl
    python3 Scripts/convert_choices.py piqa valid.jsonl --labels valid-labels.lst -o piqa.jsonl
    python3 Scripts/convert_choices.py winogrande dev.jsonl -o winogrande.jsonl
    lowrank eval model --choices mmlu.jsonl

A line of the result is {"context": …, "choices": […], "answer": index}; of WinoGrande, whose choices lie inside the
sentence, "context" is a list with one text for each choice. Prompts are those of lm-evaluation-harness 0.4, so that
figures can be compared. Files may be as the authors publish them (csv without a head line for MMLU, a JSON object a
line for the others) or as the Hugging Face copies have them: parquet, or JSON lines saved with `to_json`.
With --shots, the first N questions of --shots-from (for MMLU of the same subject) stand, answered, before each one.
Needs Python alone, and pyarrow for parquet.
"""

import argparse
import csv
import json
import pathlib
import re
import sys

LETTERS = "ABCDEFGHIJ"


class BadRow(Exception):
    """A row that is not of the set."""


def item(context, choices, answer):
    """One question; `answer` is an index."""
    count = len(choices)
    if not 0 <= answer < count or (isinstance(context, list) and len(context) != count) or not all(choices):
        raise BadRow("the answer names none of the choices, or a choice is empty")
    return {"context": context, "choices": choices, "answer": answer}


# --- One function a set: a row of it to an item ---

def mmlu(row):
    question, choices, answer = row["question"], row["choices"], row["answer"]
    letters = list(LETTERS[:len(choices)])
    lines = [question.strip(), *(f"{letter}. {choice}" for letter, choice in zip(letters, choices)), "Answer:"]
    return item("\n".join(lines), letters, letters.index(answer) if answer in letters else int(answer))


def arc(row):
    question = row["question"]
    if isinstance(question, dict):  # as published: the stem and a list of labelled texts
        texts = [choice["text"] for choice in question["choices"]]
        labels = [choice["label"] for choice in question["choices"]]
        question = question["stem"]
    else:
        texts, labels = row["choices"]["text"], row["choices"]["label"]
    return item(f"Question: {question}\nAnswer:", texts, labels.index(row["answerKey"]))


def hellaswag(row):
    context = row["ctx_a"] + " " + row["ctx_b"].capitalize()
    return item(without_markup(row["activity_label"] + ": " + context), [without_markup(e) for e in row["endings"]],
                int(row["label"]))


def without_markup(text):
    """WikiHow's brackets go; so does every second space."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def piqa(row):
    return item(f"Question: {row['goal']}\nAnswer:", [row["sol1"], row["sol2"]], int(row["label"]))


def winogrande(row):
    """Each option is put in the gap; what follows the gap is scored behind it."""
    before, gap, after = row["sentence"].partition("_")
    if not gap:
        raise BadRow("the sentence has no gap (_)")
    return item([before + row["option1"], before + row["option2"]], [after.strip()] * 2, int(row["answer"]) - 1)


SETS = {"mmlu": mmlu, "arc": arc, "hellaswag": hellaswag, "piqa": piqa, "winogrande": winogrande}


# --- Files ---

def rows_of(path):
    """The rows of a file; those of MMLU's csv get names, and every row the subject it is of."""
    if path.suffix == ".parquet":
        yield from parquet_rows(path)
        return
    subject = re.sub(r"_(test|val|dev)$", "", path.stem)
    with open(path, encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            for row in csv.reader(file):
                if len(row) < 4:
                    raise SystemExit(f"{path}: a row has {len(row)} cells; expected question, choices, answer")
                yield {"question": row[0], "choices": row[1:-1], "answer": row[-1], "subject": subject}
        else:
            for line in file:
                if line.strip():
                    yield {"subject": subject, **json.loads(line)}


def parquet_rows(path):
    """The rows of a Hugging Face copy, a batch at a time; those of MMLU name their subject."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SystemExit(f"{path}: parquet needs pyarrow, which is not installed (pip install pyarrow); or save the "
                         "set as JSON lines, for instance with Dataset.to_json")
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for row in batch.to_pylist():
                yield {"subject": "", **row}
    except pyarrow.ArrowInvalid as error:
        raise SystemExit(f"{path}: no parquet file: {error}")


def with_labels(rows, path):
    labels = path.read_text(encoding="utf-8").split()
    rows = list(rows)
    if len(labels) != len(rows):
        raise SystemExit(f"{path}: {len(labels)} labels for {len(rows)} questions")
    return [{**row, "label": label} for row, label in zip(rows, labels)]


def items_of(name, paths, labels=None):
    """(subject, item) of every row of the files."""
    for path in paths:
        rows = with_labels(rows_of(path), labels) if labels else rows_of(path)
        for number, row in enumerate(rows, 1):
            try:
                yield row["subject"], SETS[name](row)
            except (BadRow, KeyError, IndexError, TypeError, ValueError) as error:
                reason = f"no {error}" if isinstance(error, KeyError) else error
                raise SystemExit(f"{path}: question {number} is none of {name}: {reason}")


# --- Prompts ---

def answered(question):
    """The question with its right answer, as it stands before another."""
    context = question["context"]
    text = context[question["answer"]] if isinstance(context, list) else context
    return f"{text} {question['choices'][question['answer']]}"


def description(name, subject):
    if name != "mmlu":
        return ""
    return f"The following are multiple choice questions (with answers) about {subject.replace('_', ' ')}.\n\n"


def with_prefix(question, prefix):
    context = question["context"]
    longer = [prefix + text for text in context] if isinstance(context, list) else prefix + context
    return {**question, "context": longer}


def shots_by_subject(options):
    """Answered questions that stand before the others, for each subject; one list for all where sets have none."""
    shots = {}
    for subject, question in items_of(options.set, options.shots_from):
        known = shots.setdefault(subject if options.set == "mmlu" else "", [])
        if len(known) < options.shots:
            known.append(answered(question))
    return shots


def convert(options):
    shots = shots_by_subject(options) if options.shots else {}
    for subject, question in items_of(options.set, options.files, options.labels):
        before = shots.get(subject if options.set == "mmlu" else "", [])
        if len(before) < options.shots:
            raise SystemExit(
                f"--shots-from has {len(before)} questions for {subject}; --shots asks for {options.shots}")
        prefix = description(options.set, subject) + "".join(text + "\n\n" for text in before)
        yield with_prefix(question, prefix)


def options_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="file to write (default: standard output)")
    parser.add_argument("--shots", type=int, default=0, metavar="N", help="answered questions before each one")
    parser.add_argument("--shots-from", nargs="+", type=pathlib.Path, default=[], metavar="FILE")
    parser.add_argument("--labels", type=pathlib.Path, help="answers of a set that keeps them apart (PIQA), one a line")
    options = parser.parse_args()
    if options.shots and not options.shots_from:
        parser.error("--shots needs --shots-from")
    if options.labels and len(options.files) > 1:
        parser.error("--labels goes with one file")
    return options


def main():
    options = options_of()
    lines = [json.dumps(question, ensure_ascii=False) for question in convert(options)]
    text = "".join(line + "\n" for line in lines)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
        print(f"{options.output}: {len(lines)} questions", file=sys.stderr)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
