import CommandLineKit
import Models
import Safetensors

/// What an evaluation found.
public struct EvalResult: Sendable {
    /// nil for encoders, which predict no next token.
    public var perplexity: Perplexity?
    public var context: Int
    public var bos: TokenSequences.BOSPolicy
    /// SHA-256 of the scored ids as little-endian int32.
    public var tokenSHA256: String
    public var sequences: Int
    public var tokensPerSecond: Double
    public var peakResidentBytes: Int
    public var comparison: ReferenceComparison?
    /// Mean cosine between the mean-pooled embeddings of an encoder and its reference.
    public var embeddingCosine: Double?

    public var json: JSON {
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
        fields["token_sha256"] = JSON(tokenSHA256)
        fields["tokens_per_second"] = JSON(tokensPerSecond)
        fields["peak_rss_bytes"] = JSON(peakResidentBytes)
        if let comparison {
            fields["reference"] = [
                "kl": JSON(comparison.meanDivergence), "top1_agreement": JSON(comparison.topAgreement),
                "loss": JSON(comparison.reference.loss), "perplexity": JSON(comparison.reference.perplexity),
            ]
        }
        if let embeddingCosine { fields["embedding_cosine"] = JSON(embeddingCosine) }
        if let perplexity {
            fields["window_losses"] = .array(perplexity.sequences.map { JSON($0.loss / Double(max($0.tokens, 1))) })
        }
        return .object(fields)
    }

    /// One line a figure.
    public var text: String {
        var lines: [(String, String)] = []
        if let perplexity {
            lines.append(("perplexity", Quantity.significant(perplexity.perplexity, 6)))
            let error = Quantity.significant(perplexity.standardError, 2)
            lines.append(("loss", "\(Quantity.fixed(perplexity.loss, 6)) ± \(error) nats per token"))
            lines.append(("tokens", "\(Quantity.grouped(perplexity.tokens)) scored"))
        }
        lines.append(("windows", "\(sequences) of up to \(context) tokens, BOS \(bos.rawValue)"))
        lines.append(("token hash", tokenSHA256))
        if let comparison {
            lines.append(("reference", "perplexity \(Quantity.significant(comparison.reference.perplexity, 6))"))
            lines.append(("divergence", "\(Quantity.significant(comparison.meanDivergence, 4)) nats per token"))
            lines.append(("top-1 agreement", Quantity.percent(comparison.topAgreement)))
        }
        if let embeddingCosine { lines.append(("embedding cosine", Quantity.fixed(embeddingCosine, 8))) }
        lines.append(("speed", "\(Quantity.significant(tokensPerSecond, 4)) tokens per second"))
        lines.append(("peak memory", ByteCount.human(peakResidentBytes)))
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { $0.0.padding(to: width) + "  " + $0.1 }.joined(separator: "\n")
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}
