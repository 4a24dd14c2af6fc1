import MatrixCore
import Testing

@testable import Kernels

@Suite("Matrix products")
struct ProductTests {
    /// 0, 1, both sides of the tiles of every instruction set, primes, more than one block.
    static let shapes: [(Int, Int, Int)] = [
        (0, 3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1), (1, 7, 5), (7, 1, 5), (5, 6, 7), (6, 8, 3), (13, 31, 17), (14, 32, 16),
        (15, 33, 19), (12, 16, 385), (29, 65, 401), (97, 101, 103), (230, 530, 70), (3, 1030, 9), (450, 3, 40), (7, 9, 1100),
    ]

    static let instructionSets = InstructionSet.available

    static func expectProduct(
        _ shape: (Int, Int, Int), _ types: (ElementType, ElementType, ElementType), _ layouts: (Layout, Layout, Layout),
        alpha: Double, beta: Double, on set: InstructionSet, region: Product.Region = .all,
        by run: (Product, InstructionSet) -> Void = { $0.run($1) }
    ) {
        let (m, n, k) = shape
        let a = randomOperand(m, k, types.0, layouts.0, seed: 1)
        let b = randomOperand(k, n, types.1, layouts.1, seed: 2)
        let c = randomOperand(m, n, types.2, layouts.2, seed: 3)
        let before = widened(c)
        var expected = naiveProduct(a, b, before, alpha: alpha, beta: beta)
        for i in 0..<m {
            for j in 0..<n where (region == .lower && j > i) || (region == .upper && j < i) {
                expected[i, j] = before[i, j]
            }
        }
        if beta == 0 && region == .all {
            for i in 0..<m {
                for j in 0..<n { store(.nan, i, j, writable(c)) }
            }
        }
        run(Product(a: a, b: b, c: writable(c), alpha: alpha, beta: beta, region: region), set)
        #expect(
            largestDifference(widened(c), expected) <= tolerance(types.2, depth: k),
            "\(m) × \(n) × \(k), \(types), \(layouts), alpha \(alpha), beta \(beta), \(set)")
    }

    @Test("equal the naive product at every size", arguments: instructionSets)
    func sizes(set: InstructionSet) {
        for shape in Self.shapes {
            for type in [ElementType.float32, .float64] {
                Self.expectProduct(
                    shape, (type, type, type), (.rowMajor, .rowMajor, .rowMajor), alpha: 1, beta: 0, on: set)
            }
        }
    }

    @Test("take any layout of each operand", arguments: instructionSets)
    func layouts(set: InstructionSet) {
        for a in Layout.allCases {
            for b in Layout.allCases {
                for c in Layout.allCases {
                    Self.expectProduct(
                        (37, 41, 43), (.float32, .float32, .float32), (a, b, c), alpha: 0.5, beta: -2, on: set)
                    Self.expectProduct(
                        (37, 41, 43), (.float64, .float64, .float64), (a, b, c), alpha: -1, beta: 0, on: set)
                }
            }
        }
    }

    @Test("take any mix of storage formats", arguments: instructionSets)
    func formats(set: InstructionSet) {
        for a in ElementType.allCases {
            for b in ElementType.allCases {
                for layout in [Layout.rowMajor, .columnMajor, .gaps] {
                    for c in [ElementType.float32, .float64] where c == .float64 || (a != c && b != c) {
                        Self.expectProduct(
                            (35, 67, 29), (a, b, c), (layout, layout, .rowMajor), alpha: 1, beta: 1, on: set)
                    }
                }
            }
        }
    }

    @Test("write only the triangle that is asked for", arguments: instructionSets)
    func triangles(set: InstructionSet) {
        for size in [1, 5, 14, 33, 97, 260] {
            for layout in Layout.allCases {
                for region in [Product.Region.lower, .upper] {
                    Self.expectProduct(
                        (size, size, 21), (.float64, .float64, .float64), (.rowMajor, .rowMajor, layout), alpha: 2, beta: 1,
                        on: set, region: region)
                }
            }
        }
    }

    @Test("carry NaN and infinity of an operand into the rows and columns that they touch, and no further")
    func nonFinite() {
        for (bad, expectsNaN) in [(Double.nan, true), (.infinity, false)] {
            let a = randomOperand(20, 30, .float32, .rowMajor, seed: 1)
            let b = randomOperand(30, 40, .float32, .rowMajor, seed: 2)
            store(bad, 7, 11, writable(a))
            var c = Matrix(rows: 20, columns: 40)
            multiply(a, b, into: c.mutableView())
            for i in 0..<20 {
                for j in 0..<40 {
                    #expect(c[i, j].isFinite == (i != 7))
                    #expect(c[i, j].isNaN == (i == 7 && expectsNaN))
                }
            }
        }
    }

    @Test("do not read the target where beta is 0, not even without depth")
    func ignoresTarget() {
        var c = Matrix(rows: 3, columns: 4, elements: [Float](repeating: .nan, count: 12))
        multiply(MatrixOperand(Matrix(rows: 3, columns: 0)), MatrixOperand(Matrix(rows: 0, columns: 4)), into: c.mutableView())
        #expect(c == Matrix(rows: 3, columns: 4))
    }

    @Test("of an operand with its transpose are symmetric", arguments: ElementType.allCases)
    func transposeProducts(type: ElementType) {
        for (rows, depth) in [(0, 3), (1, 1), (5, 0), (31, 33), (64, 100), (131, 40), (300, 17)] {
            for layout in Layout.allCases {
                let a = randomOperand(rows, depth, type, layout, seed: 4)
                let expected = naiveProduct(a, a.transposed, Matrix64(rows: rows, columns: rows), alpha: 1, beta: 0)
                var c = Matrix64(rows: rows, columns: rows)
                multiplyByTranspose(a, into: c.mutableView())
                #expect(largestDifference(c, expected) <= tolerance(.float64, depth: depth))
                #expect(c == Matrix64(c.view.transposed))
                guard type != .float64 else { continue }
                var single = Matrix(rows: rows, columns: rows)
                multiplyByTranspose(a, into: single.mutableView())
                #expect(largestDifference(widened(MatrixOperand(single)), expected) <= tolerance(.float32, depth: depth))
            }
        }
    }
}

