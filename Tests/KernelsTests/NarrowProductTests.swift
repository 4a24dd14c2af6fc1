import MatrixCore
import Testing

@testable import Kernels

@Suite struct NarrowProductTests {
    @Test(arguments: InstructionSet.available)
    func equalTheNaiveProductForEveryLayoutAndSide(_ set: InstructionSet) {
        let shapes = [(0, 5), (5, 0), (1, 1), (3, 7), (8, 64), (9, 257), (67, 131), (530, 33), (33, 600)]
        for (rows, depth) in shapes {
            for columns in [1, 5, 16, 17, 32, 33] {
                for type in [ElementType.float32, .float64] {
                    for layout in Layout.allCases {
                        for (alpha, beta) in [(1.0, 0.0), (-2, 1), (1, -1)] {
                            ProductTests.expectProduct(
                                (rows, columns, depth), (type, type, type), (layout, .rowMajor, .padded), alpha: alpha,
                                beta: beta, on: set, by: { $0.runNarrow($1) })
                        }
                    }
                }
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func takeOtherFormats(_ set: InstructionSet) {
        let types: [(ElementType, ElementType, ElementType)] = [
            (.bfloat16, .float32, .float32), (.float32, .float16, .float32), (.float32, .float32, .float64),
            (.float64, .bfloat16, .float64),
        ]
        for (rows, depth) in [(1, 1), (7, 300), (40, 70), (530, 33), (67, 1)] {
            for (a, b, c) in types {
                for layout in Layout.allCases {
                    ProductTests.expectProduct(
                        (rows, 16, depth), (a, b, c), (layout, .columnMajor, .gaps), alpha: 1, beta: 1, on: set,
                        by: { $0.runNarrow($1) })
                }
            }
        }
    }

    /// One sum over all of a depth of 65,536 tenths ends 1.5e-3 off.
    @Test(arguments: InstructionSet.available, [ElementType.float32, .bfloat16])
    func sumsOfGreatDepthRoundLittle(_ set: InstructionSet, _ type: ElementType) {
        let depth = 65_536
        let stored = AlignedBuffer<UInt8>(uninitializedCount: 9 * depth * type.bytes)
        let ones = MutableMatrixOperand(
            base: UnsafeMutableRawPointer(stored.base), type: type, rows: 9, columns: depth, rowStride: depth,
            owner: stored)
        convert(MatrixOperand(Matrix(rows: 9, columns: depth) { _, _ in 1 }), into: ones)
        let tenths = Matrix(rows: depth, columns: 3) { _, _ in 0.1 }
        var product = Matrix(rows: 9, columns: 3)
        let target = MutableMatrixOperand(product.mutableView())
        Product(a: ones.readable, b: MatrixOperand(tenths), c: target, alpha: 1, beta: 0).runNarrow(set)
        let exact = Double(Float(0.1)) * Double(depth)
        for row in 0..<9 {
            for column in 0..<3 { #expect(abs(Double(product[row, column]) / exact - 1) < 2e-5) }
        }
    }

    @Test func anyNumberOfThreadsGivesTheSameBytes() {
        let a: Matrix = CounterRandom(seed: 1).normalMatrix(rows: 1100, columns: 700)
        let b: Matrix = CounterRandom(seed: 2).normalMatrix(rows: 700, columns: 20)
        let before = Threads.count
        defer { Threads.count = before }
        let results = [1, 2, 3, 4].map { threads in
            Threads.count = threads
            var (c, d) = (Matrix(rows: 1100, columns: 20), Matrix(rows: 700, columns: 20))
            multiplyNarrow(MatrixOperand(a), MatrixOperand(b), into: c.mutableView())
            multiplyNarrow(MatrixOperand(a).transposed, MatrixOperand(c), into: d.mutableView())
            return [c, d]
        }
        #expect(results.allSatisfy { $0 == results[0] })
    }
}
