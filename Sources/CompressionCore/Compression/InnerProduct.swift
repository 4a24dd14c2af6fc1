import Kernels
import MatrixCore

/// Σ a_ij b_ij of two matrices of the same shape, in Double, row by row: the same for any number of threads.
public func innerProduct(_ a: MatrixOperand, _ b: MatrixOperand) -> Double {
    precondition(a.rows == b.rows && a.columns == b.columns, "matrices of different shape")
    let sums = AlignedBuffer<Double>(uninitializedCount: a.rows)
    parallelFor(a.rows) { row in
        var sum = 0.0
        for column in 0..<a.columns { sum += a[row, column] * b[row, column] }
        sums.base[row] = sum
    }
    return (0..<a.rows).reduce(0) { $0 + sums.base[$1] }
}
