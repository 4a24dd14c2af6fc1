"""Seeded generator of the text that the fixture models are trained on.

The text is small but cannot be predicted without looking back: people with made-up names recur, own things, hand them
over and are asked about; verbs agree with a subject several words earlier; sums are right; brackets close in order;
lists are copied, reversed and sorted; tables are read back. So a model trained on it needs its attention, and its
layers do not collapse to a trivial rank.

Documents are separated by a line `<|endoftext|>`. The same (seed, count) gives the same text on every machine.

    python3 Scripts/fixture_text.py --seed 7 --documents 3
"""

import argparse
import random

SEPARATOR = "<|endoftext|>"

SYLLABLES = ("ba be bo da di do fa fe ga go ha hi jo ka ke ko la le lo lu ma me mi mo na ne ni no pa pe po ra re ri ro "
             "sa se si so ta te ti to va ve vi wa we ya yo za ze").split()
ROLES = [("girl", "she", "her"), ("boy", "he", "his"), ("queen", "she", "her"), ("king", "he", "his"),
         ("woman", "she", "her"), ("man", "he", "his"), ("aunt", "she", "her"), ("uncle", "he", "his"),
         ("witch", "she", "her"), ("wizard", "he", "his")]
TRAITS = "brave clever gentle hungry lonely merry quiet shy sleepy strong tired young old kind proud wise".split()
COLOURS = "red blue green black white golden silver brown purple yellow".split()
THINGS = ("apple basket bell blanket boat bottle candle coin cup drum feather flute hammer kite ladder lamp letter map "
          "mirror needle pebble pencil ribbon ring rope shell spoon stone sword ticket").split()
PLACES = ["the " + word for word in ("bakery bridge castle cave farm forest garden harbour hill island kitchen library "
                                     "market mill river tower village workshop").split()]
TRAVEL = ["walks to", "runs to", "rides to", "hurries to", "goes back to", "climbs down to"]
WEATHER = ["The sun is warm", "It rains all day", "Snow covers the road", "The wind is cold", "Fog hides the hills"]
NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = ("January February March April May June July August September October November December").split()
KINDS = {"fruit": "apple pear plum cherry melon grape fig".split(), "tool": "saw hammer drill file axe chisel".split(),
         "animal": "fox owl goat hen cow horse duck".split(), "metal": "iron gold tin copper lead zinc".split()}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BRACKETS = [("(", ")"), ("[", "]"), ("{", "}")]


def name(r):
    return "".join(r.choice(SYLLABLES) for _ in range(r.choice([2, 2, 3]))).capitalize()


def plural(word):
    return word + "s"


def article(word):
    return "an " + word if word[0] in "aeiou" else "a " + word


def counted(count, colour, thing):
    return article(f"{colour} {thing}") if count == 1 else f"{NUMBER_WORDS[count]} {colour} {plural(thing)}"


class Person:
    def __init__(self, r, thing):
        self.name = name(r)
        self.role, self.subject, self.possessive = r.choice(ROLES)
        self.trait = r.choice(TRAITS)
        self.place = r.choice(PLACES)
        self.colour, self.thing, self.count = r.choice(COLOURS), thing, r.randint(1, 6)

    def owns(self):
        return counted(self.count, self.colour, self.thing)


def story(r):
    """People, their things and where they are, kept as a state; the closing questions are answered from it."""
    people = [Person(r, thing) for thing in r.sample(THINGS, r.choice([2, 2, 3]))]
    lines = []
    for p in people:
        lines.append(f"{p.name} is {article(p.trait)} {p.role} who lives near {p.place}. "
                     f"{p.subject.capitalize()} has {p.owns()}.")
    for _ in range(r.randint(2, 5)):
        lines.append(event(r, people))
    for p in r.sample(people, r.randint(1, len(people))):
        lines.append(question(r, p))
    return "\n".join([" ".join(lines[:len(people)]), " ".join(lines[len(people):])])


def event(r, people):
    p = r.choice(people)
    other = r.choice([q for q in people if q is not p])
    kind = r.randrange(5)
    if kind == 0:
        p.place = r.choice(PLACES)
        return f"{r.choice(WEATHER)}, so {p.name} {r.choice(TRAVEL)} {p.place} with {p.possessive} {p.thing}."
    if kind == 1 and p.count < 6:
        more = r.randint(1, 6)
        p.count += more
        return (f"At {p.place} {p.name} finds {NUMBER_WORDS[more]} more {p.colour} {plural(p.thing)}. "
                f"Now {p.subject} has {p.owns()}.")
    if kind == 2 and p.count > 1:
        fewer = r.randint(1, p.count - 1)
        p.count -= fewer
        return f"{p.name} loses {NUMBER_WORDS[fewer]} of {p.possessive} {plural(p.thing)} and keeps {p.owns()}."
    if kind == 3:
        p.colour, other.colour = other.colour, p.colour
        p.thing, other.thing = other.thing, p.thing
        p.count, other.count = other.count, p.count
        trade = f"{p.name} and {other.name} trade."
        return f"{trade} {p.name} takes the {p.thing} and {other.name} takes the {other.thing}."
    verb = "shine" if p.count > 1 else "shines"
    subject = plural(p.thing) if p.count > 1 else p.thing
    return f"\"The {subject} near the {other.thing} {verb},\" says {other.name} to {p.name} the {p.role}."