@Suite("Thread counts", .serialized)
struct ThreadCountTests {
    @Test("do not change a byte of any result")
    func identicalBytes() {
        defer { Threads.count = 0 }
        let a = randomOperand(307, 411, .bfloat16, .rowMajor, seed: 1)
        let b = randomOperand(411, 523, .float32, .columnMajor, seed: 2)
        let t = randomOperand(307, 307, .float64, .rowMajor, seed: 3)
        var results: [[UInt64]] = []
        for threads in 1...4 {
            Threads.count = threads
            var c = Matrix(rows: 307, columns: 523)
            multiply(a, b, into: c.mutableView())
            var gram = Matrix64(rows: 307, columns: 307)
            multiplyByTranspose(a, into: gram.mutableView())
            var x = Matrix64(rows: 307, columns: 600) { Double($0 - $1) }
            var lower = Matrix64(rows: 307, columns: 307) { t[$0, $1] }
            for i in 0..<307 { lower[i, i] = 100 }
            solveTriangular(lower.view, .lower, into: x.mutableView())
            results.append(
                c.elements.map { UInt64($0.bitPattern) } + (gram.elements + x.elements).map(\.bitPattern)
                    + [sumOfSquares(a).bitPattern, sumOfSquaredDifferences(b, b.block(rows: 0..<411, columns: 0..<523)).bitPattern])
        }
        for other in results.dropFirst() {
            #expect(other == results[0])
        }
    }

    @Test("hand out every piece once, also when nested")
    func everyPieceOnce() {
        defer { Threads.count = 0 }
        for threads in [1, 2, 3, 8] {
            Threads.count = threads
            let hits = AlignedBuffer<Int>(count: 1000, repeating: 0)
            parallelFor(10) { outer in
                parallelFor(100) { inner in hits.base[outer * 100 + inner] += 1 }
            }
            #expect((0..<1000).allSatisfy { hits.base[$0] == 1 })
        }
    }
}
