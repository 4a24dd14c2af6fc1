import Kernels
import LinearAlgebra
import MatrixCore

/// A train without the numbers that the choice of a basis on each bond leaves free.
///
/// On a bond of rank r any invertible r × r matrix can pass from one core to the next, so r² numbers say nothing.
/// Core k, unfolded as ((r_k s_k) × r_(k+1)), is given a basis in which r_(k+1) of its rows are the identity; the
/// other rows C are stored, with the positions of the first, and the core behind takes the change. The last core is
/// whole. A core that is square, or the last, has nothing to leave out and stays as it is.
///
/// - Method: cores are made orthonormal from the left, then their rows chosen by a column-pivoted QR (`PivotRows`),
///   which keeps C small and so the change well conditioned: in Float the train is the same to rounding.
/// - Cost: a QR and a pivoted QR of every core but the last.
/// - Source: the rows of a matrix as PIFA has them (Zhao et al., ICML 2025), on every bond of a train.
struct PivotTrain {
    /// A core of a train in its stored form.
    enum Core {
        /// ((r s) × r').
        case whole(Matrix)
        /// The identity in rows `pivots`, ascending, and C ((r s − r') × r') in the others.
        case interpolated(pivots: [Int], others: Matrix)
    }

    let modes: TrainModes
    let ranks: [Int]
    let cores: [Core]
    /// Largest |C_ij|.
    let largestCoefficient: Double

    init(_ train: TensorTrain) throws(LinearAlgebraError) {
        modes = train.modes
        ranks = train.ranks
        var cores = train.cores
        var stored: [Core] = []
        var largest = 0.0
        for index in cores.indices.dropLast() {
            guard Self.isInterpolated(train.modes, ranks: train.ranks, core: index) else {
                stored.append(.whole(cores[index]))
                continue
            }
            try TensorTrain.orthonormaliseLeft(&cores, index)
            let choice = try PivotRows(of: cores[index].view, count: cores[index].columns)
            var change = Matrix(uninitializedRows: choice.pivots.count, columns: choice.pivots.count)
            for (position, row) in choice.pivots.enumerated() {
                convert(
                    MatrixOperand(cores[index].view.rows(row..<row + 1)),
                    into: MutableMatrixOperand(change.mutableView().rows(position..<position + 1)))
            }
            let next = TensorTrain.wide(cores[index + 1], rank: change.rows)
            cores[index + 1] = TensorTrain.product(change, next, columns: cores[index + 1].columns)
            stored.append(.interpolated(pivots: choice.pivots, others: choice.interpolation))
            largest = max(largest, choice.largestEntry)
        }
        self.cores = stored + cores.suffix(1).map { .whole($0) }
        largestCoefficient = largest
    }

    /// Whether a core leaves numbers out.
    /// - Parameter ranks: r₀ … r_d.
    static func isInterpolated(_ modes: TrainModes, ranks: [Int], core: Int) -> Bool {
        core < modes.order - 1 && ranks[core] * modes.outputs[core] * modes.inputs[core] > ranks[core + 1]
    }

    /// Numbers that trains of these interior ranks leave out, Σ r_k², and the positions that they store instead, Σ r_k.
    static func saving(_ modes: TrainModes, ranks: [Int]) -> (numbers: Int, positions: Int) {
        let all = [1] + ranks + [1]
        let bonds = ranks.indices.filter { isInterpolated(modes, ranks: all, core: $0) }.map { ranks[$0] }
        return (bonds.reduce(0) { $0 + $1 * $1 }, bonds.reduce(0, +))
    }

    /// An interpolated core written out, in the type of its numbers: those of the identity are exact in any.
    static func whole(pivots: [Int], others: MatrixOperand) -> MatrixOperand {
        let columns = others.columns
        let rows = pivots.count + others.rows
        let bytes = others.type.bytes
        let buffer = AlignedBuffer<UInt8>(uninitializedCount: rows * columns * bytes)
        let target = MutableMatrixOperand(
            base: UnsafeMutableRawPointer(buffer.base), type: others.type, rows: rows, columns: columns,
            rowStride: columns,
            owner: buffer)
        let identity = Matrix.identity(columns)
        var pivot = 0
        for row in 0..<rows {
            let isPivot = pivot < pivots.count && pivots[pivot] == row
            let source =
                isPivot
                ? MatrixOperand(identity.view.rows(pivot..<pivot + 1)) : others.rows(row - pivot..<row - pivot + 1)
            convert(
                source,
                into: MutableMatrixOperand(
                    base: target.base + row * columns * bytes, type: target.type, rows: 1, columns: columns,
                    rowStride: columns, owner: buffer))
            if isPivot { pivot += 1 }
        }
        return MatrixOperand(
            base: UnsafeRawPointer(buffer.base), type: others.type, rows: rows, columns: columns, rowStride: columns,
            owner: buffer)
    }
}
