import MatrixCore

/// A symmetric band matrix with room for the bulges of the chase: element (i, j) for i − 2b < j ≤ i + b.
///
/// Every row has the same stride and column j the same alignment in every row, so a block is an ordinary strided
/// rectangle of aligned vectors. Rows share no memory within the band and eight columns on either side of it; the
/// chase reads those margins and writes them back unchanged.
struct BandMatrix: @unchecked Sendable {
    let size: Int
    /// b: elements with |i − j| > b are zero before the chase.
    let bandwidth: Int
    let rowStride: Int
    private let buffer: AlignedBuffer<Double>
    /// Element (0, 0); the element (i, j) is at origin + i · rowStride + j.
    let origin: UnsafeMutablePointer<Double>

    private static let vector = 8

    init(size: Int, bandwidth: Int) {
        precondition(bandwidth % Self.vector == 0, "a bandwidth is a multiple of eight")
        self.size = size
        self.bandwidth = bandwidth
        rowStride = Self.rowStride(bandwidth: bandwidth)
        buffer = AlignedBuffer(count: Self.count(size: size, bandwidth: bandwidth), repeating: 0)
        origin = buffer.base + (2 * bandwidth + Self.vector)
    }

    private static func rowStride(bandwidth: Int) -> Int { 3 * bandwidth + 2 * vector }

    private static func count(size: Int, bandwidth: Int) -> Int {
        size * (rowStride(bandwidth: bandwidth) + 1) + 3 * bandwidth + 4 * vector
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        count(size: size, bandwidth: bandwidth) * MemoryLayout<Double>.stride
    }

    subscript(i: Int, j: Int) -> Double {
        get { origin[i * rowStride + j] }
        nonmutating set { origin[i * rowStride + j] = newValue }
    }

    /// Sets element (i, j) and its mirror image.
    func setSymmetric(_ i: Int, _ j: Int, _ value: Double) {
        self[i, j] = value
        self[j, i] = value
    }
}
