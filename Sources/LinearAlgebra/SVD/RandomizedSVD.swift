import Kernels
import MatrixCore

/// An approximate truncated SVD by subspace iteration, with its distance from the optimum estimated.
///
/// A random block Ω (n × l), l = k + oversampling, is multiplied by A and Aᵀ in turn and orthonormalised after each
/// product; the SVD of AᵀQ for the last basis Q gives the triplets.
///
/// The error is known exactly, ‖A‖² − Σσ̂²; the optimum is not. Each product can only raise the captured energy Σσ̂²,
/// about geometrically, so what is still missing is extrapolated from its last two rises.
///
/// - Cost: (2·powerIterations + 2) products of m·n·l and as many orthonormalisations of m·l².
/// - Source: Halko, Martinsson, Tropp, SIAM Review 53 (2011), algorithms 4.4 and 5.1; the extrapolation is ours.
struct RandomizedSVD {
    var oversampling: Int
    var powerIterations: Int
    var seed: UInt64

    func decompose(_ a: MatrixOperand, rank: Int) throws(LinearAlgebraError) -> SVDResult {
        let problem = try SVDProblem(a)
        let tall = Self.inFloat(problem.tall)
        var evidence = problem.evidence(.randomized)
        let width = min(problem.shortSide, rank + max(oversampling, 0))
        var energies: [Double] = []

        let random = CounterRandom(seed: seed)
        let start: Matrix = random.normalMatrix(rows: problem.shortSide, columns: width)
        var basis = try Self.step(&evidence, tall, MatrixOperand(start)).basis  // (long × l)
        for _ in 0..<max(powerIterations, 0) {
            let short = try Self.step(&evidence, tall.transposed, Self.rounded(basis))
            let long = try Self.step(&evidence, tall, Self.rounded(short.basis))
            energies += [short.energy(rank), long.energy(rank)]
            basis = long.basis
        }
        // AᵀQ = V Σ Wᵀ, so A ≈ Q QᵀA = (Q W) Σ Vᵀ. In Double, or ‖A‖² − Σσ̂² would drown in Float's rounding.
        let last = try Self.step(&evidence, tall.transposed, MatrixOperand(basis))
        energies.append(last.energy(rank))
        let left = evidence.timed("product") {
            var left = Matrix(uninitializedRows: tall.rows, columns: rank)
            let rotation = Matrix(rounding: last.rotation, columns: rank)
            multiply(Self.rounded(basis), MatrixOperand(rotation), into: left.mutableView())
            return left
        }
        let squaredError = max(problem.norm * problem.norm - last.energy(rank), 0)
        evidence.spectrumIsComplete = width == problem.shortSide
        evidence.truncationError = squaredError.squareRoot()
        evidence.excessEstimate = Self.excess(energies, squaredError: squaredError)
        return problem.result(
            longFactor: left, shortFactor: Matrix(rounding: last.basis, columns: rank), values: last.values,
            evidence: evidence)
    }

    /// A product and the SVD of what comes out.
    private struct Step {
        let basis: Matrix64  // (rows × l), the left vectors
        let rotation: Matrix64  // (l × l), the right ones
        let values: [Double]

        func energy(_ rank: Int) -> Double { values.prefix(rank).reduce(0) { $0 + $1 * $1 } }
    }

    /// a · block, in the precision of the block.
    private static func step(
        _ evidence: inout SVDEvidence, _ a: MatrixOperand, _ block: MatrixOperand
    ) throws(LinearAlgebraError) -> Step {
        var basis = evidence.timed("product") {
            var wide = Matrix64(uninitializedRows: a.rows, columns: block.columns)
            if block.type == .float64 {
                multiply(a, block, into: wide.mutableView())
            } else {
                var product = Matrix(uninitializedRows: a.rows, columns: block.columns)
                multiply(a, block, into: product.mutableView())
                convert(MatrixOperand(product), into: MutableMatrixOperand(wide.mutableView()))
            }
            return wide
        }
        let peeled = try evidence.timed("basis") { () throws(LinearAlgebraError) in
            try GramPeeling().decompose(&basis)
        }
        return Step(basis: basis, rotation: peeled.rotation, values: peeled.values)
    }

    private static func rounded(_ matrix: Matrix64) -> MatrixOperand {
        MatrixOperand(Matrix(rounding: matrix, columns: matrix.columns))
    }

    /// What the Frobenius error exceeds the optimum by, relative; infinite where a single product says nothing.
    private static func excess(_ energies: [Double], squaredError: Double) -> Double {
        guard energies.count > 2 else { return .infinity }
        let last = energies.count - 1
        let rise = max(energies[last] - energies[last - 1], 0)
        let before = max(energies[last - 1] - energies[last - 2], rise)
        guard rise > 0, squaredError > 0 else { return 0 }
        // A ratio near one would extrapolate to anything; the missing energy is at most all of the error.
        let ratio = min(rise / before, 0.9)
        let missing = min(rise * ratio / (1 - ratio), 0.9 * squaredError)
        return (squaredError / (squaredError - missing)).squareRoot() - 1
    }

    /// Float64 input is rounded: an approximate route needs no more.
    private static func inFloat(_ a: MatrixOperand) -> MatrixOperand {
        guard a.type == .float64 else { return a }
        var copy = Matrix(uninitializedRows: a.rows, columns: a.columns)
        convert(a, into: MutableMatrixOperand(copy.mutableView()))
        return MatrixOperand(copy)
    }
}
