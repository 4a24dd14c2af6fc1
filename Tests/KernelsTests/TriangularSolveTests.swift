import MatrixCore
import Testing

@testable import Kernels

@Suite("Triangular solve")
struct TriangularSolveTests {
    @Test("gives back what was multiplied, for both triangles, diagonals and layouts")
    func solves() {
        for (n, m) in [(0, 4), (1, 1), (5, 3), (32, 40), (33, 7), (100, 300), (131, 1)] {
            for triangle in [Triangle.lower, .upper] {
                for unit in [false, true] {
                    for layout in Layout.allCases {
                        expectSolution(n, m, triangle, unit, layout)
                    }
                }
            }
        }
    }

    /// t · x is formed from the half of t that counts; the other half holds NaN.
    private func expectSolution(_ n: Int, _ m: Int, _ triangle: Triangle, _ unit: Bool, _ layout: Layout) {
        let random = CounterRandom(seed: 9)
        let used = Matrix64(rows: n, columns: n) { i, j in
            if i == j { return unit ? 1 : 2 + random.uniform(i) }
            return (triangle == .lower) == (j < i) ? (random.uniform(i * n + j) - 0.5) / Double(n) : 0
        }
        let stored = Matrix64(rows: n, columns: n) { i, j in
            (i == j && unit) || (i != j && (triangle == .lower) != (j < i)) ? .nan : used[i, j]
        }
        let x = randomOperand(n, m, .float64, layout, seed: 5)
        let solution = widened(x)
        let right = naiveProduct(MatrixOperand(used), x, Matrix64(rows: n, columns: m), alpha: 1, beta: 0)
        for i in 0..<n {
            for j in 0..<m { store(right[i, j], i, j, writable(x)) }
        }
        let target = MutableMatrixView<Double>(
            base: writable(x).base.assumingMemoryBound(to: Double.self), rows: n, columns: m, rowStride: x.rowStride,
            columnStride: x.columnStride, owner: x.owner)
        solveTriangular(stored.view, triangle, unitDiagonal: unit, into: target)
        #expect(largestDifference(widened(x), solution) <= tolerance(.float64, depth: n), "\(n) × \(m), \(layout)")
    }

    @Test("works in Float")
    func single() {
        let lower = Matrix(rows: 70, columns: 70) { $0 == $1 ? 2 : $1 < $0 ? 1 / Float($0 + $1) : .nan }
        var x = Matrix(rows: 70, columns: 5) { i, _ in
            (0...i).reduce(0) { $0 + ($1 == i ? 2 : 1 / Float(i + $1)) }
        }
        solveTriangular(lower.view, .lower, into: x.mutableView())
        #expect(x.elements.allSatisfy { abs($0 - 1) < 1e-5 })
    }

    /// The inverse of a number below 2⁻¹²⁸ is infinite, that of one above 2¹²⁶ is no normal number.
    @Test("divides by a diagonal whose inverse is out of range", arguments: [0x1p-140, 0x1p-129, 0x1p127] as [Float])
    func extremeDiagonal(_ value: Float) {
        let diagonal = Matrix(rows: 2, columns: 2) { $0 == $1 ? value : 0 }
        for columns in [1, 40] {
            var x = Matrix(rows: 2, columns: columns) { _, _ in 1.25 * value }
            solveTriangular(diagonal.view, .upper, into: x.mutableView())
            #expect(x.elements.allSatisfy { $0 == 1.25 })
        }
    }
}
