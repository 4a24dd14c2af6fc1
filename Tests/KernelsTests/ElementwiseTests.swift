import MatrixCore
import Testing

@testable import Kernels

@Suite("Conversions, sums and checks")
struct ElementwiseTests {
    static let shapes = [(0, 3), (3, 0), (1, 1), (1, 17), (33, 65), (3, 70_000), (400, 300)]

    @Test("all bfloat16 and half patterns widen exactly and come back the same", arguments: InstructionSet.available)
    func allPatterns(set: InstructionSet) {
        let patterns = AlignedBuffer<UInt16>(uninitializedCount: 1 << 16)
        for i in 0..<(1 << 16) { patterns.base[i] = UInt16(i) }
        for type in [ElementType.bfloat16, .float16] {
            let source = MatrixOperand(
                base: UnsafeRawPointer(patterns.base), type: type, rows: 256, columns: 256, rowStride: 256, owner: patterns)
            for wide in [ElementType.float32, .float64] {
                let middle = emptyOperand(256, 256, wide)
                let back = emptyOperand(256, 256, type)
                Conversion(source: source, target: middle, kernel: set.kernels.streams.convert).run()
                Conversion(source: middle.readable, target: back, kernel: set.kernels.streams.convert).run()
                for i in 0..<(1 << 16) {
                    let (row, column) = (i / 256, i % 256)
                    let expected = source[row, column]
                    let found = middle.readable[row, column]
                    #expect(found == expected || (found.isNaN && expected.isNaN))
                    let bits = back.base.load(fromByteOffset: 2 * i, as: UInt16.self)
                    #expect(bits == UInt16(i) || (expected.isNaN && back.readable[row, column].isNaN))
                }
            }
        }
    }

    @Test("numbers between two bfloat16 or half numbers round to the nearest, ties to even", arguments: InstructionSet.available)
    func roundsToNearest(set: InstructionSet) {
        for type in [ElementType.bfloat16, .float16] {
            // Every pair of finite neighbours, and points a little below, at and above the middle between them.
            let limit = type == .bfloat16 ? 0x7F80 : 0x7C00
            let source = emptyOperand(limit - 1, 3, .float64)
            for i in 0..<(limit - 1) {
                let (low, high) = (value(i, type), value(i + 1, type))
                for j in 0..<3 {
                    let middle = (low + high) / 2
                    store(j == 0 ? middle.nextDown : j == 1 ? middle : middle.nextUp, i, j, source)
                }
            }
            let target = emptyOperand(limit - 1, 3, type)
            Conversion(source: source.readable, target: target, kernel: set.kernels.streams.convert).run()
            for i in 0..<(limit - 1) {
                let found = (0..<3).map { Int(target.base.load(fromByteOffset: 2 * (3 * i + $0), as: UInt16.self)) }
                #expect(found == [i, i + i % 2, i + 1])
            }
        }
    }

    @Test("numbers beyond the range become infinity", arguments: InstructionSet.available)
    func overflows(set: InstructionSet) {
        let source = Matrix64(rows: 1, columns: 6, elements: [65519, 65520, -1e10, 1e300, -.infinity, 3.4e38])
        let half = emptyOperand(1, 6, .float16)
        Conversion(source: MatrixOperand(source), target: half, kernel: set.kernels.streams.convert).run()
        #expect(widened(half.readable).elements == [65504, .infinity, -.infinity, .infinity, -.infinity, .infinity])
    }

    @Test("conversion takes any layout on either side")
    func convertsLayouts() {
        for (rows, columns) in Self.shapes where rows * columns < 130_000 {
            for from in Layout.allCases {
                for to in Layout.allCases {
                    let source = randomOperand(rows, columns, .bfloat16, from, seed: 6)
                    let target = writable(randomOperand(rows, columns, .float32, to, seed: 7))
                    convert(source, into: target)
                    #expect(widened(target.readable) == widened(source))
                }
            }
        }
    }

    @Test("sums of squares equal the naive sums", arguments: ElementType.allCases)
    func sums(type: ElementType) {
        for (rows, columns) in Self.shapes {
            for layout in Layout.allCases {
                let a = randomOperand(rows, columns, type, layout, seed: 8)
                let b = randomOperand(rows, columns, layout == .padded ? .float32 : type, .rowMajor, seed: 9)
                var (squares, differences) = (0.0, 0.0)
                for i in 0..<rows {
                    for j in 0..<columns {
                        squares += a[i, j] * a[i, j]
                        differences += (a[i, j] - b[i, j]) * (a[i, j] - b[i, j])
                    }
                }
                #expect(abs(sumOfSquares(a) - squares) <= 1e-12 * squares)
                #expect(abs(sumOfSquaredDifferences(a, b) - differences) <= 1e-12 * differences)
                #expect(sumOfSquaredDifferences(a, a) == 0)
            }
        }
    }

    @Test("the first number that is not finite is found", arguments: ElementType.allCases)
    func findsNonFinite(type: ElementType) {
        for (rows, columns) in Self.shapes {
            for layout in Layout.allCases {
                let a = randomOperand(rows, columns, type, layout, seed: 10)
                #expect(firstNonFinite(a) == nil)
                guard rows > 1, columns > 1 else { continue }
                for (bad, row, column) in [(Double.nan, 1, columns - 2), (.infinity, rows - 1, 0), (-.infinity, 0, columns - 1)] {
                    store(bad, rows - 1, columns - 1, writable(a))
                    store(bad, row, column, writable(a))
                    #expect(firstNonFinite(a).map { [$0.row, $0.column] } == [row, column])
                    store(0, row, column, writable(a))
                }
            }
        }
    }

    private func value(_ bits: Int, _ type: ElementType) -> Double {
        Double(type == .bfloat16 ? BFloat16(bitPattern: UInt16(bits)).float : Half(bitPattern: UInt16(bits)).float)
    }

    private func emptyOperand(_ rows: Int, _ columns: Int, _ type: ElementType) -> MutableMatrixOperand {
        writable(randomOperand(rows, columns, type, .rowMajor, seed: 0))
    }
}
