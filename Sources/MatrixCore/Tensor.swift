/// An array of numbers with any number of axes, row-major, without gaps: the last index moves fastest.
///
/// A value like `DenseMatrix`. `matrix(rows:)` folds leading axes into rows without a copy, the usual step before a
/// kernel call; `permuted(_:)` reorders axes with one copy.
public struct Tensor<Element: MatrixElement>: Sendable {
    public let shape: [Int]
    @usableFromInline let storage: DenseMatrix<Element>

    /// A tensor with the elements of a matrix, which has as many as the shape says.
    public init(shape: [Int], reshaping matrix: DenseMatrix<Element>) {
        precondition(
            shape.reduce(1, *) == matrix.count, "a tensor of shape \(shape) does not have \(matrix.count) elements")
        self.shape = shape
        storage = matrix
    }

    public init(shape: [Int], elements: [Element]) {
        self.init(shape: shape, reshaping: DenseMatrix(rows: 1, columns: elements.count, elements: elements))
    }

    public var count: Int { storage.count }

    /// The elements in order, copied.
    public var elements: [Element] { storage.elements }

    /// The unfolding whose rows run over the first `axes` axes and whose columns run over the others; no copy.
    public func matrix(leadingAxes axes: Int) -> MatrixView<Element> {
        let rows = shape[..<axes].reduce(1, *)
        let columns = shape[axes...].reduce(1, *)
        let view = storage.view
        return MatrixView(
            base: view.base, rows: rows, columns: columns, rowStride: columns, columnStride: 1, owner: view.owner)
    }

    /// The tensor whose axis k is this tensor's axis `axes[k]`.
    public func permuted(_ axes: [Int]) -> Self {
        precondition(axes.sorted() == Array(shape.indices), "\(axes) is not an order of \(shape.count) axes")
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in shape.indices.dropLast().reversed() {
            strides[axis] = strides[axis + 1] * shape[axis + 1]
        }
        let newShape = axes.map { shape[$0] }
        let newStrides = axes.map { strides[$0] }
        var result = DenseMatrix<Element>(uninitializedRows: 1, columns: count)
        let target = result.mutableView().base
        let source = storage.view.base
        var index = [Int](repeating: 0, count: newShape.count)
        var offset = 0
        for position in 0..<count {
            target[position] = source[offset]
            var axis = newShape.count - 1
            while axis >= 0 {
                index[axis] += 1
                offset += newStrides[axis]
                if index[axis] < newShape[axis] { break }
                offset -= newStrides[axis] * newShape[axis]
                index[axis] = 0
                axis -= 1
            }
        }
        return Self(shape: newShape, reshaping: result)
    }
}
