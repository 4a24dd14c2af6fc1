import CommandLineKit
import Models
import Safetensors

/// What an evaluation found.
public struct EvalResult: Sendable {
    public var text: Text?
    public var choices: ChoiceSummary?
    public var peakResidentBytes = 0

    /// Figures over sequences of tokens.
    public struct Text: Sendable {
        /// nil for encoders, which predict no next token.
        public var perplexity: Perplexity?
        public var context: Int
        public var bos: TokenSequences.BOSPolicy
        /// Of the weights, by bytes; nil where there are none.
        public var dtype: TensorDType?
        /// SHA-256 of the scored ids as little-endian int32.
        public var tokenSHA256: String
        public var sequences: Int
        public var tokensPerSecond: Double
        public var comparison: ReferenceComparison?
        /// Mean cosine between the mean-pooled embeddings of an encoder and its reference.
        public var embeddingCosine: Double?
        /// Of hidden states; nil without a reference, and where its layers are of another number or width.
        public var drift: HiddenStateDrift?
    }

    public init() {}
}

// MARK: - JSON

extension EvalResult {
    public var json: JSON {
        var fields = text?.fields ?? JSONObject()
        fields["peak_rss_bytes"] = JSON(peakResidentBytes)
        if let choices { fields["choices"] = choices.json }
        return .object(fields)
    }
}

extension EvalResult.Text {
    fileprivate var fields: JSONObject {
        var fields = JSONObject()
        if let perplexity {
            fields["loss"] = JSON(perplexity.loss)
            fields["perplexity"] = JSON(perplexity.perplexity)
            fields["standard_error"] = JSON(perplexity.standardError)
            fields["tokens"] = JSON(perplexity.tokens)
        }
        fields["windows"] = JSON(sequences)
        fields["context"] = JSON(context)
        fields["bos"] = JSON(bos.rawValue)
        fields["dtype"] = dtype.map { JSON($0.rawValue) }
        fields["token_sha256"] = JSON(tokenSHA256)
        fields["tokens_per_second"] = JSON(tokensPerSecond)
        if let comparison {
            fields["reference"] = [
                "kl": JSON(comparison.meanDivergence), "top1_agreement": JSON(comparison.topAgreement),
                "loss": JSON(comparison.reference.loss), "perplexity": JSON(comparison.reference.perplexity),
                "output_entropy": JSON(comparison.referenceEntropy),
            ]
            fields["output_entropy"] = JSON(comparison.outputEntropy)
        }
        if let drift { fields["drift"] = drift.json }
        if let embeddingCosine { fields["embedding_cosine"] = JSON(embeddingCosine) }
        if let perplexity {
            fields["window_losses"] = .array(perplexity.sequences.map { JSON($0.loss / Double(max($0.tokens, 1))) })
        }
        return fields
    }
}

extension HiddenStateDrift {
    fileprivate var json: JSON {
        [
            "positions": JSON(positions), "geometry": JSON(geometryDrift),
            "layers": .array(
                layers.map {
                    [
                        "cosine": JSON($0.cosine), "relative_error": JSON($0.relativeError),
                        "geometry": JSON($0.geometryDrift),
                    ]
                }),
        ]
    }
}

extension ChoiceSummary {
    fileprivate var json: JSON {
        [
            "accuracy": JSON(accuracy), "accuracy_standard_error": JSON(accuracyError),
            "accuracy_normalised": JSON(normalisedAccuracy),
            "accuracy_normalised_standard_error": JSON(normalisedAccuracyError),
            "items": JSON(scores.count), "output_entropy": JSON(outputEntropy),
            "prediction_entropy": JSON(predictionEntropy),
            "log_likelihoods": .array(scores.map { .array($0.logLikelihoods.map { JSON($0) }) }),
        ]
    }
}

// MARK: - Text

extension EvalResult {
    /// One line a figure.
    public var report: String {
        var lines = text?.lines ?? []
        if let choices {
            func share(_ value: Double, _ error: Double) -> String {
                "\(Quantity.percent(value)) ± \(Quantity.percent(error)) of \(Quantity.grouped(choices.scores.count))"
            }
            lines.append(("accuracy", share(choices.accuracy, choices.accuracyError)))
            lines.append(("normalised", share(choices.normalisedAccuracy, choices.normalisedAccuracyError)))
            lines.append(("entropies", "output \(Quantity.fixed(choices.outputEntropy, 4)), prediction "
                    + "\(Quantity.fixed(choices.predictionEntropy, 4)) nats"))
        }
        lines.append(("peak memory", ByteCount.human(peakResidentBytes)))
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { $0.0 + String(repeating: " ", count: width - $0.0.count) + "  " + $0.1 }
            .joined(separator: "\n")
    }
}

extension EvalResult.Text {
    fileprivate var lines: [(String, String)] {
        var lines: [(String, String)] = []
        if let perplexity {
            lines.append(("perplexity", Quantity.significant(perplexity.perplexity, 6)))
            let error = Quantity.significant(perplexity.standardError, 2)
            lines.append(("loss", "\(Quantity.fixed(perplexity.loss, 6)) ± \(error) nats per token"))
            lines.append(("tokens", "\(Quantity.grouped(perplexity.tokens)) scored"))
        }
        lines.append(("windows", "\(sequences) of up to \(context) tokens, BOS \(bos.rawValue)"))
        if let dtype { lines.append(("weights", dtype.rawValue)) }
        lines.append(("token hash", tokenSHA256))
        if let comparison {
            lines.append(("reference", "perplexity \(Quantity.significant(comparison.reference.perplexity, 6))"))
            lines.append(("divergence", "\(Quantity.significant(comparison.meanDivergence, 4)) nats per token"))
            lines.append(("top-1 agreement", Quantity.percent(comparison.topAgreement)))
            let entropies = [comparison.outputEntropy, comparison.referenceEntropy].map { Quantity.fixed($0, 4) }
            lines.append(("output entropy", "\(entropies[0]) nats, reference \(entropies[1])"))
        }
        if let drift { lines.append(("hidden states", drift.line)) }
        if let embeddingCosine { lines.append(("embedding cosine", Quantity.fixed(embeddingCosine, 8))) }
        lines.append(("speed", "\(Quantity.significant(tokensPerSecond, 4)) tokens per second"))
        return lines
    }
}

extension HiddenStateDrift {
    /// `cosine 0.912 behind the last layer, lowest 0.853 behind layer 3, geometry drift 0.0121`
    fileprivate var line: String {
        let layers = layers
        let lowest = layers.indices.min { layers[$0].cosine < layers[$1].cosine } ?? 0
        let cosines = [layers.last?.cosine ?? 0, layers.isEmpty ? 0 : layers[lowest].cosine]
            .map { Quantity.significant($0, 4) }
        return "cosine \(cosines[0]) behind the last layer, lowest \(cosines[1]) behind layer \(lowest), "
            + "geometry drift \(Quantity.significant(geometryDrift, 3))"
    }
}
