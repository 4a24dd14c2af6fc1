import MatrixCore

extension Normalisation {
    /// dx ← dx + Jᵀ dy for y = norm(x).
    ///
    /// With x̂ the normalised x, r its scale and g = dy ∘ weight: r (g − x̂ mean(g ∘ x̂)), and for a layer norm without
    /// the mean of g as well.
    ///
    /// - Parameters:
    ///   - x: (tokens × groups · features), what the norm was applied to.
    ///   - dy: of the same shape.
    ///   - dx: of the same shape; memory of its own.
    func pullBack(input x: MatrixView<Float>, gradient dy: MatrixView<Float>, addingTo dx: MutableMatrixView<Float>) {
        let norm = self
        let features = weight.count
        forEachRowBlock(x.rows, columns: 4 * x.columns) { rows in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * features) { scratch in
                guard let memory = scratch.baseAddress else { return }
                for row in rows {
                    for start in stride(from: 0, to: x.columns, by: features) {
                        norm.pullBack(
                            x.base + row * x.rowStride + start, dy.base + row * dy.rowStride + start,
                            addingTo: dx.base + row * dx.rowStride + start, memory)
                    }
                }
            }
        }
    }

    /// - Parameter memory: room for two rows: x̂ and g.
    @inline(__always)
    private func pullBack(
        _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, addingTo dx: UnsafeMutablePointer<Float>,
        _ memory: UnsafeMutablePointer<Float>
    ) {
        let count = weight.count
        let length = Float(count)
        let normalised = memory, weighted = memory + count
        normalised.update(from: x, count: count)
        if kind == .layer {
            let mean = VectorMath.sum(x, count) / length
            VectorMath.map(normalised, count) { $0 - mean }
        }
        let scale = 1 / (VectorMath.sumOfSquares(normalised, count) / length + epsilon).squareRoot()
        VectorMath.map(normalised, count) { $0 * scale }
        weighted.update(from: dy, count: count)
        VectorMath.combine(weighted, UnsafePointer(weight.base), count) { $0 * $1 }
        let mean = kind == .layer ? VectorMath.sum(weighted, count) / length : 0
        let along = VectorMath.innerProduct(weighted, normalised, count) / length
        VectorMath.combine(weighted, UnsafePointer(normalised), count) { ($0 - mean - $1 * along) * scale }
        VectorMath.combine(dx, UnsafePointer(weighted), count) { $0 + $1 }
    }
}
