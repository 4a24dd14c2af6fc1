import KernelContract
import MatrixCore
import Testing

@testable import Kernels

@Suite(.serialized) struct SymmetricSweepKernelTests {
    private struct Shape {
        var size: Int
        var width: Int
        var depth: Int
        /// Columns of a group and rows of a piece, in blocks.
        var group: Int
        var height: Int
    }

    private static let shapes = [
        Shape(size: 1, width: 16, depth: 16, group: 1, height: 1),
        Shape(size: 63, width: 32, depth: 0, group: 1, height: 1),
        Shape(size: 64, width: 48, depth: 96, group: 2, height: 3),
        Shape(size: 65, width: 16, depth: 32, group: 1, height: 2),
        Shape(size: 130, width: 64, depth: 128, group: 2, height: 1),
        Shape(size: 201, width: 64, depth: 32, group: 2, height: 3),
        Shape(size: 257, width: 32, depth: 0, group: 3, height: 2),
    ]

    @Test(arguments: InstructionSet.available)
    func piecesUpdateTheLowerTriangleAndSumItsProduct(_ set: InstructionSet) {
        for shape in Self.shapes {
            expectSweep(set.kernels.reflectors.float64.symmetricSweep, set.kernels.float64, shape, Double.self, 1e-12)
            expectSweep(set.kernels.reflectors.float32.symmetricSweep, set.kernels.float32, shape, Float.self, 1e-4)
        }
    }

    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix64 {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    /// Strips of `strip` rows of a matrix, each with one row after another of the transposed strip, NaN behind.
    private func strips<Element: BinaryFloatingPoint>(
        _ matrix: Matrix64, _ strip: Int, _ rows: Int
    ) -> AlignedBuffer<Element> {
        let result = AlignedBuffer<Element>(count: rows * matrix.columns, repeating: .nan)
        for i in 0..<matrix.rows {
            for p in 0..<matrix.columns {
                result.base[(i / strip * matrix.columns + p) * strip + i % strip] = Element(matrix[i, p])
            }
        }
        return result
    }

    private func expectSweep<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernel: Kernel<SymmetricSweep>, _ arithmetic: KernelSet.Arithmetic, _ shape: Shape, _: Element.Type,
        _ tolerance: Double
    ) {
        let n = shape.size, block = SymmetricSweep.block, strip = arithmetic.tile.columns
        let padded = (n + block - 1) / block * block, stride = n + 3
        let width = (shape.width + strip - 1) / strip * strip
        let lower = random(n, n, seed: 3), v = random(n, shape.width, seed: 4)
        // U Wᵀ is symmetric for [X V] and [V X].
        let half = shape.depth / 2, u = random(n, shape.depth, seed: 5)
        let w = Matrix64(rows: n, columns: shape.depth) { u[$0, ($1 + half) % shape.depth] }
        let updated = Matrix64(rows: n, columns: n) { i, j in
            (0..<shape.depth).reduce(lower[max(i, j), min(i, j)]) { $0 - u[i, $1] * w[j, $1] }
        }

        let a = AlignedBuffer<Element>(count: n * stride, repeating: .nan)
        for i in 0..<n { for j in 0...i { a.base[i * stride + j] = Element(lower[i, j]) } }
        let left = AlignedBuffer<Element>(count: max(1, padded * shape.depth), repeating: .nan)
        for i in 0..<n { for p in 0..<shape.depth { left.base[i * shape.depth + p] = Element(u[i, p]) } }
        let right: AlignedBuffer<Element> = strips(w, strip, padded)
        let wide = Matrix64(rows: width, columns: n) { $0 < shape.width ? v[$1, $0] : 0 }
        let panel: AlignedBuffer<Element> = strips(wide, strip, width)
        let work = AlignedBuffer<Element>(count: block * block, repeating: .nan)
        var sums = [Double](repeating: 0, count: n * width)
        for first in Swift.stride(from: 0, to: n, by: shape.group * block) {
            for row in Swift.stride(from: first, to: n, by: shape.height * block) {
                let rows = row..<min(n, row + shape.height * block)
                let columns = first..<min(n, first + shape.group * block)
                let rowSums = AlignedBuffer<Element>(count: shape.height * block * width, repeating: .nan)
                let columnSums = AlignedBuffer<Element>(count: shape.group * block * width, repeating: .nan)
                kernel(
                    SymmetricSweep(
                        a: a.base, rowStride: stride, size: n, firstRow: row, lastRow: rows.upperBound,
                        firstColumn: first, lastColumn: columns.upperBound, u: left.base, w: right.base,
                        depth: shape.depth, v: panel.base, width: width, rowSums: rowSums.base,
                        columnSums: columnSums.base, work: work.base))
                for (range, part) in [(rows, rowSums), (columns, columnSums)] {
                    for i in range {
                        let row = part.base + (i - range.lowerBound) * width
                        for j in 0..<width { sums[i * width + j] += Double(row[j]) }
                    }
                }
            }
        }

        var (changeError, sumError) = (0.0, 0.0)
        for i in 0..<n {
            for j in 0...i { changeError = max(changeError, abs(Double(a.base[i * stride + j]) - updated[i, j])) }
            for q in 0..<width {
                let expected = q < shape.width ? (0..<n).reduce(0.0) { $0 + updated[i, $1] * v[$1, q] } : 0
                // NaN is an error of its own.
                let error = abs(sums[i * width + q] - expected)
                sumError = error.isNaN ? .infinity : max(sumError, error)
            }
        }
        #expect(changeError < tolerance * 10, "\(Element.self), \(shape)")
        #expect(sumError < tolerance * Double(n), "\(Element.self), \(shape)")
        let edge = (0..<n).allSatisfy { i in (n..<stride).allSatisfy { a.base[i * stride + $0].isNaN } }
        #expect(edge, "what lies beside A is left alone, \(Element.self), \(shape)")
    }

