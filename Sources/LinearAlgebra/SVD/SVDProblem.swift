import Foundation
import Kernels
import MatrixCore

/// A matrix made ready for decomposition: checked, measured, standing upright.
///
/// All routes work on a tall matrix (long × short); a wide one is looked at through its transpose and the factors are
/// exchanged at the end.
struct SVDProblem {
    /// (long × short), A or its transpose, divided by 2^exponent.
    let tall: MatrixOperand
    private let isTransposed: Bool
    private let exponent: Int
    /// ‖A‖_F / 2^exponent.
    let norm: Double

    var shortSide: Int { tall.columns }

    /// - Throws: `LinearAlgebraError.nonFinite`.
    init(_ a: MatrixOperand) throws(LinearAlgebraError) {
        let squares = sumOfSquares(a)
        // A finite sum is one of finite numbers.
        if !squares.isFinite, let position = firstNonFinite(a) {
            throw .nonFinite(row: position.row, column: position.column)
        }
        isTransposed = a.rows < a.columns
        let upright = isTransposed ? a.transposed : a
        // Only Float64 input can leave the range in which its squares are sound; a scaled copy is then affordable.
        if a.type == .float64, !(0x1p-600...0x1p600).contains(squares), let scaled = Self.scaledCopy(upright) {
            (tall, exponent) = scaled
            norm = sumOfSquares(tall).squareRoot()
        } else {
            (tall, exponent) = (upright, 0)
            norm = squares.squareRoot()
        }
    }

    /// a / 2^exponent with the largest element in 1 ..< 2; nil for a zero matrix.
    private static func scaledCopy(_ a: MatrixOperand) -> (MatrixOperand, Int)? {
        var largest = 0.0
        for i in 0..<a.rows {
            for j in 0..<a.columns { largest = max(largest, a[i, j].magnitude) }
        }
        guard largest > 0 else { return nil }
        let exponent = Int(largest.exponent)
        let copy = Matrix64(rows: a.rows, columns: a.columns) { scalbn(a[$0, $1], -exponent) }
        return (MatrixOperand(copy), exponent)
    }

    /// Evidence with what is known before any route has run.
    func evidence(_ solver: SVDEvidence.Solver) -> SVDEvidence {
        SVDEvidence(
            solver: solver, shortSide: shortSide, spectrumIsComplete: true, norm: scalbn(norm, exponent),
            truncationError: 0, excessEstimate: 0)
    }

    /// The lower triangle of AᵀA in Float64, short × short: all that an eigen-decomposition reads.
    func lowerGram() -> Matrix64 {
        var gram = Matrix64(uninitializedRows: shortSide, columns: shortSide)
        multiplyTriangle(tall.transposed, tall, .lower, into: gram.mutableView())
        return gram
    }

    /// How much the error of the truncation may exceed the optimum, relative, with the rounding of the factors to
    /// Float, about 4e-8·‖A‖. All of these errors are at right angles to what is left out, so squares add.
    /// - Parameters:
    ///   - squaredError: what rounding before that may add to the squared error.
    ///   - dropped: the optimal squared error.
    func excess(squaredError: Double, dropped: Double) -> Double {
        let rounding = 4e-8 * norm
        let added = squaredError + rounding * rounding
        guard added > 0 else { return 0 }
        return dropped > 0 ? (1 + added / dropped).squareRoot() - 1 : .infinity
    }

    /// Puts the factors in A's own order and undoes the scaling.
    /// - Parameters:
    ///   - longFactor: (long × k).
    ///   - shortFactor: (short × k).
    ///   - values: the known singular values of `tall`, descending.
    func result(
        longFactor: Matrix, shortFactor: Matrix, values: [Double], evidence: SVDEvidence
    ) -> SVDResult {
        var evidence = evidence
        evidence.truncationError = scalbn(evidence.truncationError, exponent)
        return SVDResult(
            u: isTransposed ? shortFactor : longFactor,
            singularValues: exponent == 0 ? values : values.map { scalbn($0, exponent) },
            v: isTransposed ? longFactor : shortFactor, evidence: evidence)
    }
}

extension Matrix {
    /// The leading columns of a Float64 matrix, rounded.
    init(rounding matrix: Matrix64, columns count: Int) {
        self.init(uninitializedRows: matrix.rows, columns: count)
        convert(MatrixOperand(matrix.view.columns(0..<count)), into: MutableMatrixOperand(mutableView()))
    }
}
