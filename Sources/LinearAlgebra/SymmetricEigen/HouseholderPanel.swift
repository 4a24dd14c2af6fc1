import KernelContract
import Kernels
import MatrixCore

/// QR of a tall panel P (m × b): P = Q R with Q = I − V T Vᵀ the product of b reflectors I − τ v vᵀ.
///
/// V (m × b) is unit lower trapezoidal and written out with its ones and zeros; T follows from it (`CompactWY`).
/// Where m < b the surplus columns of V are zero and their reflectors the identity, so that every panel has b columns.
///
/// - Method: strips of eight columns, one register a row. One pass over a strip applies a reflector and gathers the
///   inner products of the next; after each strip its eight reflectors update the columns to its right together.
/// - Cost: 2 m b² flops; the panel stays in the second-level cache. No scratch beyond the panel's own buffers.
/// - Source: Schreiber and Van Loan, "A storage-efficient WY representation", 1989 (compact WY); LAPACK `dgeqrt`.
struct HouseholderPanel {
    /// b, a multiple of eight.
    let width: Int
    /// P before and V after `factor` (rows × width), row-major without gaps.
    private let panel: AlignedBuffer<Double>
    /// R (width × width), upper triangular; rows beyond m are zero.
    let upper: AlignedBuffer<Double>
    /// Factors τ of the reflectors I − τ v vᵀ.
    let taus: AlignedBuffer<Double>
    /// T of one strip, then scratch of the update for each strip (8 × 8 each).
    private let small: AlignedBuffer<Double>
    private let kernels = InstructionSet.active.kernels.reflectors

    static let strip = 8

    init(maximumRows: Int, width: Int) {
        precondition(width % Self.strip == 0, "a panel is made of strips of eight columns")
        self.width = width
        panel = AlignedBuffer(count: maximumRows * width, repeating: 0)
        upper = AlignedBuffer(count: width * width, repeating: 0)
        taus = AlignedBuffer(count: width, repeating: 0)
        small = AlignedBuffer(count: Self.strip * (width + Self.strip), repeating: 0)
    }

    /// Bytes of the buffers of a panel.
    static func scratchBytes(maximumRows: Int, width: Int) -> Int {
        (maximumRows * width + width * width + width + strip * (width + strip)) * MemoryLayout<Double>.stride
    }

    /// P before and V after `factor` (rows × width).
    func panel(rows: Int) -> MutableMatrixView<Double> {
        MutableMatrixView(base: panel.base, rows: rows, columns: width, rowStride: width, owner: panel)
    }

    /// Factors the first `rows` rows of `panel`.
    func factor(rows m: Int) {
        upper.base.update(repeating: 0, count: upper.count)
        for first in stride(from: 0, to: width, by: Self.strip) {
            factorStrip(first, rows: m)
            updateRight(of: first, rows: m)
            moveRowsToUpper(first, rows: m)
        }
    }

    /// Factors the eight columns from `first` on, rows from `first` on.
    private func factorStrip(_ first: Int, rows m: Int) {
        kernels.factorStrip(
            StripFactorization(
                strip: panel.base + first * width + first, rows: max(0, m - first), rowStride: width,
                taus: taus.base + first, t: small.base, upper: upper.base + first * width + first, upperStride: width,
                negligibleSquare: Double.negligibleSquare))
    }

    /// Applies the eight reflectors of the strip at `first`, transposed, to the columns to its right.
    private func updateRight(of first: Int, rows m: Int) {
        guard first < m else { return }
        let area = Self.strip * Self.strip
        parallelFor((width - first) / Self.strip - 1) { index in
            let v = panel.base + first * width + first
            kernels.updateStrips(
                StripUpdate(
                    v: v, t: small.base, x: v + (index + 1) * Self.strip, strips: 1, rows: m - first, rowStride: width,
                    work: small.base + (index + 1) * area))
        }
    }

    /// Moves R right of the strip's own columns out of the panel; V has zeros there.
    private func moveRowsToUpper(_ first: Int, rows m: Int) {
        for i in first..<max(first, min(first + Self.strip, m)) {
            for j in (first + Self.strip)..<max(width, first + Self.strip) {
                upper.base[i * width + j] = panel.base[i * width + j]
                panel.base[i * width + j] = 0
            }
        }
    }
}
