import MatrixCore

/// Householder reduction of a panel of columns, recursive: factor the left half, apply it to the right half, factor the
/// right half, join the two T factors. All but the leaves is matrix multiplication.
///
/// - Source: Elmroth and Gustavson, "Applying recursion to serial and parallel QR factorization", 2000.
struct PanelFactorization<Element: FactorScalar> {
    /// Aᵀ (n × m): a column of A is a contiguous row. On return row j holds R_0j … R_jj; what follows is undefined.
    let columns: MutableMatrixView<Element>
    /// Vᵀ (min(m, n) × m), rows written as they are found, zeros before the diagonal included.
    let reflectors: MutableMatrixView<Element>
    /// For `BlockReflector.apply`, and as many numbers again for joining T.
    let scratch: UnsafeMutablePointer<Element>
    /// Columns up to which a panel is reduced one reflector at a time.
    let leafWidth: Int

    /// Reduces columns `range`, whose diagonal starts at row `range.lowerBound`.
    /// - Parameter t: (range.count × range.count) zeros, receives T.
    func factor(_ range: Range<Int>, t: MutableMatrixView<Element>) {
        guard range.count > leafWidth else { return factorLeaf(range, updating: range.upperBound, t: t) }
        let half = range.count / 2
        let middle = range.lowerBound + half
        let left = range.lowerBound..<middle
        let right = middle..<range.upperBound
        let leftT = t.block(rows: 0..<half, columns: 0..<half)
        let rightT = t.block(rows: half..<range.count, columns: half..<range.count)
        factor(left, t: leftT)
        block(left, t: leftT).apply(transposed: true, to: columns.transposed.columns(right), scratch: scratch)
        factor(right, t: rightT)
        join(left, right, t: t)
    }

    func block(_ range: Range<Int>, t: MutableMatrixView<Element>) -> BlockReflector<Element> {
        let start = range.lowerBound
        return BlockReflector(
            start: start,
            transposedV: reflectors.readable.block(rows: range, columns: start..<reflectors.columns),
            t: t.readable)
    }

    /// T₁₂ ← −T₁ (V₁ᵀ V₂) T₂.
    private func join(_ left: Range<Int>, _ right: Range<Int>, t: MutableMatrixView<Element>) {
        let tail = right.lowerBound..<reflectors.columns
        let leftV = reflectors.readable.block(rows: left, columns: tail)
        let rightV = reflectors.readable.block(rows: right, columns: tail)
        let count = left.count
        let upper = t.block(rows: 0..<count, columns: count..<t.columns)
        let product = MutableMatrixView(base: scratch, rows: count, columns: right.count, rowStride: right.count)
        Element.multiply(leftV, rightV.transposed, into: product, alpha: 1, beta: 0)
        Element.multiply(
            t.readable.block(rows: 0..<count, columns: 0..<count), product.readable, into: upper, alpha: -1, beta: 0)
        Element.copy(upper.readable, scaledBy: 1, into: product)
        Element.multiply(
            product.readable, t.readable.block(rows: count..<t.rows, columns: count..<t.columns), into: upper, alpha: 1,
            beta: 0)
    }

    /// One reflector at a time; no kernel and no thread is involved, so small problems cost only their arithmetic.
    /// - Parameter end: columns up to this one are updated; those after `range` are not factored.
    func factorLeaf(_ range: Range<Int>, updating end: Int, t: MutableMatrixView<Element>) {
        let height = columns.columns
        for (index, j) in range.enumerated() {
            let column = columns.base + j * columns.rowStride
            let v = reflectors.base + j * reflectors.rowStride
            Element.copyScaled(column + j, by: 1, to: v + j, height - j)
            for i in 0..<j { v[i] = 0 }
            let reflector = Reflector.make(from: v + j, count: height - j, Element.self)
            column[j] = Element.from(reflector.beta)
            let tau = Element.from(reflector.tau)
            for other in (j + 1)..<max(end, j + 1) {
                let target = columns.base + other * columns.rowStride + j
                let projection = Element.dot(v + j, target, height - j)
                Element.addScaled(v + j, by: -tau * projection, to: target, height - j)
            }
            extend(t, index: index, tau: tau, first: range.lowerBound)
        }
    }

    /// Column `index` of T: T_0i = −τ T (Vᵀ v_i), T_ii = τ.
    private func extend(_ t: MutableMatrixView<Element>, index: Int, tau: Element, first: Int) {
        let row = first + index
        let height = reflectors.columns - row
        let v = reflectors.base + row * reflectors.rowStride + row
        for i in 0..<index {
            let other = reflectors.base + (first + i) * reflectors.rowStride + row
            t[i, index] = -tau * Element.dot(other, v, height)
        }
        for i in 0..<index {
            var sum: Element = 0
            for p in i..<index { sum += t[i, p] * t[p, index] }
            t[i, index] = sum
        }
        t[index, index] = tau
    }
}