def question(r, p):
    kind = r.randrange(4)
    if kind == 0:
        return f"Who has the {p.thing}? {p.name} has it."
    if kind == 1:
        return f"What does {p.name} have? {p.subject.capitalize()} has {p.owns()}."
    if kind == 2:
        return f"Where is {p.name}? {p.subject.capitalize()} is near {p.place}."
    return f"Who is the {p.trait} {p.role}? {p.name} is."


def sums(r):
    lines = []
    for _ in range(r.randint(4, 8)):
        a, b = r.randint(0, 40), r.randint(0, 40)
        if r.random() < 0.5:
            lines.append(f"{a} + {b} = {a + b}")
        else:
            lines.append(f"{max(a, b)} - {min(a, b)} = {abs(a - b)}")
    return "Sums:\n" + "\n".join(lines)


def series(r):
    lines = []
    for _ in range(r.randint(3, 6)):
        start, step = r.randint(0, 9), r.randint(1, 9)
        lines.append(", ".join(str(start + step * i) for i in range(r.randint(5, 8))))
    return "Counting in steps:\n" + "\n".join(lines)


def letters(r):
    """Copy, reverse and sort short random lists."""
    lines = []
    for _ in range(r.randint(3, 6)):
        items = r.sample(LETTERS, r.randint(4, 8))
        verb, result = r.choice([("copy", items), ("turn round", items[::-1]), ("sort", sorted(items))])
        lines.append(f"{verb}: {' '.join(items)} -> {' '.join(result)}")
    return "\n".join(lines)


def bracketed(r, depth):
    """A random expression whose brackets of three kinds close in order."""
    opening, closing = r.choice(BRACKETS)
    parts = []
    for _ in range(r.randint(1, 3)):
        nested = depth > 0 and r.random() < 0.6
        parts.append(bracketed(r, depth - 1) if nested else r.choice(LETTERS[:10]))
    return f"{opening} {' '.join(parts)} {closing}"


def nested(r):
    lines = []
    for _ in range(r.randint(3, 5)):
        expression = bracketed(r, 4)
        depth = level = 0
        for character in expression:
            level += (character in "([{") - (character in ")]}")
            depth = max(depth, level)
        lines.append(f"{expression} has depth {depth}")
    return "Nested lists:\n" + "\n".join(lines)


def table(r):
    """A table with made-up keys, read back in another order."""
    rows = {name(r): (r.randint(10, 99), r.choice(COLOURS)) for _ in range(r.randint(4, 7))}
    lines = [f"| {key} | {number} | {colour} |" for key, (number, colour) in rows.items()]
    for key in r.sample(sorted(rows), 3):
        number, colour = rows[key]
        lines.append(r.choice([f"The number of {key} is {number}.", f"The colour of {key} is {colour}."]))
    return "\n".join(lines)


def facts(r):
    lines = []
    for _ in range(r.randint(5, 8)):
        kind = r.randrange(4)
        if kind == 0:
            i = r.randrange(7)
            lines.append(f"The day after {DAYS[i]} is {DAYS[(i + 1) % 7]}.")
        elif kind == 1:
            i = r.randrange(12)
            lines.append(f"The month before {MONTHS[i]} is {MONTHS[i - 1]}.")
        elif kind == 2:
            group, other = r.sample(sorted(KINDS), 2)
            odd = r.choice(KINDS[other])
            items = r.sample(KINDS[group], 3) + [odd]
            r.shuffle(items)
            lines.append(f"{', '.join(items)}: the {odd} is not {article(group)}.")
        else:
            thing, a, b = r.choice(THINGS), r.randint(2, 6), r.randint(2, 6)
            rows = f"{NUMBER_WORDS[a].capitalize()} rows of {NUMBER_WORDS[b]} {plural(thing)}"
            lines.append(f"{rows} are {a * b} {plural(thing)}.")
    return "\n".join(lines)


FORMS = [(story, 12), (letters, 3), (table, 3), (nested, 2), (sums, 2), (facts, 2), (series, 1)]


def documents(seed, count):
    """`count` documents; document i depends on (seed, i) alone."""
    forms, weights = zip(*FORMS)
    for i in range(count):
        r = random.Random(f"{seed}/{i}")
        yield r.choices(forms, weights)[0](r)


def text(seed, count):
    return "".join(f"{document}\n{SEPARATOR}\n" for document in documents(seed, count))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--documents", type=int, default=10)
    options = parser.parse_args()
    print(text(options.seed, options.documents), end="")
