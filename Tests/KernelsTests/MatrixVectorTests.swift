import MatrixCore
import Testing

@testable import Kernels

@Suite("Products with few vectors")
struct MatrixVectorTests {
    @Test("equal the naive product for every format, layout and side", arguments: InstructionSet.available)
    func equalNaive(set: InstructionSet) {
        for (rows, depth) in [(0, 5), (5, 0), (1, 1), (3, 7), (4, 64), (67, 131), (1030, 33), (33, 2100)] {
            for vectors in 1...5 {
                for type in ElementType.allCases {
                    for layout in [Layout.rowMajor, .columnMajor, .gaps] {
                        let c: ElementType = type == .float64 || vectors % 2 == 0 ? .float64 : .float32
                        ProductTests.expectProduct(
                            (rows, vectors, depth), (type, c, c), (layout, .rowMajor, .rowMajor), alpha: 2, beta: 1, on: set)
                        ProductTests.expectProduct(
                            (vectors, rows, depth), (c, type, c), (.gaps, layout, .padded), alpha: 1, beta: 0, on: set)
                    }
                }
            }
        }
    }
}

@Suite("Vector kernels")
struct VectorKernelTests {
    static let counts = [0, 1, 3, 7, 8, 15, 16, 17, 31, 64, 100, 257]

    @Test("dot products and scaled sums equal the naive ones", arguments: InstructionSet.available)
    func vectors(set: InstructionSet) {
        let kernels = VectorKernels<Double>(set)
        let singles = VectorKernels<Float>(set)
        for count in Self.counts {
            let x = (0..<count).map { 1 / Double($0 + 1) }
            var y = (0..<count).map { Double($0 % 7) - 3 }
            let expected = zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
            #expect(abs(kernels.dot(x, y, count) - expected) <= tolerance(.float64, depth: count))
            #expect(abs(Double(singles.dot(x.map(Float.init), y.map(Float.init), count)) - expected) <= tolerance(.float32, depth: count))
            let before = y
            kernels.add(-2.5, x, to: &y, count)
            #expect(zip(y, zip(before, x)).allSatisfy { abs($0 - ($1.0 - 2.5 * $1.1)) < 1e-14 })
        }
    }

    @Test("small blocks meet vectors from both sides and take pairs", arguments: InstructionSet.available)
    func blocks(set: InstructionSet) {
        let kernels = VectorKernels<Double>(set)
        for (rows, columns) in [(1, 1), (5, 3), (8, 8), (17, 33), (64, 72)] {
            var a = Matrix64(rows: rows, columns: columns) { Double(($0 * 5 + $1 * 3) % 11) - 5 }
            let left = (0..<rows).map { Double($0 % 5) - 1 }
            let right = (0..<columns).map { 2 - Double($0 % 3) }
            var products = [Double](repeating: 1, count: rows)
            kernels.multiply(a.view, right, into: &products, alpha: 2, beta: -1)
            var combination = [Double](repeating: 1, count: columns)
            kernels.addTransposedProduct(a.view, left, to: &combination)
            for i in 0..<rows { #expect(products[i] == (0..<columns).reduce(-1) { $0 + 2 * a[i, $1] * right[$1] }) }
            for j in 0..<columns { #expect(combination[j] == (0..<rows).reduce(1) { $0 + a[$1, j] * left[$1] }) }
            let before = a
            let (x1, y1, x2, y2) = (vector(left), vector(right), vector(products), vector(combination))
            kernels.addPair((x1.view.base, y1.view.base), (x2.view.base, y2.view.base), to: a.mutableView())
            for i in 0..<rows {
                for j in 0..<columns {
                    #expect(a[i, j] == before[i, j] + left[i] * right[j] + products[i] * combination[j])
                }
            }
        }
    }
}

private func vector(_ elements: [Double]) -> Matrix64 {
    Matrix64(rows: 1, columns: elements.count, elements: elements)
}

@Suite("Peak measurement")
struct PeakMeasurementTests {
    @Test("gives figures that a machine can have")
    func plausible() {
        let peak = PeakMeasurement.measure(threads: 1)
        #expect(peak.float32OperationsPerSecond > peak.float64OperationsPerSecond)
        #expect(peak.float64OperationsPerSecond > 1e9 && peak.float64OperationsPerSecond < 1e12)
        #expect(peak.readBytesPerSecond > 1e8 && peak.readBytesPerSecond < 1e12)
    }
}
