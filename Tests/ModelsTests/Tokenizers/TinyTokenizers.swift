import Foundation
import Safetensors

/// Tokenizer files that are small enough to work out by hand.
enum TinyTokenizers {
    /// SentencePiece-style: "▁" marks a space, unknown characters fall back to bytes. The ids of the bytes are 3…258.
    static func bytePair(byteFallback: Bool = true) -> JSON {
        var vocabulary = JSONObject()
        vocabulary["<unk>"] = 0
        vocabulary["<s>"] = 1
        vocabulary["</s>"] = 2
        for byte in 0..<256 {
            let digits = String(byte, radix: 16, uppercase: true)
            vocabulary["<0x\(byte < 16 ? "0" : "")\(digits)>"] = JSON(3 + byte)
        }
        for (index, token) in ["▁", "a", "b", "c", "ab", "▁a", "abc", "bc"].enumerated() {
            vocabulary[token] = JSON(259 + index)
        }
        return [
            "added_tokens": [
                ["id": 1, "content": "<s>", "special": true, "normalized": false],
                ["id": 2, "content": "</s>", "special": true, "normalized": false],
            ],
            "normalizer": [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Prepend", "prepend": "▁"],
                    ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
                ],
            ],
            "pre_tokenizer": .null,
            "post_processor": [
                "type": "TemplateProcessing",
                "single": [["SpecialToken": ["id": "<s>"]], ["Sequence": ["id": "A"]]],
                "special_tokens": ["<s>": ["id": "<s>", "ids": [1]]],
            ],
            "decoder": [
                "type": "Sequence",
                "decoders": [
                    ["type": "Replace", "pattern": ["String": "▁"], "content": " "],
                    ["type": "ByteFallback"], ["type": "Fuse"],
                    ["type": "Strip", "content": " ", "start": 1, "stop": 0],
                ],
            ],
            "model": [
                "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": JSON(byteFallback),
                "vocab": .object(vocabulary), "merges": ["a b", ["▁", "a"], "b c", "ab c"],
            ],
        ]
    }

    static let wordPiece: JSON = [
        "added_tokens": [["id": 0, "content": "[UNK]", "special": true, "normalized": false]],
        "normalizer": ["type": "BertNormalizer", "lowercase": true],
        "pre_tokenizer": ["type": "BertPreTokenizer"],
        "post_processor": ["type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]],
        "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
        "model": [
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 8,
            "vocab": [
                "[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "un": 3, "##aff": 4, "##able": 5, "##a": 6, ".": 7, "una": 8,
                "##b": 9,
            ],
        ],
    ]
}
