import MatrixCore
import Testing

@testable import Kernels

/// Sparse products against the sum over the entries in Double.
struct SparseMatrixTests {
    private struct Entries {
        var offsets = [0]
        var positions: [UInt32] = []
        var values: [Float] = []

        var operand: MatrixOperand {
            MatrixOperand(Matrix(rows: 1, columns: values.count, elements: values))
        }

        /// About `density` of the entries of every row, the last row empty.
        init(rows: Int, columns: Int, density: Double) {
            let random = CounterRandom(seed: 8)
            for row in 0..<rows {
                for column in 0..<columns where row + 1 < rows {
                    let place = row * columns + column
                    guard random.uniform(2 * place) < density else { continue }
                    positions.append(UInt32(column))
                    values.append(Float(random.normal(2 * place + 1)))
                }
                offsets.append(positions.count)
            }
        }
    }

    @Test(
        arguments: InstructionSet.available, [(1, 1), (2, 63), (3, 64), (255, 65), (256, 130), (257, 7), (300, 200)])
    func equalsTheSumOverTheEntries(set: InstructionSet, shape: (m: Int, n: Int)) {
        for density in [0, 0.05, 1] {
            let entries = Entries(rows: shape.m, columns: shape.n, density: density)
            let sparse = SparseMatrix(
                rows: shape.m, columns: shape.n, offsets: entries.offsets, positions: entries.positions,
                values: entries.operand)
            #expect(sparse.count == entries.values.count)
            for vectors in [1, 2, 3, 17, 70, 150, 300] {
                let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: vectors, columns: shape.n)
                let before: Matrix = CounterRandom(seed: 4).normalMatrix(rows: vectors, columns: shape.m)
                var y = before
                sparse.multiply(x.view, addingTo: y.mutableView(), set)
                var worst = 0.0
                // The first, one in the middle, the last of a panel and the last.
                for t in Set([0, vectors / 2, min(127, vectors - 1), vectors - 1]) {
                    for i in 0..<shape.m {
                        let sum = (entries.offsets[i]..<entries.offsets[i + 1]).reduce(Double(before[t, i])) {
                            $0 + Double(entries.values[$1]) * Double(x[t, Int(entries.positions[$1])])
                        }
                        worst = max(worst, abs(Double(y[t, i]) - sum))
                    }
                }
                #expect(worst < 3e-7 * Double(shape.n + 20), "\(vectors) vectors, density \(density)")
            }
        }
    }

    @Test func stridesAreHonouredAndThreadsChangeNothing() {
        let entries = Entries(rows: 600, columns: 500, density: 0.2)
        let sparse = SparseMatrix(
            rows: 600, columns: 500, offsets: entries.offsets, positions: entries.positions, values: entries.operand)
        let x: Matrix = CounterRandom(seed: 3).normalMatrix(rows: 500, columns: 150)
        let count = Threads.count
        defer { Threads.count = count }
        let results = [1, 3].map { threads in
            Threads.count = threads
            var rows = Matrix(rows: 150, columns: 600)
            var columns = Matrix(rows: 600, columns: 150)
            sparse.multiply(x.view.transposed, addingTo: rows.mutableView())
            sparse.multiply(x.view.transposed, addingTo: columns.mutableView().transposed)
            #expect(Matrix(columns.view.transposed) == rows)
            return rows
        }
        #expect(results[0] == results[1])
    }
}
