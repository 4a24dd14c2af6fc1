import Checkpoints
import CompressionCore
import Foundation
import Models
import Safetensors
import Testing

/// A small trained model beside the code, with the numbers that transformers gives for it.
struct Fixture: CustomTestStringConvertible {
    let name: String

    static let all = ["tiny-llama", "tiny-gpt2"].map { Fixture(name: $0) }

    var testDescription: String { name }

    var folder: String {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return package.appendingPathComponent("Fixtures/\(name)").path
    }

    func golden() throws -> JSON { try JSON.parse(file: folder + "/golden.json") }

    func model() throws -> Model {
        try Model(Checkpoint(path: folder), library: OperatorLibrary([DenseOperator.self]))
    }

    func tokenizer() throws -> Tokenizer { try Tokenizer(checkpointFolder: folder) }

    func text() throws -> String { try String(contentsOfFile: folder + "/heldout.txt", encoding: .utf8) }

    /// Some ids of the held-out text.
    func ids(_ count: Int) throws -> [Int32] {
        Array(try tokenizer().encode(try text(), addSpecialTokens: true).prefix(count))
    }
}
