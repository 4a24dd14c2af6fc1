import MatrixCore

/// An MLP on its way forward, with what its way back needs.
struct FeedForwardTape {
    private let network: FeedForward
    /// (tokens × hidden)
    private let input: Matrix
    /// What the entrance layers gave, before the activation (tokens × width), gate first.
    private let entered: [Matrix]
    /// act(gate) ∘ up, or act(input) (tokens × width)
    private let middle: Matrix
    /// (tokens × hidden)
    let output: Matrix

    init(_ network: FeedForward, _ input: Matrix, _ weights: TrainingWeights) {
        self.network = network
        self.input = input
        entered = network.entranceLayers.map { weights.apply($0, input.view) }
        let parts = network.parts(of: entered)
        var middle = Matrix(parts.gate)
        network.activation.apply(middle.mutableView())
        if let up = parts.up { Self.scale(middle.mutableView(), by: up) }
        self.middle = middle
        output = weights.apply(network.exit, middle.view)
    }

    /// ∂L/∂input (tokens × hidden).
    func pullBack(_ gradient: MatrixView<Float>, _ weights: TrainingWeights) -> Matrix {
        var middleGradient = Matrix(uninitializedRows: middle.rows, columns: middle.columns)
        weights.pullBack(network.exit, input: middle.view, gradient: gradient, into: middleGradient.mutableView())
        var gradients = entered.map { Matrix(uninitializedRows: $0.rows, columns: $0.columns) }
        fill(&gradients, from: middleGradient)
        var result = Matrix(uninitializedRows: input.rows, columns: input.columns)
        for (index, layer) in network.entranceLayers.enumerated() {
            weights.pullBack(
                layer, input: input.view, gradient: gradients[index].view, into: result.mutableView(), adds: index > 0)
        }
        return result
    }

    /// Gradients of what the entrance layers gave: dup = d ∘ act(gate), dgate = d ∘ up ∘ act'(gate).
    private func fill(_ gradients: inout [Matrix], from middleGradient: Matrix) {
        let parts = network.parts(of: entered)
        let (gateTarget, upTarget) = network.parts(ofGradients: &gradients)
        Self.copy(middleGradient.view, to: gateTarget)
        if let up = parts.up, let upTarget {
            Self.copy(parts.gate, to: upTarget)
            network.activation.apply(upTarget)
            Self.scale(upTarget, by: middleGradient.view)
            Self.scale(gateTarget, by: up)
        }
        network.activation.pullBack(input: parts.gate, gradient: gateTarget)
    }

    /// target ← target ∘ factor
    private static func scale(_ target: MutableMatrixView<Float>, by factor: MatrixView<Float>) {
        forEachRowBlock(target.rows, columns: target.columns) { rows in
            for row in rows {
                VectorMath.combine(
                    target.base + row * target.rowStride, factor.base + row * factor.rowStride, target.columns
                ) { $0 * $1 }
            }
        }
    }

    private static func copy(_ source: MatrixView<Float>, to target: MutableMatrixView<Float>) {
        forEachRowBlock(target.rows, columns: target.columns) { rows in
            for row in rows {
                (target.base + row * target.rowStride).update(
                    from: source.base + row * source.rowStride, count: target.columns)
            }
        }
    }
}

extension FeedForward {
    /// Gate and up, or the plain input, in what the entrance layers gave.
    fileprivate func parts(of entered: [Matrix]) -> (gate: MatrixView<Float>, up: MatrixView<Float>?) {
        let first = entered[0].view
        switch entrance {
        case .plain: return (first, nil)
        case .gated: return (first, entered[1].view)
        case .gatedTogether:
            let half = first.columns / 2
            return (first.columns(0..<half), first.columns(half..<2 * half))
        }
    }

    fileprivate func parts(
        ofGradients gradients: inout [Matrix]
    ) -> (gate: MutableMatrixView<Float>, up: MutableMatrixView<Float>?) {
        let first = gradients[0].mutableView()
        switch entrance {
        case .plain: return (first, nil)
        case .gated: return (first, gradients[1].mutableView())
        case .gatedTogether:
            let half = first.columns / 2
            return (first.columns(0..<half), first.columns(half..<2 * half))
        }
    }
}
