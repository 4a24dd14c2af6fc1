import Kernels
import MatrixCore

/// Measures a computed V (short × k) with the matrix itself.
extension SVDProblem {
    /// Estimates are taken this many times. Were all of a matrix in one direction, the mean of 12 squares would be below
    /// half of it once in twelve times; what rounding leaves is spread over hundreds.
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

/// Squared lengths of the columns of R = AᵀA V − V Λ for a computed V (short × k), from random signs z: the mean of
/// (zᵀ R_i)² is ‖R_i‖².
///
/// - Method: some of the z are first taken out of the space of V, z' = z − V y with y = Vᵀ z, for what lies outside of
///   it. All are brought together to the other side, zᵀ R = (AᵀA z)ᵀ V − (Vᵀ z)ᵀ Λ, which reads A twice and V four
///   times. What is left of a z', −Vᵀ z', is what VᵀV − I makes of the random vector y.
/// - Cost: 64 operations for every element of A, 128 for every element of V.
/// - Source: Hutchinson 1989, for random signs.
private struct ResidualEstimate {
    /// ‖R_i‖² (k).
    let whole: [Double]
    /// ‖(I − V Vᵀ) R_i‖² (k).
    let outside: [Double]
    /// ‖A V (VᵀV − I)‖_F², with ‖A v_i‖² = λ_i.
    let departure: Double

    /// Random vectors: as many as a vector of the widest instruction set holds.
    private static let probes = (outside: 12, whole: 4)

    init(_ problem: SVDProblem, _ v: Matrix, _ eigenvalues: [Double]) {
        let basis = MatrixOperand(v), outer = 0..<Self.probes.outside
        let count = Self.probes.outside + Self.probes.whole
        var rest: Matrix = CounterRandom(seed: 0xCE47).signMatrix(rows: v.rows, columns: count)
        let inner = Self.product(basis.transposed, rest)
        let taken = Matrix(rows: inner.rows, columns: count) { outer.contains($1) ? inner[$0, $1] : 0 }
        multiplyNarrow(basis, MatrixOperand(taken), into: rest.mutableView(), alpha: -1, beta: 1)
        let left = Self.product(basis.transposed, rest)
        let applied = Self.product(problem.tall.transposed, Self.product(problem.tall, rest))
        let residual = Self.product(basis.transposed, applied)
        func meanSquares(_ range: Range<Int>, _ value: (Int, Int) -> Double) -> [Double] {
            (0..<v.columns).map { i in
                range.reduce(0) { $0 + value(i, $1) * value(i, $1) } / Double(range.count)
            }
        }
        let element = { (i: Int, p: Int) in Double(residual[i, p]) - eigenvalues[i] * Double(left[i, p]) }
        whole = meanSquares(outer.upperBound..<count, element)
        outside = meanSquares(outer, element)
        let lost = meanSquares(outer) { Double(left[$0, $1]) }
        departure = zip(eigenvalues, lost).reduce(0) { $0 + max($1.0, 0) * $1.1 }
    }

    private static func product(_ a: MatrixOperand, _ b: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: a.rows, columns: b.columns)
        multiplyNarrow(a, MatrixOperand(b), into: product.mutableView())
        return product
    }
}
