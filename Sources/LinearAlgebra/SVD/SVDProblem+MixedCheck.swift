import Kernels
import MatrixCore

/// Measures a computed V (short × k) with the matrix itself.
extension SVDProblem {
    /// Estimates are taken this many times. Were all of a matrix in one direction, the mean of eight squares would be
    /// below half of it once in seven times; what rounding leaves is spread over hundreds.
    private static var probeMargin: Double { 2 }

    /// What the approximation A V Vᵀ is worse than the best of its rank by, in squares: what V captures less than the
    /// best space (`EnergyBound`), and ‖A V (VᵀV − I)‖² where V is not quite orthonormal.
    func squaredExcess(_ v: Matrix, _ eigenvalues: [Double]) -> Double {
        let found = ResidualEstimate(self, v, eigenvalues), columns = Double(v.columns)
        let bound = EnergyBound(eigenvalues: eigenvalues, rank: v.columns)
        let whole = found.whole.reduce(0, +), outside = found.outside.reduce(0, +)
        let columnLength = (max(outside, 1e-6 * whole) / columns).squareRoot()
        guard columnLength > 0 else { return columnLength == 0 ? Self.probeMargin * found.departure : .infinity }
        let distance = EnergyBound.distance(columnLength: (whole / columns).squareRoot())
        let eta = bound.least(columnLength: columnLength, distance: distance).eta, weights = bound.weights(eta)
        let weighted = { (squares: [Double]) in zip(squares, weights).reduce(0) { $0 + $1.0 / $1.1 } }
        // Near the cut, where values matter, columns may be longer than on average.
        let nearCut = (weighted(found.whole) / weights.reversed().reduce(0) { $0 + 1 / $1 }).squareRoot()
        let overlap = bound.overlap(eta, distance: max(distance, EnergyBound.distance(columnLength: nearCut)))
        return Self.probeMargin * (weighted(found.outside) + found.departure) + overlap
    }
}

/// Squared lengths of the columns of R = (AᵀA − V Λ Vᵀ) V for a computed V (short × k), from random signs z: the mean of
/// (zᵀ R_i)² is ‖R_i‖².
///
/// - Method: some of the z are first taken out of the space of V, z' = z − V y with y = Vᵀ z, for what lies outside of
///   it. All are brought together to the other side, Rᵀ z = Vᵀ (AᵀA z − V Λ Vᵀ z), the large parts taken away before
///   the last product rounds. That reads A twice and V five times. What is left of a z', −Vᵀ z', is what VᵀV − I makes
///   of the random vector y.
/// - Cost: 64 operations for every element of A, 160 for every element of V.
/// - Source: Hutchinson 1989, for random signs.
private struct ResidualEstimate {
    /// ‖R_i‖² (k).
    let whole: [Double]
    /// ‖(I − V Vᵀ) R_i‖² (k).
    let outside: [Double]
    /// ‖A V (VᵀV − I)‖_F², with ‖A v_i‖² = λ_i.
    let departure: Double

    /// Random vectors: together as many as a vector of the widest instruction set holds.
    private static let probes = (outside: 8, whole: 8)

    init(_ problem: SVDProblem, _ v: Matrix, _ eigenvalues: [Double]) {
        let basis = MatrixOperand(v), outer = 0..<Self.probes.outside
        let count = Self.probes.outside + Self.probes.whole
        let values = eigenvalues.prefix(v.columns).map { Float($0) }
        var probes: Matrix = CounterRandom(seed: 0xCE47).signMatrix(rows: v.rows, columns: count)
        let inner = Self.product(basis.transposed, probes)
        let taken = Matrix(rows: inner.rows, columns: count) { outer.contains($1) ? inner[$0, $1] : 0 }
        multiplyNarrow(basis, MatrixOperand(taken), into: probes.mutableView(), alpha: -1, beta: 1)
        let left = Self.product(basis.transposed, probes)
        var applied = Self.product(problem.tall.transposed, Self.product(problem.tall, probes))
        let known = Matrix(rows: left.rows, columns: count) { left[$0, $1] * values[$0] }
        multiplyNarrow(basis, MatrixOperand(known), into: applied.mutableView(), alpha: -1, beta: 1)
        let residual = Self.product(basis.transposed, applied)
        whole = Self.meanSquares(residual, outer.upperBound..<count)
        outside = Self.meanSquares(residual, outer)
        departure = zip(eigenvalues, Self.meanSquares(left, outer)).reduce(0) { $0 + max($1.0, 0) * $1.1 }
    }

    /// Of each row, over a range of columns.
    private static func meanSquares(_ matrix: Matrix, _ columns: Range<Int>) -> [Double] {
        let view = matrix.view
        return (0..<view.rows).map { row in
            columns.reduce(0) { $0 + Double(view[row, $1]) * Double(view[row, $1]) } / Double(columns.count)
        }
    }

    private static func product(_ a: MatrixOperand, _ b: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: a.rows, columns: b.columns)
        multiplyNarrow(a, MatrixOperand(b), into: product.mutableView())
        return product
    }
}
