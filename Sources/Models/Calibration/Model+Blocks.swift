import MatrixCore

/// The forward pass in parts, for work that goes through a model layer by layer: whole sequences, read from their first
/// token, whose hidden states the caller keeps between layers.
///
/// ```swift
/// var hidden = Matrix(model.embeddings(of: tokens, state).readable)
/// for layer in 0..<model.description.layers {
///     try model.apply(layer: layer, to: hidden.mutableView(), state)
/// }
/// model.applyFinalNorm(to: hidden.mutableView())       // what `hiddenStates` gives, to the bit
/// ```
extension Model {
    /// - Returns: (tokens × hidden), in the state's memory: valid until its next use.
    /// - Throws: as `hiddenStates`.
    public func embeddings(
        of tokens: [Int32], _ state: SequenceState
    ) throws(ModelError) -> MutableMatrixView<Float> {
        if let limit = description.positionLimit, tokens.count > limit {
            throw .tooLong(tokens: tokens.count, limit: limit)
        }
        state.restart()
        let x = try embed(tokens, state)
        try checkFinite(x, "the embedding")
        return x
    }

    /// x ← layer(x), x (tokens × hidden) a whole sequence; the state's observer sees the layer's inputs.
    /// - Throws: `.nonFinite` naming the layer.
    public func apply(
        layer index: Int, to x: MutableMatrixView<Float>, _ state: SequenceState
    ) throws(ModelError) {
        run(layer: index, x, state)
        try checkFinite(x, "layer \(index)")
    }

    /// Runs a layer until its observer has seen all that it looks for; then x, a whole sequence (tokens × hidden), is
    /// undefined.
    public func observe(layer index: Int, of x: MutableMatrixView<Float>, _ state: SequenceState) {
        state.stopsEarly = true
        run(layer: index, x, state)
        state.stopsEarly = false
    }

    private func run(layer index: Int, _ x: MutableMatrixView<Float>, _ state: SequenceState) {
        state.restart()
        state.cache.reserve(x.rows, used: 0)
        let rotary = description.rotary.map { RotaryEmbedding($0, positions: 0..<x.rows, state.workspace) }
        run(blocks[index], x, rotary, state)
    }

    /// x ← what the head reads, x (tokens × hidden) the output of the last layer.
    public func applyFinalNorm(to x: MutableMatrixView<Float>) {
        finalNorm?.apply(inPlace: x)
    }
}
