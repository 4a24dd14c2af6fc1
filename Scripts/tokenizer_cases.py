"""The texts and the tokenizer variants of check_tokenizers.py."""

CASES = [
    "", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n", "\n ", " \n ", "  \n\n  x", "a", " a", "a ",
    "  a  ", "a  b", "a   b", "Hello, world!", "Hello world", " Hello  world ",
    "Once upon a time, there was a little girl.", "trailing spaces   ", "   leading spaces",
    "\tindented\n\t\tmore\n", "a\tb\t\tc", "a\r\nb\r\n\r\nc", "line\n\n\nline\n \n line",
    "x = 1;\n    y = 2;\n        return x + y;\n", "a\n\n\n", "a \n b \n", "end.\n\n", "end. \n\n \n",
    # Contractions and apostrophes
    "I'm you're he's we'll they've I'd don't", "I'M YOU'RE HE'S WE'LL THEY'VE I'D DON'T",
    "it\u2019s don\u2019t I\u2019m", "'s 't 're 've 'm 'll 'd", "'S 'T 'RE 'VE 'M 'LL 'D 'rE 'Ll",
    "''s 'sx 'tis 'twas rock 'n' roll", "' s", "x'y'z", "\u02bcs \u2018s\u2019", "'\u017f and \u212a'd",
    "l'\u00e9t\u00e9 l'homme aujourd'hui",
    # Numbers
    "0", "1 12 123 1234 12345 123456 1234567890", "3.14159 -1e10 1,000,000 $5.00 50%", "2024-01-31T23:59:59Z",
    "x1y22z333",
    "\u0661\u0662\u0663 \u0967\u0968\u0969"
    " \uff11\uff12\uff13 \u00b2\u00b3\u00b9 \u00bd\u00bc \u2167 \u2460\u2461 \u3007",
    "1st 2nd 3rd 4\u20444",
    # Punctuation
    "...", "!!!???", "(a) [b] {c} <d>", "a-b_c/d\\e|f", "``quoted'' \"double\" \u201ccurly\u201d",
    "foo.bar(baz)[0] += 1;", "#!/bin/sh", "@user #tag $x ^y ~z `q`",
    "\u2014 \u2013 \u2026 \u00ab\u00bb \u300c\u300d \u3002 \uff0c \u061f \u066b", "a\u00b7b \u2022 c",
    "<unk> <pad>", "= = Heading = =",
    # Accents, combining marks
    "caf\u00e9 na\u00efve r\u00e9sum\u00e9", "cafe\u0301 nai\u0308ve", "\u0301", "\u0301\u0301", "a \u0301 b",
    "\u0301a", "e\u0301\u0301\u0323", "q\u0307\u0323 q\u0323\u0307", "\u1e9b\u0323", "\u212b \u00c5 A\u030a",
    "\u1100\u1161\u11a8 \uac01 \uac00\u11a8", "\ufb01ne \ufb00 \u00df \u1e9e \u0130stanbul \u0131",
    "\u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3 \u03c3\u03c2",
    "\u0344 \u0958 \u2adc \ufb1d \u00e9\u0323 \u1ea1\u0302 \u1ed9\u0323",
    "Vi\u1ec7t Nam ti\u1ebfng Vi\u1ec7t", "Z\u0351\u036b\u0343\u036aa\u0309\u0348l\u0363g\u0321o\u035c",
    # Scripts
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u6f22\u5b57 kanji \u304b\u306a \u30ab\u30ca \uff76\uff85",
    "\u4e2d\u6587abc123\u4e2d\u6587", "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\u0627\u0644\u0633\u0644\u0627\u0645 \u0639\u0644\u064a\u0643\u0645",
    "\u0645\u064f\u062d\u064e\u0645\u064e\u0651\u062f \u0640\u0640",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05b4\u05d1\u05b0\u05e8\u05b4\u05d9\u05ea",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0939\u093f\u0928\u094d\u0926\u0940 \u0915\u094d\u0937\u093f",
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u0436 \u0439",
    "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5",
    "\u12a0\u121b\u122d\u129b \u10e5\u10d0\u10e0\u10d7\u10e3\u10da\u10d8 \u0570\u0561\u0575\u0565\u0580\u0565\u0576",
    "\U00020000\U0002a6df\U0002b820\U00030000 \u9fff \ufa0e", "\U0001d504\U0001d4d0\u2115\u210c x\u00b2",
    "\U00010330\U0001033f \U00012000",
    # Emoji
    "\U0001f600", "I \u2764\ufe0f \U0001f355!", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "\U0001f44d\U0001f3fd\U0001f44d\U0001f3ff", "1\ufe0f\u20e3 #\ufe0f\u20e3",
    "\U0001f600\U0001f600\U0001f600 \U0001f600", "\U0001fae8 \U0001fadf",
    # Spaces and control characters
    "a\u00a0b\u00a0\u00a0c", "\u2003em\u2009thin\u200bzero\u3000wide\u202fnarrow\u205fmath\u1680ogham",
    "\ufeffBOM", "a\u0085b\u2028c\u2029d", "\u000b\u000c", "a\u0000b",
    "\u0001\u0002\u001b[31mred\u001b[0m\u007f\u0080\u009f", "soft\u00adhyphen", "\u200e\u200f\u202a\u202c",
    "\ufffd \ufffe \uffff", "\ue000\uf8ff", "\U000e0001\U0010ffff", "\u00a0", " \u00a0 ",
    "a \u00a0\n\u00a0 b", "\u2581 \u2581\u2581a a\u2581b \u2581", "\u0120\u010a\u0100",
    # Special tokens written out
    "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftext", "<s>",
    "</s>", "a <s> b </s> c", "<s>a</s>", "<unk>x<unk>", "[CLS] text [SEP] [MASK] [PAD] [UNK]",
    "the [MASK]ed [mask]", "<|im_start|>user\nHi<|im_end|>\n", "<think>x</think><tool_call>",
    "<|padding|>[PAD]", "<0x0A><0x41>",
    # Long words and runs
    "a" * 150, "supercalifragilisticexpialidocious" * 3, "ab" * 101, "x" * 101, "=" * 80, "-" * 33 + ">",
    " " * 30, "a" + " " * 24 + "b" + " " * 25 + "c", "\n" * 20, "\t" * 9, "\u00e9" * 60, "\u4e00" * 40,
    "\U0001f600" * 20, "0" * 40, "ThisIsCamelCase andHTTPServer snake_case_word",
    "https://example.org/a/b?c=d&e=f#g",
    # Variants' own tokens
    "a<tok>b <tok> c", " <left> x<left>y", "x<right>  y<right>\n z", "a word inside words word",
    "wordword _word word1 word", "A\u00c9<norm>\u00e9 <NORM>", "x  <both>  y", "one-two--three---",
    "-lead trail-", "a1b22c333d", "!a!!b!!!",
]

GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def split_regex(pattern, *options):
    return stages(split({"Regex": pattern}, *options), byte_level())


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def stages(*pre_tokenizers):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(pre_tokenizers)}}


def added(first_id, *tokens):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return [{"id": first_id + i, "content": content, **flags, **changes} for i, (content, changes) in enumerate(tokens)]


def metaspace(scheme, splits):
    component = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": splits}
    return {"normalizer": None, "pre_tokenizer": component, "decoder": component}


def normalizer(kind, **options):
    return {"normalizer": {"type": kind, **options}}


def bert_normalizer(clean, ideographs, accents, lower):
    return normalizer("BertNormalizer", clean_text=clean, handle_chinese_chars=ideographs, strip_accents=accents,
                      lowercase=lower)


FLAGGED = added(50257, ("<tok>", {}), ("<left>", {"lstrip": True}), ("<right>", {"rstrip": True, "special": True}),
                ("\u00e9<norm>", {"normalized": True}), ("<both>", {"lstrip": True, "rstrip": True}))
FLAGGED += added(4775, ("word", {"single_word": True}))  # a token of GPT-2, which keeps its id

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]

# (name, base, members of tokenizer.json that are replaced)
VARIANTS = [
    ("Llama-3 pattern, whole words first", "gpt2", {**split_regex(LLAMA3), "model": {"ignore_merges": True}}),
    ("GPT-4o pattern", "gpt2", split_regex(GPT4O)),
    ("GPT-2 pattern inverted", "gpt2", split_regex(GPT2, "Removed", True)),
    ("threes of digits, then GPT-2", "gpt2", stages(split({"Regex": "[0-9]{1,3}"}), byte_level(regex=True))),
    ("possessive pattern", "gpt2",
     split_regex(r"[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++")),
    ("word classes", "gpt2", split_regex(r"\w+|\d|[^\w\s]|\P{L}")),
    ("prefix space", "gpt2", {"pre_tokenizer": byte_level(prefix=True, regex=True)}),
    ("single digits", "gpt2", stages({"type": "Digits", "individual_digits": True}, byte_level(regex=True))),
    ("runs of digits", "gpt2", stages({"type": "Digits", "individual_digits": False}, byte_level())),
    ("punctuation", "gpt2", stages({"type": "Punctuation", "behavior": "Contiguous"}, byte_level())),
    ("white space", "gpt2", stages({"type": "WhitespaceSplit"}, byte_level())),
    ("words and signs", "gpt2", stages({"type": "Whitespace"}, byte_level())),
    *[(f"split: {behavior}{' inverted' * invert}", "gpt2",
       stages(split({"String": "-"}, behavior, invert), byte_level()))
      for behavior in BEHAVIORS for invert in [False, True]],
    *[(form, "gpt2", normalizer(form)) for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]],
    ("strip", "gpt2", normalizer("Strip", strip_left=True, strip_right=False)),
    ("NFD, accents, lower case", "gpt2",
     normalizer("Sequence", normalizers=[{"type": kind} for kind in ["NFD", "StripAccents", "Lowercase"]])),
    ("added tokens with flags", "gpt2", {"added_tokens": FLAGGED}),
    ("added tokens with flags, lower case", "gpt2", {"added_tokens": FLAGGED, **normalizer("Lowercase")}),
    ("RoBERTa processing", "gpt2",
     {"post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
                         "add_prefix_space": False}}),
    *[(f"Metaspace {scheme}{', dividing' * splits}", "llama-2", metaspace(scheme, splits))
      for scheme in ["always", "first", "never"] for splits in [False, True]],
    ("no byte fallback", "llama-2", {"model": {"byte_fallback": False, "fuse_unk": False}}),
    ("no byte fallback, unknown fused", "llama-2", {"model": {"byte_fallback": False}}),
    ("no unknown token", "llama-2", {"model": {"byte_fallback": False, "unk_token": None}}),
    ("cased BERT", "bert", bert_normalizer(True, True, None, False)),
    ("BERT, accents kept", "bert", bert_normalizer(False, False, False, True)),
    ("BERT processing", "bert",
     {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 102], "cls": ["[CLS]", 101]}}),
    ("BERT, no clean-up", "bert", {"decoder": {"type": "WordPiece", "prefix": "##", "cleanup": False}}),
]

# Blocks whose scalars are all alike; a few of each are in the hard cases.
UNIFORM = [(0x3400, 0x9FF0), (0xAC00, 0xD7A0), (0xE010, 0xF8F0), (0x12000, 0x16800), (0x17000, 0x1AFF0)]


def every_scalar():
    """Every Unicode scalar below U+20000 outside uniform blocks, between letters and spaces, so that it shows whether
    it divides, vanishes or changes."""
    values = [value for value in range(0x20000)
              if not 0xD800 <= value <= 0xDFFF and not any(first <= value < last for first, last in UNIFORM)]
    return "".join(f"a{chr(value)}b {chr(value)}\n" for value in values)
