import Foundation
import Safetensors

/// Rotary position embedding as config.json describes it: frequencies of the pairs that are turned, and a factor.
///
/// Both spellings are read: `rope_theta` with `rope_scaling` (and `rotary_emb_base`, `rotary_pct` of GPT-NeoX), and
/// `rope_parameters`. Frequencies are computed in Float, step by step as the transformers library does, because at long
/// positions their last digit shows in the logits.
///
/// - Source: Su et al., "RoFormer", arXiv 2104.09864; for dynamic scaling and YaRN Peng et al., arXiv 2309.00071;
///   linear and llama3 scaling as in `modeling_rope_utils.py` of transformers 5.
public struct RotaryDescription: Sendable, Equatable {
    /// Numbers of each head that are turned, in two halves; the rest is left.
    let dimensions: Int
    let theta: Double
    let scaling: Scaling
    /// Tokens that a sequence had in training.
    let trainedPositions: Int?

    enum Scaling: Sendable, Equatable {
        case none
        case linear(factor: Double)
        case dynamic(factor: Double)
        case llama3(factor: Double, low: Double, high: Double, original: Double)
        case yarn(Yarn)
    }

    struct Yarn: Sendable, Equatable {
        let factor: Double
        let attentionFactor: Double
        let original: Double
        let fast: Double
        let slow: Double
        let truncates: Bool
    }

    /// What cosines and sines are multiplied with.
    var attentionFactor: Float {
        if case .yarn(let yarn) = scaling { Float(yarn.attentionFactor) } else { 1 }
    }

    /// Radians per position of each pair.
    /// - Parameter length: tokens of the sequence so far; only dynamic scaling asks for it.
    func frequencies(length: Int) -> [Float] {
        switch scaling {
        case .none: plainFrequencies(theta)
        case .linear(let factor): plainFrequencies(theta).map { $0 / Float(factor) }
        case .dynamic(let factor): plainFrequencies(dynamicTheta(factor, length))
        case .llama3(let factor, let low, let high, let original):
            plainFrequencies(theta).map { stretched($0, factor, (low, high), original) }
        case .yarn(let yarn): yarnFrequencies(yarn)
        }
    }

    private func powers(of theta: Double) -> [Float] {
        stride(from: 0, to: dimensions, by: 2).map { powf(Float(theta), Float($0) / Float(dimensions)) }
    }

    private func plainFrequencies(_ theta: Double) -> [Float] {
        powers(of: theta).map { 1 / $0 }
    }

    /// The base grows with the sequence once it is longer than in training.
    private func dynamicTheta(_ factor: Double, _ length: Int) -> Double {
        guard let trainedPositions, length > trainedPositions, dimensions > 2 else { return theta }
        let stretch = factor * Double(length) / Double(trainedPositions) - (factor - 1)
        return theta * pow(stretch, Double(dimensions) / Double(dimensions - 2))
    }

    /// Long waves are stretched, short ones left, those between in proportion.
    private func stretched(
        _ frequency: Float, _ factor: Double, _ range: (low: Double, high: Double), _ original: Double
    ) -> Float {
        let wavelength = 2 * Float.pi / frequency
        if wavelength < Float(original / range.high) { return frequency }
        if wavelength > Float(original / range.low) { return frequency / Float(factor) }
        let smooth = (Float(original) / wavelength - Float(range.low)) / Float(range.high - range.low)
        return (1 - smooth) * frequency / Float(factor) + smooth * frequency
    }

    private func yarnFrequencies(_ yarn: Yarn) -> [Float] {
        func pair(turning rotations: Double) -> Double {
            Double(dimensions) * log(yarn.original / (rotations * 2 * .pi)) / (2 * log(theta))
        }
        let ends = (pair(turning: yarn.fast), pair(turning: yarn.slow))
        let low = max(yarn.truncates ? ends.0.rounded(.down) : ends.0, 0)
        var high = min(yarn.truncates ? ends.1.rounded(.up) : ends.1, Double(dimensions - 1))
        if low == high { high += 0.001 }
        return powers(of: theta).enumerated().map { index, power in
            let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
            return 1 / (Float(yarn.factor) * power) * ramp + 1 / power * (1 - ramp)
        }
    }
}

// MARK: - Reading

extension RotaryDescription {
    init(
        config: JSON, defaults: ModelFamily.Defaults, headDimension: Int, positions: Int?
    ) throws(ModelError) {
        let new = config["rope_parameters"]?.object == nil ? nil : config["rope_parameters"]
        let parameters = new ?? config["rope_scaling"] ?? .null
        func number(_ keys: String...) -> Double? {
            for key in keys {
                if let value = parameters[key]?.double ?? config[key]?.double { return value }
            }
            return nil
        }
        theta = number("rope_theta", "rotary_emb_base") ?? defaults.ropeTheta ?? 10_000
        let factor = number("partial_rotary_factor", "rotary_pct") ?? defaults.partialRotaryFactor
        let turned = Int(Double(headDimension) * factor)
        dimensions = (turned + 1) / 2 * 2
        trainedPositions = positions
        scaling = try Self.scaling(parameters, config)
        guard theta > 0, dimensions >= 2, dimensions <= headDimension else {
            throw .badSetting(key: "partial_rotary_factor", expected: "a share of the \(headDimension) of a head")
        }
    }

    private static func scaling(_ parameters: JSON, _ config: JSON) throws(ModelError) -> Scaling {
        let kind = parameters["rope_type"]?.string ?? parameters["type"]?.string ?? "default"
        func required(_ key: String) throws(ModelError) -> Double {
            guard let value = parameters[key]?.double, value > 0 else {
                throw .badSetting(key: "rope_parameters.\(key)", expected: "a number above 0 for \(kind) scaling")
            }
            return value
        }
        let original =
            parameters["original_max_position_embeddings"]?.double
            ?? config["original_max_position_embeddings"]?.double ?? config["max_position_embeddings"]?.double
        switch kind {
        case "default": return .none
        case "linear": return .linear(factor: try required("factor"))
        case "dynamic": return .dynamic(factor: try required("factor"))
        case "llama3":
            return .llama3(
                factor: try required("factor"), low: try required("low_freq_factor"),
                high: try required("high_freq_factor"), original: original ?? 8192)
        case "yarn": return .yarn(try yarn(parameters, factor: try required("factor"), original: original))
        default: throw .unsupportedSetting(key: "rope scaling", value: "\"\(kind)\"")
        }
    }

    private static func yarn(_ parameters: JSON, factor: Double, original: Double?) throws(ModelError) -> Yarn {
        func scale(_ weight: Double) -> Double { factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1 }
        guard let original else {
            throw .badSetting(key: "original_max_position_embeddings", expected: "a number for yarn scaling")
        }
        var attention = scale(1)
        if let some = parameters["mscale"]?.double, let all = parameters["mscale_all_dim"]?.double, some != 0, all != 0
        {
            attention = scale(some) / scale(all)
        }
        return Yarn(
            factor: factor, attentionFactor: parameters["attention_factor"]?.double ?? attention, original: original,
            fast: parameters["beta_fast"]?.double ?? 32, slow: parameters["beta_slow"]?.double ?? 1,
            truncates: parameters["truncate"]?.bool ?? true)
    }
}
