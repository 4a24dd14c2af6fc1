import MatrixCore

extension Activation {
    /// gradient ← gradient ∘ f'(x)
    func pullBack(input x: MatrixView<Float>, gradient: MutableMatrixView<Float>) {
        let activation = self
        forEachRowBlock(x.rows, columns: 4 * x.columns) { rows in
            for row in rows {
                let source = x.base + row * x.rowStride, target = gradient.base + row * gradient.rowStride
                switch activation {
                case .silu: VectorMath.combine(target, source, x.columns) { $0 * Self.sigmoidDerivative($1, slope: 1) }
                case .quickGelu:
                    VectorMath.combine(target, source, x.columns) { $0 * Self.sigmoidDerivative($1, slope: 1.702) }
                case .gelu: VectorMath.combine(target, source, x.columns) { $0 * Self.geluDerivative($1) }
                case .geluTanh: VectorMath.combine(target, source, x.columns) { $0 * Self.geluTanhDerivative($1) }
                case .relu:
                    let zero = VectorMath.Lanes()
                    VectorMath.combine(target, source, x.columns) { $0.replacing(with: zero, where: $1 .<= zero) }
                }
            }
        }
    }

    /// Of x / (1 + e^(−slope · x)).
    @inline(__always)
    private static func sigmoidDerivative(_ x: VectorMath.Lanes, slope: Float) -> VectorMath.Lanes {
        let share = 1 / (1 + VectorMath.exponential(x * -slope))
        return share + x * slope * share * (1 - share)
    }

    /// Φ(x) + x φ(x)
    @inline(__always)
    private static func geluDerivative(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        normalShare(x) + x * VectorMath.exponential(x * x * -0.5) * 0.398_942_28
    }

    @inline(__always)
    private static func geluTanhDerivative(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        let square = x * x
        let share = 1 / (1 + VectorMath.exponential((x + x * square * 0.044715) * -1.595_769_12))
        let slope = (1 + square * 0.134_145) * 1.595_769_12
        return share + x * share * (1 - share) * slope
    }
}
