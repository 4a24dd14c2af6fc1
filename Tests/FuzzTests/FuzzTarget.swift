import CommandLineKit
import Foundation
import Jobs
import Models
import Planning
import Safetensors

/// A kind of input, how it is changed, and what reads it.
enum FuzzTarget: String, CaseIterable {
    case header, index, config, compressedConfig, plan, statistics, tokenizer, part, json
}

/// Writes changed inputs into a folder of its own and reads them as the commands do.
final class FuzzRunner {
    private let material: FuzzMaterial
    private let folder: String
    private let fixtureTokenizer: JSON

    init(_ material: FuzzMaterial, fixtureTokenizer: String) throws {
        self.material = material
        self.fixtureTokenizer = try JSON.parse(file: fixtureTokenizer)
        folder = material.folder + "/input"
        for (name, source) in [("dense", material.dense), ("sharded", material.sharded), ("part", material.part)] {
            try copy(source, to: name)
        }
        for (index, source) in material.compressed.enumerated() { try copy(source, to: "compressed\(index)") }
    }

    private func copy(_ source: String, to name: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: source, toPath: "\(folder)/\(name)")
    }

    /// Reads the changed input number `number` of a target.
    /// - Throws: What the commands throw; `SystemFailure` where the harness itself fails.
    func run(_ target: FuzzTarget, seed: UInt64, number: Int) throws {
        var mutator = Mutator(seed: seed, number: number)
        switch target {
        case .header: try header(&mutator)
        case .index: try file("sharded", ShardIndex.fileName, material.sharded, &mutator) { try self.open("sharded") }
        case .config:
            try file("dense", "config.json", material.dense, &mutator) {
                try self.open("dense")
                try self.evaluate("dense")
            }
        case .compressedConfig:
            let index = mutator.integer(below: material.compressed.count)
            try file("compressed\(index)", "config.json", material.compressed[index], &mutator) {
                _ = try InspectJob(checkpoint: "\(self.folder)/compressed\(index)").run(
                    progress: SilentProgress(), interruption: .never)
                try self.evaluate("compressed\(index)")
            }
        case .plan:
            try write(mutator.text(of: material.plan), to: "plan.json")
            var request = CompressionRequest(checkpoint: material.dense, output: folder + "/none", target: .plan)
            request.planPath = folder + "/plan.json"
            _ = try CompressJob(request).plan()
        case .statistics:
            try write(tensorFile(material.statistics, &mutator), to: "stats.safetensors")
            _ = try StatisticsTableJob(path: folder + "/stats.safetensors", estimatesEveryCondition: false)
                .run(progress: SilentProgress(), interruption: .never)
        case .tokenizer:
            let base = mutator.integer(below: 4) == 0 ? fixtureTokenizer : Self.tokenizers[mutator.integer(below: 3)]
            try tokenizer(mutator.text(of: base))
        case .part:
            let names = ["part.json", "report.json"]
            try file("part", names[mutator.integer(below: 2)], material.part, &mutator) {
                let output = self.folder + "/merged"
                try MergeJob(parts: [self.folder + "/part"], output: output, force: true).run()
            }
        case .json:
            _ = try parse(mutator.text(of: material.plan))
        }
    }

    // MARK: Inputs

    /// A tensor file whose header, or length of it, or data is changed.
    private func tensorFile(_ path: String, _ mutator: inout Mutator) throws -> [UInt8] {
        let bytes = try FuzzMaterial.bytes(path)
        if mutator.integer(below: 6) == 0 { return mutator.bytes(bytes, changes: 3) }
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let text = mutator.text(of: try parse(Array(bytes[8..<8 + length])))
        let stated = mutator.integer(below: 12) == 0 ? text.count + mutator.integer(below: 1 << 40) : text.count
        return withUnsafeBytes(of: UInt64(stated).littleEndian) { Array($0) } + text + bytes[(8 + length)...]
    }

    private func header(_ mutator: inout Mutator) throws {
        let path = "\(folder)/header.safetensors"
        try write(tensorFile(material.dense + "/model.safetensors", &mutator), to: "header.safetensors")
        let file = try SafetensorsFile(path: path)
        for tensor in file.tensors { _ = try file.bytes(of: tensor.name) }
        _ = try InspectJob(checkpoint: path).run(progress: SilentProgress(), interruption: .never)
    }

    /// Changes one JSON file of a folder for the time of `body`.
    private func file(
        _ name: String, _ file: String, _ original: String, _ mutator: inout Mutator, _ body: () throws -> Void
    ) throws {
        let bytes = try FuzzMaterial.bytes("\(original)/\(file)")
        try write(mutator.text(of: try parse(bytes)), to: "\(name)/\(file)")
        defer { try? write(bytes, to: "\(name)/\(file)") }
        try body()
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        guard FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: Data(bytes)) else {
            throw SystemFailure()
        }
    }

    struct SystemFailure: Error {}

    // MARK: Readers

    private func open(_ name: String) throws {
        _ = try InspectJob(checkpoint: "\(folder)/\(name)").run(progress: SilentProgress(), interruption: .never)
        _ = try CompressJob(
            CompressionRequest(checkpoint: "\(folder)/\(name)", output: folder + "/none", target: .keep(0.5))
        ).plan().text()
    }

    private func evaluate(_ name: String) throws {
        _ = try EvalJob(
            checkpoint: "\(folder)/\(name)", source: SequenceSource(.tokens(material.tokens), context: 8),
            library: MethodRegistry.library
        ).run(progress: SilentProgress(), interruption: .never)
    }

    private func parse(_ bytes: [UInt8]) throws -> JSON { try bytes.withUnsafeBytes { try JSON.parse($0) } }

    private func tokenizer(_ text: [UInt8]) throws {
        let tokenizer = try Tokenizer(tokenizerJSON: try parse(text), configuration: nil)
        for sample in ["", "abc ab  un, unaffable.", "é \u{1F600}\n\t<s>x", String(repeating: "ab", count: 200)] {
            let ids = tokenizer.encode(sample, addSpecialTokens: true)
            _ = tokenizer.decode(ids, skipSpecialTokens: true)
        }
    }

    private static let tokenizers: [JSON] = [
        [
            "added_tokens": [["id": 1, "content": "<s>", "special": true, "normalized": false]],
            "normalizer": [
                "type": "Sequence",
                "normalizers": [
                    ["type": "Prepend", "prepend": "▁"],
                    ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
                ],
            ],
            "post_processor": [
                "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>"]], ["Sequence": ["id": "A"]]],
                "special_tokens": ["<s>": ["id": "<s>", "ids": [1]]],
            ],
            "decoder": [
                "type": "Sequence",
                "decoders": [
                    ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "Fuse"],
                    ["type": "Strip", "content": " ", "start": 1, "stop": 0],
                ],
            ],
            "model": [
                "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                "vocab": ["<unk>": 0, "<s>": 1, "▁": 2, "a": 3, "b": 4, "c": 5, "ab": 6, "▁a": 7, "abc": 8],
                "merges": ["a b", ["▁", "a"], "ab c"],
            ],
        ],
        [
            "added_tokens": [["id": 0, "content": "[UNK]", "special": true, "normalized": false]],
            "normalizer": ["type": "BertNormalizer", "lowercase": true], "pre_tokenizer": ["type": "BertPreTokenizer"],
            "post_processor": ["type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]],
            "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
            "model": [
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 8,
                "vocab": ["[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "un": 3, "##aff": 4, "##able": 5, ".": 6],
            ],
        ],
        [
            "pre_tokenizer": [
                "type": "Sequence",
                "pretokenizers": [
                    ["type": "Split", "pattern": ["Regex": #"\p{L}+|\s+(?!\S)|[^\s\p{L}]+"#], "behavior": "Isolated"],
                    ["type": "ByteLevel", "add_prefix_space": false, "use_regex": false],
                ],
            ],
            "decoder": ["type": "ByteLevel"],
            "model": ["type": "BPE", "vocab": ["a": 0, "b": 1, "ab": 2, "Ġ": 3, "u": 4, "n": 5], "merges": ["a b"]],
        ],
    ]
}
