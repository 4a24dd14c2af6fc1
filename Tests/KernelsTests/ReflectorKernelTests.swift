import KernelContract
import MatrixCore
import Testing

@testable import Kernels

@Suite(.serialized) struct ReflectorKernelTests {
    private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix64 {
        CounterRandom(seed: seed).normalMatrix(rows: rows, columns: columns)
    }

    /// Largest difference, in units of the norm of a row of numbers near 1.
    private func difference(_ a: Matrix64, _ b: Matrix64) -> Double {
        zip(a.elements, b.elements).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }

    /// a b by plain loops.
    private func product(_ a: MatrixView<Double>, _ b: MatrixView<Double>) -> Matrix64 {
        Matrix64(rows: a.rows, columns: b.columns) { i, j in
            (0..<a.columns).reduce(0.0) { $0 + a[i, $1] * b[$1, j] }
        }
    }

    @Test(arguments: InstructionSet.available)
    func staggeredReflectorsAreOneBlock(_ set: InstructionSet) {
        expectOneBlock(set.kernels.reflectors.float64.applyBlock, Double.self, within: 1e-12)
        expectOneBlock(set.kernels.reflectors.float32.applyBlock, Float.self, within: 1e-4)
    }

    private func expectOneBlock<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernel: Kernel<StaggeredReflectors>, _: Element.Type, within tolerance: Double
    ) {
        let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<Element>.stride)
        func converted(_ matrix: Matrix64) -> DenseMatrix<Element> {
            DenseMatrix(rows: matrix.rows, columns: matrix.columns) { Element(matrix[$0, $1]) }
        }
        for (length, count) in [(8, 8), (16, 24), (64, 32)] {
            let rows = length + count
            let dense = random(rows, count, seed: 5)
            let v = Matrix64(rows: rows, columns: count) { (0..<length).contains($0 - $1) ? dense[$0, $1] * 0.1 : 0 }
            let square = random(count, count, seed: 6)
            let t = Matrix64(rows: count, columns: count) { $0 <= $1 ? square[$0, $1] * 0.1 : 0 }
            let x = random(rows, columns, seed: 7)
            let projected = product(v.view.transposed, x.view)
            let change = product(v.view, product(t.view, projected.view).view)
            let expected = Matrix64(rows: rows, columns: columns) { x[$0, $1] - change[$0, $1] }
            let (vCopy, tCopy) = (converted(v), converted(t))
            var result = converted(x)
            let work = AlignedBuffer<Element>(count: count * columns, repeating: .nan)
            kernel(
                StaggeredReflectors(
                    v: vCopy.view.base, t: tCopy.view.base, x: result.mutableView().base, length: length, count: count,
                    work: work.base))
            let widened = Matrix64(rows: rows, columns: columns) { Double(result[$0, $1]) }
            #expect(difference(widened, expected) < tolerance, "\(Element.self), \(length), \(count)")
        }
    }

    @Test(arguments: InstructionSet.available)
    func chunksOfRowsMakeUpOneBlock(_ set: InstructionSet) {
        expectBlockOfChunks(set.kernels.reflectors.float64, Double.self, within: 1e-12)
        expectBlockOfChunks(set.kernels.reflectors.float32, Float.self, within: 1e-4)
    }

    private func expectBlockOfChunks<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernels: ReflectorKernels.Arithmetic, _: Element.Type, within tolerance: Double
    ) {
        let columns = StaggeredReflectors.panelColumns(elementBytes: MemoryLayout<Element>.stride)
        for (rows, count, chunk) in [(1, 8, 8), (5, 16, 8), (24, 24, 8), (61, 16, 24), (130, 64, 64), (20, 40, 32)] {
            let padded = (rows + 7) / 8 * 8
            let dense = random(padded, count, seed: 12)
            let v = Matrix64(rows: padded, columns: count) { $0 < rows && $0 >= $1 ? dense[$0, $1] * 0.1 : 0 }
            let square = random(count, count, seed: 13)
            let t = Matrix64(rows: count, columns: count) { $0 <= $1 ? square[$0, $1] * 0.1 : 0 }
            let numbers = random(rows, columns, seed: 14)
            let x = Matrix64(rows: padded, columns: columns) { $0 < rows ? numbers[$0, $1] : 0 }
            let change = product(v.view, product(t.view, product(v.view.transposed, x.view).view).view)
            let expected = Matrix64(rows: padded, columns: columns) { x[$0, $1] - change[$0, $1] }
            // Above the diagonal of V nothing is read where a whole tile is zero.
            let vCopy = DenseMatrix<Element>(rows: padded, columns: count) { i, j in
                j >= i / 8 * 8 + 8 ? .nan : Element(v[i, j])
            }
            let tCopy = DenseMatrix<Element>(rows: count, columns: count) { Element(t[$0, $1]) }
            var result = DenseMatrix<Element>(rows: padded, columns: columns) { Element(x[$0, $1]) }
            let panel = result.mutableView().base
            let work = AlignedBuffer<Element>(count: count * columns, repeating: 0)
            func task(_ first: Int) -> ReflectorRows {
                ReflectorRows(
                    v: vCopy.view.base + first * count, rowsAbove: first, x: panel + first * columns,
                    rows: min(chunk, rows - first), count: count, work: work.base)
            }
            let starts = Array(stride(from: 0, to: rows, by: chunk))
            for first in starts { kernels.projectRows(task(first)) }
            kernels.mix(ReflectorMixing(t: tCopy.view.base, work: work.base, count: count))
            for first in starts.reversed() { kernels.subtractRows(task(first)) }
            let widened = Matrix64(rows: padded, columns: columns) { Double(result[$0, $1]) }
            #expect(difference(widened, expected) < tolerance, "\(Element.self), \(rows), \(count), \(chunk)")
        }
    }

    @Test(arguments: InstructionSet.available)
    func blocksAreTheProductsOfTheirReflectors(_ set: InstructionSet) {
        expectProductOfReflectors(set.kernels.reflectors.float64.makeBlock, Double.self, within: 1e-13)
        expectProductOfReflectors(set.kernels.reflectors.float32.makeBlock, Float.self, within: 1e-5)
    }

    private func expectProductOfReflectors<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernel: Kernel<StaggeredBlock>, _: Element.Type, within tolerance: Double
    ) {
        let shapes = [(8, 8, 16, 8), (16, 24, 40, 24), (64, 32, 96, 32), (16, 8, 19, 5), (8, 16, 5, 16)]
        for (length, count, width, present) in shapes {
            let rows = length + count
            let numbers = random(count, rows, seed: 9)
            let stored = DenseMatrix<Element>(rows: count, columns: rows) { q, r in
                let isRead = q < present && r >= q && r < min(q + length, width)
                return isRead ? Element(r == q ? 1 : 0.1 * numbers[q, r]) : .nan
            }
            let taus = DenseMatrix<Element>(rows: count, columns: 3) { q, j in
                j == 0 ? Element(1 + 0.01 * Double(q)) : .nan
            }
            var v = DenseMatrix<Element>(rows: rows, columns: count) { _, _ in .nan }
            var t = DenseMatrix<Element>(rows: count, columns: count) { _, _ in .nan }
            let work = AlignedBuffer<Element>(count: count * (count + 1), repeating: .nan)
            kernel(
                StaggeredBlock(
                    reflectors: stored.view.base, rowStride: rows, width: width, present: present,
                    taus: taus.view.base, tausStride: 3, length: length, count: count, v: v.mutableView().base,
                    t: t.mutableView().base, work: work.base))
            // H₀ H₁ … by plain loops, from the last to the first.
            var expected = Matrix64.identity(rows)
            for q in (0..<present).reversed() {
                let reflector = Matrix64(rows: rows, columns: 1) { r, _ in
                    r >= q && r < min(q + length, width) ? Double(stored[q, r]) : 0
                }
                let change = product(reflector.view, product(reflector.view.transposed, expected.view).view)
                let (before, tau) = (expected, Double(taus[q, 0]))
                expected = Matrix64(rows: rows, columns: rows) { before[$0, $1] - tau * change[$0, $1] }
            }
            let wideV = Matrix64(rows: rows, columns: count) { Double(v[$0, $1]) }
            let wideT = Matrix64(rows: count, columns: count) { Double(t[$0, $1]) }
            let change = product(wideV.view, product(wideT.view, wideV.view.transposed).view)
            let result = Matrix64(rows: rows, columns: rows) { ($0 == $1 ? 1 : 0) - change[$0, $1] }
            #expect(difference(result, expected) < tolerance, "\(Element.self), \(length), \(count), \(width)")
        }
    }

    @Test(arguments: InstructionSet.available)
    func triangularFactorsOfAnySizeFollowTheRecurrence(_ set: InstructionSet) {
        for count in [1, 7, 8, 9, 30, 64] {
            let gram = random(count, count, seed: 10)
            let taus = random(1, count, seed: 11)
            var t = Matrix64(rows: count, columns: count + 2) { _, _ in .nan }
            set.kernels.reflectors.float64.triangularFactor(
                TriangularFactor(
                    gram: gram.view.base, gramStride: count, taus: taus.view.base, t: t.mutableView().base,
                    tStride: count + 2, count: count))
            // Column j is −τ_j T (VᵀV)_j above the diagonal.
            var expected = Matrix64(rows: count, columns: count)
            for j in 0..<count {
                for i in 0..<j {
                    expected[i, j] = -taus[0, j] * (i..<j).reduce(0.0) { $0 + expected[i, $1] * gram[$1, j] }
                }
                expected[j, j] = taus[0, j]
            }
            let largest = expected.elements.reduce(0) { max($0, abs($1)) }
            let result = Matrix64(rows: count, columns: count) { t[$0, $1] }
            #expect(difference(result, expected) < 1e-12 * largest, "\(count)")
        }
    }

    @Test(arguments: InstructionSet.available)
    func aStripIsItsReflectorsTimesItsTriangle(_ set: InstructionSet) {
        for rows in [1, 5, 8, 9, 50] {
            let original = random(rows, 8, seed: 8)
            var v = original
            var t = Matrix64(rows: 8, columns: 8)
            var upper = Matrix64(rows: 8, columns: 8)
            var taus = Matrix64(rows: 1, columns: 8)
            set.kernels.reflectors.factorStrip(
                StripFactorization(
                    strip: v.mutableView().base, rows: rows, rowStride: 8, taus: taus.mutableView().base,
                    t: t.mutableView().base, upper: upper.mutableView().base, upperStride: 8, negligibleSquare: 1e-280))
            // (I − V Tᵀ Vᵀ) strip = R
            let projected = product(v.view.transposed, original.view)
            let change = product(v.view, product(t.view.transposed, projected.view).view)
            let reduced = Matrix64(rows: rows, columns: 8) { original[$0, $1] - change[$0, $1] }
            let wanted = Matrix64(rows: rows, columns: 8) { $0 < 8 && $0 <= $1 ? upper[$0, $1] : 0 }
            #expect(difference(reduced, wanted) < 1e-12, "\(rows) rows")
        }
    }
}
