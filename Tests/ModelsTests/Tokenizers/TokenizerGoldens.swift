import Foundation
import MatrixCore
import Safetensors

@testable import Models

/// What the `tokenizers` library makes of hard texts; written by Scripts/check_tokenizers.py.
enum TokenizerGoldens {
    static let file: JSON = {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Resources/tokenizer_goldens.json").path()
        do {
            return try JSON.parse(file: path)
        } catch {
            preconditionFailure("\(error)")
        }
    }()

    static let cases = strings(file["cases"])
    static let names = file["tokenizers"]?.object?.keys ?? []
    static let variants = file["variants"]?.array ?? []

    /// shared/data beside the package, or where LOWRANK_DATA points.
    static let data: String = {
        if let path = ProcessInfo.processInfo.environment["LOWRANK_DATA"] { return path }
        var package = URL(filePath: #filePath)
        for _ in 0..<4 { package.deleteLastPathComponent() }
        return package.deletingLastPathComponent().appending(path: "shared/data").path()
    }()

    static let hasData = FileManager.default.fileExists(atPath: data + "/tokenizers")

    private static let files = [
        "stories260K": "stories260K/tokenizer.json",
        "llama-2": "tokenizers/llama-2.tokenizer.json",
        "gpt2": "tokenizers/gpt2.tokenizer.json",
        "gptneox": "tokenizers/pythia-gptneox.tokenizer.json",
        "bert": "tokenizers/bert-base-uncased.tokenizer.json",
    ]

    static func json(of name: String) throws -> JSON {
        try JSON.parse(file: "\(data)/\(files[name] ?? name)")
    }

    /// A real tokenizer by the name it has in the goldens.
    static func tokenizer(_ name: String) throws -> Tokenizer {
        guard name == "qwen3" else { return try Tokenizer(tokenizerJSON: json(of: name), configuration: nil) }
        let folder = FileManager.default.temporaryDirectory.appending(path: "qwen3-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for file in ["vocab.json", "merges.txt", "tokenizer_config.json", "added_tokens.json"] {
            try FileManager.default.createSymbolicLink(
                atPath: folder.appending(path: file).path(), withDestinationPath: "\(data)/tokenizers/qwen3.\(file)")
        }
        return try Tokenizer(checkpointFolder: folder.path())
    }

    /// `base` with some members replaced, those of the model one by one, and with more added tokens.
    static func merged(_ base: JSON, _ changes: JSON) -> JSON {
        var result = base
        for (key, value) in changes.object?.entries ?? [] {
            switch key {
            case "model":
                for (member, value) in value.object?.entries ?? [] { result["model"]?[member] = value }
            case "added_tokens":
                result[key] = .array((base[key]?.array ?? []) + (value.array ?? []))
            default:
                result[key] = value
            }
        }
        return result
    }

    /// SHA-256 of ids as little-endian int32.
    static func digest(_ ids: [Int32]) -> String {
        ids.map(\.littleEndian).withUnsafeBytes { SHA256.hex(of: $0) }
    }

    static func strings(_ json: JSON?) -> [String] { (json?.array ?? []).compactMap(\.string) }

    static func ids(_ json: JSON?) -> [Int32] { (json?.array ?? []).compactMap { $0.int.map(Int32.init) } }

    /// As `every_scalar` of Scripts/tokenizer_cases.py.
    static let everyScalar: String = {
        let uniform: [Range<UInt32>] = [
            0x3400..<0x9FF0, 0xAC00..<0xD7A0, 0xE010..<0xF8F0, 0x12000..<0x16800, 0x17000..<0x1AFF0,
        ]
        var text = ""
        for value in UInt32(0)..<0x20000 where !uniform.contains(where: { $0.contains(value) }) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            text.unicodeScalars += ["a", scalar, "b", " ", scalar, "\n"]
        }
        return text
    }()
}
