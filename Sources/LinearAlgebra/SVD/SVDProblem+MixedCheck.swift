import Kernels
import MatrixCore

/// Measures a computed V (short × k) with the matrix itself, by applying what it is off by to random vectors x:
/// ‖B‖_F² is the mean of ‖B x‖².
extension SVDProblem {
    /// Random vectors of each estimate.
    private static var probes: Int { 16 }
    /// Estimates are taken this many times. Were all of B in one direction, the mean of 16 squares would be below half
    /// of ‖B‖_F² once in twenty times; what rounding leaves is spread over hundreds.
    private static var probeMargin: Double { 2 }

    /// What the approximation A V Vᵀ is worse than the best of its rank by, in squares: what V captures less than the
    /// best space (`EnergyBound`), and ‖A V (VᵀV − I)‖² where V is not quite orthonormal.
    func squaredExcess(_ v: Matrix, _ eigenvalues: [Double]) -> Double {
        let random: Matrix = CounterRandom(seed: 0xCE47).normalMatrix(rows: v.columns, columns: Self.probes)
        let bound = EnergyBound(eigenvalues: eigenvalues, rank: v.columns), columns = Double(v.columns)
        let all = squaredResidual(v, eigenvalues, random)
        let columnLength = (max(all.outside, 1e-6 * all.whole) / columns).squareRoot()
        guard columnLength > 0 else { return columnLength == 0 ? departure(v, random) : .infinity }
        let distance = EnergyBound.distance(columnLength: (all.whole / columns).squareRoot())
        let eta = bound.least(columnLength: columnLength, distance: distance).eta, weights = bound.weights(eta)
        let scales = weights.map { Float(1 / $0.squareRoot()) }
        let weighted = Matrix(rows: v.columns, columns: Self.probes) { random[$0, $1] * scales[$0] }
        let residual = squaredResidual(v, eigenvalues, weighted)
        // Near the cut, where values matter, columns may be longer than on average.
        let nearCut = (residual.whole / weights.reversed().reduce(0) { $0 + 1 / $1 }).squareRoot()
        let overlap = bound.overlap(eta, distance: max(distance, EnergyBound.distance(columnLength: nearCut)))
        return Self.probeMargin * residual.outside + overlap + departure(v, random)
    }

    /// ‖R D‖_F² for R = AᵀA V − V Λ and x' = D x, and ‖(I − V Vᵀ) R D‖_F².
    /// - Parameter x: x' (k × probes).
    private func squaredResidual(
        _ v: Matrix, _ eigenvalues: [Double], _ x: Matrix
    ) -> (whole: Double, outside: Double) {
        let basis = MatrixOperand(v)
        let values = eigenvalues.prefix(v.columns).map { Float($0) }
        let scaled = Matrix(rows: x.rows, columns: x.columns) { x[$0, $1] * values[$0] }
        var rest = Self.product(tall.transposed, Self.product(tall, Self.product(basis, x)))
        multiplyNarrow(basis, MatrixOperand(scaled), into: rest.mutableView(), alpha: -1, beta: 1)
        let whole = sumOfSquares(MatrixOperand(rest)) / Double(x.columns)
        let inside = Self.product(basis.transposed, rest)
        multiplyNarrow(basis, MatrixOperand(inside), into: rest.mutableView(), alpha: -1, beta: 1)
        return (whole, sumOfSquares(MatrixOperand(rest)) / Double(x.columns))
    }

    /// ‖A V (VᵀV − I)‖_F².
    private func departure(_ v: Matrix, _ x: Matrix) -> Double {
        var rest = x
        multiplyNarrow(
            MatrixOperand(v).transposed, MatrixOperand(Self.product(MatrixOperand(v), x)), into: rest.mutableView(),
            alpha: 1, beta: -1)
        let applied = Self.product(tall, Self.product(MatrixOperand(v), rest))
        return Self.probeMargin * sumOfSquares(MatrixOperand(applied)) / Double(x.columns)
    }

    private static func product(_ a: MatrixOperand, _ b: Matrix) -> Matrix {
        var product = Matrix(uninitializedRows: a.rows, columns: b.columns)
        multiplyNarrow(a, MatrixOperand(b), into: product.mutableView())
        return product
    }
}
