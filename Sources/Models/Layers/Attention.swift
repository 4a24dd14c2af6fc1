import MatrixCore

/// Self-attention of one layer: projections, positions, the weighing of values, and the output.
struct Attention: Sendable {
    enum Projections: Sendable {
        case separate(query: Linear, key: Linear, value: Linear)
        case fused(Linear, ModelFamily.FusedOrder)
    }

    let layer: Int
    let projections: Projections
    let output: Linear
    let queryNorm: Normalisation?
    let keyNorm: Normalisation?
    let shape: TiledAttention.Shape

    /// - Parameter x: (tokens × hidden), the tokens behind `state.position`.
    /// - Returns: (tokens × hidden), in the workspace.
    func apply(_ x: MatrixView<Float>, rotary: RotaryEmbedding?, _ state: SequenceState) -> MutableMatrixView<Float> {
        let start = state.position
        let (keys, values) = state.cache.layer(layer, tokens: start + x.rows)
        let query = state.workspace.matrix(.query, rows: x.rows, columns: shape.heads * shape.headDimension)
        let new = start..<start + x.rows
        let projected = state.workspace.matrix(.projected, rows: x.rows, columns: output.outFeatures)
        project(x, query: query, key: keys.rows(new), value: values.rows(new), state)
        if state.isDone { return projected }
        queryNorm?.apply(inPlace: query)
        keyNorm?.apply(inPlace: keys.rows(new))
        rotary?.apply(query, headDimension: shape.headDimension)
        rotary?.apply(keys.rows(new), headDimension: shape.headDimension)
        let attended = state.workspace.matrix(.attended, rows: x.rows, columns: query.columns)
        TiledAttention(
            query: query.readable, keys: keys.readable, values: values.readable, output: attended, shape: shape,
            start: start
        ).run()
        output.apply(attended.readable, into: projected, state)
        return projected
    }

    private func project(
        _ x: MatrixView<Float>, query: MutableMatrixView<Float>, key: MutableMatrixView<Float>,
        value: MutableMatrixView<Float>, _ state: SequenceState
    ) {
        switch projections {
        case .separate(let queryLayer, let keyLayer, let valueLayer):
            queryLayer.apply(x, into: query, state)
            keyLayer.apply(x, into: key, state)
            valueLayer.apply(x, into: value, state)
        case .fused(let layer, let order):
            let fused = state.workspace.matrix(.fused, rows: x.rows, columns: layer.outFeatures)
            layer.apply(x, into: fused, state)
            split(fused, order, [query, key, value])
        }
    }

    /// Copies the three parts of each token's row to where they belong.
    func split(
        _ fused: MutableMatrixView<Float>, _ order: ModelFamily.FusedOrder, _ parts: [MutableMatrixView<Float>]
    ) {
        let d = shape.headDimension
        let heads = shape.heads
        forEachRowBlock(fused.rows, columns: fused.columns) { rows in
            for row in rows {
                let source = fused.base + row * fused.rowStride
                for (index, part) in parts.enumerated() {
                    let target = part.base + row * part.rowStride
                    switch order {
                    case .byPart:
                        target.update(from: source + index * part.columns, count: part.columns)
                    case .byHead:
                        for head in 0..<heads {
                            (target + head * d).update(from: source + (3 * head + index) * d, count: d)
                        }
                    }
                }
            }
        }
    }
}
