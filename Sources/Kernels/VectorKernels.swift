import KernelContract
import MatrixCore

/// Operations on vectors and on small blocks in cache, for algorithms that call them many times: the kernels are looked
/// up once, and calls take plain pointers.
///
/// ```swift
/// let vectors = VectorKernels<Double>()
/// let norm = vectors.dot(x, x, count).squareRoot()
/// ```
public struct VectorKernels<Element: MatrixElement>: Sendable {
    @usableFromInline let kernels: KernelSet.Arithmetic
    @usableFromInline let format: Int

    public init(_ set: InstructionSet = .active) {
        kernels = Element.elementType == .float64 ? set.kernels.float64 : set.kernels.float32
        format = Element.elementType.format
    }

    /// Σ x[i] · y[i], in an order that `count` alone decides.
    @inlinable
    public func dot(_ x: UnsafePointer<Element>, _ y: UnsafePointer<Element>, _ count: Int) -> Element {
        var result: Element = 0
        withUnsafeMutablePointer(to: &result) {
            kernels.dot(RunDot(x: x, y: y, count: count, result: UnsafeMutableRawPointer($0)))
        }
        return result
    }

    /// y ← y + factor · x
    @inlinable
    public func add(_ factor: Element, _ x: UnsafePointer<Element>, to y: UnsafeMutablePointer<Element>, _ count: Int) {
        withUnsafePointer(to: factor) {
            kernels.rowCombination(
                RowCombination(
                    matrix: x, format: format, rows: 1, columns: count, rowStride: count, x: UnsafeRawPointer($0), result: y))
        }
    }

    /// y ← alpha · a · x + beta · y, a (m × n) with contiguous rows, x (n), y (m).
    @inlinable
    public func multiply(
        _ a: MatrixView<Element>, _ x: UnsafePointer<Element>, into y: UnsafeMutablePointer<Element>, alpha: Element = 1,
        beta: Element = 0
    ) {
        precondition(a.columnStride == 1, "rows must be contiguous")
        var task = RowProducts(
            matrix: a.base, format: format, rows: a.rows, depth: a.columns, rowStride: a.rowStride, x: x, result: y,
            resultStride: 1)
        task.alpha = Double(alpha)
        task.beta = Double(beta)
        kernels.rowProducts(task)
    }

    /// y ← y + aᵀ · x, a (m × n) with contiguous rows, x (m), y (n).
    @inlinable
    public func addTransposedProduct(
        _ a: MatrixView<Element>, _ x: UnsafePointer<Element>, to y: UnsafeMutablePointer<Element>
    ) {
        precondition(a.columnStride == 1, "rows must be contiguous")
        kernels.rowCombination(
            RowCombination(
                matrix: a.base, format: format, rows: a.rows, columns: a.columns, rowStride: a.rowStride, x: x, result: y))
    }

    /// a ← a + x₁ y₁ᵀ + x₂ y₂ᵀ, a (m × n) with contiguous rows, x (m), y (n).
    @inlinable
    public func addPair(
        _ first: (x: UnsafePointer<Element>, y: UnsafePointer<Element>),
        _ second: (x: UnsafePointer<Element>, y: UnsafePointer<Element>), to a: MutableMatrixView<Element>
    ) {
        precondition(a.columnStride == 1, "rows must be contiguous")
        kernels.pairUpdate(
            PairUpdate(
                matrix: a.base, rows: a.rows, columns: a.columns, rowStride: a.rowStride,
                first: (UnsafeRawPointer(first.x), UnsafeRawPointer(first.y)),
                second: (UnsafeRawPointer(second.x), UnsafeRawPointer(second.y))))
    }
}
