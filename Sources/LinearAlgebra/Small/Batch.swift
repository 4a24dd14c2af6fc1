import Kernels
import MatrixCore
import Synchronization

/// Many independent small problems, shared over the threads; the results are in order and do not depend on who did
/// what.
public enum Batch {
    /// `body(0) … body(count − 1)`.
    ///
    /// Bodies should be small problems that use no threads themselves (unblocked QR, `SmallSymmetricEigen`,
    /// `SmallSVD`).
    /// - Throws: the error of the first problem that failed.
    public static func map<Result: Sendable>(
        count: Int, _ body: @Sendable (Int) throws(LinearAlgebraError) -> Result
    ) throws(LinearAlgebraError) -> [Result] {
        let outcomes = Mutex<[Swift.Result<Result, LinearAlgebraError>?]>(Array(repeating: nil, count: count))
        parallelFor(count) { index in
            let outcome = Swift.Result { () throws(LinearAlgebraError) in try body(index) }
            outcomes.withLock { $0[index] = outcome }
        }
        var results: [Result] = []
        results.reserveCapacity(count)
        for case let outcome? in outcomes.withLock({ $0 }) { results.append(try outcome.get()) }
        return results
    }
}

extension Batch {
    /// The eigen-decomposition of each symmetric matrix.
    public static func eigen(of matrices: [Matrix64]) throws(LinearAlgebraError) -> [SmallSymmetricEigen] {
        try map(count: matrices.count) { index throws(LinearAlgebraError) in
            try SmallSymmetricEigen(matrices[index].view)
        }
    }

    /// The thin SVD of each matrix.
    public static func svd(of matrices: [Matrix64]) throws(LinearAlgebraError) -> [SmallSVD] {
        try map(count: matrices.count) { index throws(LinearAlgebraError) in try SmallSVD(matrices[index].view) }
    }

    /// The QR factorisation of each matrix.
    public static func qr<Element: FactorScalar>(
        of matrices: [DenseMatrix<Element>]
    ) throws(LinearAlgebraError) -> [HouseholderQR<Element>] {
        try map(count: matrices.count) { index throws(LinearAlgebraError) in
            var options = HouseholderQR<Element>.Options()
            options.method = .unblocked
            return try HouseholderQR(matrices[index].view, options: options)
        }
    }
}
