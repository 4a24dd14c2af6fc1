import MatrixCore

/// RMS norm or layer norm of each row, or of each head in it.
struct Normalisation: Sendable {
    /// (features)
    let weight: AlignedBuffer<Float>
    /// (features); layer norm only.
    let bias: AlignedBuffer<Float>?
    let kind: ModelFamily.NormalisationKind
    let epsilon: Float

    /// y ← norm(x); x and y (tokens × groups · features) may be the same memory.
    func apply(_ x: MatrixView<Float>, into y: MutableMatrixView<Float>) {
        let norm = self
        let features = weight.count
        forEachRowBlock(x.rows, columns: x.columns) { rows in
            for row in rows {
                for start in stride(from: 0, to: x.columns, by: features) {
                    norm.normalise(x.base + row * x.rowStride + start, into: y.base + row * y.rowStride + start)
                }
            }
        }
    }

    func apply(inPlace x: MutableMatrixView<Float>) {
        apply(x.readable, into: x)
    }

    @inline(__always)
    private func normalise(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>) {
        let count = weight.count
        switch kind {
        case .rootMeanSquare:
            let scale = 1 / (VectorMath.sumOfSquares(x, count) / Float(count) + epsilon).squareRoot()
            write(x, into: y, mean: 0, scale: scale)
        case .layer:
            let mean = VectorMath.sum(x, count) / Float(count)
            var squares = VectorMath.Lanes()
            var i = 0
            while i + VectorMath.width <= count {
                let difference = VectorMath.load(x + i) - mean
                squares += difference * difference
                i += VectorMath.width
            }
            var variance = VectorMath.total(squares)
            while i < count {
                variance += (x[i] - mean) * (x[i] - mean)
                i += 1
            }
            write(x, into: y, mean: mean, scale: 1 / (variance / Float(count) + epsilon).squareRoot())
        }
    }

    /// y ← (x − mean) · scale · weight + bias
    @inline(__always)
    private func write(_ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>, mean: Float, scale: Float) {
        let count = weight.count
        let w = weight.base
        var i = 0
        while i + VectorMath.width <= count {
            VectorMath.store((VectorMath.load(x + i) - mean) * scale * VectorMath.load(w + i), y + i)
            i += VectorMath.width
        }
        while i < count {
            y[i] = (x[i] - mean) * scale * w[i]
            i += 1
        }
        if let bias {
            VectorMath.combine(y, UnsafePointer(bias.base), count) { $0 + $1 }
        }
    }
}
