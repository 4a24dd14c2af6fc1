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
/// - Cost: (2·powerIterations + 1) products of m·n·l in Float and one in Double, and as many bases of m·l².
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

        let start: Matrix = CounterRandom(seed: seed).normalMatrix(rows: problem.shortSide, columns: width)
        var product = evidence.timed("product") { Self.product(tall, start) }  // (long × l)
        for iteration in 0..<max(powerIterations, 0) {
            let long: ThinQR<Float> = try evidence.timed("basis") { () throws(LinearAlgebraError) in
                try ThinQR(product.view)
            }
            let back = evidence.timed("product") { Self.product(tall.transposed, long.q) }
            let short: ThinQR<Float> = try evidence.timed("basis") { () throws(LinearAlgebraError) in
                try ThinQR(back.view)
            }
            product = evidence.timed("product") { Self.product(tall, short.q) }
            guard iteration == powerIterations - 1 else { continue }
            energies = try evidence.timed("energy") { () throws(LinearAlgebraError) in
                [try Self.energy(MatrixOperand(short.r), rank), try Self.energy(MatrixOperand(product), rank)]
            }
        }
        // From here on in Double, or ‖A‖² − Σσ̂² would drown in Float's rounding.
        let basis = try evidence.timed("basis") { () throws(LinearAlgebraError) in
            try ThinQR(Matrix64(converting: MatrixOperand(product)).view).q
        }
        let last = try evidence.timed("projection") { () throws(LinearAlgebraError) in
            try Self.project(tall, basis, rank)
        }
        energies.append(last.kept.reduce(0) { $0 + $1 * $1 })
        // AᵀQ = U Σ Vᵀ, so A ≈ Q QᵀA = (Q V) Σ Uᵀ.
        let long = evidence.timed("product") {
            Self.product(MatrixOperand(Matrix(rounding: basis, columns: width)), last.v)
        }
        let squaredError = max(problem.norm * problem.norm - energies[energies.count - 1], 0)
        evidence.spectrumIsComplete = width == problem.shortSide
        evidence.truncationError = squaredError.squareRoot()
        evidence.excessEstimate = Self.excess(energies, squaredError: squaredError)
        return problem.result(
            longFactor: long, shortFactor: last.u, values: last.singularValues, evidence: evidence)
    }

    private static func product(_ a: MatrixOperand, _ block: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: a.rows, columns: block.columns)
        multiply(a, MatrixOperand(block), into: product.mutableView())
        return product
    }

    /// Σ_{i≤k} σ_i².
    private static func energy(_ a: MatrixOperand, _ rank: Int) throws(LinearAlgebraError) -> Double {
        var gram = Matrix64(uninitializedRows: a.columns, columns: a.columns)
        multiplyByTranspose(a.transposed, into: gram.mutableView())
        return try SymmetricEigen().decompose(gram, vectors: 0).values.prefix(rank).reduce(0, +)
    }

    /// The top-k triplets of AᵀQ (short × l).
    private static func project(
        _ tall: MatrixOperand, _ basis: Matrix64, _ rank: Int
    ) throws(LinearAlgebraError) -> SVDResult {
        var projected = Matrix64(uninitializedRows: tall.columns, columns: basis.columns)
        multiply(tall.transposed, MatrixOperand(basis), into: projected.mutableView())
        return try TruncatedSVD(route: .gram).decompose(MatrixOperand(projected), rank: rank)
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
