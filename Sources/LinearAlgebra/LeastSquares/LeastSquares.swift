import MatrixCore

/// Least squares: X that minimises ‖A X − B‖_F, with an optional ridge λ‖X‖_F².
///
/// A (m × n), B (m × p), X (n × p).
///
/// - Method: full column rank: Householder QR, X = R⁻¹ Qᵀ B. Otherwise (wide A, or dependent columns, found by an
///   estimate of the smallest singular value of R): pivoted QR and a second QR from the right (complete orthogonal
///   decomposition), which gives the solution of least norm. A ridge is √λ · I below A, so no Gram matrix is formed and
///   the condition is not squared.
/// - Cost: 2mn² + 4mnp operations; about three times that where the rank is deficient.
/// - Source: Golub and Van Loan, Matrix Computations, §5.3, §5.5; Björck, Numerical Methods for Least Squares Problems.
public struct LeastSquares: Sendable {
    public enum Deficiency: Sendable { case minimumNorm, error }
    public enum Solver: String, Sendable {
        case qr
        case completeOrthogonal = "complete-orthogonal"
    }

    public struct Options: Sendable {
        /// λ ≥ 0, in the units of squared entries of A.
        public var ridge = 0.0
        /// What to do where the solution is not unique.
        public var deficiency = Deficiency.minimumNorm

        public init(ridge: Double = 0, deficiency: Deficiency = .minimumNorm) {
            self.ridge = ridge
            self.deficiency = deficiency
        }
    }

    /// X (n × p).
    public let solution: Matrix64
    /// Numerical rank of A (of the stacked matrix with a ridge).
    public let rank: Int
    /// ‖A X − B‖_F² + λ‖X‖_F², the square root of it.
    public let residualNorm: Double
    public let solver: Solver

    /// - Throws: `shapeMismatch`, `nonFinite`, and `rankDeficient` if that is asked for.
    public init(
        _ a: MatrixView<Double>, _ b: MatrixView<Double>, options: Options = Options()
    ) throws(LinearAlgebraError) {
        guard a.rows == b.rows else {
            throw .shapeMismatch(rows: b.rows, columns: b.columns, expected: "as tall as the \(a.rows) rows of A")
        }
        let right = try Self.stacked(b, over: options.ridge > 0 ? Matrix64(rows: a.columns, columns: b.columns) : nil)
        var system = try Self.stacked(a, over: options.ridge > 0 ? .identity(a.columns) : nil)
        if options.ridge > 0 {
            let view = system.mutableView()
            for i in 0..<a.columns { view[a.rows + i, i] = options.ridge.squareRoot() }
        }
        let columns = a.columns
        if system.rows >= columns {
            let qr = try HouseholderQR(system.view)
            if Self.isRegular(qr.r, rows: system.rows) {
                var rotated = right
                qr.applyQTransposed(to: rotated.mutableView())
                let top = rotated.mutableView().rows(0..<columns)
                Double.solveTriangular(qr.r.view, .upper, into: top)
                (solution, rank, solver) = (Matrix64(top.readable), columns, .qr)
                residualNorm = Self.norm(rotated.view.rows(columns..<rotated.rows))
                return
            }
        }
        (solution, rank, residualNorm) = try Self.minimumNorm(system, right, options)
        solver = .completeOrthogonal
    }

    /// A matrix of its own, checked, with `tail` below it.
    private static func stacked(_ top: MatrixView<Double>, over tail: Matrix64?) throws(LinearAlgebraError) -> Matrix64
    {
        try requireFinite(top)
        var result = Matrix64(rows: top.rows + (tail?.rows ?? 0), columns: top.columns)
        let view = result.mutableView()
        Double.copy(top, scaledBy: 1, into: view.rows(0..<top.rows))
        if let tail { Double.copy(tail.view, scaledBy: 1, into: view.rows(top.rows..<view.rows)) }
        return result
    }

    /// Whether the smallest singular value of R, estimated by inverse iteration on RᵀR, is above rounding noise.
    private static func isRegular(_ r: Matrix64, rows: Int) -> Bool {
        let size = r.columns
        guard size > 0 else { return true }
        let largest = (0..<size).map { j in norm(r.view.columns(j..<j + 1)) }.max() ?? 0
        let threshold = Tolerance.rank(.float64, rows: rows, columns: size, largest: largest)
        guard (0..<size).allSatisfy({ abs(r[$0, $0]) > threshold }) else { return false }
        var x: Matrix64 = CounterRandom(seed: 0, stream: 0x4C53_51).normalMatrix(rows: size, columns: 1)
        var growth = 0.0
        for _ in 0..<3 {
            let length = norm(x.view)
            let view = x.mutableView()
            Double.copyScaled(view.base, by: 1 / length, to: view.base, size)
            Double.solveTriangular(r.view.transposed, .lower, into: view)
            // ‖R⁻ᵀ x‖ ≤ 1 / σ_min, and close to it after a step or two.
            growth = norm(x.view)
            Double.solveTriangular(r.view, .upper, into: view)
        }
        return growth * threshold < 1
    }

    /// A P = Q [R₁ R₂], [R₁ R₂]ᵀ = Z S: X = P Z S⁻ᵀ Q₁ᵀ B.
    private static func minimumNorm(
        _ a: Matrix64, _ b: Matrix64, _ options: Options
    ) throws(LinearAlgebraError) -> (Matrix64, Int, Double) {
        let pivoted = try PivotedQR(a.view)
        let rank = pivoted.rank
        if options.deficiency == .error { throw .rankDeficient(rank: rank, needed: a.columns) }
        var rotated = b
        pivoted.applyQTransposed(to: rotated.mutableView())
        let right = try HouseholderQR(pivoted.r.view.transposed)
        var coordinates = Matrix64(rows: a.columns, columns: b.columns)
        let top = coordinates.mutableView().rows(0..<rank)
        Double.copy(rotated.view.rows(0..<rank), scaledBy: 1, into: top)
        Double.solveTriangular(right.r.view.transposed, .lower, into: top)
        right.applyQ(to: coordinates.mutableView())
        var solution = Matrix64(rows: a.columns, columns: b.columns)
        for (position, column) in pivoted.permutation.enumerated() {
            for j in 0..<b.columns { solution[column, j] = coordinates[position, j] }
        }
        return (solution, rank, norm(rotated.view.rows(rank..<rotated.rows)))
    }

    /// Frobenius norm; safe at any scale.
    private static func norm(_ a: MatrixView<Double>) -> Double {
        let largest = Double.largestMagnitude(a)
        guard largest > 0 else { return 0 }
        var sum = 0.0
        for i in 0..<a.rows {
            for j in 0..<a.columns { sum += (a[i, j] / largest) * (a[i, j] / largest) }
        }
        return largest * sum.squareRoot()
    }
}
