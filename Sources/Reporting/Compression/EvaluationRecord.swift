import CommandLineKit
import Safetensors

/// What report.json says of how well the result predicts (`evaluation`, from `eval --report`).
struct EvaluationRecord {
    /// Of the model that the result came from, where it was the reference, and of the result.
    let perplexity: (before: Double?, after: Double?)
    /// Tokens that were scored.
    let tokens: Int?
    /// Mean divergence from the predictions of the reference, in nats per token.
    let divergence: Double?
    /// How often both put the same token first.
    let agreement: Double?
    /// Of the sentences of an encoder to those of the reference.
    let embeddingCosine: Double?
    /// Share of the questions answered rightly, and their number.
    let accuracy: Double?
    let questions: Int?

    init(_ json: JSON) {
        let reference = json["reference"]
        perplexity = (reference?["perplexity"]?.double, json["perplexity"]?.double)
        tokens = json["tokens"]?.int
        divergence = reference?["kl"]?.double
        agreement = reference?["top1_agreement"]?.double
        embeddingCosine = json["embedding_cosine"]?.double
        accuracy = json["choices"]?["accuracy"]?.double
        questions = json["choices"]?["items"]?.int
    }

    /// A figure with the words around it.
    struct Figure {
        let name: String
        let before: String?
        let after: String
        /// What it was measured on, and against.
        let note: String
    }

    /// Those that are known, in order.
    var figures: [Figure] {
        var figures: [Figure] = []
        let scored = tokens.map { "\(Quantity.grouped($0)) tokens" }
        if let after = perplexity.after {
            let notes = [perplexity.before.map { _ in "before → after" }, scored].compactMap { $0 }
            figures.append(
                Figure(
                    name: "perplexity", before: perplexity.before.map { Quantity.significant($0, 5) },
                    after: Quantity.significant(after, 5), note: notes.joined(separator: ", ")))
        }
        if let divergence {
            let note = agreement.map { "same first token at \(Quantity.percent($0)) of the places" } ?? ""
            figures.append(
                Figure(
                    name: "divergence of predictions, nats per token", before: nil,
                    after: Quantity.significant(divergence, 4), note: note))
        }
        if let embeddingCosine {
            figures.append(
                Figure(
                    name: "cosine of embeddings", before: nil, after: Quantity.fixed(embeddingCosine, 4),
                    note: "mean, to those of the reference"))
        }
        if let accuracy {
            figures.append(
                Figure(
                    name: "accuracy", before: nil, after: Quantity.percent(accuracy),
                    note: questions.map { "of \(Quantity.grouped($0)) questions" } ?? ""))
        }
        return figures
    }
}
