import Foundation
import Safetensors

/// How the head of a model relates to its embedding.
public enum TiedHead: Equatable, Sendable {
    /// The configuration does not tie them, or there is nothing to tie.
    case untied
    /// The configuration ties them and the head is not stored.
    case absent(embedding: String)
    /// The configuration ties them and the head is stored once more, with the same bytes: it need not be written.
    case identical(head: String, embedding: String)
    /// The configuration ties them, but the stored head differs: transformers uses it from version 5 on, and the
    /// embedding before.
    case different(head: String, embedding: String)
}

extension Checkpoint {
    /// Whether the configuration says that the head is the embedding.
    public var configTiesHead: Bool {
        config["tie_word_embeddings"]?.bool ?? architecture?.tiesHeadByDefault ?? false
    }

    /// - Cost: reads head and embedding if the configuration ties them and both are there.
    public func tiedHead() throws(CheckpointError) -> TiedHead {
        guard configTiesHead, let embedding = tensors.first(where: { $0.role == .embedding && $0.layer == nil }) else {
            return .untied
        }
        guard let head = tensors.first(where: { $0.role == .head }) else {
            return hasHeadByConfig ? .absent(embedding: embedding.name) : .untied
        }
        guard head.dtype == embedding.dtype, head.shape == embedding.shape,
            try haveSameBytes(head.name, embedding.name)
        else {
            return .different(head: head.name, embedding: embedding.name)
        }
        return .identical(head: head.name, embedding: embedding.name)
    }

    /// Whether the model's class has a head over the vocabulary: `LlamaForCausalLM`, `GPT2LMHeadModel`, not
    /// `BertModel`.
    private var hasHeadByConfig: Bool {
        guard let name = config["architectures"]?[0]?.string else { return true }
        return name.contains("LM") || name.contains("PreTraining")
    }

    private func haveSameBytes(_ left: String, _ right: String) throws(CheckpointError) -> Bool {
        let a = try bytes(of: left)
        let b = try bytes(of: right)
        defer {
            dropPages(of: left)
            dropPages(of: right)
        }
        return a.withUnsafeBytes { a in
            b.withUnsafeBytes { b in
                guard a.count == b.count, let left = a.baseAddress, let right = b.baseAddress else {
                    return a.count == b.count
                }
                return memcmp(left, right, a.count) == 0
            }
        }
    }
}
