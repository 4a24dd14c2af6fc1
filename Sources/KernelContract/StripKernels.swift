/// QR of a strip of eight columns of a panel, in compact WY form: strip = (I − V T Vᵀ) R.
///
/// The strip (rows × 8) is replaced by V, ones and zeros written out. Where there are fewer than eight rows, the
/// reflectors that would start below them are the identity.
@frozen
public struct StripFactorization {
    /// Element (0, 0); aligned to eight elements, as is the row stride.
    public var strip: UnsafeMutablePointer<Double>
    public var rows: Int
    public var rowStride: Int
    /// Receives the factors τ (8).
    public var taus: UnsafeMutablePointer<Double>
    /// Receives T (8 × 8), upper triangular.
    public var t: UnsafeMutablePointer<Double>
    /// Receives R (8 × 8), upper triangular, with `upperStride` from row to row.
    public var upper: UnsafeMutablePointer<Double>
    public var upperStride: Int
    /// Tail squares below this are taken as zero.
    public var negligibleSquare: Double

    public init(
        strip: UnsafeMutablePointer<Double>, rows: Int, rowStride: Int, taus: UnsafeMutablePointer<Double>,
        t: UnsafeMutablePointer<Double>, upper: UnsafeMutablePointer<Double>, upperStride: Int, negligibleSquare: Double
    ) {
        self.strip = strip
        self.rows = rows
        self.rowStride = rowStride
        self.taus = taus
        self.t = t
        self.upper = upper
        self.upperStride = upperStride
        self.negligibleSquare = negligibleSquare
    }
}

/// X ← (I − V Tᵀ Vᵀ) X for the V (rows × 8) and T (8 × 8) of a strip, and X (rows × 8 · strips) in the same panel.
@frozen
public struct StripUpdate {
    public var v: UnsafePointer<Double>
    public var t: UnsafePointer<Double>
    public var x: UnsafeMutablePointer<Double>
    public var strips: Int
    public var rows: Int
    public var rowStride: Int
    /// Scratch (8 × 8).
    public var work: UnsafeMutablePointer<Double>

    public init(
        v: UnsafePointer<Double>, t: UnsafePointer<Double>, x: UnsafeMutablePointer<Double>, strips: Int, rows: Int,
        rowStride: Int, work: UnsafeMutablePointer<Double>
    ) {
        self.v = v
        self.t = t
        self.x = x
        self.strips = strips
        self.rows = rows
        self.rowStride = rowStride
        self.work = work
    }
}

/// Columns of a row-major matrix, in Double or in Float, and the same as strips of eight columns in Double.
@frozen
public struct StripTransfer {
    /// Element (0, 0) of the matrix (rows × 8 · strips), contiguous rows.
    public var matrix: UnsafeMutableRawPointer
    /// `StorageFormat.float64` or `.float32`.
    public var format: Int
    public var rowStride: Int
    /// Strips (rows × 8), each row-major without gaps, with `stripStride` from one to the next.
    public var strips: UnsafeMutablePointer<Double>
    public var stripStride: Int
    public var count: Int
    public var rows: Int

    public init(
        matrix: UnsafeMutableRawPointer, format: Int, rowStride: Int, strips: UnsafeMutablePointer<Double>,
        stripStride: Int, count: Int, rows: Int
    ) {
        self.matrix = matrix
        self.format = format
        self.rowStride = rowStride
        self.strips = strips
        self.stripStride = stripStride
        self.count = count
        self.rows = rows
    }
}
