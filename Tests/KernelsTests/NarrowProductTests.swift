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
        for (a, b, c) in types {
            ProductTests.expectProduct(
                (40, 16, 70), (a, b, c), (.rowMajor, .columnMajor, .gaps), alpha: 1, beta: 1, on: set,
                by: { $0.runNarrow($1) })
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
