import Kernels
import MatrixCore

/// Self-attention of a layer on its way forward, with what its way back needs.
///
/// Scores are not kept: they are computed again, a tile at a time, so that memory grows with the number of tokens and
/// not with its square.
struct AttentionTape {
    private let attention: Attention
    private let batch: TokenBatch
    /// One for each sequence; empty for learned positions.
    private let rotary: [RotaryEmbedding]
    /// What the layer read (tokens × hidden).
    private let input: Matrix
    /// After norm and rotation (tokens × heads · headDimension).
    private var query: Matrix
    /// (tokens × keyValueHeads · headDimension)
    private var key: Matrix
    private var value: Matrix
    /// Before their norms; nil where heads have none.
    private var plainQuery: Matrix?
    private var plainKey: Matrix?
    /// (tokens × heads · headDimension)
    private var attended: Matrix
    /// (tokens × hidden)
    let output: Matrix

    init(
        _ attention: Attention, _ input: Matrix, _ batch: TokenBatch, _ rotary: [RotaryEmbedding],
        _ weights: TrainingWeights
    ) {
        self.attention = attention
        self.batch = batch
        self.rotary = rotary
        self.input = input
        (query, key, value) = attention.projected(input, weights)
        if let norm = attention.queryNorm {
            plainQuery = query
            norm.apply(inPlace: query.mutableView())
        }
        if let norm = attention.keyNorm {
            plainKey = key
            norm.apply(inPlace: key.mutableView())
        }
        let shape = attention.shape
        for (rows, rotary) in zip(batch.sequences, rotary) {
            rotary.apply(query.mutableView().rows(rows), headDimension: shape.headDimension)
            rotary.apply(key.mutableView().rows(rows), headDimension: shape.headDimension)
        }
        attended = Matrix(uninitializedRows: input.rows, columns: query.columns)
        let (q, k, v, target) = (query.view, key.view, value.view, attended.mutableView())
        batch.forEachSequence { rows in
            TiledAttention(
                query: q.rows(rows), keys: k.rows(rows), values: v.rows(rows), output: target.rows(rows), shape: shape,
                start: 0
            ).run()
        }
        output = weights.apply(attention.output, attended.view)
    }

    /// ∂L/∂input (tokens × hidden).
    func pullBack(_ gradient: MatrixView<Float>, _ weights: TrainingWeights) -> Matrix {
        var attendedGradient = Matrix(uninitializedRows: attended.rows, columns: attended.columns)
        weights.pullBack(
            attention.output, input: attended.view, gradient: gradient, into: attendedGradient.mutableView())
        var queryGradient = Matrix(rows: query.rows, columns: query.columns)
        var keyGradient = Matrix(rows: key.rows, columns: key.columns)
        var valueGradient = Matrix(rows: value.rows, columns: value.columns)
        AttentionBackward(
            query: query.view, keys: key.view, values: value.view, gradient: attendedGradient.view,
            queryGradient: queryGradient.mutableView(), keyGradient: keyGradient.mutableView(),
            valueGradient: valueGradient.mutableView(), shape: attention.shape, sequences: batch.sequences
        ).run()
        for (rows, rotary) in zip(batch.sequences, rotary) {
            let back = rotary.transposed
            back.apply(queryGradient.mutableView().rows(rows), headDimension: attention.shape.headDimension)
            back.apply(keyGradient.mutableView().rows(rows), headDimension: attention.shape.headDimension)
        }
        Self.pullBack(attention.queryNorm, plainQuery, &queryGradient)
        Self.pullBack(attention.keyNorm, plainKey, &keyGradient)
        return attention.pullBackProjections(
            input, (queryGradient, keyGradient, valueGradient), weights)
    }

    /// Through the norm of heads, where there is one.
    private static func pullBack(_ norm: Normalisation?, _ input: Matrix?, _ gradient: inout Matrix) {
        guard let norm, let input else { return }
        var result = Matrix(rows: gradient.rows, columns: gradient.columns)
        norm.pullBack(input: input.view, gradient: gradient.view, addingTo: result.mutableView())
        gradient = result
    }
}

extension TokenBatch {
    /// Sequences on several threads, or where there are too few for that, one after the other.
    func forEachSequence(_ body: @Sendable (Range<Int>) -> Void) {
        let sequences = sequences
        if sequences.count >= 2 * Threads.count {
            parallelFor(sequences.count) { body(sequences[$0]) }
        } else {
            for rows in sequences { body(rows) }
        }
    }
}

extension Attention {
    /// Query, key and value of all tokens.
    fileprivate func projected(_ x: Matrix, _ weights: TrainingWeights) -> (Matrix, Matrix, Matrix) {
        switch projections {
        case .separate(let query, let key, let value):
            return (weights.apply(query, x.view), weights.apply(key, x.view), weights.apply(value, x.view))
        case .fused(let layer, let order):
            var fused = weights.apply(layer, x.view)
            let keyValue = shape.keyValueHeads * shape.headDimension
            var query = Matrix(uninitializedRows: x.rows, columns: shape.heads * shape.headDimension)
            var key = Matrix(uninitializedRows: x.rows, columns: keyValue)
            var value = Matrix(uninitializedRows: x.rows, columns: keyValue)
            split(fused.mutableView(), order, [query.mutableView(), key.mutableView(), value.mutableView()])
            return (query, key, value)
        }
    }

    /// ∂L/∂x (tokens × hidden) from those of query, key and value.
    fileprivate func pullBackProjections(
        _ x: Matrix, _ gradients: (query: Matrix, key: Matrix, value: Matrix), _ weights: TrainingWeights
    ) -> Matrix {
        var result = Matrix(uninitializedRows: x.rows, columns: x.columns)
        let target = result.mutableView()
        switch projections {
        case .separate(let query, let key, let value):
            weights.pullBack(query, input: x.view, gradient: gradients.query.view, into: target)
            weights.pullBack(key, input: x.view, gradient: gradients.key.view, into: target, adds: true)
            weights.pullBack(value, input: x.view, gradient: gradients.value.view, into: target, adds: true)
        case .fused(let layer, let order):
            let fused = joined([gradients.query, gradients.key, gradients.value], order)
            weights.pullBack(layer, input: x.view, gradient: fused.view, into: target)
        }
        return result
    }

    /// The rows of a fused projection, put together from its three parts: the reverse of `split`.
    private func joined(_ parts: [Matrix], _ order: ModelFamily.FusedOrder) -> Matrix {
        let d = shape.headDimension
        var fused = Matrix(uninitializedRows: parts[0].rows, columns: parts.reduce(0) { $0 + $1.columns })
        let target = fused.mutableView()
        for row in 0..<target.rows {
            let start = target.base + row * target.rowStride
            for (index, part) in parts.enumerated() {
                let source = part.view.base + row * part.columns
                switch order {
                case .byPart:
                    start.advanced(by: parts[..<index].reduce(0) { $0 + $1.columns })
                        .update(from: source, count: part.columns)
                case .byHead:
                    for head in 0..<shape.heads {
                        (start + (3 * head + index) * d).update(from: source + head * d, count: d)
                    }
                }
            }
        }
        return fused
    }
}
