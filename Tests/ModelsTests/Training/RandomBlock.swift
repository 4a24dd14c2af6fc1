import CompressionCore
import Foundation
import MatrixCore
import Testing

@testable import Models

/// A block with random weights, as one of the forms that families of models have.
struct RandomBlock: CustomTestStringConvertible {
    var name: String
    var residual = ModelFamily.ResidualForm.sequential
    var norm = ModelFamily.NormalisationKind.rootMeanSquare
    var fused: ModelFamily.FusedOrder?
    var heads = 4
    var keyValueHeads = 2
    var isCausal = true
    var window: Int?
    var hasHeadNorms = false
    /// Dimensions that are rotated; 0 for learned positions.
    var rotated = 4
    var mixer = MixerForm.gated
    var activation = Activation.silu
    var hasBiases = false

    enum MixerForm { case gated, gatedTogether, plain, experts(active: Int, normalised: Bool) }

    var testDescription: String { name }

    /// Whether a small change of what the router reads can send a token to another expert.
    var isRouted: Bool { if case .experts(2, _) = mixer { true } else { false } }

    static let hidden = 12, headDimension = 4, inner = 10
    static let lengths = [7, 1, 70]

    /// Every variant that a descriptor or a config.json can ask for.
    static let all: [RandomBlock] = [
        RandomBlock(name: "llama"),
        RandomBlock(name: "llama, one head of keys", heads: 3, keyValueHeads: 1),
        RandomBlock(name: "mistral, window", keyValueHeads: 4, window: 5),
        RandomBlock(name: "qwen2, biases", hasBiases: true),
        RandomBlock(name: "qwen3, norms of heads", hasHeadNorms: true),
        RandomBlock(name: "experts", mixer: .experts(active: 2, normalised: true)),
        RandomBlock(name: "experts, all used", mixer: .experts(active: 3, normalised: true)),
        RandomBlock(name: "experts, shares as they are", mixer: .experts(active: 2, normalised: false)),
        RandomBlock(name: "experts, all used, shares as they are", mixer: .experts(active: 3, normalised: false)),
        RandomBlock(name: "gate and up together", mixer: .gatedTogether),
        RandomBlock(
            name: "gpt-neox", residual: .parallel, norm: .layer, fused: .byHead, keyValueHeads: 4, rotated: 2,
            mixer: .plain, activation: .gelu, hasBiases: true),
        RandomBlock(
            name: "gpt-2", norm: .layer, fused: .byPart, keyValueHeads: 4, rotated: 0, mixer: .plain,
            activation: .geluTanh, hasBiases: true),
        RandomBlock(
            name: "bert", residual: .normalisedAfter, norm: .layer, keyValueHeads: 4, isCausal: false, rotated: 0,
            mixer: .plain, activation: .gelu, hasBiases: true),
        RandomBlock(name: "quick gelu", mixer: .plain, activation: .quickGelu),
    ]

    // MARK: Parts

    /// Normal numbers that the name and the seed decide.
    static func matrix(_ rows: Int, _ columns: Int, seed: UInt64, scale: Double = 1) -> Matrix {
        let random = CounterRandom(seed: seed)
        return Matrix(rows: rows, columns: columns) { Float(random.normal($0 * columns + $1) * scale) }
    }

    private func linear(_ name: String, _ outFeatures: Int, _ inFeatures: Int, seed: UInt64) -> Linear {
        Linear(
            name: name,
            weight: DenseOperator(weight: MatrixOperand(Self.matrix(outFeatures, inFeatures, seed: seed, scale: 0.4))),
            bias: hasBiases ? Self.vector(outFeatures, seed: seed + 1000, around: 0) : nil)
    }

    private static func vector(_ count: Int, seed: UInt64, around mean: Float) -> AlignedBuffer<Float> {
        let numbers = matrix(1, count, seed: seed, scale: 0.3)
        let buffer = AlignedBuffer<Float>(uninitializedCount: count)
        for index in 0..<count { buffer.base[index] = numbers[0, index] + mean }
        return buffer
    }

    private func normalisation(_ features: Int, seed: UInt64) -> Normalisation {
        Normalisation(
            weight: Self.vector(features, seed: seed, around: 1),
            bias: norm == .layer ? Self.vector(features, seed: seed + 1, around: 0) : nil, kind: norm, epsilon: 1e-5)
    }

    private func feedForward(_ prefix: String, seed: UInt64) -> FeedForward {
        let hidden = Self.hidden, inner = Self.inner
        let entrance: FeedForward.Entrance =
            switch mixer {
            case .plain: .plain(linear("\(prefix)in", inner, hidden, seed: seed))
            case .gatedTogether: .gatedTogether(linear("\(prefix)both", 2 * inner, hidden, seed: seed))
            case .gated, .experts:
                .gated(
                    gate: linear("\(prefix)gate", inner, hidden, seed: seed),
                    up: linear("\(prefix)up", inner, hidden, seed: seed + 1))
            }
        return FeedForward(
            entrance: entrance, exit: linear("\(prefix)down", hidden, inner, seed: seed + 2), activation: activation)
    }

    var block: Model.Block {
        let hidden = Self.hidden, d = Self.headDimension
        let projections: Attention.Projections =
            if let fused {
                .fused(linear("qkv", (heads + 2 * keyValueHeads) * d, hidden, seed: 1), fused)
            } else {
                .separate(
                    query: linear("q", heads * d, hidden, seed: 1),
                    key: linear("k", keyValueHeads * d, hidden, seed: 2),
                    value: linear("v", keyValueHeads * d, hidden, seed: 3))
            }
        let attention = Attention(
            layer: 0, projections: projections, output: linear("o", hidden, heads * d, seed: 4),
            queryNorm: hasHeadNorms ? normalisation(d, seed: 5) : nil,
            keyNorm: hasHeadNorms ? normalisation(d, seed: 7) : nil,
            shape: TiledAttention.Shape(
                heads: heads, keyValueHeads: keyValueHeads, headDimension: d, scale: 0.5, isCausal: isCausal,
                window: window))
        var mixer = Model.Block.Mixer.dense(feedForward("", seed: 20))
        if case .experts(let active, let isNormalised) = self.mixer {
            mixer = .experts(
                MixtureOfExperts(
                    router: linear("router", 3, hidden, seed: 30),
                    experts: (0..<3).map { feedForward("\($0).", seed: 40 + 10 * UInt64($0)) },
                    routing: ModelDescription.ExpertRouting(active: active, isNormalised: isNormalised)))
        }
        return Model.Block(
            attentionNorm: normalisation(hidden, seed: 9), attention: attention,
            feedForwardNorm: normalisation(hidden, seed: 11), feedForward: mixer)
    }

    /// Rotations by made-up angles.
    var rotary: [RotaryEmbedding] {
        if rotated == 0 { return [] }
        return Self.lengths.map { tokens in
            var cosines = Matrix(rows: tokens, columns: rotated / 2), sines = cosines
            for row in 0..<tokens {
                for pair in 0..<rotated / 2 {
                    let angle = Double(row) * (pair == 0 ? 1.0 : 0.1)
                    (cosines[row, pair], sines[row, pair]) = (Float(cos(angle)), Float(sin(angle)))
                }
            }
            return RotaryEmbedding(cosines: cosines.mutableView(), sines: sines.mutableView())
        }
    }
}
