import Foundation
import MatrixCore

/// Steps of stochastic gradient descent with a step size of its own for every number.
///
/// A number moves by rate · size · m̂ / (√v̂ + ε), with running means m of its gradients and v of their squares. The
/// size is the root mean square of the tensor when training began, so that one rate suits factors of any scale.
///
/// - Memory: two Floats for each number.
/// - Source: Kingma and Ba, arXiv 1412.6980; the size of the tensor is ours.
public struct AdamOptimizer: Sendable {
    /// Weights of the past in m and v.
    private static let momentum: Float = 0.9, memory: Float = 0.99
    private static let epsilon: Float = 1e-12

    /// m by tensor.
    public private(set) var means: [String: Matrix] = [:]
    /// v by tensor.
    public private(set) var squares: [String: Matrix] = [:]
    /// Root mean squares of the tensors when training began.
    public private(set) var sizes: [String: Float]
    /// Steps taken.
    public private(set) var steps = 0

    /// - Parameter tensors: what will be trained.
    public init(for tensors: [String: Matrix]) {
        sizes = tensors.mapValues(Self.size)
    }

    /// Goes on where another optimizer for the same tensors was.
    public mutating func restore(means: [String: Matrix], squares: [String: Matrix], steps: Int) {
        self.means = means
        self.squares = squares
        self.steps = steps
    }

    /// Takes one step with every tensor.
    ///
    /// - Parameters:
    ///   - tensors: by name, and changed.
    ///   - gradients: ∂L/∂tensor, by the same names.
    ///   - rate: relative to the size of a tensor.
    public mutating func step(_ tensors: inout [String: Matrix], gradients: [String: Matrix], rate: Float) {
        steps += 1
        let meanScale = 1 / (1 - pow(Self.momentum, Float(steps)))
        let squareScale = 1 / (1 - pow(Self.memory, Float(steps)))
        for name in gradients.keys.sorted() {
            guard let gradient = gradients[name], var tensor = tensors.removeValue(forKey: name) else { continue }
            var mean = means.removeValue(forKey: name) ?? Matrix(rows: tensor.rows, columns: tensor.columns)
            var square = squares.removeValue(forKey: name) ?? Matrix(rows: tensor.rows, columns: tensor.columns)
            let size = sizes[name] ?? 1
            Self.move(
                tensor.mutableView(), mean.mutableView(), square.mutableView(), gradient.view,
                Scales(rate: rate * size, mean: meanScale, square: squareScale))
            tensors[name] = tensor
            means[name] = mean
            squares[name] = square
        }
    }

    private struct Scales {
        let rate: Float
        let mean: Float
        let square: Float
    }

    private static func move(
        _ tensor: MutableMatrixView<Float>, _ mean: MutableMatrixView<Float>, _ square: MutableMatrixView<Float>,
        _ gradient: MatrixView<Float>, _ scales: Scales
    ) {
        forEachRowBlock(tensor.rows, columns: 4 * tensor.columns) { rows in
            for index in rows.lowerBound * tensor.columns..<rows.upperBound * tensor.columns {
                let slope = gradient.base[index]
                let m = momentum * mean.base[index] + (1 - momentum) * slope
                let v = memory * square.base[index] + (1 - memory) * slope * slope
                mean.base[index] = m
                square.base[index] = v
                tensor.base[index] -= scales.rate * (m * scales.mean) / ((v * scales.square).squareRoot() + epsilon)
            }
        }
    }

    /// Root mean square; 1 for a tensor of zeros, which must be able to move.
    private static func size(_ tensor: Matrix) -> Float {
        let sum = tensor.elements.reduce(0.0) { $0 + Double($1) * Double($1) }
        return sum > 0 ? Float((sum / Double(max(tensor.count, 1))).squareRoot()) : 1
    }
}

/// How the rate of a training goes: up over the first steps, then down to nothing as half a cosine.
public struct RateSchedule: Sendable {
    public var peak: Float
    public var steps: Int
    /// Steps until the peak.
    public var warmUp = 20

    public init(peak: Float, steps: Int) {
        self.peak = peak
        self.steps = steps
    }

    /// - Parameter step: from 0.
    public func rate(at step: Int) -> Float {
        let rise = min(1, Float(step + 1) / Float(min(warmUp, max(steps / 4, 1))))
        return peak * rise * 0.5 * (1 + cos(.pi * Float(step) / Float(max(steps, 1))))
    }
}
