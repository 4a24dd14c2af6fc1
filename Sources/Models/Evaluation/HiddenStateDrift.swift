import Kernels
import MatrixCore

/// How far the hidden states of a model have drifted from those of a reference, layer by layer.
///
/// Two views: how far each state is from the reference's (cosine and relative error, means over positions), and how far
/// the layers have moved among each other,
///
///     dS(l, l') = |S_model(l, l') − S_reference(l, l')|,   S(l, l') = mean over positions of cos(h_l, h_l'),
///
/// with h_l the output of layer l before the final norm. The second is blind to a rotation that all layers share, which
/// the first is not.
///
/// - Source: the inter-layer geometry drift of Lu et al., arXiv 2605.25344.
public struct HiddenStateDrift: Sendable {
    /// Means over the positions, for one layer.
    public struct Layer: Sendable, Equatable {
        /// Of the angle between the state and the reference's.
        public let cosine: Double
        /// ‖h − h_reference‖ / ‖h_reference‖
        public let relativeError: Double
        /// Mean of dS(l, l') over the other layers; 0 where there is no other.
        public let geometryDrift: Double
    }

    /// Positions compared.
    public private(set) var positions = 0
    private let count: Int
    /// Sums over positions, for each layer.
    private var cosines: [Double]
    private var relativeErrors: [Double]
    /// Sums over positions of cos(h_l, h_l') (layers × layers), for the model and the reference.
    private var geometry: (model: [Double], reference: [Double])

    /// - Parameter layers: of both models.
    public init(layers: Int) {
        count = layers
        cosines = Array(repeating: 0, count: layers)
        relativeErrors = cosines
        let zeros = [Double](repeating: 0, count: layers * layers)
        geometry = (zeros, zeros)
    }

    public var layers: [Layer] {
        let scale = 1 / Double(max(positions, 1))
        return (0..<count).map { layer in
            let others = (0..<count).filter { $0 != layer }
            return Layer(
                cosine: cosines[layer] * scale, relativeError: relativeErrors[layer] * scale,
                geometryDrift: others.reduce(0) { $0 + drift(layer, $1) } / Double(max(others.count, 1)))
        }
    }

    /// Mean of dS over all pairs of layers; 0 where there are none.
    public var geometryDrift: Double {
        let layers = layers
        return layers.reduce(0) { $0 + $1.geometryDrift } / Double(max(layers.count, 1))
    }

    private func drift(_ l: Int, _ other: Int) -> Double {
        let place = l * count + other
        return abs(geometry.model[place] - geometry.reference[place]) / Double(max(positions, 1))
    }

    /// Adds a sequence that both models have read.
    public mutating func append(_ model: HiddenStateSample, reference: HiddenStateSample) {
        let own = model.states, other = reference.states, layers = count
        precondition(
            model.isComparable(to: reference) && model.layers == layers && own.positions == other.positions,
            "samples of different models or sequences")
        let places = own.positions.count, pairs = layers * layers
        let distances = AlignedBuffer<Distances>(uninitializedCount: places * layers)
        let ownCosines = AlignedBuffer<Double>(uninitializedCount: places * pairs)
        let otherCosines = AlignedBuffer<Double>(uninitializedCount: places * pairs)
        forEachRowBlock(places, columns: pairs * own.hidden) { range in
            for place in range {
                for layer in 0..<layers {
                    distances.base[place * layers + layer] = Distances(
                        own.state(layer, place), other.state(layer, place), own.hidden)
                }
                Self.cosines(own, place, into: ownCosines.base + place * pairs, layers: layers)
                Self.cosines(other, place, into: otherCosines.base + place * pairs, layers: layers)
            }
        }
        // One thread adds, in the order of the positions.
        for place in 0..<places {
            for layer in 0..<layers {
                cosines[layer] += distances.base[place * layers + layer].cosine
                relativeErrors[layer] += distances.base[place * layers + layer].relativeError
            }
            for pair in 0..<pairs {
                geometry.model[pair] += ownCosines.base[place * pairs + pair]
                geometry.reference[pair] += otherCosines.base[place * pairs + pair]
            }
        }
        positions += places
    }

    /// cos(h_l, h_l') of all pairs of layers at one position (layers × layers); 0 where a state is zero.
    private static func cosines(
        _ states: HiddenStateSample.States, _ place: Int, into result: UnsafeMutablePointer<Double>, layers count: Int
    ) {
        let vectors = VectorKernels<Float>()
        for l in 0..<count {
            for other in 0...l {
                let product = vectors.dot(states.state(l, place), states.state(other, place), states.hidden)
                result[l * count + other] = Double(product)
            }
        }
        let norms = (0..<count).map { result[$0 * count + $0].squareRoot() }
        for l in 0..<count {
            for other in 0...l {
                let scale = norms[l] * norms[other]
                let cosine = scale == 0 ? 0 : result[l * count + other] / scale
                result[l * count + other] = cosine
                result[other * count + l] = cosine
            }
        }
    }
}

/// Between a hidden state and the reference's.
private struct Distances: BitwiseCopyable {
    /// 0 where one of them is zero.
    let cosine: Double
    /// 0 where the reference's is zero.
    let relativeError: Double

    init(_ state: UnsafePointer<Float>, _ reference: UnsafePointer<Float>, _ count: Int) {
        // In Double: the difference of two states that are nearly equal is what is asked for.
        var products = (own: 0.0, reference: 0.0, mixed: 0.0, difference: 0.0)
        for i in 0..<count {
            let x = Double(state[i]), y = Double(reference[i])
            products.own += x * x
            products.reference += y * y
            products.mixed += x * y
            products.difference += (x - y) * (x - y)
        }
        let scale = (products.own * products.reference).squareRoot()
        cosine = scale == 0 ? 0 : products.mixed / scale
        relativeError = products.reference == 0 ? 0 : (products.difference / products.reference).squareRoot()
    }
}
