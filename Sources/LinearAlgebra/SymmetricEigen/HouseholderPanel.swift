import KernelContract
import Kernels
import MatrixCore

/// QR of a tall panel P (m × b): P = Q R with Q = I − V T Vᵀ the product of b reflectors I − τ v vᵀ.
///
/// V (m × b) is unit lower trapezoidal and written out with its ones and zeros; T follows from it (`CompactWY`).
/// Where m < b the surplus columns of V are zero and their reflectors the identity, so that every panel has b columns.
///
/// - Method: strips of eight columns, each in memory of its own that fits the second-level cache, one register a row.
///   One pass over a strip applies a reflector and gathers the inner products of the next. The eight reflectors of a
///   strip update the strips to its right together; the next strip is factored as soon as it is updated, while other
///   threads update the others.
/// - Cost: 2 m b² flops. No scratch beyond the panel's own buffers.
/// - Source: Schreiber and Van Loan, "A storage-efficient WY representation", 1989 (compact WY); LAPACK `dgeqrt`.
struct HouseholderPanel {
    /// b, a multiple of eight.
    let width: Int
    /// P before and V after `factor`, in strips (rows × 8 each, and a line between them).
    private let strips: AlignedBuffer<Double>
    /// R (width × width), upper triangular; rows beyond m are zero.
    let upper: AlignedBuffer<Double>
    /// Factors τ of the reflectors I − τ v vᵀ.
    let taus: AlignedBuffer<Double>
    /// T of each strip (8 × 8 each), then as much scratch for its update.
    private let small: AlignedBuffer<Double>
    private let kernels = InstructionSet.active.kernels.reflectors

    static let strip = 8
    private static let area = strip * strip
    /// Rows of a panel that are moved to or from the strips at a time.
    private static let piece = 256

    init(maximumRows: Int, width: Int) {
        precondition(width % Self.strip == 0, "a panel is made of strips of eight columns")
        self.width = width
        strips = AlignedBuffer(count: (maximumRows + 1) * width, repeating: 0)
        upper = AlignedBuffer(count: width * width, repeating: 0)
        taus = AlignedBuffer(count: width, repeating: 0)
        small = AlignedBuffer(count: 2 * Self.strip * width, repeating: 0)
    }

    /// Bytes of the buffers of a panel.
    static func scratchBytes(maximumRows: Int, width: Int) -> Int {
        ((maximumRows + 1) * width + width * width + width + 2 * strip * width) * MemoryLayout<Double>.stride
    }

    /// Factors P (m × b), which is replaced by V.
    func factor<Element: FactorScalar>(_ place: MutableMatrixView<Element>) {
        let rows = place.rows, count = width / Self.strip
        upper.base.update(repeating: 0, count: upper.count)
        transfer(place, kernels.readStrips)
        factorStrip(0, rows: rows)
        for index in 0..<count {
            parallelFor(count - index - 1) { other in
                update(index + 1 + other, by: index, rows: rows)
                if other == 0 { factorStrip(index + 1, rows: rows) }
            }
        }
        for index in 0..<count { moveRowsToUpper(index, rows: rows) }
        transfer(place, kernels.writeStrips)
    }

    private func transfer<Element: FactorScalar>(_ place: MutableMatrixView<Element>, _ kernel: Kernel<StripTransfer>) {
        let format = Element.elementType == .float64 ? StorageFormat.float64 : StorageFormat.float32
        parallelFor((place.rows + Self.piece - 1) / Self.piece) { index in
            let first = index * Self.piece
            kernel(
                StripTransfer(
                    matrix: place.base + first * place.rowStride, format: format, rowStride: place.rowStride,
                    strips: strips.base + first * Self.strip, stripStride: stripCount(place.rows),
                    count: width / Self.strip, rows: min(Self.piece, place.rows - first)))
        }
    }

    /// Numbers from one strip to the next; equal places of two strips are not a power of two apart.
    private func stripCount(_ rows: Int) -> Int { (rows + 1) * Self.strip }

    /// A strip from the row on where its reflectors start.
    private func start(_ index: Int, from row: Int, rows m: Int) -> UnsafeMutablePointer<Double> {
        strips.base + (index * stripCount(m) + row * Self.strip)
    }

    private func factorStrip(_ index: Int, rows m: Int) {
        let first = index * Self.strip
        kernels.factorStrip(
            StripFactorization(
                strip: start(index, from: first, rows: m), rows: max(0, m - first), rowStride: Self.strip,
                taus: taus.base + first, t: small.base + index * Self.area,
                upper: upper.base + first * width + first, upperStride: width,
                negligibleSquare: Double.negligibleSquare))
    }

    /// Applies the reflectors of the strip `other`, transposed, to the strip `index`.
    private func update(_ index: Int, by other: Int, rows m: Int) {
        let first = other * Self.strip
        guard first < m else { return }
        kernels.updateStrips(
            StripUpdate(
                v: start(other, from: first, rows: m), t: small.base + other * Self.area,
                x: start(index, from: first, rows: m), strips: 1, rows: m - first, rowStride: Self.strip,
                work: small.base + (width / Self.strip + index) * Self.area))
    }

    /// Moves R above a strip's own rows out of the strip; V has zeros there.
    private func moveRowsToUpper(_ index: Int, rows m: Int) {
        let first = index * Self.strip
        for i in 0..<min(first, m) {
            let row = start(index, from: i, rows: m)
            (upper.base + (i * width + first)).update(from: row, count: Self.strip)
            row.update(repeating: 0, count: Self.strip)
        }
    }
}
