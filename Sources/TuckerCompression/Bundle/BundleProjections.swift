import CompressionCore
import Kernels
import LinearAlgebra
import MatrixCore

/// Projections of rank d on both sides of square matrices, drawn between what reconstructs the weights and what the
/// activations ask for.
///
/// For W_0 … W_(L−1) (D × D), with orthogonal projections R_l of their inputs and Q_l of their outputs, minimises
///
///     E = Σ_l ‖W_l − Q_l W_l R_l‖² + λ Σ_l (‖Q_l − A_l‖² + ‖R_l − B_l‖²)
///
/// where A_l and B_l are what the whitened SVD of rank d projects on: its left singular subspace, and the row space of
/// its result. In the form `tied` a boundary between two matrices has one projection, Q_l = R_(l+1) = P_(l+1); in
/// `untied` every matrix has its own pair. Then λ → ∞ is the whitened SVD, and λ = 0 the plain one; tied, λ = 0 is a
/// basis shared by neighbours without regard to activations.
///
/// Since ‖W − QWR‖² = ‖W‖² − tr(R WᵀQW R), each projection is best given the others where it takes the leading
/// eigenvectors of the sum of WᵀQW, W R Wᵀ and 2λ times its anchors; E never rises.
///
/// - Cost: for every update a truncated SVD of a D × (2 to 4)d matrix; `sweeps` rounds of them.
/// - Source: arXiv 2605.30836 as METHODS §2.3 reads it: no public text says how anchors and boundaries are paired, and
///   this pairing has both limits that are known of it. The energy improves on noise too: it says nothing of outputs.
struct BundleProjections {
    enum Form: String, Sendable, CaseIterable {
        case tied, untied
    }

    /// Q_l (D × d), columns orthonormal.
    private(set) var outputs: [Matrix]
    /// R_l (D × d), columns orthonormal.
    private(set) var inputs: [Matrix]
    /// E at the start, where every projection is its anchor as far as it has one, and after each round.
    private(set) var energies: [Double] = []

    private let weights: [Matrix]
    private let outputAnchors: [Matrix]
    private let inputAnchors: [Matrix]
    private let form: Form
    /// λ in the units of the weights.
    private let strength: Double
    private let rank: Int

    /// Rounds at most, and the relative gain below which they end.
    private static let sweeps = 40
    private static let tolerance = 1e-7

    /// - Parameters:
    ///   - objectives: of square matrices in the order of their layers.
    ///   - strength: λ, in units of the mean squared singular value of the weights.
    init(_ objectives: [Objective], rank: Int, strength: Double, form: Form) throws {
        self.rank = rank
        self.form = form
        weights = objectives.map { objective in
            var copy = Matrix(uninitializedRows: objective.target.rows, columns: objective.target.columns)
            convert(objective.target, into: MutableMatrixOperand(copy.mutableView()))
            return copy
        }
        let energy = weights.reduce(0) { $0 + sumOfSquares(MatrixOperand($1)) }
        let directions = weights.reduce(0) { $0 + $1.rows }
        self.strength = strength * energy / Double(max(directions, 1))
        outputAnchors = try objectives.map { objective in
            let weighted = objective.inputs.weighted(objective.target)
            return try TruncatedSVD().decompose(weighted, rank: rank).u
        }
        inputAnchors = try zip(weights, outputAnchors).map { weight, outputs in
            try Self.leading([Self.product(weight, outputs, transposed: true)], rank)
        }
        outputs = outputAnchors
        inputs = inputAnchors
        if form == .tied {
            // A boundary starts at the anchor of the matrix that writes to it.
            for layer in inputs.indices.dropFirst() { inputs[layer] = outputs[layer - 1] }
        }
        energies = [energyNow]
        try improve()
    }

    private mutating func improve() throws {
        for _ in 0..<Self.sweeps {
            for layer in weights.indices {
                try updateInputs(of: layer)
                if form == .untied || layer == weights.count - 1 { try updateOutputs(of: layer) }
            }
            let energy = energyNow, before = energies.last ?? energy
            energies.append(energy)
            if before - energy <= Self.tolerance * before { return }
        }
    }

    /// The projection in front of a matrix, which when tied is that behind the one before it.
    private mutating func updateInputs(of layer: Int) throws {
        var parts = [Self.product(weights[layer], outputs[layer], transposed: true)]
        parts += anchors([inputAnchors[layer]])
        let isShared = form == .tied && layer > 0
        if isShared {
            parts.append(Self.product(weights[layer - 1], inputs[layer - 1], transposed: false))
            parts += anchors([outputAnchors[layer - 1]])
        }
        inputs[layer] = try Self.leading(parts, rank)
        if isShared { outputs[layer - 1] = inputs[layer] }
    }

    private mutating func updateOutputs(of layer: Int) throws {
        let parts = [Self.product(weights[layer], inputs[layer], transposed: false)] + anchors([outputAnchors[layer]])
        outputs[layer] = try Self.leading(parts, rank)
    }

    /// √(2λ) A, whose square is the part of an anchor.
    private func anchors(_ anchors: [Matrix]) -> [Matrix] {
        guard strength > 0 else { return [] }
        let scale = Float((2 * strength).squareRoot())
        return anchors.map { anchor in Matrix(rows: anchor.rows, columns: anchor.columns) { scale * anchor[$0, $1] } }
    }

    // MARK: Energy

    private var energyNow: Double {
        weights.indices.reduce(0) { sum, layer in
            let core = core(of: layer)
            let lost = sumOfSquares(MatrixOperand(weights[layer])) - sumOfSquares(MatrixOperand(core))
            return sum + lost + strength
                * (distance(outputs[layer], outputAnchors[layer]) + distance(inputs[layer], inputAnchors[layer]))
        }
    }

    /// ‖P − A‖² of the projections on two subspaces of d dimensions: 2d − 2‖VᵀU‖².
    private func distance(_ first: Matrix, _ second: Matrix) -> Double {
        2 * Double(rank) - 2 * sumOfSquares(MatrixOperand(Self.product(first, second, transposed: true)))
    }

    /// QᵀWR (d × d).
    func core(of layer: Int) -> Matrix {
        Self.product(
            outputs[layer], Self.product(weights[layer], inputs[layer], transposed: false), transposed: true)
    }

    // MARK: Algebra

    /// A · b, or Aᵀ · b.
    private static func product(_ a: Matrix, _ b: Matrix, transposed: Bool) -> Matrix {
        var result = Matrix(uninitializedRows: transposed ? a.columns : a.rows, columns: b.columns)
        multiply(
            transposed ? MatrixOperand(a).transposed : MatrixOperand(a), MatrixOperand(b), into: result.mutableView())
        return result
    }

    /// The leading eigenvectors of Σ Y Yᵀ, as the left singular vectors of the matrices side by side.
    private static func leading(_ parts: [Matrix], _ rank: Int) throws(LinearAlgebraError) -> Matrix {
        let columns = parts.reduce(0) { $0 + $1.columns }
        var joined = Matrix(uninitializedRows: parts[0].rows, columns: columns)
        let target = joined.mutableView()
        var first = 0
        for part in parts {
            convert(MatrixOperand(part), into: MutableMatrixOperand(target.columns(first..<first + part.columns)))
            first += part.columns
        }
        return try TruncatedSVD().decompose(MatrixOperand(joined), rank: rank).u
    }
}
