import MatrixCore

/// A symmetric band matrix with room for the bulges of the chase: element (i, j) for i − 2b < j ≤ i + b.
///
/// Every row has the same stride and column j the same alignment in every row, so a block is an ordinary strided
/// rectangle of aligned vectors. Rows share no memory within the band and a cache line on either side of it; the
/// chase reads those margins and writes them back unchanged.
struct BandMatrix<Element: FactorScalar>: @unchecked Sendable {
    let size: Int
    /// b: elements with |i − j| > b are zero before the chase.
    let bandwidth: Int
    let rowStride: Int
    private let buffer: AlignedBuffer<Element>
    /// Element (0, 0); the element (i, j) is at origin + i · rowStride + j.
    let origin: UnsafeMutablePointer<Element>

    /// Numbers in a cache line.
    static var line: Int { 64 / MemoryLayout<Element>.stride }

    init(size: Int, bandwidth: Int) {
        precondition(bandwidth % Self.line == 0, "a bandwidth is a multiple of a cache line")
        self.size = size
        self.bandwidth = bandwidth
        rowStride = Self.rowStride(bandwidth: bandwidth)
        buffer = AlignedBuffer(count: Self.count(size: size, bandwidth: bandwidth), repeating: 0)
        origin = buffer.base + (2 * bandwidth + Self.line)
    }

    private static func rowStride(bandwidth: Int) -> Int { 3 * bandwidth + 2 * line }

    private static func count(size: Int, bandwidth: Int) -> Int {
        size * (rowStride(bandwidth: bandwidth) + 1) + 3 * bandwidth + 4 * line
    }

    static func scratchBytes(size: Int, bandwidth: Int) -> Int {
        count(size: size, bandwidth: bandwidth) * MemoryLayout<Element>.stride
    }

    subscript(i: Int, j: Int) -> Element {
        get { origin[i * rowStride + j] }
        nonmutating set { origin[i * rowStride + j] = newValue }
    }

    /// Sets element (i, j) and its mirror image.
    func setSymmetric(_ i: Int, _ j: Int, _ value: Element) {
        self[i, j] = value
        self[j, i] = value
    }
}
