import KernelContract
import Kernels
import MatrixCore

/// A matrix cut into panels of a few columns, each without gaps, with rows of zeros below.
struct ReflectorPanels<Element: FactorScalar>: @unchecked Sendable {
    static var width: Int { StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<Element>.stride) }

    let count: Int
    private let rows: Int
    private let columns: Int
    /// (rows + extraRows) · width.
    private let panelCount: Int
    private let buffer: AlignedBuffer<Element>

    /// Bytes of all panels; rows include the extra ones.
    static func bytes(rows: Int, columns: Int) -> Int {
        (columns + width - 1) / width * rows * width * MemoryLayout<Element>.stride
    }

    init(copying x: MatrixView<Double>, extraRows: Int) {
        rows = x.rows
        columns = x.columns
        count = (x.columns + Self.width - 1) / Self.width
        panelCount = (x.rows + extraRows) * Self.width
        buffer = AlignedBuffer(uninitializedCount: count * panelCount)
        parallelFor(count) { [self] panel in
            let target = filled(panel)
            convert(MatrixOperand(x.columns(chosen(panel))), into: MutableMatrixOperand(target))
            for i in 0..<rows where target.columns < Self.width {
                (row(i, of: panel) + target.columns).update(repeating: 0, count: Self.width - target.columns)
            }
            row(rows, of: panel).update(repeating: 0, count: extraRows * Self.width)
        }
    }

    func row(_ i: Int, of panel: Int) -> UnsafeMutablePointer<Element> {
        buffer.base + panel * panelCount + i * Self.width
    }

    func copy(into x: MutableMatrixView<Element>) {
        parallelFor(count) { panel in
            convert(
                MatrixOperand(filled(panel).readable), into: MutableMatrixOperand(x.columns(chosen(panel))))
        }
    }

    /// The columns of the matrix that a panel holds.
    private func chosen(_ panel: Int) -> Range<Int> {
        panel * Self.width..<min((panel + 1) * Self.width, columns)
    }

    /// The part of a panel that is the matrix's (rows × chosen columns).
    private func filled(_ panel: Int) -> MutableMatrixView<Element> {
        MutableMatrixView(
            base: row(0, of: panel), rows: rows, columns: chosen(panel).count, rowStride: Self.width, owner: buffer)
    }
}
