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
    func symmetricRowsReadTheLowerTriangleAlone(_ set: InstructionSet) {
        expectSymmetricProduct(set.kernels.reflectors.float64.symmetricProduct, Double.self, within: 1e-12)
        expectSymmetricProduct(set.kernels.reflectors.float32.symmetricProduct, Float.self, within: 1e-4)
    }

    private func expectSymmetricProduct<Element: MatrixElement & BinaryFloatingPoint>(
        _ kernel: Kernel<SymmetricRowsProduct>, _: Element.Type, within tolerance: Double
    ) {
        for (size, width, stride) in [(1, 16, 16), (63, 16, 32), (64, 48, 48), (65, 16, 16), (130, 64, 128)] {
            let lower = random(size, size, seed: 3)
            let full = Matrix64(rows: size, columns: size) { lower[max($0, $1), min($0, $1)] }
            let v = random(size, width, seed: 4)
            let block = SymmetricRowsProduct.blockRows
            let blocks = (size + block - 1) / block
            let a = DenseMatrix<Element>(rows: size, columns: size) { Element(lower[$0, $1]) }
            let panel = DenseMatrix<Element>(rows: size, columns: stride) { $1 < width ? Element(v[$0, $1]) : .nan }
            let y = AlignedBuffer<Element>(count: blocks * block * stride, repeating: .nan)
            let work = AlignedBuffer<Element>(count: block * block, repeating: 0)
            for index in 0..<blocks {
                kernel(
                    SymmetricRowsProduct(
                        a: a.view.base, rowStride: size, size: size, firstRow: index * block, v: panel.view.base,
                        width: width, panelStride: stride, y: y.base, work: work.base))
            }
            let result = Matrix64(rows: size, columns: width) { Double(y.base[$0 * stride + $1]) }
            #expect(difference(result, product(full.view, v.view)) < tolerance, "\(Element.self), \(size) × \(width)")
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
