import Kernels
import MatrixCore

/// Thin QR of a tall matrix, by whichever route suits its shape and condition.
///
/// A (m × n), m ≥ n: Q (m × n) with orthonormal columns, R (n × n) upper triangular.
///
/// - `choleskyQR2`: two rounds of Gram, Cholesky and triangular solve; all of it multiplication, about three times as
///   fast as reflectors. Usable while the first round leaves columns nearly orthonormal, which is measured; else
///   the next route is taken.
/// - `tallSkinny`: blocks of rows are factored independently, their R stacked and factored again (TSQR).
/// - `householder`: one blocked factorisation.
///
/// - Source: Yamamoto, Nakatsukasa, Yanagisawa and Fukaya, "Roundoff error analysis of the CholeskyQR2 algorithm",
///   2015; Demmel, Grigori, Hoemmen and Langou, "Communication-optimal parallel and sequential QR", 2012.
public struct ThinQR<Element: FactorScalar>: Sendable {
    public enum Route: Sendable, Equatable { case automatic, choleskyQR2, tallSkinny, householder }

    public struct Options: Sendable {
        /// What to try first. `automatic` tries CholeskyQR2.
        public var route = Route.automatic
        /// Rows of a TSQR block; at least 2n are taken.
        public var blockRows = 1024
        /// Largest ‖Q₁ᵀQ₁ − I‖_F after the first round for which the second is trusted to end at ε.
        public var deviationLimit = 0.1

        public init(route: Route = .automatic) { self.route = route }
    }

    public let q: DenseMatrix<Element>
    public let r: DenseMatrix<Element>
    /// The route that gave the result.
    public let route: Route
    /// ‖Q₁ᵀQ₁ − I‖_F after the first round of CholeskyQR2, if it came so far.
    public let deviation: Double?

    /// - Throws: `shapeMismatch` if a is wider than tall, `nonFinite`.
    public init(_ a: MatrixView<Element>, options: Options = Options()) throws(LinearAlgebraError) {
        guard a.rows >= a.columns else {
            throw .shapeMismatch(rows: a.rows, columns: a.columns, expected: "at least as tall as wide")
        }
        let scale = try PowerOfTwoScale(of: a)
        var deviation: Double?
        if options.route == .automatic || options.route == .choleskyQR2 {
            let attempt = CholeskyQR2(a, scale: scale, deviationLimit: options.deviationLimit)
            if let q = attempt.q, let r = attempt.r {
                (self.q, self.r, route, self.deviation) = (q, r, .choleskyQR2, attempt.deviation)
                return
            }
            deviation = attempt.deviation
        }
        self.deviation = deviation
        let blockRows = max(options.blockRows, 2 * a.columns, 1)
        if options.route != .householder, a.rows > blockRows {
            (q, r) = try Self.tallSkinny(a, blockRows: blockRows)
            route = .tallSkinny
        } else {
            let qr = try HouseholderQR(a)
            (q, r, route) = (qr.thinQ(), qr.r, .householder)
        }
    }

    /// The tree depends on the shape only, so the result does not depend on the number of threads.
    private static func tallSkinny(
        _ a: MatrixView<Element>, blockRows: Int
    ) throws(LinearAlgebraError) -> (q: DenseMatrix<Element>, r: DenseMatrix<Element>) {
        let width = a.columns
        let pieces = max(1, a.rows / blockRows)
        guard pieces > 1 else {
            let qr = try HouseholderQR(a)
            return (qr.thinQ(), qr.r)
        }
        let bounds = (0...pieces).map { a.rows * $0 / pieces }
        let leaves = try Batch.map(count: pieces) { piece throws(LinearAlgebraError) in
            try HouseholderQR(a.rows(bounds[piece]..<bounds[piece + 1]))
        }
        var stack = DenseMatrix<Element>(uninitializedRows: pieces * width, columns: width)
        let stackView = stack.mutableView()
        for (piece, leaf) in leaves.enumerated() {
            Element.copy(leaf.r.view, scaledBy: 1, into: stackView.rows(piece * width..<(piece + 1) * width))
        }
        let top = try tallSkinny(stack.view, blockRows: blockRows)
        var q = DenseMatrix<Element>(rows: a.rows, columns: width)
        let view = q.mutableView()
        parallelFor(pieces) { piece in
            let target = view.rows(bounds[piece]..<bounds[piece + 1])
            Element.copy(
                top.q.view.rows(piece * width..<(piece + 1) * width), scaledBy: 1, into: target.rows(0..<width))
            leaves[piece].applyQ(to: target)
        }
        return (q, top.r)
    }
}

/// Two rounds of Q ← Q L⁻ᵀ with L Lᵀ = Qᵀ Q. Gram matrices are formed and factored in Double for both types.
private struct CholeskyQR2<Element: FactorScalar> {
    private(set) var q: DenseMatrix<Element>?
    private(set) var r: DenseMatrix<Element>?
    private(set) var deviation: Double?

    init(_ a: MatrixView<Element>, scale: PowerOfTwoScale<Element>, deviationLimit: Double) {
        let width = a.columns
        var work = DenseMatrix<Element>(uninitializedRows: a.rows, columns: width)
        Element.copy(a, scaledBy: scale.factor(), into: work.mutableView())
        guard let first = Self.orthogonalise(&work, gram: Self.gram(work)) else { return }
        let gram = Self.gram(work)
        var squares = 0.0
        for i in 0..<width {
            for j in 0..<width {
                let difference = gram[i, j] - (i == j ? 1 : 0)
                squares += difference * difference
            }
        }
        deviation = squares.squareRoot()
        guard squares.squareRoot() <= deviationLimit, let second = Self.orthogonalise(&work, gram: gram) else { return }
        // R = L₂ᵀ L₁ᵀ, formed in Double and rounded once.
        var product = Matrix64(rows: width, columns: width)
        multiply(
            MatrixOperand(second.view.transposed), MatrixOperand(first.view.transposed), into: product.mutableView())
        let inverse = Element.double(scale.inverse())
        r = DenseMatrix(rows: width, columns: width) { $1 < $0 ? 0 : Element.from(product[$0, $1] * inverse) }
        q = work
    }

    private static func gram(_ a: DenseMatrix<Element>) -> Matrix64 {
        var gram = Matrix64(rows: a.columns, columns: a.columns)
        multiplyByTranspose(MatrixOperand(a.view.transposed), into: gram.mutableView())
        return gram
    }

    /// - Returns: L, nil if the Gram matrix is not definite without a shift.
    private static func orthogonalise(_ a: inout DenseMatrix<Element>, gram: Matrix64) -> Matrix64? {
        var options = Cholesky.Options()
        options.largestShift = 0
        guard let factor = try? Cholesky(gram, options: options) else { return nil }
        let l = DenseMatrix<Element>(rows: gram.rows, columns: gram.columns) { Element.from(factor.l[$0, $1]) }
        Element.solveTriangular(l.view, .lower, into: a.mutableView().transposed)
        return factor.l
    }
}