    @Test(arguments: InstructionSet.available)
    func smallProductsAreStoredAddedAndSubtracted(_ set: InstructionSet) {
        expectTileProduct(set.kernels.reflectors.float64, set.kernels.float64, Double.self, 1e-12)
        expectTileProduct(set.kernels.reflectors.float32, set.kernels.float32, Float.self, 1e-4)
    }

    private func expectTileProduct<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernels: ReflectorKernels.Arithmetic, _ arithmetic: KernelSet.Arithmetic, _: Element.Type, _ tolerance: Double
    ) {
        let (rows, columns, depth) = (24, 2 * arithmetic.tile.columns, 17)
        let a = random(rows, depth, seed: 6), b = random(depth, columns, seed: 7), c = random(rows, columns, seed: 8)
        let right = DenseMatrix<Element>(rows: depth, columns: columns) { Element(b[$0, $1]) }
        for (mode, before, sign) in [
            (TileProduct.storing, 0.0, 1.0), (TileProduct.adding, 1, 1), (TileProduct.subtracting, 1, -1),
        ] {
            for isTransposed in [false, true] {
                let stored = isTransposed ? a.view.transposed : a.view
                let left = DenseMatrix<Element>(rows: stored.rows, columns: stored.columns) { Element(stored[$0, $1]) }
                var target = DenseMatrix<Element>(rows: rows, columns: columns) {
                    before == 0 ? .nan : Element(c[$0, $1])
                }
                kernels.tileProduct(
                    TileProduct(
                        a: left.view.base, strides: isTransposed ? (1, rows) : (depth, 1), b: right.view.base,
                        bStride: columns, c: target.mutableView().base, cStride: columns,
                        shape: (rows: rows, columns: columns, depth: depth), mode: mode))
                let worst = (0..<rows * columns).reduce(0.0) { worst, index in
                    let (i, j) = (index / columns, index % columns)
                    let product = (0..<depth).reduce(0.0) { $0 + a[i, $1] * b[$1, j] }
                    let error = abs(Double(target[i, j]) - before * c[i, j] - sign * product)
                    return error.isNaN ? .infinity : max(worst, error)
                }
                #expect(worst < tolerance, "\(Element.self), \(mode), \(isTransposed)")
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func termsAreAddedInTheirOrder(_ set: InstructionSet) {
        let kernel = set.kernels.reflectors.float32.termSum
        let (rows, columns, stride) = (5, 32, 48)
        for count in 1...3 {
            let terms = (0..<count).map { term in
                DenseMatrix<Float>(rows: rows, columns: columns) { Float($0 * 100 + $1) * (term == 1 ? 1e8 : 1) }
            }
            let target = AlignedBuffer<Float>(count: rows * stride, repeating: -1)
            terms.map { UnsafeRawPointer($0.view.base) }.withUnsafeBufferPointer { list in
                guard let base = list.baseAddress else { return }
                kernel(
                    TermSum(
                        terms: base, count: count, termStride: columns, target: target.base, targetStride: stride,
                        rows: rows, columns: columns))
            }
            for i in 0..<rows {
                for j in 0..<stride {
                    let expected = j < columns ? terms.dropFirst().reduce(terms[0][i, j]) { $0 + $1[i, j] } : -1
                    #expect(target.base[i * stride + j] == expected, "\(count) terms, row \(i), column \(j)")
                }
            }
        }
    }

    @Test(arguments: InstructionSet.available)
    func stripsAreTheColumnsOfAMatrixAndGoBack(_ set: InstructionSet) {
        let kernels = set.kernels.reflectors
        let (rows, count, stride) = (7, 3, 7 * 8 + 8)
        let matrix = random(rows, 8 * count, seed: 9)
        let rounded = DenseMatrix<Float>(rows: rows, columns: 8 * count) { Float(matrix[$0, $1]) }
        var back = DenseMatrix<Float>(rows: rows, columns: 8 * count)
        let strips = AlignedBuffer<Double>(count: count * stride, repeating: .nan)
        func task(_ base: UnsafeRawPointer) -> StripTransfer {
            StripTransfer(
                matrix: UnsafeMutableRawPointer(mutating: base), format: StorageFormat.float32, rowStride: 8 * count,
                strips: strips.base, stripStride: stride, count: count, rows: rows)
        }
        kernels.readStrips(task(rounded.view.base))
        for i in 0..<rows {
            for j in 0..<8 * count { #expect(strips.base[j / 8 * stride + i * 8 + j % 8] == Double(rounded[i, j])) }
        }
        kernels.writeStrips(task(back.mutableView().base))
        #expect(back.elements == rounded.elements)
    }
}
