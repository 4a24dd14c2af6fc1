import MatrixCore

/// The function between the two linear layers of an MLP.
enum Activation: Sendable {
    case silu
    /// x · Φ(x)
    case gelu
    /// The approximation of x · Φ(x) by a hyperbolic tangent.
    case geluTanh
    /// x / (1 + e^(−1.702 x))
    case quickGelu
    case relu

    /// - Parameter name: as config.json spells it.
    init?(name: String) {
        switch name {
        case "silu", "swish": self = .silu
        case "gelu": self = .gelu
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast": self = .geluTanh
        case "quick_gelu": self = .quickGelu
        case "relu": self = .relu
        default: return nil
        }
    }

    /// x ← f(x)
    func apply(_ x: MutableMatrixView<Float>) {
        let activation = self
        forEachRowBlock(x.rows, columns: x.columns) { rows in
            for row in rows {
                let p = x.base + row * x.rowStride
                switch activation {
                case .silu: VectorMath.map(p, x.columns) { Self.silu($0) }
                case .gelu: VectorMath.map(p, x.columns) { Self.gelu($0) }
                case .geluTanh: VectorMath.map(p, x.columns) { Self.geluTanh($0) }
                case .quickGelu: VectorMath.map(p, x.columns) { $0 / (1 + VectorMath.exponential($0 * -1.702)) }
                case .relu:
                    let zero = VectorMath.Lanes()
                    VectorMath.map(p, x.columns) { $0.replacing(with: zero, where: $0 .< zero) }
                }
            }
        }
    }

    /// gate ← f(gate) · up
    func applyGate(_ gate: MutableMatrixView<Float>, _ up: MatrixView<Float>) {
        guard case .silu = self else {
            apply(gate)
            forEachRowBlock(gate.rows, columns: gate.columns) { rows in
                for row in rows {
                    VectorMath.combine(gate.base + row * gate.rowStride, up.base + row * up.rowStride, gate.columns) {
                        $0 * $1
                    }
                }
            }
            return
        }
        forEachRowBlock(gate.rows, columns: gate.columns) { rows in
            for row in rows {
                VectorMath.combine(gate.base + row * gate.rowStride, up.base + row * up.rowStride, gate.columns) {
                    Self.silu($0) * $1
                }
            }
        }
    }

    @inline(__always)
    static func silu(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        x / (1 + VectorMath.exponential(-x))
    }

    @inline(__always)
    static func geluTanh(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        let inner = (x + x * x * x * 0.044715) * 0.797_884_56
        // ½ (1 + tanh z) = 1 / (1 + e^(−2z))
        return x / (1 + VectorMath.exponential(inner * -2))
    }

    @inline(__always)
    static func gelu(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        x * normalShare(x)
    }

    /// Φ(x), the share of a normal distribution below x.
    ///
    /// - Source: Abramowitz and Stegun, 7.1.26, for the error function: |error| ≤ 1.5e-7.
    @inline(__always)
    static func normalShare(_ x: VectorMath.Lanes) -> VectorMath.Lanes {
        let z = x * 0.707_106_78
        let isNegative = z .< VectorMath.Lanes()
        let magnitude = z.replacing(with: -z, where: isNegative)
        let t = 1 / (magnitude * 0.327_591_1 + 1)
        var tail = t * 1.061_405_43 - 1.453_152_03
        tail = tail * t + 1.421_413_74
        tail = tail * t - 0.284_496_74
        tail = (tail * t + 0.254_829_59) * t * VectorMath.exponential(-(magnitude * magnitude))
        // Φ is half the tail on the left, and one less half the tail on the right.
        return (1 - tail * 0.5).replacing(with: tail * 0.5, where: isNegative)
    }
}
