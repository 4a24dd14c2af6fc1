import Kernels
import MatrixCore

/// Where the elements of a matrix (m × n) lie in the tensor of its modes, and the way there and back.
///
/// Element (i, j) lies at rowOffset(i) + columnOffset(j). Within the last input mode the elements are neighbours in
/// both orders, so whole runs are moved; where the last input mode is 1 the matrix is read as its transpose, whose
/// runs are those of the last output mode.
///
/// - Cost: one pass over the elements, after one more for a type other than Float or for the transpose.
struct InterleavedOrder {
    private let modes: TrainModes
    /// Whether runs are columns of the matrix.
    private let isTransposed: Bool
    /// Offset of every row of the matrix, or of its transpose.
    private let rowOffsets: [Int]
    /// Offset of every run of a row.
    private let runOffsets: [Int]
    private let run: Int

    init(_ modes: TrainModes) {
        self.modes = modes
        let outputs = Self.offsets(modes.outputs, strides: Self.strides(modes).outputs)
        let inputs = Self.offsets(modes.inputs, strides: Self.strides(modes).inputs)
        let outputRun = Self.run(outputs)
        let inputRun = Self.run(inputs)
        isTransposed = outputRun > inputRun
        run = max(outputRun, inputRun)
        rowOffsets = isTransposed ? inputs : outputs
        let along = isTransposed ? outputs : inputs
        runOffsets = stride(from: 0, to: along.count, by: run).map { along[$0] }
    }

    /// The elements of a matrix in the order of the tensor (s₁ × s₂…s_d).
    func tensor(of weight: MatrixOperand) -> Matrix {
        precondition(weight.rows == modes.outFeatures && weight.columns == modes.inFeatures, "modes of another size")
        let upright = isTransposed ? weight.transposed : weight
        let source = Self.contiguousFloats(upright)
        let size = modes.sizes[0]
        var tensor = Matrix(uninitializedRows: size, columns: weight.rows * weight.columns / size)
        withExtendedLifetime(source.owner) {
            move(source.base, rowStride: source.rowStride, tensor.mutableView().base) { $1.update(from: $0, count: $2) }
        }
        return tensor
    }

    /// The matrix whose tensor has these elements, in the order of the tensor and without gaps.
    func matrix(of tensor: MatrixOperand) -> Matrix {
        precondition(tensor.rows * tensor.columns == modes.outFeatures * modes.inFeatures, "modes of another size")
        let row = MatrixOperand(
            base: tensor.base, type: tensor.type, rows: 1, columns: tensor.rows * tensor.columns,
            rowStride: tensor.rows * tensor.columns, owner: tensor.owner)
        let source = Self.contiguousFloats(row)
        let shape = isTransposed ? (modes.inFeatures, modes.outFeatures) : (modes.outFeatures, modes.inFeatures)
        var upright = Matrix(uninitializedRows: shape.0, columns: shape.1)
        withExtendedLifetime(source.owner) {
            move(upright.mutableView().base, rowStride: shape.1, UnsafeMutablePointer(mutating: source.base)) {
                UnsafeMutablePointer(mutating: $0).update(from: $1, count: $2)
            }
        }
        guard isTransposed else { return upright }
        var result = Matrix(uninitializedRows: modes.outFeatures, columns: modes.inFeatures)
        convert(MatrixOperand(upright.view.transposed), into: MutableMatrixOperand(result.mutableView()))
        return result
    }

    private typealias Copy =
        @Sendable (_ matrix: UnsafePointer<Float>, _ tensor: UnsafeMutablePointer<Float>, _ count: Int) -> Void

    /// Visits every run of every row, rows in blocks shared out to threads.
    private func move(
        _ matrix: UnsafePointer<Float>, rowStride: Int, _ tensor: UnsafeMutablePointer<Float>, _ copy: Copy
    ) {
        let matrix = Unchecked(matrix)
        let tensor = Unchecked(tensor)
        let rows = rowOffsets
        let runs = runOffsets
        let run = run
        let block = Self.rowsPerBlock
        parallelFor((rows.count + block - 1) / block) { piece in
            for row in (piece * block)..<min((piece + 1) * block, rows.count) {
                var element = matrix.value + row * rowStride
                let base = tensor.value + rows[row]
                for offset in runs {
                    copy(element, base + offset, run)
                    element += run
                }
            }
        }
    }

    /// Neighbouring rows fill the same lines of the tensor where runs are short.
    private static let rowsPerBlock = 64

    private struct Unchecked<Pointer>: @unchecked Sendable {
        let value: Pointer
        init(_ value: Pointer) { self.value = value }
    }

    private static func contiguousFloats(_ weight: MatrixOperand) -> MatrixView<Float> {
        if weight.type == .float32, weight.columnStride == 1 {
            return MatrixView(
                base: weight.base.assumingMemoryBound(to: Float.self), rows: weight.rows, columns: weight.columns,
                rowStride: weight.rowStride, owner: weight.owner)
        }
        var copy = Matrix(uninitializedRows: weight.rows, columns: weight.columns)
        convert(weight, into: MutableMatrixOperand(copy.mutableView()))
        return copy.view
    }

    /// Distance in the tensor of neighbouring digits of each mode.
    private static func strides(_ modes: TrainModes) -> (outputs: [Int], inputs: [Int]) {
        var outputs: [Int] = []
        var inputs: [Int] = []
        var tail = 1
        for core in (0..<modes.order).reversed() {
            inputs.insert(tail, at: 0)
            outputs.insert(tail * modes.inputs[core], at: 0)
            tail *= modes.outputs[core] * modes.inputs[core]
        }
        return (outputs, inputs)
    }

    /// Σ digit · stride of every index.
    private static func offsets(_ modes: [Int], strides: [Int]) -> [Int] {
        zip(modes, strides).reduce([0]) { offsets, mode in
            offsets.flatMap { offset in (0..<mode.0).map { offset + $0 * mode.1 } }
        }
    }

    /// The longest run of neighbours that every index block has.
    private static func run(_ offsets: [Int]) -> Int {
        let first = offsets.indices.first { offsets[$0] != $0 } ?? offsets.count
        return max(first, 1)
    }
}
